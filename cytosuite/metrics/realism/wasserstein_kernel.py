"""Compiled loops over all voxels behind the Wasserstein distance."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@njit(cache=True, nogil=True)
def count(values: NDArray[Any], low: int, counts: Counts) -> None:
    """Add (N,) integer grey values to their counts, (V,), the first of which is that of `low`."""
    for i in range(values.size):
        counts[np.int64(values[i]) - low] += 1


@njit(cache=True, nogil=True)
def tally(
    values: NDArray[Any], low: float, scale: float, centre: float, counts: Counts, sums: Floats
) -> float:
    """Add the (N,) values in each bin to its count and sum, (B,), and return the sum of squares.

    Value x is in bin ``int((x - low) * scale)``, which must exist. The sums are of values less
    `low`, the squares about ``low + centre``.
    """
    squares = 0.0
    for i in range(values.size):
        x = np.float64(values[i]) - low
        k = int(x * scale)
        counts[k] += 1
        sums[k] += x
        squares += (x - centre) * (x - centre)
    return squares


@njit(cache=True, nogil=True)
def gather(
    values: NDArray[Any],
    low: float,
    scale: float,
    wanted: NDArray[np.bool_],
    found: NDArray[Any],
    done: int,
) -> int:
    """Collect the values of the (B,) wanted bins, see `tally`, in `found` from place `done` on.

    Returns the place behind the last one.
    """
    for i in range(values.size):
        if wanted[int((np.float64(values[i]) - low) * scale)]:
            found[done] = values[i]
            done += 1
    return done


@njit(cache=True, nogil=True)
def merge(
    a: NDArray[Any], b: NDArray[Any], low: float, counts: Counts, edges: Floats, bins: Counts
) -> float:
    """Return the integral of ``|F_a - F_b|``, the difference of cumulative shares, over some bins.

    Parameters
    ----------
    a, b : (N,) and (M,) array
        All values of both samples in those bins, ascending.
    low : float
        Begin of the first bin.
    counts : (2, B) int64 array
        Values of both samples in all bins.
    edges : (B + 1,) float64 array
        Limits of the bins, less `low`.
    bins : (K,) int64 array
        The bins to integrate over, ascending.
    """
    total, i, j, k, below_a, below_b = 0.0, 0, 0, 0, 0, 0
    size_a, size_b = counts[0].sum(), counts[1].sum()
    for wanted in bins:
        while k < wanted:
            below_a += counts[0, k]
            below_b += counts[1, k]
            k += 1
        end_a, end_b = i + counts[0, k], j + counts[1, k]
        past = edges[k]
        left_a, left_b = below_a - i, below_b - j  # values below this bin that were not gathered
        while i < end_a or j < end_b:
            difference = abs((left_a + i) / size_a - (left_b + j) / size_b)
            if j >= end_b or (i < end_a and a[i] <= b[j]):
                value = np.float64(a[i]) - low
                i += 1
            else:
                value = np.float64(b[j]) - low
                j += 1
            total += difference * (value - past)
            past = value
        difference = abs((left_a + i) / size_a - (left_b + j) / size_b)
        total += difference * (edges[k + 1] - past)
    return total
