"""Companions of a sketch, from its labels: borders, distances to them, and seeds of objects.

All are made of the labels alone, of any dataset, in µm; one pass per axis, so that time and memory
grow with the number of voxels.

References
----------
Eschweiler et al., Denoising diffusion probabilistic models for generation of realistic fully
annotated microscopy image datasets, PLOS Comput. Biol. 20 (2024),
doi:10.1371/journal.pcbi.1011890, whose program writes the same four volumes.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytosuite import large
from cytosuite.datasets.physics.grid import slabs
from cytosuite.errors import InputError
from cytosuite.volume import Volume


def companions(labels: Volume, border_um: float) -> dict[str, Volume]:
    """Return the volumes ``boundary``, ``distance`` and ``seeds`` of labels.

    Parameters
    ----------
    labels : Volume
        See `signed_distance`.
    border_um : float
        See `boundary`.

    Raises
    ------
    InputError
        See `signed_distance` and `boundary`.

    Notes
    -----
    Memory: 6 bytes per voxel for the result, and 4 for a copy of labels that are not uint16. About
    0.05 µs per voxel. Large volumes are looked at in slabs, and what does not fit lies on disk.
    """
    distance = signed_distance(labels)
    return {
        "boundary": boundary(labels, border_um, distance),
        "distance": distance,
        "seeds": seeds(labels),
    }


def signed_distance(labels: Volume) -> Volume:
    """Return the distance in µm to the nearest voxel that is not of the same object.

    Parameters
    ----------
    labels : Volume
        (Z, Y, X) or (Y, X) integers, 0 is background.

    Returns
    -------
    Volume
        float32, between voxel centres: positive inside objects, also of those that touch, and
        negative in the background. At least a voxel in size; the border of the image is no border
        of an object, and where there is none in the whole image, the size is its diagonal.

    Raises
    ------
    InputError
        If the labels are no integers, are negative, or have other axes.
    """
    from cytosuite.datasets.physics import _sketch_kernels as kernels  # compiled on first use

    array, spacing = _planes(labels)
    depth, height, width = array.shape
    distance = large.room(array.shape, np.float32)
    for start, stop in slabs(array.shape):
        own, away = array[start:stop], distance[start:stop]
        kernels.rows(own.reshape(-1, width), spacing[2], away.reshape(-1, width))
        kernels.across(own, spacing[1], away)
        large.release(array, distance)
    for top, end in slabs((height, depth, width)):
        flat = (1, depth, (end - top) * width)
        own, away = (np.ascontiguousarray(each[:, top:end]) for each in (array, distance))
        kernels.across(own.reshape(flat), spacing[0], away.reshape(flat))
        np.sqrt(away, out=away)
        if away.size and np.isinf(away.flat[0]):  # then all are
            away.fill(np.linalg.norm(np.multiply(array.shape, spacing)))
        np.negative(away, out=away, where=own == 0)
        if end - top < height:
            distance[:, top:end] = away
        large.release(array, distance)
    return labels.like(distance.reshape(labels.shape))


def boundary(labels: Volume, width_um: float, distance: Volume | None = None) -> Volume:
    """Return the mask of the borders between objects, and between them and the background.

    Parameters
    ----------
    labels : Volume
        See `signed_distance`.
    width_um : float
        Thickness of the borders, half on each side. The voxels whose faces form the border belong
        to it however thin it is: two on a line through it.
    distance : Volume, optional
        The signed distance of these labels, where it is known.

    Returns
    -------
    Volume
        uint8, 1 at borders.

    Raises
    ------
    InputError
        If the width is negative or not finite, or the labels are none.
    """
    from cytosuite.datasets.physics import _sketch_kernels as kernels  # compiled on first use

    if not 0 <= width_um < np.inf:
        raise InputError(
            f"the width of borders must be a number of µm from 0 on, found {width_um:g}"
        )
    array, _ = _planes(labels)
    away = (signed_distance(labels) if distance is None else distance).array.reshape(array.shape)
    mask = large.room(array.shape, np.uint8)
    for start, stop in slabs(array.shape):
        low, high = max(start - 1, 0), min(stop + 1, len(array))  # a face lies between two planes
        part = np.empty((high - low, *array.shape[1:]), np.uint8)
        kernels.borders(array[low:high], away[low:high], width_um / 2 * (1 + 1e-6), part)
        mask[start:stop] = part[start - low : stop - low]
        large.release(array, away, mask)
    return labels.like(mask.reshape(labels.shape))


def seeds(labels: Volume) -> Volume:
    """Return one voxel per object, inside it: the nearest to its centroid in µm.

    Parameters
    ----------
    labels : Volume
        See `signed_distance`.

    Returns
    -------
    Volume
        uint8, 1 at seeds; of voxels equally near the first in the order of the array.

    Raises
    ------
    InputError
        See `signed_distance`.
    """
    from cytosuite.datasets.physics import _sketch_kernels as kernels  # compiled on first use

    array, spacing = _planes(labels)
    spans = slabs(array.shape)
    count = max((int(array[start:stop].max(initial=0)) for start, stop in spans), default=0)
    totals, nearest = np.zeros((count + 1, 4)), np.full(count + 1, np.inf)
    places = np.full((count + 1, 3), -1, np.int64)
    for start, stop in spans:
        kernels.add_places(array[start:stop], start, totals)
        large.release(array)
    middles = totals[:, :3] / np.maximum(totals[:, 3:], 1)
    for start, stop in spans:
        steps = np.array(spacing, np.float64)
        kernels.middles(array[start:stop], start, steps, middles, nearest, places)
        large.release(array)
    mask = large.room(array.shape, np.uint8)
    mask[tuple(places[places[:, 0] >= 0].T)] = 1
    large.release(mask)
    return labels.like(mask.reshape(labels.shape))


def _planes(labels: Volume) -> tuple[NDArray[np.unsignedinteger[Any]], tuple[float, float, float]]:
    """Return labels (Z, Y, X) as the loops take them, and µm per voxel; a plane is Z = 1."""
    if labels.axes not in ("ZYX", "YX"):
        raise InputError(f"labels of a sketch must have the axes ZYX or YX, found {labels.axes}")
    array = labels.array
    if array.dtype.kind not in "biu":
        raise InputError(f"labels of a sketch must be integers, found dtype {array.dtype}")
    if array.dtype != np.uint16:
        if array.min(initial=0) < 0:
            raise InputError(f"labels of a sketch must be 0 or more, found {array.min()}")
        if array.max(initial=0) > array.size:  # numbers with gaps, too large to count up to
            array = np.searchsorted(np.union1d(0, array), array)
        array = array.astype(np.uint32)
    z, y, x = (1.0, *labels.spacing)[-3:]
    return np.ascontiguousarray(array).reshape((1, *labels.shape)[-3:]), (z, y, x)
