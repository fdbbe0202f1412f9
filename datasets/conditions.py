"""Conditions that can be measured in any annotated image."""

from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytosuite import large
from cytosuite.datasets.physics.grid import some_planes
from cytosuite.volume import Scalar

SECOND_DIFFERENCE = sqrt(6.0)  # noise of a - 2 b + c relative to that of one voxel


def measured(image: NDArray[Any], labels: NDArray[np.integer[Any]]) -> dict[str, Scalar]:
    """Return the number of objects of an image and their signal-to-noise ratio.

    Parameters
    ----------
    image : (Z, Y, X) or (Y, X) array of numbers
        Intensities.
    labels : integer array of the same shape
        Its objects, 0 = background.

    Returns
    -------
    dict of str to int or float
        ``objects`` and ``signal / noise``: (mean inside objects - mean of the background) /
        standard deviation of the noise in the background. The latter is left out where there is
        no object, no background or no noise.

    Notes
    -----
    Noise is the root mean square of ``(a - 2 b + c) / sqrt(6)`` over three background voxels in a
    row along x: glow and halos, which change slowly, cancel; noise that neighbours share is
    underestimated. Planes are looked at one by one; for the ratio every second, third, ... of
    images with very many voxels, see `cytosuite.datasets.physics.grid.some_planes`.

    Examples
    --------
    >>> measured(np.array([[1, 2, 1, 2, 9, 9]]), np.array([[0, 0, 0, 0, 1, 1]]))["objects"]
    1
    """
    inside, outside, roughness = np.zeros(2), np.zeros(2), np.zeros(2)  # sum, voxels
    planes = (-1, *image.shape[-2:])
    numbers: NDArray[np.integer[Any]] = np.zeros(0, labels.dtype)
    step = some_planes(image.shape).step
    pairs = zip(image.reshape(planes), labels.reshape(planes), strict=True)
    for number, (plane, found) in enumerate(pairs):
        numbers = np.union1d(numbers, _numbers(found))
        large.release(image, labels)
        if number % step:
            continue
        light, free = plane.astype(np.float64), found == 0
        inside += light[~free].sum(), np.count_nonzero(~free)
        outside += light[free].sum(), np.count_nonzero(free)
        second = light[:, :-2] - 2 * light[:, 1:-1] + light[:, 2:]
        second = second[free[:, :-2] & free[:, 1:-1] & free[:, 2:]] / SECOND_DIFFERENCE
        roughness += np.square(second).sum(), second.size
    conditions: dict[str, Scalar] = {}
    if inside[1] and roughness[0] > 0:
        signal = inside[0] / inside[1] - outside[0] / outside[1]
        conditions["signal / noise"] = float(signal / np.sqrt(roughness[0] / roughness[1]))
    return conditions | {"objects": int(np.count_nonzero(numbers))}


def _numbers(labels: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
    """Return the different numbers (M,) in a plane; those of 16 bits need no sorting."""
    if labels.dtype == np.uint16:
        return np.flatnonzero(np.bincount(labels.ravel()))
    return np.unique(labels)
