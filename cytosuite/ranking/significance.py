"""Paired tests of all pairs of algorithms in one metric, and the tiers that follow from them.

Wilcoxon signed-rank test over the cases: zeros are dropped, p is exact for up to `EXACT` cases
without ties or zeros, else normal with correction for ties, and at least ``0.5**n``; 1 if all are
zero. Each pair is tested once, two-sided; the pairs of a metric are one family, after Holm: ordered
pairs would still count the reverse of a found difference, which can no longer be.

Wilcoxon, Biometrics Bulletin 1 (1945), doi:10.2307/3001968. Holm, Scandinavian Journal of
Statistics 6 (1979). Shaffer, Annals of Statistics 8 (1980), doi:10.1214/aos/1176345205 (direction).
Kerby, Comprehensive Psychology 3 (2014), doi:10.2466/11.IT.3.1 (rank-biserial correlation).
"""

from collections.abc import Collection
from math import log2

import numpy as np
from scipy.special import ndtr

from cytosuite.files import IntDict, TextSeq
from cytosuite.ranking.ranking import Pair
from cytosuite.ranking.scores import Counts, without_rounding
from cytosuite.volume.arrays import Bools, DoublePair, Doubles, Indices
from cytosuite.volume.pieces import parts_of

EXACT = 50  # cases
BLOCK = 2**15  # numbers of an array while samples are tested: they stay in the cache


def paired_differences(filled: Doubles, sides: Indices | None = None) -> Doubles:
    """Return the first minus the second of pairs (2, pairs), (pairs, cases); without, of all."""
    first, second = np.triu_indices(len(filled), 1) if sides is None else sides
    with np.errstate(invalid="ignore"):
        differences = filled[first] - filled[second]
    return without_rounding(np.where(np.isnan(differences), 0.0, differences), filled)


def signed_rank(differences: Doubles) -> DoublePair:
    """Return p of positive and negative differences (pairs, cases), (2, pairs), and r (pairs,).

    r is the rank-biserial correlation: (W+ - W-) / (W+ + W-).
    """
    cases = differences.shape[1]
    excess, variance = _signed_ranks(differences, np.ones((1, cases), np.uint16))[..., 0]
    sizes = np.count_nonzero(differences, axis=1)
    whole = sizes * (sizes + 1) / 2
    p = _normal(excess, variance)
    if cases <= EXACT:
        untied = (sizes == cases) & (variance == whole * (2 * cases + 1) / 3)
        other = (whole + [[-1], [1]] * excess) / 2  # sums of the ranks of the other sign
        p[:, untied] = _exact(cases)[other[:, untied].astype(int)]
    return np.maximum(p, 0.5**sizes), excess / np.maximum(whole, 1)


def _exact(cases: int) -> Doubles:
    """Return p of every sum of the other ranks from 0 to n (n + 1) / 2 of n cases without ties."""
    ways = np.ones(1)
    for rank in range(1, cases + 1):
        ways = np.pad(ways, (rank, 0)) + np.pad(ways, (0, rank))
    return np.cumsum(ways / 2**cases)


def drawn_p(filled: Doubles, counts: Counts) -> Doubles:
    """Return p of both directions in samples, (2, draws, pairs), by the normal approximation."""
    differences = paired_differences(filled)
    parts = parts_of((len(differences), len(counts)), BLOCK)
    p = [_normal(*_signed_ranks(differences[part], counts)) for part in parts]
    return np.concatenate([np.zeros((2, 0, len(counts))), *p], axis=1).swapaxes(1, 2)


def _normal(excess: Doubles, variance: Doubles) -> Doubles:
    """Return p of positive and negative sums of signed ranks, (2, ...); 1 of no variance."""
    z = excess / np.sqrt(np.maximum(variance, 1))
    return np.where(variance > 0, ndtr(np.stack([-z, z])), 1.0)


def _signed_ranks(differences: Doubles, counts: Counts) -> Doubles:
    """Return W+ - W- of drawn differences (pairs, cases), and its variance, (2, pairs, draws)."""
    order = np.argsort(np.abs(differences), axis=1)
    ascending = np.take_along_axis(differences, order, axis=1)
    sizes = np.abs(ascending)[..., None]
    signs = np.sign(ascending)[..., None]
    weights = np.ascontiguousarray(counts.T)
    totals = np.zeros((5, len(differences), len(counts)))
    below, ties, signed, excess, variance = totals
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
            drawn = weights[order[:, column]]
            ties += drawn * (signs[:, column] != 0)
            signed += drawn * signs[:, column]
    variance += below * (below + 1) * (2 * below + 1) / 6
    return totals[3:]


def holm(p: Doubles) -> Doubles:
    """Return p after Holm, along the last axis: max over j <= k of (m - j + 1) p_(j); NaN stays."""
    order = np.argsort(p, axis=-1, kind="stable")
    factors = (~np.isnan(p)).sum(axis=-1, keepdims=True) - np.arange(p.shape[-1])
    rising = np.maximum.accumulate(np.take_along_axis(p, order, axis=-1) * factors, axis=-1)
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, np.minimum(rising, 1.0), axis=-1)
    return adjusted


def two_sided(p: Doubles) -> Doubles:
    """Return p of the two-sided tests, from p of both directions, (2, ...)."""
    return np.asarray(np.minimum(2 * p.min(axis=0), 1.0))


def cases_needed(algorithms: int, alpha: float) -> int:
    """Return the cases with which p may be below alpha: ``2 * 0.5**n`` by the number of pairs."""
    ordered = algorithms * (algorithms - 1)
    return int(log2(ordered / alpha)) + 1 if ordered else 0


def significant(p: Doubles, alpha: float, present: Bools) -> Bools:
    """Return wins (..., better, worse) from p of all pairs in both directions, (2, ..., pairs)."""
    first, second = np.triu_indices(present.size, 1)
    forward, backward = p = np.where(present[first] & present[second], p, np.nan)
    apart = holm(two_sided(p)) < alpha
    wins = np.zeros((*apart.shape[:-1], present.size, present.size), dtype=bool)
    wins[..., first, second] = apart & (forward < backward)
    wins[..., second, first] = apart & (backward < forward)
    wins[..., present[:, None] & ~present] = True
    return wins


def tiers(order: TextSeq, better: Collection[Pair], by_first: bool = False) -> IntDict:
    """Return tiers: each begins at the first that any member of the current one is better than.

    With `by_first` only the first member of the current tier counts.
    """
    by_name: IntDict = {}
    current: list[str] = []
    tier = 1
    for name in order:
        if any((member, name) in better for member in current):
            tier = tier + 1
            current = []
        if not (by_first and current):
            current.append(name)
        by_name[name] = tier
    return by_name
