"""One label per object: the voxels that came to rest at the same place."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cytosuite.algorithms.cellpose3d.dynamics import taps
from cytosuite.segmentation.objects import fill_holes, largest_pieces


def instances(
    ends: NDArray[np.float32],
    mask: NDArray[np.bool_],
    spacing: Sequence[float],
    *,
    sigma_um: float,
    distance_um: float,
) -> NDArray[np.uint32]:
    """Return the objects as labels of the voxels that came to rest at the same place.

    Parameters
    ----------
    ends : (N, 3) float32 array
        End point (z, y, x in voxels) of each voxel of the foreground, in memory order.
    mask : (Z, Y, X) bool array
        The foreground; a flat image is (1, Y, X).
    spacing : sequence of float
        µm per voxel along z, y, x.
    sigma_um : float
        Standard deviation of the smoothing of the density of the points, in µm.
    distance_um : float
        A peak of the density gives way to a higher one within this distance, in µm.

    Returns
    -------
    (Z, Y, X) uint32 array
        1..n without gaps, in the order of their first voxels; each in one piece, without holes.

    Notes
    -----
    From each point's voxel a path climbs to the densest of the 26 neighbours until a peak is
    reached: a watershed of the density by steepest ascent, linear in the points.
    """
    count = int(np.count_nonzero(mask))
    labels = np.zeros(mask.shape, np.uint32)
    if count == 0:
        return labels
    from cytosuite.algorithms.cellpose3d._kernels import (  # their compiler takes long to import
        blur,
        climb,
    )

    nearest = np.rint(ends).astype(np.int64)
    flat = (nearest[:, 0] * mask.shape[1] + nearest[:, 1]) * mask.shape[2] + nearest[:, 2]
    points, density = np.zeros((2, *mask.shape), np.float32)
    np.add.at(points.ravel(), flat, np.float32(1))
    widths = [taps(sigma_um / step) for step in spacing]
    spare = np.empty(mask.shape, np.float32)
    blur(points, np.asarray(points.any(axis=2)), spare, density, *widths)
    del points, spare
    basins = np.zeros(mask.size, np.uint32)
    reach = np.array([int(distance_um / step) for step in spacing])
    climb(density, flat, reach, np.asarray(spacing, np.float64), distance_um**2, basins)
    labels[mask] = basins[flat]
    del density, basins, flat, nearest  # room for the next steps
    return renumber(fill_holes(largest_pieces(labels)))


def renumber(labels: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return the labels numbered from 1 without gaps, in the order of their first voxels.

    Parameters
    ----------
    labels : (Z, Y, X) uint32 array
        0 = background; numbers not far above the number of voxels.

    Returns
    -------
    uint32 array
        Of the same shape.
    """
    inside = np.flatnonzero(labels)
    values = labels.ravel()[inside]
    first = np.full(int(values.max(initial=0)) + 1, labels.size)
    first[values[::-1]] = inside[::-1]  # the last assignment stays: that of the first voxel
    number = np.zeros(first.size, np.uint32)
    number[np.argsort(first, kind="stable")] = np.arange(1, first.size + 1)
    result = np.zeros(labels.shape, np.uint32)
    result.ravel()[inside] = number[values]
    return result
