"""Intervals of means and medians over cases: in closed form, and by bootstrap in each dataset.

Of a mean the hull of two intervals: Student's t, with the degrees of freedom of Welch and
Satterthwaite over the datasets, and the same after Hall's transformation, which removes skewness
(J. R. Stat. Soc. B 54, 1992, doi:10.1111/j.2517-6161.1992.tb01877.x). Of a median the order
statistics of the sign test.

Kendall, The treatment of ties, Biometrika 33 (1945), doi:10.1093/biomet/33.3.239 (tau-b).
"""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from scipy.special import bdtr, stdtrit

from cytosuite.files import FloatTriple, FloatTuple, TextSeq
from cytosuite.ranking.ranking import MANY
from cytosuite.ranking.scores import Counts
from cytosuite.volume.arrays import Bools, Doubles, Interval
from cytosuite.volume.pieces import parts_of

FEWEST = 6  # cases: the interval of a median by fewer is infinite
ENDS = (2.5, 97.5)  # percentiles
STEEPEST = 0.95  # skewness times t: at 1 a single low score moves the end without bound
DRAWS = 2000  # samples
BLOCK = 2**22  # numbers of an array: many algorithms, or cases, are done in parts
Rows = TypeVar("Rows", Doubles, Counts)


def mean_interval(values: Doubles, strata: TextSeq = ()) -> Interval:
    """Return the interval of the mean of cases drawn within datasets; NaN below `FEWEST` cases.

    `values` are (cases,), NaN without a value, `strata` the dataset of each; without, all are one.
    A dataset with a single case adds no width.
    """
    defined = np.isfinite(values)
    finite = values[defined]
    names = np.asarray(strata, dtype=str)[defined] if len(strata) else np.zeros(finite.size, "U1")
    _, at, sizes = np.unique(names, return_inverse=True, return_counts=True)
    if sizes[sizes > 1].sum() < FEWEST:
        return np.nan, np.nan
    apart = finite - (np.bincount(at, finite) / sizes)[at]
    squares, cubes = (np.bincount(at, apart**power) for power in (2, 3))
    variances = np.divide(sizes * squares, sizes - 1, out=np.zeros(sizes.size), where=sizes > 1)
    thirds = sizes**2 * cubes / np.maximum((sizes - 1) * (sizes - 2), 1)
    mean = float(finite.mean())
    total = variances.sum()
    if total <= finite.size * (1e-12 * np.abs(finite).max()) ** 2:  # equal, but for rounding
        return mean, mean
    freedom = total**2 / (variances**2 / np.maximum(sizes - 1, 1)).sum()
    quantile = float(stdtrit(freedom, ENDS[1] / 100))
    step = np.sqrt(total)
    most = STEEPEST / quantile
    skew = float(np.clip(thirds.sum() / total**1.5, -most, most))
    moved = reach = quantile * np.array([1.0, -1.0])
    if abs(skew) > 1e-6:  # else both are the same
        moved = 3 / skew * (np.cbrt(1 + skew * (reach - skew / 6)) - 1)
    ends = mean - np.concatenate([reach, moved]) * step / finite.size
    return float(ends.min()), float(ends.max())


def medians(values: Doubles) -> Doubles:
    """Return the median of rows (rows, cases) and its interval, (3, rows).

    Without a finite value all are NaN, below `FEWEST` both ends.
    """
    ascending = np.sort(np.where(np.isfinite(values), values, np.nan), axis=1)  # NaN comes last
    sizes = np.isfinite(values).sum(axis=1)
    result = np.full((3, len(values)), np.nan)
    for size in np.unique(sizes[sizes > 0]).tolist():
        rows = sizes == size
        result[0, rows] = ascending[rows][:, [(size - 1) // 2, size // 2]].mean(axis=1)
        if size >= FEWEST:
            # beyond each end lie as many values as have a tail below 2.5 %
            low = int((bdtr(np.arange(size // 2), size, 0.5) <= ENDS[0] / 100).sum()) - 1
            result[1:, rows] = ascending[rows][:, [low, size - 1 - low]].T
    return result


def draw_counts(strata: TextSeq, draws: int, seed: int) -> Counts:
    """Return how often each case is in each sample, (draws, cases), by the dataset of each case."""
    rng = np.random.default_rng(seed)
    names, at = np.unique(np.asarray(strata, dtype=str), return_inverse=True)
    counts = np.zeros((draws, at.size), np.uint16)
    for number in range(names.size):
        (columns,) = np.nonzero(at == number)
        shares = np.full(columns.size, 1 / columns.size)
        for rows in parts_of(counts.shape, BLOCK):
            counts[rows, columns] = rng.multinomial(columns.size, shares, size=len(counts[rows]))
    return counts


def sums(counts: Counts, values: Doubles | Bools) -> Doubles:
    """Return the sums of values (cases, columns) over the cases of samples, (draws, columns)."""
    parts = [counts[rows].astype(np.float64) @ values for rows in parts_of(counts.shape, BLOCK)]
    return np.concatenate([*parts, np.zeros((0, values.shape[1]))])


def varied(strata: TextSeq) -> int:
    """Return the number of cases that a sample can replace, from datasets with two or more."""
    sizes = np.unique(np.asarray(strata, dtype=str), return_counts=True)[1]
    return int(sizes[sizes > 1].sum())


def in_blocks(ranked: Callable[[Rows], Doubles], rows: Rows, width: int) -> Doubles:
    """Return ranks (rows, width), some rows at a time, as float32: they are whole numbers."""
    parts = [ranked(rows[part]) for part in parts_of((max(1, len(rows)), width), BLOCK)]
    return np.concatenate(parts, dtype=np.float32, casting="same_kind")


def place_shares(names: TextSeq, places: Doubles) -> dict[str, FloatTuple]:
    """Return the share of samples (draws, names) with each of the first places; none of none."""
    of = min(len(names), MANY) if len(places) else 0
    shares = [(places == place).mean(axis=0).tolist() for place in range(1, of + 1)]
    return dict(zip(names, zip(*shares, strict=True), strict=False))


def place_intervals(names: TextSeq, places: Doubles) -> dict[str, Interval]:
    """Return the 2.5 % and 97.5 % percentiles of places in samples (draws, names); none of none."""
    if not len(places):
        return {}
    ends = np.percentile(places, ENDS, axis=0, method="inverted_cdf").tolist()
    return dict(zip(names, zip(*ends, strict=True), strict=True))


def kendall_tau(first: Doubles, others: Doubles) -> Doubles:
    """Return tau-b of a ranking (algorithms,) with others (rankings, algorithms); NaN if tied."""
    if first.size > MANY:  # n log n
        from scipy.stats import kendalltau  # takes 1 s to load

        return np.fromiter(
            (kendalltau(first, other, method="asymptotic").statistic for other in others),
            np.float64,
            len(others),
        )
    left, right = np.triu_indices(first.size, 1)
    signs = np.sign(first[left] - first[right])
    tau = np.full(len(others), np.nan)
    apart = np.sign(others[:, left] - others[:, right]).astype(np.float64)
    size = np.sqrt((signs**2).sum() * (apart**2).sum(axis=1))
    np.divide(apart @ signs, size, out=tau, where=size > 0)
    return tau


def percentiles(values: Doubles) -> FloatTriple:
    """Return median and ends of the 95 % interval of the finite values; NaN if there are none."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return np.nan, np.nan, np.nan
    low, middle, high = np.percentile(finite, (ENDS[0], 50.0, ENDS[1])).tolist()
    return middle, low, high


def weighted_means(values: Doubles, counts: Counts) -> Doubles:
    """Return the mean of each row over the cases, (draws, rows); NaN is left out."""
    size = sums(counts, ~np.isnan(values).T)
    infinite = np.isposinf(values)
    total = sums(counts, np.nan_to_num(values, posinf=0.0).T)
    if infinite.any():
        total[sums(counts, infinite.T) > 0] = np.inf
    return np.divide(total, size, out=np.full_like(total, np.nan), where=size > 0)
