"""Compiled loops of the heat flow: diffusion inside each object, and the way up its logarithm."""

from math import log, sqrt
from typing import TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

Whole: TypeAlias = NDArray[np.int64]

_SPREAD = (
    "void(int32[:, :, ::1], int64[:, ::1], int64[:, ::1], int64[:, ::1], float32[:, :, :, ::1])"
)


@njit("boolean(float64[:, :, ::1], float64[:, :, ::1], boolean[:, :, ::1])", cache=True, nogil=True)
def _diffuse(heat: NDArray[np.float64], fresh: NDArray[np.float64], own: NDArray[np.bool_]) -> bool:
    """Write the mean of each voxel and its six neighbours; tell whether a voxel is still cold."""
    cold = False
    for z in range(1, heat.shape[0] - 1):
        for y in range(1, heat.shape[1] - 1):
            for x in range(1, heat.shape[2] - 1):
                if own[z, y, x]:
                    along_z = heat[z - 1, y, x] + heat[z + 1, y, x]
                    along_y = heat[z, y - 1, x] + heat[z, y + 1, x]
                    along_x = heat[z, y, x - 1] + heat[z, y, x + 1]
                    fresh[z, y, x] = (heat[z, y, x] + along_z + along_y + along_x) / 7
                    cold |= fresh[z, y, x] == 0
    return cold


@njit("float64(float64, float64, float64)", cache=True, nogil=True)
def _slope(before: float, here: float, after: float) -> float:
    """Return the slope of the logarithm; a neighbour without heat is outside and does not count."""
    if here <= 0:
        return 0.0
    left = log(before) if before > 0 else log(here)
    right = log(after) if after > 0 else log(here)
    return right - left


@njit(_SPREAD, cache=True, nogil=True)
def spread(
    labels: NDArray[np.int32], centres: Whole, low: Whole, high: Whole, flow: NDArray[np.float32]
) -> None:
    """Write unit vectors up the heat of each object.

    Parameters
    ----------
    labels : (Z, Y, X) int32 array
        1..N, 0 = background.
    centres, low, high : (3, N) int64 arrays
        The voxel that is heated, and the lowest and highest voxels of each object.
    flow : (3, Z, Y, X) float32 array
        Takes the result; only voxels of objects are written.

    Notes
    -----
    Each round adds 1 to the centre and diffuses; the surroundings stay at 0. There are as many
    rounds as twice the sum of the three extents, and more where a voxel was not yet reached.
    """
    for n in range(low.shape[1]):
        z0, y0, x0 = low[0, n] - 1, low[1, n] - 1, low[2, n] - 1
        size = (high[0, n] - z0 + 2, high[1, n] - y0 + 2, high[2, n] - x0 + 2)
        own = np.zeros(size, np.bool_)
        rounds = 2 * (size[0] + size[1] + size[2] - 6)
        most = rounds  # and one per voxel, as one in another piece than the centre stays cold
        for z in range(1, size[0] - 1):
            for y in range(1, size[1] - 1):
                for x in range(1, size[2] - 1):
                    own[z, y, x] = labels[z + z0, y + y0, x + x0] == n + 1
                    most += own[z, y, x]
        heat, fresh = np.zeros(size), np.zeros(size)
        done, cold = 0, True
        while done < rounds or (cold and done < most):
            heat[centres[0, n] - z0, centres[1, n] - y0, centres[2, n] - x0] += 1
            cold = _diffuse(heat, fresh, own)
            heat, fresh = fresh, heat
            done += 1
        for z in range(1, size[0] - 1):
            for y in range(1, size[1] - 1):
                for x in range(1, size[2] - 1):
                    if own[z, y, x]:
                        here = heat[z, y, x]
                        a = _slope(heat[z - 1, y, x], here, heat[z + 1, y, x])
                        b = _slope(heat[z, y - 1, x], here, heat[z, y + 1, x])
                        c = _slope(heat[z, y, x - 1], here, heat[z, y, x + 1])
                        length = sqrt(a * a + b * b + c * c)
                        if length > 1e-9:  # less is rounding, at the centre
                            flow[0, z + z0, y + y0, x + x0] = a / length
                            flow[1, z + z0, y + y0, x + x0] = b / length
                            flow[2, z + z0, y + y0, x + x0] = c / length
