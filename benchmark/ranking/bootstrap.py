"""Bootstrap over cases: samples stratified by dataset, intervals and shares of places.

Notes
-----
A sample draws from each dataset as many cases as it has, with replacement; all algorithms and
metrics get the same drawn cases, so that intervals are not blurred by different draws.

References
----------
Wiesenfarth et al., Scientific Reports 11 (2021), doi:10.1038/s41598-021-82017-6.
Kendall, The treatment of ties in ranking problems, Biometrika 33 (1945),
doi:10.1093/biomet/33.3.239 (tau-b).
"""

from collections.abc import Sequence

import numpy as np

from cytosuite.benchmark.ranking.scores import Floats

FEWEST = 6  # cases that an interval needs to mean something
DRAWS = 2000  # samples; an end of an interval of a mean varies by 1.5 % of its width
ENDS = (2.5, 97.5)  # percentiles
BLOCK = 2**22  # numbers of an array: many algorithms are done in parts


def draw_counts(strata: Sequence[str], draws: int = DRAWS, seed: int = 0) -> Floats:
    """Return how often each case is in each bootstrap sample.

    Parameters
    ----------
    strata : sequence of str
        Dataset of each case.
    draws : int
        Number of samples.
    seed : int
        Of the random stream.

    Returns
    -------
    ndarray of float64, (draws, cases)
        Within each dataset the sum is the number of its cases.
    """
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
    """Return the share of the samples in which an algorithm has each place.

    Parameters
    ----------
    places : ndarray of float64, (draws, algorithms)
        Whole numbers from 1.

    Returns
    -------
    ndarray of float64, (algorithms, places)
        Rows sum to 1.
    """
    of = places.shape[1]
    return np.stack([(places == place).mean(axis=0) for place in range(1, of + 1)], axis=1)


def place_intervals(places: Floats) -> Floats:
    """Return the ends of the 95 % interval of each algorithm's place, (algorithms, 2).

    They are places that occurred, the smallest with 2.5 % and 97.5 % of the samples up to them.
    """
    return np.asarray(np.percentile(places, ENDS, axis=0, method="inverted_cdf").T)


def kendall_tau(first: Floats, others: Floats) -> Floats:
    """Return Kendall's tau-b between a ranking and others.

    Parameters
    ----------
    first : ndarray of float64, (algorithms,)
        Ranks or values, in which ties are equal.
    others : ndarray of float64, (rankings, algorithms)
        As `first`.

    Returns
    -------
    ndarray of float64, (rankings,)
        NaN where all algorithms of a ranking are equal.
    """
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


def drawn_medians(values: Floats, counts: Floats) -> Floats:
    """Return the median of each row in each bootstrap sample.

    Parameters
    ----------
    values : ndarray of float64, (rows, cases)
        Values that are not finite are left out.
    counts : ndarray of float64, (draws, cases)
        How often each case counts.

    Returns
    -------
    ndarray of float64, (rows, draws)
        NaN where no case of a sample has a value.

    Notes
    -----
    The values are sorted once; while they are passed in ascending order all samples count how
    many of theirs are passed. The two in the middle are the first at which a half is exceeded.
    """
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
