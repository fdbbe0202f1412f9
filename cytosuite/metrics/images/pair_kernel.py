"""Compiled loop over the voxels of an image pair: sums of values and of differences."""

from typing import TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc", "nnan", "nsz"})
def tally(t: Floats, p: Floats, out: Floats) -> None:
    """Write sums over the same voxels, (N,), of truth and prediction, all finite, to (12,) `out`.

    The sums of the squared and absolute differences and of the squared truth, the two means, the
    two sums of squared deviations from them, that of their products, and the lowest and highest
    value of the truth and of the prediction.
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
