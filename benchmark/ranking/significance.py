"""Paired tests of all pairs of algorithms in one metric, and the tiers that follow from them.

Notes
-----
One-sided Wilcoxon signed-rank test over the cases: zeros are dropped, p is exact for up to
`EXACT` cases without ties or zeros, otherwise that of the normal approximation with correction for
ties and none for continuity; p is 1 if all differences are zero. All ordered pairs of a metric are
one family, adjusted after Holm.

References
----------
Wilcoxon, Individual comparisons by ranking methods, Biometrics Bulletin 1 (1945),
doi:10.2307/3001968. Holm, A simple sequentially rejective multiple test procedure, Scandinavian
Journal of Statistics 6 (1979). Kerby, The simple difference formula, Comprehensive Psychology 3
(2014), doi:10.2466/11.IT.3.1 (matched-pairs rank-biserial correlation).
"""

from collections.abc import Collection, Sequence

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
    return p, correlation


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


def significant(p: Floats, alpha: float) -> Bools:
    """Return the pairs of which the first is better at a level, (..., better, worse).

    Parameters
    ----------
    p : ndarray of float64, (..., better, worse)
        Before the adjustment; those of all pairs are one family.
    alpha : float
        Level.
    """
    of = p.shape[-1]
    apart = ~np.eye(of, dtype=bool)
    found = np.zeros(p.shape, dtype=bool)
    found[..., apart] = holm(p[..., apart]) < alpha
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
