"""Compiled loops of `voronoi`; float32 sums in one order: a voxel has one owner in any block."""

import numpy as np

from cytosuite.bodies._kernels import compiled
from cytosuite.volume.arrays import ZYX, Bools, Floats, Ints, Shorts

BLOCK = (8, 8, 32)  # voxels that share a list of candidates
MARGIN = np.float32(1.0001)  # of the rounding of squares


@compiled
def assign(
    centres: Floats,
    weights: Floats,
    z: Floats,
    y: Floats,
    x: Floats,
    shrink: Floats,
    inside: Bools,
    labels: Shorts,
) -> None:
    """Write the number + 1 of the nearest centre (µm) in each voxel inside; 0 stays outside."""
    near = np.empty(len(centres), np.int32)
    floors = np.empty(len(centres), np.float32)
    best, owner = np.empty(BLOCK[2], np.float32), np.empty(BLOCK[2], np.int32)
    for z0 in range(0, len(z), BLOCK[0]):
        for y0 in range(0, len(y), BLOCK[1]):
            zs, ys, rows = z[z0 : z0 + BLOCK[0]], y[y0 : y0 + BLOCK[1]], shrink[y0 : y0 + BLOCK[1]]
            for x0 in range(0, len(x), BLOCK[2]):
                xs = x[x0 : x0 + BLOCK[2]]
                box = slice(z0, z0 + len(zs)), slice(y0, y0 + len(ys)), slice(x0, x0 + len(xs))
                part = inside[box]
                if not part.any():
                    continue
                count = _candidates(centres, weights, zs, ys, xs, rows, floors, near)
                out = labels[box]
                for a in range(len(zs)):
                    for b in range(len(ys)):
                        place = (zs[a], ys[b], rows[b])
                        _row(centres, weights, near[:count], place, xs, best, owner)
                        for c in range(len(xs)):
                            if part[a, b, c]:
                                out[a, b, c] = owner[c] + 1


@compiled
def _candidates(
    centres: Floats,
    weights: Floats,
    z: Floats,
    y: Floats,
    x: Floats,
    shrink: Floats,
    floors: Floats,
    near: Ints,
) -> int:
    """List the centres that may be the nearest of a voxel of a box."""
    most = np.float32(np.inf)
    narrow = wide = shrink[0]
    for factor in shrink:
        narrow, wide = min(narrow, factor), max(wide, factor)
    for i in range(len(centres)):
        low, high = np.float32(0), np.float32(0)
        for axis in range(3):
            ticks = z if axis == 0 else (y if axis == 1 else x)
            middle, half = (ticks[0] + ticks[-1]) / 2, (ticks[-1] - ticks[0]) / 2
            away = abs(centres[i, axis] - middle)
            close, far = max(away - half, np.float32(0)), away + half
            if axis == 2:
                close, far = close * narrow, far * wide
            low += close * close
            high += far * far
        square = weights[i] * weights[i]
        floors[i] = low * square
        most = min(most, high * square)
    count = 0
    for i in range(len(centres)):
        if floors[i] <= most * MARGIN:
            near[count] = i
            count += 1
    return count


@compiled
def _row(
    centres: Floats,
    weights: Floats,
    near: Ints,
    place: ZYX,
    x: Floats,
    best: Floats,
    owner: Ints,
) -> None:
    """Write the nearest centre of each voxel of a row, of equals the first."""
    z, y, shrink = place
    for j in range(len(x)):
        best[j], owner[j] = np.inf, -1
    for i in near:
        d0, d1, middle = z - centres[i, 0], y - centres[i, 1], centres[i, 2]
        square = weights[i] * weights[i]
        base, scale = (d0 * d0 + d1 * d1) * square, shrink * shrink * square
        for j in range(len(x)):
            d2 = x[j] - middle
            key = base + d2 * d2 * scale
            closer = key < best[j]
            best[j] = key if closer else best[j]
            owner[j] = i if closer else owner[j]
