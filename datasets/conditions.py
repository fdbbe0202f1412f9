"""Conditions that can be measured in any annotated image."""

from math import sqrt

import numpy as np

from cytosuite.datasets.physics.grid import some_planes
from cytosuite.files import Scalars
from cytosuite.volume import large
from cytosuite.volume.arrays import Array, Integers
from cytosuite.volume.pieces import distinct

SECOND_DIFFERENCE = sqrt(6.0)  # noise of a - 2 b + c relative to one voxel's


def measured(image: Array, labels: Integers) -> Scalars:
    """Return ``objects`` and ``signal / noise`` of an image (Z, Y, X) or (Y, X) and its labels.

    The latter is (mean inside objects - mean of the background) / noise of the background, left out
    where there is none. Noise is the root mean square of ``(a - 2 b + c) / sqrt(6)`` over three
    background voxels in a row along x: glow and halos, which change slowly, cancel; noise that
    neighbours share is underestimated. Of very many voxels some planes count.
    """
    inside, outside, roughness = np.zeros(2), np.zeros(2), np.zeros(2)  # sum, voxels
    planes = (-1, *image.shape[-2:])
    step = some_planes(image.shape).step
    pairs = zip(image.reshape(planes), labels.reshape(planes), strict=True)
    for number, (plane, objects) in enumerate(pairs):
        large.release(image, labels)
        if number % step:
            continue
        light, free = plane.astype(np.float64), objects == 0
        inside += light[~free].sum(), np.count_nonzero(~free)
        outside += light[free].sum(), np.count_nonzero(free)
        second = light[:, :-2] - 2 * light[:, 1:-1] + light[:, 2:]
        second = second[free[:, :-2] & free[:, 1:-1] & free[:, 2:]] / SECOND_DIFFERENCE
        roughness += np.square(second).sum(), second.size
    conditions: Scalars = {}
    if inside[1] and roughness[0] > 0:
        signal = inside[0] / inside[1] - outside[0] / outside[1]
        conditions["signal / noise"] = float(signal / np.sqrt(roughness[0] / roughness[1]))
    return conditions | {"objects": int(np.count_nonzero(distinct(labels)))}
