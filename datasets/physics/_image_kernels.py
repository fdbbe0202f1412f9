"""Compiled loops over images: exact distances between labels, scipy's Gaussian along z.

Felzenszwalb and Huttenlocher (2012), doi:10.4086/toc.2012.v008a019; several labels in one pass as
in Silversmith, edt (2018), github.com/seung-lab/euclidean-distance-transform-3d.
"""

import numpy as np

from cytosuite.bodies._kernels import compiled
from cytosuite.volume.arrays import Doubles, Floats, Longs, Unsigned

Labelled = Unsigned

LINES = 16  # read together: one line of the cache holds so many values


@compiled
def rows(labels: Labelled, step: float, out: Floats) -> None:
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
                near = min(left, (stop - i) * step if stop < size else np.inf)
                out[row, i] = near * near
            start = stop


@compiled
def across(labels: Labelled, step: float, out: Floats) -> None:
    """Lower squared distances (A, N, B) in µm² to nearer places along the middle axis."""
    outer, size, inner = labels.shape
    squares = np.empty((LINES, size), np.float64)
    numbers = np.empty((LINES, size), labels.dtype)
    place = np.empty(size + 2, np.int64)
    value = np.empty(size + 2, np.float64)
    border = np.empty(size + 2, np.float64)
    scale = 1 / (step * step)
    for a in range(outer):
        for b in range(0, inner, LINES):
            count = min(LINES, inner - b)
            for i in range(size):
                for k in range(count):
                    squares[k, i] = out[a, i, b + k] * scale
                    numbers[k, i] = labels[a, i, b + k]
            for k in range(count):
                start = 0
                while start < size:
                    stop = start + 1
                    while stop < size and numbers[k, stop] == numbers[k, start]:
                        stop += 1
                    _envelope(squares[k], start, stop, place, value, border)
                    start = stop
            for i in range(size):
                for k in range(count):
                    out[a, i, b + k] = squares[k, i] * step * step


@compiled
def _envelope(
    squares: Doubles, start: int, stop: int, place: Longs, value: Doubles, border: Doubles
) -> None:
    """Lower the squares of a part of a line, in voxels², by the parabolas of its sites."""
    top = -1
    size = len(squares)
    low = start - 1 if start > 0 else 0
    for j in range(low, stop + 1 if stop < size else size):
        square = squares[j] if start <= j < stop else 0.0
        if square == np.inf:
            continue
        height = square + j * j
        cut = -np.inf
        while top >= 0:
            old = place[top]
            cut = (height - value[top] - old * old) / (2 * (j - old))
            if cut > border[top]:
                break
            top -= 1
        top += 1
        place[top], value[top] = j, square
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
def middles(
    labels: Labelled,
    first: int,
    spacing: Doubles,
    centroids: Doubles,
    nearest: Doubles,
    places: Longs,
) -> None:
    """Note the voxel (N + 1, 3) of each object that is nearest to its centroid (N + 1, 3)."""
    planes, height, width = labels.shape
    for z in range(planes):
        for y in range(height):
            for x in range(width):
                label = labels[z, y, x]
                if label > 0:
                    d0 = (first + z - centroids[label, 0]) * spacing[0]
                    d1 = (y - centroids[label, 1]) * spacing[1]
                    d2 = (x - centroids[label, 2]) * spacing[2]
                    away = d0 * d0 + d1 * d1 + d2 * d2
                    if away < nearest[label]:
                        nearest[label] = away
                        places[label, 0], places[label, 1], places[label, 2] = first + z, y, x


@compiled
def along_planes(image: Floats, weights: Doubles, out: Floats) -> None:
    """Write weighted sums (n, Y, X) over planes (n + 2 r, Y, X), farthest first, as scipy does."""
    reach, (planes, height, width) = len(weights) - 1, out.shape
    total = np.empty(width, np.float64)
    for z in range(planes):
        for y in range(height):
            middle = image[z + reach, y]
            row = out[z, y]
            for x in range(width):
                total[x] = np.float64(middle[x]) * weights[0]
            for away in range(reach, 0, -1):
                before = image[z + reach - away, y]
                after = image[z + reach + away, y]
                weight = weights[away]
                for x in range(width):
                    total[x] += (np.float64(before[x]) + np.float64(after[x])) * weight
            for x in range(width):
                row[x] = np.float32(total[x])
