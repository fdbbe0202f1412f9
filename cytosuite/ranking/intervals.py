"""95 % intervals of means and medians over cases, in closed form.

Of a mean the hull of two intervals: Student's t, with the degrees of freedom of Welch and
Satterthwaite over the datasets, and the same after Hall's transformation, which removes skewness
(J. R. Stat. Soc. B 54, 1992, doi:10.1111/j.2517-6161.1992.tb01877.x). Of a median the order
statistics of the sign test.
"""

import numpy as np
from scipy.special import bdtr, stdtrit

from cytosuite.files import TextSeq
from cytosuite.volume.arrays import Doubles, Interval

FEWEST = 6  # cases: the interval of a median by fewer is infinite
ENDS = (2.5, 97.5)  # percentiles
STEEPEST = 0.95  # skewness times t: at 1 a single low score moves the end without bound


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
