"""Significant differences of all pairs of algorithms in one metric, and their size."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from cytosuite.benchmark.ranking.bootstrap import ENDS, FEWEST, drawn_medians
from cytosuite.benchmark.ranking.ranking import Difference, Pair
from cytosuite.benchmark.ranking.scores import Floats, MetricScores
from cytosuite.benchmark.ranking.significance import (
    holm,
    paired_differences,
    signed_rank,
    two_sided,
)

BLOCK = 2**18  # medians of bootstrap samples at a time: they stay in the cache


def pairwise(own: MetricScores, names: Sequence[str], counts: Floats) -> Mapping[Pair, Difference]:
    """Return the difference of every ordered pair of algorithms.

    Parameters
    ----------
    own : MetricScores
        Values of a metric of single cases.
    names : sequence of str
        Algorithms, in the order of the values.
    counts : ndarray of float64, (draws, cases)
        How often each case is in each bootstrap sample; no rows for no intervals.

    Returns
    -------
    mapping of (str, str) to Difference
        None for a metric of the whole set. The median is over the cases in which both have a
        value, a failed one the worst; tests count all cases, and algorithms with results.
    """
    if own.measure.of_set or len(names) < 2:
        return {}
    sign = 1.0 if own.measure.higher_is_better else -1.0
    filled = own.filled[:, own.used]
    apart = paired_differences(filled)
    (forward, effect), (backward, _) = signed_rank(apart), signed_rank(-apart)
    sides = np.stack(np.triu_indices(len(names), 1))
    tested, p = own.present[sides].all(axis=0), np.full(len(apart), np.nan)
    p[tested] = holm(two_sided(forward, backward)[tested])
    both = np.isfinite(filled)[sides].all(axis=0)
    known = np.where(both, sign * apart, np.nan)
    medians = drawn_medians(known, np.ones((1, known.shape[1])))[:, 0]
    low, high = _intervals(known, counts[:, own.used])
    found = {}
    columns = (medians, low, high, effect, p)
    rows = np.stack(columns, axis=1).tolist()
    for (first, second), row in zip(combinations(names, 2), rows, strict=True):
        median, bottom, top, correlation, adjusted = row
        found[first, second] = Difference(median, bottom, top, correlation, adjusted)
        found[second, first] = Difference(-median, -top, -bottom, -correlation, adjusted)
    return found


def _intervals(apart: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """Return the ends of the bootstrap intervals of the medians, NaN for few cases."""
    ends = np.full((2, len(apart)), np.nan)
    if not len(counts):
        return ends[0], ends[1]
    enough = np.isfinite(apart).sum(axis=1) >= FEWEST
    (rows,) = np.nonzero(enough)
    step = max(1, BLOCK // len(counts))
    for start in range(0, rows.size, step):
        block = rows[start : start + step]
        medians = drawn_medians(apart[block], counts)
        take = np.nanpercentile if np.isnan(medians).any() else np.percentile
        ends[:, block] = take(medians, ENDS, axis=1)
    return ends[0], ends[1]
