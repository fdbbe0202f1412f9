"""Compiled search for the largest piece of each object, by runs of equal labels along rows."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cytosuite.datasets.physics.nucleus_kernel import compiled

Numbers: TypeAlias = NDArray[np.int64]
Labelled: TypeAlias = NDArray[np.unsignedinteger[Any]]


@compiled
def keep_largest(labels: Labelled, count: int, least: int, out: Labelled) -> Numbers:
    """Write the largest piece of each object (Z, Y, X), numbered without gaps.

    Parameters
    ----------
    labels, out : (Z, Y, X) unsigned integer arrays
        Objects 1 to `count`; the result, which may be the same array.
    count, least : int
        Objects of fewer voxels than `least` are left out. Of equal pieces the first is kept.

    Returns
    -------
    (M,) int64 array
        The old number of each object.
    """
    first, begin = _runs(labels)
    width, height, rows = labels.shape[2], labels.shape[1], len(first) - 1
    flat = labels.reshape(rows, width)
    parent = np.arange(len(begin) - 1)
    for row in range(rows):
        if row % height:
            _join(flat, first, begin, parent, row - 1, row)
        if row >= height:
            _join(flat, first, begin, parent, row - height, row)
    sizes, largest = np.zeros(len(parent), np.int64), np.full(count + 1, -1, np.int64)
    for row in range(rows):
        for run in range(first[row], first[row + 1]):
            stop = begin[run + 1] if run + 1 < first[row + 1] else width
            sizes[_root(parent, run)] += stop - begin[run]
    for row in range(rows):
        for run in range(first[row], first[row + 1]):
            own = flat[row, begin[run]]
            if parent[run] == run and (largest[own] < 0 or sizes[run] > sizes[largest[own]]):
                largest[own] = run
    numbers, kept = np.zeros(len(parent), np.int64), 0
    result = np.zeros(count, np.int64)
    for own in range(1, count + 1):
        if largest[own] >= 0 and sizes[largest[own]] >= least:
            result[kept] = own
            kept += 1
            numbers[largest[own]] = kept
    written = out.reshape(rows, width)
    for row in range(rows):
        for run in range(first[row], first[row + 1]):
            stop = begin[run + 1] if run + 1 < first[row + 1] else width
            written[row, begin[run] : stop] = numbers[_root(parent, run)]
    return result[:kept]


@compiled
def _runs(labels: Labelled) -> tuple[Numbers, Numbers]:
    """Return the first run of each row, and of one more, and the first voxel of each run."""
    planes, height, width = labels.shape
    flat = labels.reshape(planes * height, width)
    first = np.zeros(planes * height + 1, np.int64)
    for row in range(len(flat)):
        changes = 1
        for x in range(1, width):
            changes += flat[row, x] != flat[row, x - 1]
        first[row + 1] = first[row] + changes
    begin = np.zeros(first[-1] + 1, np.int64)
    for row in range(len(flat)):
        run = first[row]
        for x in range(1, width):
            if flat[row, x] != flat[row, x - 1]:
                run += 1
                begin[run] = x
    return first, begin


@compiled
def _join(
    flat: Labelled, first: Numbers, begin: Numbers, parent: Numbers, before: int, row: int
) -> None:
    """Join the runs of two rows that touch and have the same label."""
    i, j, width = first[before], first[row], flat.shape[1]
    while i < first[before + 1] and j < first[row + 1]:
        if flat[before, begin[i]] == flat[row, begin[j]]:
            a, b = _root(parent, i), _root(parent, j)
            parent[max(a, b)] = min(a, b)
        end_i = begin[i + 1] if i + 1 < first[before + 1] else width
        end_j = begin[j + 1] if j + 1 < first[row + 1] else width
        i, j = i + (end_i <= end_j), j + (end_j <= end_i)


@compiled
def _root(parent: Numbers, run: int) -> int:
    """Return the first run of a piece."""
    while parent[run] != run:
        parent[run] = parent[parent[run]]
        run = parent[run]
    return run


@compiled
def widen_boxes(labels: Labelled, plane: int, boxes: Numbers) -> None:
    """Widen the boxes (N + 1, 2, 3), first voxel and end, to the objects of a slab from a plane."""
    planes, height, width = labels.shape
    for z in range(planes):
        for y in range(height):
            x = 0
            while x < width:
                own, first = labels[z, y, x], x
                while x < width and labels[z, y, x] == own:
                    x += 1
                if own > 0:
                    low, high = boxes[own, 0], boxes[own, 1]
                    low[0], high[0] = min(low[0], plane + z), max(high[0], plane + z + 1)
                    low[1], high[1] = min(low[1], y), max(high[1], y + 1)
                    low[2], high[2] = min(low[2], first), max(high[2], x)
