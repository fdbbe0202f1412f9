"""Ranks by the three schemes, for the cases as they are and for bootstrap samples of them.

Notes
-----
All take the number of times that each case counts, (draws, cases), and return ranks, (draws,
algorithms). Ties share the smallest rank: 1, 1, 3. Means that differ by rounding alone are a tie.

References
----------
Maier-Hein et al., Nature Communications 9 (2018), doi:10.1038/s41467-018-07619-7.
Wiesenfarth et al., Scientific Reports 11 (2021), doi:10.1038/s41598-021-82017-6.
"""

import numpy as np
from scipy.stats import rankdata

from cytosuite.benchmark.ranking.bootstrap import BLOCK
from cytosuite.benchmark.ranking.ranking import Scheme
from cytosuite.benchmark.ranking.scores import Floats, MetricScores, without_rounding
from cytosuite.benchmark.ranking.significance import drawn_p, pairs_p, significant


def scheme_ranks(own: MetricScores, counts: Floats, scheme: Scheme, alpha: float) -> Floats:
    """Return the ranks by one metric.

    Parameters
    ----------
    own : MetricScores
        Values of the metric.
    counts : ndarray of float64, (draws, cases)
        How often each case counts.
    scheme : {"mean", "cases", "tests"}
        See `cytosuite.benchmark.ranking.ranking.SCHEMES`; a metric of the whole set has one value,
        by which all schemes rank.
    alpha : float
        Level of the tests.
    """
    if scheme == "mean" or own.measure.of_set:
        return mean_ranks(own, counts)
    return case_ranks(own, counts) if scheme == "cases" else win_ranks(own, counts, alpha)


def mean_ranks(own: MetricScores, counts: Floats) -> Floats:
    """Return the ranks by the mean over the cases: aggregate, then rank.

    Without a worst value the number of lost cases goes first. An algorithm without any value is
    the last.
    """
    means = weighted_means(own.goodness, counts)
    keys = np.where(np.isnan(means), np.inf, -without_rounding(means, own.goodness))
    if own.measure.worst is not None or not own.lost.any():
        return minimum_ranks(keys)
    order = minimum_ranks(counts @ own.lost.T) * (keys.shape[1] + 1)
    return minimum_ranks(order + minimum_ranks(keys))


def case_ranks(own: MetricScores, counts: Floats) -> Floats:
    """Return the ranks by the mean of the ranks in each case: rank, then aggregate.

    A lost case has the worst value, or is behind all that have one.
    """
    ranks = minimum_ranks(-without_rounding(own.filled[:, own.used], own.goodness).T)
    means = weighted_means(ranks.T, counts[:, own.used])
    return minimum_ranks(np.where(np.isnan(means), np.inf, without_rounding(means, ranks)))


def win_ranks(own: MetricScores, counts: Floats, alpha: float) -> Floats:
    """Return the ranks by the number of significant wins: test, then rank.

    Of the cases as they are, each once, the tests are those of `pairs_p`; of a bootstrap sample,
    which holds cases several times, those of `drawn_p`.
    """
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


def weighted_means(values: Floats, counts: Floats) -> Floats:
    """Return the mean of each row over the cases, (draws, rows); NaN is left out.

    Parameters
    ----------
    values : ndarray of float64, (rows, cases)
        NaN where there is none.
    counts : ndarray of float64, (draws, cases)
        How often each case counts.
    """
    known = ~np.isnan(values)
    size = counts @ known.T
    total = counts @ np.where(known, values, 0.0).T
    return np.divide(total, size, out=np.full_like(total, np.nan), where=size > 0)


def minimum_ranks(keys: Floats) -> Floats:
    """Return the ranks within each row, the smallest key being 1; ties share the smallest rank.

    Examples
    --------
    >>> minimum_ranks(np.array([[0.1, 0.3, 0.1, np.inf]]))
    array([[1., 3., 1., 4.]])
    """
    if keys.size == 0:
        return np.zeros(keys.shape)
    return np.asarray(rankdata(keys, method="min", axis=1), dtype=np.float64)
