"""Targets of the flow: for every voxel of an object, the direction to its centre."""

from collections.abc import Iterator

import numpy as np

from cytosuite.volume.arrays import Array, Doubles, Floats, Longs, Shape

_LEAST_HALF_EXTENT = 2.0  # voxels; below, the flow of a single voxel would be a step


def flow_targets(labels: Array) -> Floats:
    """Return the flow (3, Z, Y, X) float32 of labels (Z, Y, X): the direction to the own centre.

    It is ``tanh(2 (c - p) / h)`` with the centre `c` (the object's voxel nearest to the centroid)
    and the half extent `h` along each axis, at least 2 voxels. After Eschweiler, Smith, Stegmaier,
    ICIP 2022, 191, arXiv:2105.00794 (there tanh of a fixed length).
    """
    flow = np.zeros((3, *labels.shape), np.float32)
    inside, _, number = numbered(labels)
    for axis, values in directions(labels, inside, number):
        flow[axis].ravel()[inside] = values
    return flow


def directions(labels: Array, inside: Longs, number: Longs) -> Iterator[tuple[int, Floats]]:
    """Yield the axes longer than 1, with the flow of voxels (N,) of objects 0..n-1."""
    axes = [axis for axis, size in enumerate(labels.shape) if size > 1]
    if inside.size == 0 or not axes:
        return
    # Their compiler takes long to import.
    from cytosuite.algorithms.cellpose3d._kernels import extents, reaches

    mask = np.ascontiguousarray(labels != 0)
    count = np.bincount(number)
    sums, low, high = extents(mask, number, count.size)
    centres = _centres(labels.shape, inside, number, sums / count).astype(np.float32)
    scale = (2 / np.maximum((high - low + 1) / 2, _LEAST_HALF_EXTENT)).astype(np.float32)
    for axis in axes:
        away = reaches(mask, number, centres[axis], scale[axis], axis)
        yield axis, np.tanh(away, out=away)


def numbered(labels: Array) -> tuple[Longs, Array, Longs]:
    """Return the voxels (N,) of objects, their labels (n,) in order, the number 0..n-1 of each."""
    inside = np.flatnonzero(labels)
    values = labels.ravel()[inside]
    top = int(values.max(initial=0))
    least = int(values.min(initial=0))
    if least < 0 or top > 4 * values.size + 65536:  # a table of all values would be too long
        names, number = np.unique(values, return_inverse=True)
        return inside, names, number.astype(np.int64, copy=False)
    there = np.zeros(top + 1, bool)
    there[values] = True
    return inside, np.flatnonzero(there), (np.cumsum(there) - 1)[values]


def _centres(
    shape: Shape,
    inside: Longs,
    number: Longs,
    centres: Doubles,
) -> Doubles:
    """Return the centroids (3, n) in voxels; those outside their objects at the nearest voxel."""
    nearest = np.ravel_multi_index(tuple(np.rint(centres).astype(np.int64)), shape)
    place = np.minimum(np.searchsorted(inside, nearest), inside.size - 1)
    outside = (inside[place] != nearest) | (number[place] != np.arange(nearest.size))
    if not outside.any():
        return centres
    those = np.flatnonzero(outside[number])
    owner = number[those]
    voxels = np.unravel_index(inside[those], shape)
    away = sum((voxel - centre[owner]) ** 2 for voxel, centre in zip(voxels, centres, strict=True))
    order = np.lexsort((np.round(away, 6), owner))  # stable: of equal ones the first in memory
    first = order[np.flatnonzero(np.diff(owner[order], prepend=-1))]
    for centre, voxel in zip(centres, voxels, strict=True):
        centre[owner[first]] = voxel[first]
    return centres
