"""Compiled loops of `sketch`: distances to other labels, borders and middles of objects.

Squared distances are exact: one-dimensional parabolas are joined along each axis in turn. Every
line is cut where its label changes; the voxel beyond a cut is a site at distance 0.

References
----------
Felzenszwalb and Huttenlocher, Distance transforms of sampled functions, Theory of Computing 8
(2012), doi:10.4086/toc.2012.v008a019; several labels in one pass as in Silversmith, edt (2018),
github.com/seung-lab/euclidean-distance-transform-3d.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from cytosuite.datasets.physics.nucleus_kernel import compiled

Numbers: TypeAlias = NDArray[np.unsignedinteger]
Floats: TypeAlias = NDArray[np.float32]
Doubles: TypeAlias = NDArray[np.float64]
Indices: TypeAlias = NDArray[np.int64]

LINES = 16  # read together: one line of the cache holds so many values


@compiled
def rows(labels: Numbers, step: float, out: Floats) -> None:
    """Write the squared distance (N, X) in µm² along x to the nearest other label; inf if none."""
    size = labels.shape[1]
    for row in range(labels.shape[0]):
        start = 0
        while start < size:
            stop = start + 1
            while stop < size and labels[row, stop] == labels[row, start]:
                stop += 1
            for i in range(start, stop):
                left = (i - start + 1) * step if start > 0 else np.inf
                right = (stop - i) * step if stop < size else np.inf
                near = min(left, right)
                out[row, i] = near * near
            start = stop


@compiled
def across(labels: Numbers, step: float, out: Floats) -> None:
    """Lower squared distances (A, N, B) in µm² to nearer places along the middle axis."""
    outer, size, inner = labels.shape
    squares, found = np.empty((LINES, size), np.float64), np.empty((LINES, size), labels.dtype)
    place, value = np.empty(size + 2, np.int64), np.empty(size + 2, np.float64)
    border, scale = np.empty(size + 2, np.float64), 1 / (step * step)
    for a in range(outer):
        for b in range(0, inner, LINES):
            count = min(LINES, inner - b)
            for i in range(size):
                for k in range(count):
                    squares[k, i] = out[a, i, b + k] * scale
                    found[k, i] = labels[a, i, b + k]
            for k in range(count):
                start = 0
                while start < size:
                    stop = start + 1
                    while stop < size and found[k, stop] == found[k, start]:
                        stop += 1
                    _envelope(squares[k], start, stop, place, value, border)
                    start = stop
            for i in range(size):
                for k in range(count):
                    out[a, i, b + k] = squares[k, i] * step * step


@compiled
def _envelope(
    squares: Doubles, start: int, stop: int, place: Indices, value: Doubles, border: Doubles
) -> None:
    """Lower the squares of a part of a line, in voxels², by the parabolas of its sites."""
    top, size = -1, len(squares)
    low, high = (start - 1 if start > 0 else 0), (stop + 1 if stop < size else size)
    for j in range(low, high):
        own = squares[j] if start <= j < stop else 0.0
        if own == np.inf:
            continue
        height = own + j * j
        cut = -np.inf
        while top >= 0:
            old = place[top]
            cut = (height - value[top] - old * old) / (2 * (j - old))
            if cut > border[top]:
                break
            top -= 1
        top += 1
        place[top], value[top] = j, own
        border[top] = cut if top > 0 else -np.inf
    if top < 0:
        return
    site = 0
    for i in range(start, stop):
        while site < top and border[site + 1] < i:
            site += 1
        away = i - place[site]
        squares[i] = value[site] + away * away


@compiled
def borders(labels: Numbers, distance: Floats, reach: float, out: NDArray[np.uint8]) -> None:
    """Mark voxels (Z, Y, X) within a reach of another label, or with a face to one."""
    planes, height, width = labels.shape
    for z in range(planes):
        for y in range(height):
            for x in range(width):
                own = labels[z, y, x]
                marked = abs(distance[z, y, x]) <= reach
                marked |= x > 0 and labels[z, y, x - 1] != own
                marked |= x + 1 < width and labels[z, y, x + 1] != own
                marked |= y > 0 and labels[z, y - 1, x] != own
                marked |= y + 1 < height and labels[z, y + 1, x] != own
                marked |= z > 0 and labels[z - 1, y, x] != own
                marked |= z + 1 < planes and labels[z + 1, y, x] != own
                out[z, y, x] = marked


@compiled
def add_places(labels: Numbers, first: int, totals: Doubles) -> None:
    """Add the places z, y, x of the voxels of a slab from plane `first`, and 1, to each object."""
    planes, height, width = labels.shape
    for z in range(planes):
        for y in range(height):
            for x in range(width):
                own = labels[z, y, x]
                if own > 0:
                    totals[own, 0] += first + z
                    totals[own, 1] += y
                    totals[own, 2] += x
                    totals[own, 3] += 1


@compiled
def middles(
    labels: Numbers,
    first: int,
    spacing: Doubles,
    centroids: Doubles,
    nearest: Doubles,
    places: Indices,
) -> None:
    """Note the voxel (N + 1, 3) of each object that is nearest to its centroid (N + 1, 3).

    `nearest` (N + 1,) is its squared distance in µm²; the slab begins with the plane `first`.
    """
    planes, height, width = labels.shape
    for z in range(planes):
        for y in range(height):
            for x in range(width):
                own = labels[z, y, x]
                if own > 0:
                    d0 = (first + z - centroids[own, 0]) * spacing[0]
                    d1 = (y - centroids[own, 1]) * spacing[1]
                    d2 = (x - centroids[own, 2]) * spacing[2]
                    away = d0 * d0 + d1 * d1 + d2 * d2
                    if away < nearest[own]:
                        nearest[own] = away
                        places[own, 0], places[own, 1], places[own, 2] = first + z, y, x
