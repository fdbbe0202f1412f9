"""Photon transfer: how the noise of a camera grows with light."""

import numpy as np
from scipy import ndimage

from cytosuite.denoising.camera import SAMPLE
from cytosuite.volume.arrays import Doubles, Reals
from cytosuite.volume.pieces import evenly

LEVELS = 1 - np.geomspace(1, 1e-3, 24)  # shares of voxels between which noise is measured
ENOUGH = 30  # voxels that a level of noise is worth measuring in
CURVED = 36.0  # sum of squares, and of cubes, of the second difference along both axes
EXTREME = 2.326  # standard deviations of a Gaussian that 1 % of values lie below


def level_around(array: Reals) -> Reals:
    """Return the sum of the 9 x 9 voxels around, less the inner 5 x 5: no noise chooses its own."""
    planes = (1,) * (array.ndim - 2)
    level = 81 * ndimage.uniform_filter(array, (*planes, 9, 9))
    return np.asarray(level - 25 * ndimage.uniform_filter(array, (*planes, 5, 5)))


def level_of_neighbours(array: Reals) -> Reals:
    """Return the mean of 5 x 5 voxels in the planes above and below, of a stack (Z, Y, X)."""
    around = ndimage.uniform_filter(array, (0, 5, 5))
    return np.asarray(ndimage.convolve1d(around, [0.5, 0.0, 0.5], axis=0, mode="mirror"))


def noise_by_level(array: Reals, level: Reals) -> tuple[Doubles, ...]:
    """Return mean, variance and third moment of noise at levels of brightness, and voxels."""
    inner = (..., slice(4, -4), slice(4, -4))
    difference = ndimage.convolve1d(array, [1.0, -2.0, 1.0], axis=-2)
    difference = ndimage.convolve1d(difference, [1.0, -2.0, 1.0], axis=-1)[inner]
    square = difference**2
    if array.ndim == 3 and len(array) > 1:  # neighbouring planes share structure
        shared = difference[1:] * difference[:-1]
        square -= (np.append(shared, shared[-1:], 0) + np.append(shared[:1], shared, 0)) / 2
    level = level[inner].ravel()
    limits = np.unique(np.quantile(evenly(level, SAMPLE), LEVELS[1:]))
    place = np.searchsorted(limits, level, side="right")
    voxels = np.bincount(place, minlength=len(limits) + 1).astype(np.float64)
    sums = [
        np.bincount(place, weights, len(voxels))
        for weights in (
            array[inner].ravel(),
            square.ravel() / CURVED,
            difference.ravel() ** 3 / CURVED,
        )
    ]
    enough = voxels >= ENOUGH
    return (*(total[enough] / voxels[enough] for total in sums), voxels[enough])
