"""Paired tests of all pairs of algorithms in one metric, and the tiers that follow from them.

Notes
-----
Wilcoxon signed-rank test over the cases: zeros are dropped, p is exact for up to `EXACT` cases
without ties or zeros, otherwise that of the normal approximation with correction for ties and none
for continuity, and never below the smallest exact one, ``0.5**n``; p is 1 if all differences are
zero. Each pair of algorithms with results is tested once, two-sided, and the sign says who is
better. The pairs of a metric are one family, adjusted after Holm.

Ordered pairs in place of pairs would be as strict for the first difference and stricter for all
others: when one is found, Holm would still count its reverse, which can no longer be.

References
----------
Wilcoxon, Individual comparisons by ranking methods, Biometrics Bulletin 1 (1945),
doi:10.2307/3001968. Holm, A simple sequentially rejective multiple test procedure, Scandinavian
Journal of Statistics 6 (1979). Shaffer, Control of directional errors with stagewise multiple test
procedures, Annals of Statistics 8 (1980), doi:10.1214/aos/1176345205 (two-sided tests by Holm say
the direction, too). Kerby, The simple difference formula, Comprehensive Psychology 3 (2014),
doi:10.2466/11.IT.3.1 (matched-pairs rank-biserial correlation).
"""

from collections.abc import Collection, Sequence
from math import log2

import numpy as np
from scipy.stats import norm, wilcoxon

from cytosuite.benchmark.ranking.ranking import Pair
from cytosuite.benchmark.ranking.scores import Bools, Floats, without_rounding

EXACT = 50  # cases
BLOCK = 2**15  # numbers of an array while samples are tested: they stay in the cache


def paired_differences(filled: Floats) -> Floats:
    """Return the first minus the second of each pair, (pairs, cases), each pair once.

    Parameters
    ----------
    filled : ndarray of float64, (algorithms, cases)
        Without NaN; minus infinity for a lost case. Two of them differ by 0. Differences that
        differ by rounding alone become equal, so that ties are seen.
    """
    first, second = np.triu_indices(len(filled), 1)
    with np.errstate(invalid="ignore"):
        found = filled[first] - filled[second]
    return without_rounding(np.where(np.isnan(found), 0.0, found), filled)


def signed_rank(differences: Floats) -> tuple[Floats, Floats]:
    """Return p of the one-sided test that differences are positive, and rank-biserial correlation.

    Parameters
    ----------
    differences : ndarray of float64, (pairs, cases)
        Infinite ones have the largest ranks.

    Returns
    -------
    p, correlation : ndarray of float64, (pairs,)
        Correlation: sum of the ranks of positive differences minus that of negative ones, over
        that of all; 0 if all are zero.
    """
    p, correlation = np.ones(len(differences)), np.zeros(len(differences))
    sizes = (differences != 0).sum(axis=1)
    ordered = np.sort(np.abs(differences), axis=1)
    plain = (sizes == differences.shape[1]) & ~(ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
    exact = plain & (sizes > 0) & (sizes <= EXACT)
    for rows, method in ((exact, "exact"), (~exact & (sizes > 0), "approx")):
        if rows.any():
            test = wilcoxon(
                differences[rows],
                axis=1,
                alternative="greater",
                zero_method="wilcox",
                correction=False,
                method=method,
            )
            p[rows] = test.pvalue
            correlation[rows] = 4 * test.statistic / (sizes[rows] * (sizes[rows] + 1)) - 1
    return np.maximum(p, 0.5**sizes), correlation


def pairs_p(filled: Floats) -> Floats:
    """Return p of the test that one algorithm is better than another, (better, worse).

    On the diagonal is NaN.
    """
    differences = paired_differences(filled)
    return _square(signed_rank(differences)[0], signed_rank(-differences)[0], len(filled))


def drawn_p(filled: Floats, counts: Floats) -> Floats:
    """Return p of the same tests in bootstrap samples, (draws, better, worse).

    Parameters
    ----------
    filled : ndarray of float64, (algorithms, cases)
        As of `paired_differences`.
    counts : ndarray of float64, (draws, cases)
        How often each case counts: a case drawn twice is a tie, so p is that of the normal
        approximation.
    """
    differences = paired_differences(filled)
    step = max(1, BLOCK // max(1, len(counts)))
    starts = range(0, len(differences), step)
    blocks = [_drawn_z(differences[start : start + step], counts) for start in starts]
    z = np.concatenate([*blocks, np.zeros((0, len(counts)))]).T
    return _square(norm.sf(z), norm.cdf(z), len(filled), np.isnan(z))


def _drawn_z(differences: Floats, counts: Floats) -> Floats:
    """Return the normal deviate of the signed-rank sum in each sample, (pairs, draws).

    NaN where all differences are zero.
    """
    ordered = np.sort(np.abs(differences), axis=1)
    tied = (ordered[:, :1] == 0).any(axis=1) | (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
    found = np.empty((len(differences), len(counts)))
    for rows, way in ((tied, _tied_sums), (~tied, _untied_sums)):
        if rows.any():
            excess, variance = way(differences[rows], counts)
            z = np.full_like(excess, np.nan)
            found[rows] = np.divide(excess, np.sqrt(variance), out=z, where=variance > 0)
    return found


def _untied_sums(differences: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """Return signed-rank sum and variance of pairs in which only a case's repeats are ties.

    The n repeats of a case have the mean rank of those below and (n + 1) / 2.
    """
    order = np.argsort(np.abs(differences), axis=1)
    signs, weights = np.sign(differences), np.ascontiguousarray(counts.T)
    below = np.zeros((len(differences), len(counts)))
    excess = signs @ (weights * (weights + 1) / 2)
    for column, sign in zip(order.T, np.take_along_axis(signs, order, axis=1).T, strict=True):
        own = weights[column]
        excess += own * below * sign[:, None]
        below += own
    n, repeats = counts.sum(axis=1), (counts**3 - counts).sum(axis=1)
    variance = n * (n + 1) * (2 * n + 1) / 6 - repeats / 12
    return excess, np.broadcast_to(variance, excess.shape)


def _tied_sums(differences: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """Return signed-rank sum and its variance, with zeros and ties between cases.

    The differences are sorted once and passed from the smallest to the largest. The mean rank of
    ties is the number of smaller ones and half of one more than their own number; they are summed
    up when a larger one follows.
    """
    order = np.argsort(np.abs(differences), axis=1)
    ascending = np.take_along_axis(differences, order, axis=1)
    sizes, signs = np.abs(ascending)[..., None], np.sign(ascending)[..., None]
    weights = np.ascontiguousarray(counts.T)
    below, ties, signed, excess, variance = np.zeros((5, len(differences), len(counts)))
    for column in range(differences.shape[1] + 1):
        last = column == differences.shape[1]
        larger = np.array(True) if last or not column else sizes[:, column] > sizes[:, column - 1]
        if larger.any():
            excess += larger * signed * (below + (ties + 1) / 2)
            variance -= larger * (ties**2 - 1) * ties / 12
            below += larger * ties
            ties *= ~larger
            signed *= ~larger
        if not last:
            own = weights[order[:, column]]
            ties += own * (signs[:, column] != 0)
            signed += own * signs[:, column]
    variance += below * (below + 1) * (2 * below + 1) / 6
    return excess, variance


def _square(forward: Floats, backward: Floats, of: int, equal: Bools | None = None) -> Floats:
    """Return p of all ordered pairs as matrices, from those of each pair in both directions."""
    first, second = np.triu_indices(of, 1)
    found = np.full((*forward.shape[:-1], of, of), np.nan)
    found[..., first, second] = forward if equal is None else np.where(equal, 1.0, forward)
    found[..., second, first] = backward if equal is None else np.where(equal, 1.0, backward)
    return found


def holm(p: Floats) -> Floats:
    """Return p adjusted after Holm, along the last axis: max over j <= k of (m - j + 1) p_(j).

    Examples
    --------
    >>> holm(np.array([0.01, 0.04, 0.03])).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p, axis=-1, kind="stable")
    factors = np.arange(p.shape[-1], 0, -1)
    rising = np.maximum.accumulate(np.take_along_axis(p, order, axis=-1) * factors, axis=-1)
    found = np.empty_like(p)
    np.put_along_axis(found, order, np.minimum(rising, 1.0), axis=-1)
    return found


def two_sided(forward: Floats, backward: Floats) -> Floats:
    """Return p of the two-sided tests, from those of both directions."""
    return np.asarray(np.minimum(2 * np.minimum(forward, backward), 1.0))


def cases_needed(algorithms: int, alpha: float) -> int:
    """Return how many cases the tests of all pairs need for any difference to be significant.

    The smallest p of a pair is ``2 * 0.5**n``, by as many as there are pairs after Holm.

    Examples
    --------
    >>> [cases_needed(algorithms, 0.05) for algorithms in (1, 2, 3, 4, 20)]
    [0, 6, 7, 8, 13]
    """
    ordered = algorithms * (algorithms - 1)
    return int(log2(ordered / alpha)) + 1 if ordered else 0


def significant(p: Floats, alpha: float, present: Bools) -> Bools:
    """Return the pairs of which the first is better at a level, (..., better, worse).

    Parameters
    ----------
    p : ndarray of float64, (..., better, worse)
        One-sided, before the adjustment.
    alpha : float
        Level.
    present : ndarray of bool, (algorithms,)
        Those with a result: their pairs are the family. They are better than the others untested.
    """
    (own,) = np.nonzero(present)
    first, second = (own[side] for side in np.triu_indices(own.size, 1))
    forward, backward = p[..., first, second], p[..., second, first]
    apart = holm(two_sided(forward, backward)) < alpha
    found = np.zeros(p.shape, dtype=bool)
    found[..., first, second] = apart & (forward < backward)
    found[..., second, first] = apart & (backward < forward)
    found[..., present[:, None] & ~present] = True
    return found


def tiers(order: Sequence[str], better: Collection[Pair]) -> dict[str, int]:
    """Return the tier of each algorithm.

    Parameters
    ----------
    order : sequence of str
        Best first.
    better : collection of (str, str)
        Pairs of which the first is significantly better.

    Returns
    -------
    dict of str to int
        From 1, never falling along the order.

    Notes
    -----
    A new tier begins at the first algorithm that any member of the current one is significantly
    better than. So nobody in a tier is better than one behind it in the same tier, which a rule
    that looks at the first member alone does not say; and tiers follow the order, since nobody
    is compared with tiers that are closed.

    Examples
    --------
    >>> tiers(["a", "b", "c"], {("a", "c"), ("b", "c")})
    {'a': 1, 'b': 1, 'c': 2}
    """
    found: dict[str, int] = {}
    current: list[str] = []
    tier = 1
    for name in order:
        if any((member, name) in better for member in current):
            tier, current = tier + 1, []
        current.append(name)
        found[name] = tier
    return found
