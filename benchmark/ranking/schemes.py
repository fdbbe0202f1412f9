"""Ranks (draws, algorithms) by three schemes from counts (draws, cases); ties share the best.

Aggregate, then rank, as method "mean" of grand-challenge.org: undefined means come last, and failed
cases have the worst value. Without one, algorithms rank first by the number of cases that failed,
or that are undefined while another has a value, then by the mean of the others.

Maier-Hein et al., Nature Communications 9 (2018), doi:10.1038/s41467-018-07619-7.
"""

import numpy as np

from cytosuite.benchmark.ranking.bootstrap import BLOCK, weighted_means
from cytosuite.benchmark.ranking.ranking import Scheme
from cytosuite.benchmark.ranking.scores import Floats, MetricScores, without_rounding
from cytosuite.benchmark.ranking.significance import drawn_p, pairs_p, significant


def scheme_ranks(own: MetricScores, counts: Floats, scheme: Scheme, alpha: float) -> Floats:
    """Return the ranks by one metric, (draws, algorithms), from `counts` (draws, cases)."""
    if scheme == "mean" or own.measure.of_set:
        return mean_ranks(own, counts)
    return case_ranks(own, counts) if scheme == "cases" else win_ranks(own, counts, alpha)


def mean_ranks(own: MetricScores, counts: Floats) -> Floats:
    """Return the ranks by the mean over the cases; without a worst value lost cases go first."""
    means = weighted_means(own.goodness, counts)
    keys = np.where(np.isnan(means), np.inf, -without_rounding(means, own.goodness))
    if own.measure.worst is not None or not own.lost.any():
        return minimum_ranks(keys)
    order = minimum_ranks(counts @ own.lost.T) * (keys.shape[1] + 1)
    return minimum_ranks(order + minimum_ranks(keys))


def case_ranks(own: MetricScores, counts: Floats) -> Floats:
    """Return the ranks by the mean of the ranks in each case, a lost one behind all others."""
    ranks = minimum_ranks(-without_rounding(own.filled[:, own.used], own.goodness).T)
    means = weighted_means(ranks.T, counts[:, own.used])
    return minimum_ranks(np.where(np.isnan(means), np.inf, without_rounding(means, ranks)))


def win_ranks(own: MetricScores, counts: Floats, alpha: float) -> Floats:
    """Return the ranks by significant wins: of all cases by `pairs_p`, of samples by `drawn_p`."""
    filled, counts = own.filled[:, own.used], counts[:, own.used]
    if len(counts) == 1 and (counts == 1).all():
        won = significant(pairs_p(filled)[None], alpha, own.present).sum(axis=2)
    else:
        step = max(1, BLOCK // len(filled) ** 2)
        parts = [counts[start : start + step] for start in range(0, len(counts), step)]
        tests = (significant(drawn_p(filled, part), alpha, own.present) for part in parts)
        wins = [found.sum(axis=2) for found in tests]
        won = np.concatenate([*wins, np.zeros((0, len(filled)), int)])
    return minimum_ranks(-won.astype(np.float64))


def minimum_ranks(keys: Floats) -> Floats:
    """Return the ranks within each row, the smallest key being 1; ties share the smallest rank."""
    order = np.argsort(keys, axis=1)
    ordered, found = np.take_along_axis(keys, order, axis=1), np.zeros(keys.shape)
    larger = np.zeros(keys.shape, int)  # where it differs from the key before
    larger[:, 1:] = np.arange(1, keys.shape[1]) * (ordered[:, 1:] != ordered[:, :-1])
    np.put_along_axis(found, order, 1.0 + np.maximum.accumulate(larger, axis=1), axis=1)
    return found
