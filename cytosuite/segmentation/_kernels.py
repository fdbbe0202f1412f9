"""Compiled loops over an image: Gaussians, distances, interpolation, curvature, pieces.

They give SciPy's bits in a fifth of its time (`performance/filters.py`): whole rows are summed
at once, and a few columns at a time are copied to where they stay in the cache. Arrays are copied
value by value: numba takes a second to compile each other way.
"""

import numpy as np

from cytosuite.networks.kernels import compiled
from cytosuite.volume.arrays import Bools, Doubles, Floats, Labels, Longs

_WIDE = 1 << 17  # values of the columns that are worked on together


@compiled("int64(int64, int64)")
def _mirrored(at: int, size: int) -> int:
    """Return a place in a line that is mirrored at its ends, which repeat."""
    while at < 0 or at >= size:
        at = -1 - at if at < 0 else 2 * size - 1 - at
    return at


@compiled("void(float64[::1], float32[:, :, ::1], int64, int64)")
def blur(taps: Doubles, image: Floats, first: int, stop: int) -> None:
    """Convolve the columns `first` to `stop` of (K, N, M) along N, in place; taps from the middle.

    Sums are float64, from the outermost pair of taps inwards, as SciPy's.
    """
    size = image.shape[1]
    half = len(taps) - 1
    width = min(max(_WIDE // size, 16), stop - first)
    lines = np.empty((size, width), np.float32)
    total = np.empty(width)
    for k in range(image.shape[0]):
        for left in range(first, stop, width):
            many = min(width, stop - left)
            for y in range(size):
                line = lines[y]
                row = image[k, y, left : left + many]
                for x in range(len(row)):
                    line[x] = row[x]
            for y in range(size):
                tap, line, row = taps[0], lines[y], image[k, y, left : left + many]
                for x in range(len(row)):
                    total[x] = line[x] * tap
                for n in range(half, 0, -1):
                    tap = taps[n]
                    low = lines[_mirrored(y - n, size)]
                    high = lines[_mirrored(y + n, size)]
                    for x in range(len(row)):
                        total[x] += (np.float64(low[x]) + np.float64(high[x])) * tap
                for x in range(len(row)):
                    row[x] = total[x]


@compiled("void(float64[::1], float32[:, ::1])")
def blur_rows(taps: Doubles, image: Floats) -> None:
    """Convolve the rows of (N, M) along M in place, as `blur`."""
    size = image.shape[1]
    half = len(taps) - 1
    line = np.empty(size + 2 * half)
    total = np.empty(size)
    for y in range(image.shape[0]):
        for x in range(-half, 0):
            line[x + half] = image[y, _mirrored(x, size)]
        for x in range(size):
            line[x + half] = image[y, x]
            total[x] = line[x + half] * taps[0]
        for x in range(size, size + half):
            line[x + half] = image[y, _mirrored(x, size)]
        for n in range(half, 0, -1):
            tap, low, high = taps[n], line[half - n :], line[half + n :]
            for x in range(size):
                total[x] += (low[x] + high[x]) * tap
        for x in range(size):
            image[y, x] = total[x]


@compiled("void(boolean[:, ::1], float32, boolean, float32[:, ::1], int32[:, ::1])")
def away_in_rows(mask: Bools, step: np.float32, labelled: bool, out: Floats, owner: Labels) -> None:
    """Write the squared distance to the nearest voxel outside of a mask (N, M) in its row.

    If `labelled`, voxels of the mask get the label of that voxel as their owner.
    """
    for y in range(mask.shape[0]):
        away = np.float32(np.inf)
        for x in range(mask.shape[1]):
            away = away + np.float32(1) if mask[y, x] else np.float32(0)
            out[y, x] = away
            if labelled and mask[y, x] and x:
                owner[y, x] = owner[y, x - 1]
        away = np.float32(np.inf)
        for x in range(mask.shape[1] - 1, -1, -1):
            away = away + np.float32(1) if mask[y, x] else np.float32(0)
            if labelled and away < out[y, x]:
                owner[y, x] = owner[y, x + 1]
            length = min(out[y, x], away) * step
            out[y, x] = length * length


@compiled("void(float32, boolean, float32[:, :, ::1], int32[:, :, ::1], int64, int64)")
def away(
    square: np.float32, labelled: bool, image: Floats, owner: Labels, first: int, stop: int
) -> None:
    """Give the columns `first` to `stop` of squared distances (K, N, M) those along N as well.

    `square` is that of the voxel's length; no column looks further than its largest distance.
    """
    size = image.shape[1]
    width = min(64, stop - first)
    lines = np.empty((size, width), np.float32)
    best = np.empty(width, np.float32)
    names = np.empty((size, width), np.int32)
    label = np.empty(width, np.int32)
    for k in range(image.shape[0]):
        for left in range(first, stop, width):
            many = min(width, stop - left)
            some = many * labelled
            for y in range(size):
                line = lines[y]
                row = image[k, y, left : left + many]
                for x in range(len(row)):
                    line[x] = row[x]
                for x in range(some):
                    names[y, x] = owner[k, y, left + x]
            for y in range(size):
                row = image[k, y, left : left + many]
                for x in range(many):
                    best[x] = lines[y, x]
                for x in range(some):
                    label[x] = names[y, x]
                for n in range(1, max(y, size - 1 - y) + 1):
                    more = square * np.float32(n * n)
                    most = np.float32(0)
                    for x in range(many):
                        most = max(most, best[x])
                    if more >= most:
                        break
                    for z in (y - n, y + n):
                        if 0 <= z < size:
                            other = lines[z]
                            others = names[z]
                            for x in range(some):
                                label[x] = others[x] if other[x] + more < best[x] else label[x]
                            for x in range(len(row)):
                                best[x] = min(best[x], other[x] + more)
                for x in range(len(row)):
                    row[x] = best[x]
                for x in range(some):
                    owner[k, y, left + x] = label[x]


@compiled("void(int64[::1], float32[::1], float32[:, ::1], float32[:, ::1])")
def stretch(low: Longs, weight: Floats, image: Floats, out: Floats) -> None:
    """Write rows (N, M) between the values (N, m) at `low` and after it, by the latter's weight."""
    last = image.shape[1] - 1
    for y in range(image.shape[0]):
        line = image[y]
        row = out[y]
        for x in range(len(row)):
            below = line[low[x]]
            row[x] = below + weight[x] * (line[min(low[x] + 1, last)] - below)


@compiled("void(float32[::1], float32, float32[::1], float32[::1], float32[::1], boolean)")
def _subtract(
    total: Floats, factor: float, here: Floats, before: Floats, after: Floats, edge: bool
) -> None:
    """Subtract second differences times a factor; at an edge both neighbours are the one inside."""
    if edge:
        for x in range(len(total)):
            total[x] -= factor * (before[x] - here[x])
    else:
        for x in range(len(total)):
            total[x] -= factor * (after[x] + before[x] - np.float32(2) * here[x])


@compiled("void(float32[:, :, ::1], float32[::1], float32[:, :, ::1], int64, int64)")
def curvature(image: Floats, factors: Floats, out: Floats, first: int, stop: int) -> None:
    """Raise `out` (Z, Y, X) to the sums of negative second differences times factors, by axis."""
    nz, ny, nx = image.shape
    total = np.empty(nx, np.float32)
    for z in range(first, stop):
        for y in range(ny):
            here = image[z, y]
            row = out[z, y]
            for x in range(nx):
                total[x] = 0
            if nz > 1:
                low = abs(z - 1)
                high = z + 1 if z < nz - 1 else z - 1
                _subtract(total, factors[0], here, image[low, y], image[high, y], low == high)
            if ny > 1:
                low = abs(y - 1)
                high = y + 1 if y < ny - 1 else y - 1
                _subtract(total, factors[1], here, image[z, low], image[z, high], low == high)
            if nx > 1:
                _subtract(total[:1], factors[2], here[:1], here[1:2], here[1:2], True)
                _subtract(total[1:-1], factors[2], here[1:-1], here[:-2], here[2:], False)
                _subtract(total[-1:], factors[2], here[-1:], here[-2:-1], here[-2:-1], True)
            for x in range(len(row)):
                row[x] = max(row[x], total[x])


@compiled("int32(int32[::1], int32)")
def _root(parent: Labels, at: int) -> int:
    """Return the first voxel, from 1, of a growing piece, and shorten the way to it."""
    while parent[at - 1] != at:
        parent[at - 1] = parent[parent[at - 1] - 1]
        at = parent[at - 1]
    return at


@compiled("int64(int32[:, :, ::1], boolean, int32[::1])")
def pieces(labels: Labels, background: bool, out: Labels) -> int:
    """Write the face-connected pieces of labels, or of the background, from 1 by first voxels."""
    nz, ny, nx = labels.shape
    flat, row, plane = labels.ravel(), nx, ny * nx
    for z in range(nz):
        for y in range(ny):
            for x in range(nx):
                at = z * plane + y * row + x
                own = flat[at]
                if (own == 0) != background:
                    out[at] = 0
                    continue
                left = x > 0 and flat[at - 1] == own
                root = _root(out, out[at - 1]) if left else np.int32(at + 1)
                out[at] = root
                for inside, step in ((y > 0, row), (z > 0, plane)):
                    if not inside or flat[at - step] != own:
                        continue
                    if left and flat[at - step - 1] == own:
                        continue  # joined there
                    other = _root(out, out[at - step])
                    if other < root:
                        root, other = other, root
                    out[other - 1] = out[at] = root
    count = 0
    for at in range(len(out)):
        if out[at] == at + 1:
            count += 1
            out[at] = count
        elif out[at] > 0:
            out[at] = out[out[at] - 1]  # numbered already: the first voxel comes first
    return count
