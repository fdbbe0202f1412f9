"""Extras of a sketch, from labels alone, in µm: borders, distances to them, and seeds.

Eschweiler et al. (2024), doi:10.1371/journal.pcbi.1011890; its program writes the same four.
"""

import numpy as np

from cytosuite.bodies.grid import in_slabs, slabs
from cytosuite.volume import Volume, memory
from cytosuite.volume.arrays import ZYX, Unsigned
from cytosuite.volume.objects import borders, grown
from cytosuite.volume.pieces import extremes


def extras(labels: Volume, border_um: float) -> dict[str, Volume]:
    """Return the volumes ``boundary``, ``distance`` and ``seeds`` of labels."""
    distance = signed_distance(labels)
    return {
        "boundary": boundary(labels, border_um, distance),
        "distance": distance,
        "seeds": seeds(labels),
    }


def signed_distance(labels: Volume) -> Volume:
    """Return the µm (float32) to the nearest other label, < 0 in the background."""
    from cytosuite.datasets.physics import _image_kernels as kernels  # compiled on first use

    array, spacing = _planes(labels)
    depth, height, width = array.shape
    distance = memory.room(array.shape, np.float32)
    for part, away in in_slabs(array, distance):
        kernels.rows(part.reshape(-1, width), spacing[2], away.reshape(-1, width))
        kernels.across(part, spacing[1], away)
    for top, end in slabs((height, depth, width)):
        flat = (1, depth, (end - top) * width)
        part, away = (np.ascontiguousarray(image[:, top:end]) for image in (array, distance))
        kernels.across(part.reshape(flat), spacing[0], away.reshape(flat))
        np.sqrt(away, out=away)
        if away.size and np.isinf(away.flat[0]):  # then all are
            away.fill(np.linalg.norm(np.multiply(array.shape, spacing)))
        np.negative(away, out=away, where=part == 0)
        if end - top < height:
            distance[:, top:end] = away
        memory.release(array, distance)
    return labels.like(distance.reshape(labels.shape))


def boundary(labels: Volume, width_um: float, distance: Volume | None = None) -> Volume:
    """Return a uint8 mask of the borders of objects, `width_um` thick, at least two voxels."""
    array, _ = _planes(labels)
    away = (distance or signed_distance(labels)).array.reshape(array.shape)
    mask = memory.room(array.shape, np.uint8)
    for start, stop in slabs(array.shape):
        around, inner = grown([slice(start, stop)], [1])  # a face lies between two planes
        part = np.abs(away[around]) <= width_um / 2 * (1 + 1e-6)
        part |= borders(array[around])
        mask[start:stop] = part[inner]
        memory.release(array, away, mask)
    return labels.like(mask.reshape(labels.shape))


def seeds(labels: Volume) -> Volume:
    """Return one voxel per object as a uint8 mask: the nearest to its centroid in µm, inside it."""
    from cytosuite.datasets.physics import _image_kernels as kernels  # compiled on first use

    array, spacing = _planes(labels)
    spans = slabs(array.shape)
    count = int(extremes(array)[1])
    totals = np.zeros((count + 1, 4))
    nearest = np.full(count + 1, np.inf)
    places = np.full((count + 1, 3), -1, np.int64)
    for start, stop in spans:
        part = array[start:stop]
        ticks = np.ogrid[start:stop, : part.shape[1], : part.shape[2]]
        for axis, place in enumerate((*ticks, np.ones(1))):
            weights = np.broadcast_to(place, part.shape).ravel()
            totals[:, axis] += np.bincount(part.ravel(), weights, count + 1)
        memory.release(array)
    middles = totals[:, :3] / np.maximum(totals[:, 3:], 1)
    for start, stop in spans:
        kernels.middles(
            array[start:stop], start, np.array(spacing, np.float64), middles, nearest, places
        )
        memory.release(array)
    mask = memory.room(array.shape, np.uint8)
    mask[tuple(places[places[:, 0] >= 0].T)] = 1
    memory.release(mask)
    return labels.like(mask.reshape(labels.shape))


def _planes(labels: Volume) -> tuple[Unsigned, ZYX]:
    """Return labels (Z, Y, X) as the loops take them, and µm per voxel; a plane is Z = 1."""
    z, y, x = (1.0, *labels.spacing)[-3:]
    return np.ascontiguousarray(labels.array).reshape((1, *labels.shape)[-3:]), (z, y, x)
