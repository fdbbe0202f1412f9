"""Clean objects from labels: extent, connected pieces, holes, thin parts, numbers."""

from itertools import product
from math import sqrt
from operator import mul
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cytosuite.volume.arrays import Bools, Floats, Ints, Sizes, Spacing, Words
from cytosuite.volume.objects import borders, means

Label = TypeVar("Label", np.int32, np.uint32)


def own_level(
    labels: Ints | Words,
    signal: Floats,
    threshold: Floats,
    *,
    factor: float,
    weight: float,
) -> Floats:
    """Return ``factor mean^weight threshold^(1 - weight)`` of each object, 0 outside, per voxel."""
    own = (factor * np.maximum(means(signal, labels, 0), 0) ** weight).astype(np.float32)
    own[0] = 0
    level = own[labels]
    level *= np.maximum(threshold, 0) ** np.float32(1 - weight)
    return level


def around_peaks(height: Floats, mask: Bools, apart: int, pieces: Ints | None = None) -> Ints:
    """Return basins 1..n of a height in a mask, one for each peak that lies so many voxels apart.

    Peaks of different `pieces` may be nearer.
    """
    from skimage.feature import peak_local_max  # takes long to import
    from skimage.segmentation import watershed

    peaks = peak_local_max(height, min_distance=apart, labels=pieces, exclude_border=False)
    seeds = np.zeros(mask.shape, np.int32)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return np.asarray(watershed(-height, seeds, mask=mask), np.int32)


def largest_pieces(labels: NDArray[Label]) -> NDArray[Label]:
    """Return the labels with only the largest face-connected piece of each object."""
    pieces, _ = _pieces(labels)
    inside = np.flatnonzero(labels)
    piece = pieces.ravel()[inside]
    owner = labels.ravel()[inside]
    size = np.bincount(piece)
    owner_of = np.zeros(size.size, np.uint32)
    owner_of[piece] = owner
    order = np.lexsort((np.arange(size.size), -size, owner_of))
    keep = np.zeros(size.size, bool)
    keep[order[np.flatnonzero(np.diff(owner_of[order], prepend=0))]] = True
    if keep[1:].all():
        return labels
    result = np.zeros(labels.shape, labels.dtype)
    result.ravel()[inside] = np.where(keep[piece], owner, 0)
    return result


def _pieces(labels: NDArray[Label], *, background: bool = False) -> tuple[Ints, int]:
    """Return the face-connected pieces of labels, or of the background, by first voxels, and n."""
    from cytosuite.segmentation._kernels import pieces  # numba takes long to import

    whole = np.ascontiguousarray(labels).view(np.int32).reshape((1, 1, 1, *labels.shape)[-3:])
    found = np.empty(labels.size, np.int32)
    count = pieces(whole, background, found)
    return found.reshape(labels.shape), count


def fill_holes(labels: NDArray[Label]) -> NDArray[Label]:
    """Fill the holes of each object: enclosed background that touches this object only."""
    holes, count = _pieces(labels, background=True)
    enclosed = np.ones(count + 1, bool)
    enclosed[0] = False
    for axis, length in enumerate(labels.shape):
        if length > 1:
            face = holes.swapaxes(axis, 0)
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
            value = labels[tuple(v + step if a == axis else v for a, v in enumerate(voxels))]
            np.minimum.at(low, hole[value > 0], value[value > 0])
            np.maximum.at(high, hole, value)
    result = labels.copy()
    result.ravel()[inside] = np.where(low == high, high, 0)[hole]
    return result


def open_objects(labels: Ints, spacing: Spacing, radius_um: float) -> Ints:
    """Return the labels without parts thinner than twice the radius in µm; small objects stay."""
    if radius_um < min(spacing):
        return labels
    opened = (axis for axis, step in enumerate(spacing) if step <= radius_um)  # others stay
    inner = (labels > 0) & ~borders(labels, opened)  # between two of the same object along these
    around = [(int(radius_um / step) + 1,) * 2 for step in spacing]
    padded = np.pad(labels, around)
    within = np.pad(inner, around, constant_values=True).ravel()
    del labels, inner  # room for later steps
    strides = [stride // padded.itemsize for stride in padded.strides]
    result = padded.ravel()
    voxels = np.flatnonzero(result)
    deep = voxels[within[voxels]]
    for steps in _ball(spacing, radius_um - min(spacing), strides):
        deep = deep[np.logical_and.reduce([within[deep + step] for step in steps])]
    core = within
    core[:] = False
    core[deep] = True
    has_core = np.bincount(result[deep], minlength=int(result.max(initial=0)) + 1) > 0
    left = voxels[has_core[result[voxels]] & ~core[voxels]]
    for steps in _ball(spacing, radius_um, strides):  # the nearest core decides, at a tie its own
        near = [np.where(core[left + step], result[left + step], 0) for step in steps]
        own = np.logical_or.reduce([name == result[left] for name in near])
        other = np.logical_or.reduce([name > 0 for name in near])
        result[left[other & ~own]] = 0
        left = left[~other]
    result[left] = 0
    return padded[tuple(slice(n, -n) for n, _ in around)].copy()


def _ball(spacing: Spacing, radius: float, strides: Sizes) -> list[list[int]]:
    """Return the ways to voxels within a radius in a flat image, those as far together."""
    ways: dict[float, list[int]] = {}
    for way in product(*(range(-int(radius / s) - 1, int(radius / s) + 2) for s in spacing)):
        away = sqrt(sum((n * s) ** 2 for n, s in zip(way, spacing, strict=True)))
        if 0 < away <= radius:
            ways.setdefault(away, []).append(sum(map(mul, way, strides)))
    return [ways[away] for away in sorted(ways)]


def keep_by(labels: Ints, keep: Bools) -> Ints:
    """Return the labels of the objects in the mask (n + 1,), numbered from 1."""
    number = np.zeros(keep.size, np.int32)
    number[1:] = np.where(keep[1:], np.cumsum(keep[1:]), 0)
    return number[labels]
