"""Compiled loops over the voxels of image pairs: sums of differences, counts of float32 values.

The bits of a floating number, all of them inverted where it is negative and the first where it is
not, are ordered as the numbers are: a key. Counting the upper halves of the keys, then the lower
halves of those with one upper half, finds any value of the sorted voxels without sorting.
"""

from typing import TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Counts: TypeAlias = NDArray[np.int64]
Bits: TypeAlias = NDArray[np.uint32]

SIGN = np.uint32(0x80000000)
ALL = np.uint32(0xFFFFFFFF)
HALF = np.uint32(16)


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc", "nnan", "nsz"})
def tally(t: Floats, p: Floats, out: Floats) -> None:
    """Write sums over some voxels of two images.

    Parameters
    ----------
    t, p : (N,) float64 arrays
        The same voxels of truth and prediction, finite.
    out : (12,) float64 array
        Takes the sums of the squared and absolute differences and of the squared truth, the two
        means, the two sums of squared deviations from them, that of their products, and the lowest
        and highest value of the truth and of the prediction.
    """
    squared = absolute = squares = sum_t = sum_p = 0.0
    low_t = high_t = t[0]
    low_p = high_p = p[0]
    for i in range(t.size):
        difference = t[i] - p[i]
        squared += difference * difference
        absolute += abs(difference)
        squares += t[i] * t[i]
        sum_t += t[i]
        sum_p += p[i]
        low_t, high_t = min(low_t, t[i]), max(high_t, t[i])
        low_p, high_p = min(low_p, p[i]), max(high_p, p[i])
    mean_t, mean_p = sum_t / t.size, sum_p / t.size
    var_t = var_p = product = 0.0
    for i in range(t.size):
        a, b = t[i] - mean_t, p[i] - mean_p
        var_t += a * a
        var_p += b * b
        product += a * b
    out[0], out[1], out[2], out[3], out[4] = squared, absolute, squares, mean_t, mean_p
    out[5], out[6], out[7] = var_t, var_p, product
    out[8], out[9], out[10], out[11] = low_t, high_t, low_p, high_p


@njit(cache=True, nogil=True)
def count_upper(bits: Bits, counts: Counts) -> None:
    """Count the upper halves of the keys.

    Parameters
    ----------
    bits : (N,) uint32 array
        Of float32 values.
    counts : (65536,) int64 array
        Is added to.
    """
    for i in range(bits.size):
        value = bits[i]
        key = value ^ ALL if value & SIGN else value | SIGN
        counts[key >> HALF] += 1


@njit(cache=True, nogil=True)
def count_lower(bits: Bits, rows: NDArray[np.int16], counts: Counts) -> None:
    """Count the lower halves of the keys that have certain upper halves.

    Parameters
    ----------
    bits : (N,) uint32 array
        Of float32 values.
    rows : (65536,) int16 array
        For each upper half the row of `counts`, negative if it is not wanted.
    counts : (R, 65536) int64 array
        Is added to.
    """
    for i in range(bits.size):
        value = bits[i]
        key = value ^ ALL if value & SIGN else value | SIGN
        row = rows[key >> HALF]
        if row >= 0:
            counts[row, key & np.uint32(0xFFFF)] += 1
