"""Objects of label images: one by one, and numbered without gaps."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import scipy  # its parts are loaded where they are used

from cytosuite.volume.arrays import Array, Bools, Box, Doubles, DType, Integers, Ints, Longs, Sizes
from cytosuite.volume.pieces import CHUNK, distinct


def objects_in(labels: Integers) -> Iterator[tuple[int, Box, Bools]]:
    """Yield label, box and mask in the box of each object, by ascending label."""
    for label, box in enumerate(scipy.ndimage.find_objects(labels), start=1):
        if box is not None:
            yield label, box, labels[box] == label


def label_type(most: int) -> DType:
    """Return the type of labels up to a number: uint16, from 65536 on uint32."""
    return np.dtype(np.uint16 if most < 2**16 else np.uint32)


def on_face(box: Box, shape: Sizes) -> bool:
    """Whether a box touches a face of its image."""
    return any(span.start == 0 or span.stop == size for span, size in zip(box, shape, strict=True))


def box_of(mask: Bools) -> Box | None:
    """Return the box around a mask, None around nothing."""
    axes = range(mask.ndim)
    sides = [np.flatnonzero(mask.any(tuple({*axes} - {axis}))) for axis in axes]
    return tuple(slice(int(s[0]), int(s[-1]) + 1) for s in sides) if mask.any() else None


def box_at(corner: Iterable[int], shape: Sizes) -> Box:
    """Return the voxels of a box at a corner."""
    return tuple(slice(int(c), int(c + side)) for c, side in zip(corner, shape, strict=True))


def wider(box: Sequence[slice], margin: Sizes) -> Box:
    """Return a box with a margin in voxels, as far as the image reaches."""
    return tuple(
        slice(max(0, span.start - more), span.stop + more)
        for span, more in zip(box, margin, strict=True)
    )


def grown(box: Sequence[slice], margin: Sizes) -> tuple[Box, Box]:
    """Return a box with a margin, and the voxels of the box in it."""
    around = wider(box, margin)
    inner = tuple(
        slice(side.start - wide.start, side.stop - wide.start)
        for side, wide in zip(box, around, strict=True)
    )
    return around, inner


def borders(labels: Array, axes: Iterable[int] | None = None) -> Bools:
    """Return the voxels with a neighbour of another label across a face, along some or all axes."""
    edge = np.zeros(labels.shape, bool)
    for axis in range(labels.ndim) if axes is None else axes:
        values = labels.swapaxes(axis, 0)
        flags = edge.swapaxes(axis, 0)
        differ = values[1:] != values[:-1]
        flags[1:] |= differ
        flags[:-1] |= differ
    return edge


def label_at(labels: Array, index: Longs) -> Array:
    """Return the labels of voxels (N, axes), 0 outside of the image."""
    inside = ((index >= 0) & (index < labels.shape)).all(axis=1)
    values = np.zeros(len(index), labels.dtype)
    values[inside] = labels[tuple(index[inside].T)]
    return values


def numbered(labels: Array) -> tuple[Longs, Ints]:
    """Return the labels in ascending order, and the volume with their numbers from 1 on."""
    if labels.dtype.kind == "b":
        labels = labels.view(np.uint8)
    values = distinct(labels)
    names = values[values > 0].astype(np.int64)
    if values.size and values[0] >= 0 and values[-1] <= max(labels.size, CHUNK):
        table = np.zeros(int(values[-1]) + 1, np.int32)  # no larger than the labels
        table[names] = np.arange(1, names.size + 1)
        return names, table[labels]
    return names, np.where(labels > 0, np.searchsorted(names, labels) + 1, 0).astype(np.int32)


def shared(first: Integers, second: Integers) -> tuple[Longs, Longs, Longs]:
    """Return the pairs of numbers at the same places, ascending, and the voxels of each."""
    base = int(second.max(initial=0)) + 1
    pairs, counts = np.unique(first.astype(np.int64) * base + second, return_counts=True)
    return pairs // base, pairs % base, counts


def means(volume: Array, labels: Integers, count: int) -> Doubles:
    """Return the mean value of each of `count` labels from 0 on, 0 of an absent one."""
    total = np.bincount(labels.ravel(), volume.ravel(), count)
    return total / np.maximum(np.bincount(labels.ravel(), minlength=count), 1)


def opened(mask: Bools) -> Bools:
    """Return the parts of a mask that are three voxels wide."""
    wide = np.ones([3 if length >= 3 else 1 for length in mask.shape], bool)
    return np.asarray(scipy.ndimage.binary_opening(mask, wide))


def hull_voxels(mask: Bools) -> float:
    """Return the volume of the convex hull of all corners of voxels, in voxels; some must be set.

    Of every line of corners along the last axis the two ends matter, and of these the convex ones.
    """
    some = mask.any(axis=-1)
    points = []
    for way in (1, -1):
        ends = np.pad(
            np.where(some, mask[..., ::way].argmax(axis=-1), np.inf), 1, constant_values=np.inf
        )
        for axis in range(ends.ndim):  # a corner belongs to the voxels on both sides
            line = ends.swapaxes(axis, 0)
            ends = np.minimum(line[:-1], line[1:]).swapaxes(axis, 0)
        corners = np.isfinite(ends)
        for axis in range(ends.ndim):
            line = ends.swapaxes(axis, 0)
            corners.swapaxes(axis, 0)[1:-1] &= line[:-2] + line[2:] > 2 * line[1:-1]
        place = ends[corners] if way > 0 else mask.shape[-1] - ends[corners]
        points.append(np.column_stack([np.argwhere(corners), place]))
    return float(scipy.spatial.ConvexHull(np.concatenate(points)).volume)
