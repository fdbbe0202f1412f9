"""Bootstrap over cases, drawn within each dataset, alike for all algorithms and metrics.

Kendall, The treatment of ties, Biometrika 33 (1945), doi:10.1093/biomet/33.3.239 (tau-b).
"""

from collections.abc import Sequence

import numpy as np

from cytosuite.benchmark.ranking.scores import Floats

FEWEST = 6  # cases that an interval needs to mean something
DRAWS = 2000  # samples; an end of an interval of a mean varies by 1.5 % of its width
ENDS = (2.5, 97.5)  # percentiles
BLOCK = 2**22  # numbers of an array: many algorithms are done in parts
CACHED = 2**18  # medians at a time: they stay in the cache


def draw_counts(strata: Sequence[str], draws: int = DRAWS, seed: int = 0) -> Floats:
    """Return how often each case is in each sample, (draws, cases), by the dataset of each case."""
    rng = np.random.default_rng(seed)
    names, at = np.unique(np.asarray(strata, dtype=str), return_inverse=True)
    counts = np.zeros((draws, at.size))
    for number in range(names.size):
        (own,) = np.nonzero(at == number)
        counts[:, own] = rng.multinomial(own.size, np.full(own.size, 1 / own.size), size=draws)
    return counts


def varied(strata: Sequence[str]) -> int:
    """Return the number of cases that a sample can replace: those of datasets with two or more."""
    sizes = np.unique(np.asarray(strata, dtype=str), return_counts=True)[1]
    return int(sizes[sizes > 1].sum())


def place_shares(places: Floats) -> Floats:
    """Return the share of samples (draws, algorithms) with each place, (algorithms, places)."""
    of = places.shape[1]
    return np.stack([(places == place).mean(axis=0) for place in range(1, of + 1)], axis=1)


def place_intervals(places: Floats) -> Floats:
    """Return the 2.5 % and 97.5 % percentiles of places that occurred, (algorithms, 2)."""
    return np.asarray(np.percentile(places, ENDS, axis=0, method="inverted_cdf").T)


def kendall_tau(first: Floats, others: Floats) -> Floats:
    """Return tau-b of a ranking (algorithms,) with others (rankings, algorithms); NaN if tied."""
    left, right = np.triu_indices(first.size, 1)
    own = np.sign(first[left] - first[right])
    tau: Floats = np.full(len(others), np.nan)
    step = max(1, BLOCK // max(1, own.size))
    for start in range(0, len(others), step):
        block = others[start : start + step]
        found = np.sign(block[:, left] - block[:, right])
        size = np.sqrt((own**2).sum() * (found**2).sum(axis=1))
        np.divide(found @ own, size, out=tau[start : start + step], where=size > 0)
    return tau


def percentiles(values: Floats) -> tuple[float, float, float]:
    """Return median and ends of the 95 % interval of the finite values; NaN if there are none."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return np.nan, np.nan, np.nan
    low, middle, high = np.percentile(finite, (ENDS[0], 50.0, ENDS[1])).tolist()
    return middle, low, high


def weighted_means(values: Floats, counts: Floats) -> Floats:
    """Return the mean of each row over the cases, (draws, rows); NaN is left out."""
    known = ~np.isnan(values)
    size = counts @ known.T
    total = counts @ np.where(known, values, 0.0).T
    return np.divide(total, size, out=np.full_like(total, np.nan), where=size > 0)


def mean_interval(values: Floats, counts: Floats) -> tuple[float, float]:
    """Return the ends of the 95 % interval of a mean (cases,), samples without a value left out."""
    means = weighted_means(values[None], counts)
    ends = np.percentile(means[~np.isnan(means)], ENDS)
    low, high = np.clip(ends, np.nanmin(values), np.nanmax(values)).tolist()  # rounding
    return low, high


def median_intervals(values: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """Return the 95 % intervals of medians of rows (rows, cases), NaN for few finite values."""
    ends = np.full((2, len(values)), np.nan)
    (rows,) = np.nonzero((np.isfinite(values).sum(axis=1) >= FEWEST) & (len(counts) > 0))
    step = max(1, CACHED // max(1, len(counts)))
    for start in range(0, rows.size, step):
        block = rows[start : start + step]
        medians = drawn_medians(values[block], counts)
        take = np.nanpercentile if np.isnan(medians).any() else np.percentile
        ends[:, block] = take(medians, ENDS, axis=1)
    return ends[0], ends[1]


def drawn_medians(values: Floats, counts: Floats) -> Floats:
    """Return medians (rows, draws) of samples, NaN without a value: sorted once, then counted."""
    finite = np.isfinite(values)
    size = finite.astype(np.float64) @ counts.T
    if not values.shape[1]:
        return np.full(size.shape, np.nan)
    order = np.argsort(np.where(finite, values, np.inf), axis=1)
    ascending = np.take_along_axis(values, order, axis=1)
    kind = np.min_scalar_type(int(counts.sum(axis=1).max(initial=0)))  # small: fast
    weights = np.ascontiguousarray(counts.T, dtype=kind)
    passed = np.zeros(size.shape, kind)
    lower, upper = (np.maximum(size - one, 0) // 2 for one in (1, 0))
    lower, upper = lower.astype(kind), upper.astype(kind)
    places = np.zeros((2, *size.shape), np.min_scalar_type(values.shape[1]))
    for column in range(values.shape[1]):
        passed += weights[order[:, column]]
        places[0] += passed <= lower
        places[1] += passed <= upper
    columns = np.minimum(places, values.shape[1] - 1).astype(np.intp)
    middle = [np.take_along_axis(ascending, part, axis=1) for part in columns]
    return np.asarray(np.where(size > 0, (middle[0] + middle[1]) / 2, np.nan))
