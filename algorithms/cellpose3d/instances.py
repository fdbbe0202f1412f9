"""From where the voxels came to rest to one label per object."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import label as connected

from algorithms.cellpose3d.dynamics import taps
from cytosuite.errors import InputError


def instances(
    ends: NDArray[np.float32],
    mask: NDArray[np.bool_],
    spacing: Sequence[float],
    *,
    sigma_um: float,
    distance_um: float,
) -> NDArray[np.uint32]:
    """Return the objects: the voxels that came to rest at the same place.

    Parameters
    ----------
    ends : (N, 3) float32 array
        Where each voxel of the foreground came to rest (z, y, x in voxels), in memory order.
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

    Raises
    ------
    InputError
        If the number of points is not that of the voxels, or a length is out of range.

    Notes
    -----
    From each point's voxel the way goes to the densest of the 26 neighbours until a peak is
    reached: a watershed of the density by steepest ascent, linear in the points.
    """
    count = int(np.count_nonzero(mask))
    _check(ends, mask, spacing, (sigma_um, distance_um), count)
    labels = np.zeros(mask.shape, np.uint32)
    if count == 0:
        return labels
    from algorithms.cellpose3d._kernels import blur, climb  # their compiler takes long to import

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
    del density, basins, flat, nearest  # room for what follows
    return renumber(fill_holes(largest_pieces(labels)))


def largest_pieces(labels: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return the labels with only the largest connected piece of each.

    Parameters
    ----------
    labels : (Z, Y, X) uint32 array
        0 = background.

    Returns
    -------
    uint32 array
        Of the same shape; of equal pieces the first in memory stays.
    """
    pieces = connected(labels.view(np.int32), connectivity=1)
    inside = np.flatnonzero(labels)
    piece, owner = pieces.ravel()[inside], labels.ravel()[inside]
    size = np.bincount(piece)
    owner_of = np.zeros(size.size, np.uint32)
    owner_of[piece] = owner
    order = np.lexsort((np.arange(size.size), -size, owner_of))
    keep = np.zeros(size.size, bool)
    keep[order[np.flatnonzero(np.diff(owner_of[order], prepend=0))]] = True
    if keep[1:].all():
        return labels
    result = np.zeros(labels.shape, np.uint32)
    result.ravel()[inside] = np.where(keep[piece], owner, 0)
    return result


def fill_holes(labels: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return the labels with the enclosed background that touches one object only filled.

    Parameters
    ----------
    labels : (Z, Y, X) uint32 array
        0 = background.

    Returns
    -------
    uint32 array
        Of the same shape; background connected to the border of the image is no hole, where the
        image is more than one voxel long.
    """
    holes, count = ndimage.label(labels == 0)
    enclosed = np.ones(count + 1, bool)
    enclosed[0] = False
    for axis, length in enumerate(labels.shape):
        if length > 1:
            face = np.moveaxis(holes, axis, 0)
            enclosed[face[0]] = enclosed[face[-1]] = False
    if not enclosed.any():
        return labels
    inside = np.flatnonzero(holes > (not enclosed[1]))  # the first is mostly the surroundings
    inside = inside[enclosed[holes.ravel()[inside]]]
    hole = holes.ravel()[inside]
    low = np.full(count + 1, np.iinfo(np.uint32).max, np.uint32)
    high = np.zeros(count + 1, np.uint32)
    voxels = np.unravel_index(inside, labels.shape)
    for axis, length in enumerate(labels.shape):
        for step in (-1, 1) if length > 1 else ():
            place = tuple(v + step if a == axis else v for a, v in enumerate(voxels))
            value = labels[place]
            np.minimum.at(low, hole[value > 0], value[value > 0])
            np.maximum.at(high, hole, value)
    result = labels.copy()
    result.ravel()[inside] = np.where(low == high, high, 0)[hole]
    return result


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


def _check(
    ends: NDArray[Any],
    mask: NDArray[np.bool_],
    spacing: Sequence[float],
    lengths: Sequence[float],
    count: int,
) -> None:
    """Refuse points that are not those of the foreground, and lengths out of range."""
    if mask.ndim != 3 or mask.dtype != bool or ends.shape != (count, 3):
        raise InputError(
            f"expected a point (z, y, x) for each of the {count} voxels of a bool foreground "
            f"(Z, Y, X), found points {ends.shape} and {mask.dtype} {mask.shape}"
        )
    if not (np.all(ends >= 0) and np.all(ends <= np.array(mask.shape) - 1)):
        raise InputError(f"points must lie within the volume {mask.shape}, found some outside")
    if len(spacing) != 3 or not all(math.isfinite(step) and step > 0 for step in spacing):
        raise InputError(f"spacing must be 3 positive numbers in µm, found {list(spacing)}")
    if not all(math.isfinite(length) and length >= 0 for length in lengths):
        raise InputError(
            f"sigma_um and distance_um must not be negative, found {lengths[0]} and {lengths[1]}"
        )
