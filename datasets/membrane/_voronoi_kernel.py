"""Compiled loops of Voronoi cells; float32 sums in one order: any block gives the same owners."""

import numpy as np

from cytosuite.bodies._kernels import compiled
from cytosuite.volume.arrays import ZYX, Bools, Floats, Ints, Shorts

BLOCK = (8, 8, 32)  # voxels that share a list of candidates
MARGIN = np.float32(1.0001)  # of the rounding of squares


@compiled
def assign(
    centres: Floats,
    squares: Floats,
    positions: tuple[Floats, Floats, Floats],
    shrink: Floats,
    inside: Bools,
    labels: Shorts,
) -> None:
    """Write the number + 1 of the nearest centre (µm) in each voxel inside; 0 stays outside.

    `squares` of the centres' weights multiply squared distances.
    """
    z, y, x = positions
    near = np.empty(len(centres), np.int32)
    floors = np.empty(len(centres), np.float32)
    best = np.empty(BLOCK[2], np.float32)
    owner = np.empty(BLOCK[2], np.int32)
    for z0 in range(0, len(z), BLOCK[0]):
        for y0 in range(0, len(y), BLOCK[1]):
            for x0 in range(0, len(x), BLOCK[2]):
                box = slice(z0, z0 + BLOCK[0]), slice(y0, y0 + BLOCK[1]), slice(x0, x0 + BLOCK[2])
                part = inside[box]
                out = labels[box]
                if not part.any():
                    continue
                ticks = (z[box[0]], y[box[1]], x[box[2]])
                rows = shrink[box[1]]
                count = _candidates(centres, squares, ticks, rows, floors, near)
                for a in range(part.shape[0]):
                    for b in range(part.shape[1]):
                        place = (ticks[0][a], ticks[1][b], rows[b])
                        _row(centres, squares, near[:count], place, ticks[2], best, owner)
                        for c in range(part.shape[2]):
                            if part[a, b, c]:
                                out[a, b, c] = owner[c] + 1


@compiled
def _candidates(
    centres: Floats,
    squares: Floats,
    ticks: tuple[Floats, Floats, Floats],
    shrink: Floats,
    floors: Floats,
    near: Ints,
) -> int:
    """List the centres that may be the nearest of a voxel of a box."""
    most, narrow, wide = np.float32(np.inf), shrink.min(), shrink.max()
    for i in range(len(centres)):
        low = np.float32(0)
        high = np.float32(0)
        for axis in range(3):
            first = ticks[axis][0]
            last = ticks[axis][-1]
            away = abs(centres[i, axis] - (first + last) / 2)
            half = (last - first) / 2
            close = max(away - half, np.float32(0))
            far = away + half
            if axis == 2:
                close = close * narrow
                far = far * wide
            low += close * close
            high += far * far
        floors[i] = low * squares[i]
        most = min(most, high * squares[i])
    count = 0
    for i in range(len(centres)):
        if floors[i] <= most * MARGIN:
            near[count] = i
            count += 1
    return count


@compiled
def _row(
    centres: Floats,
    squares: Floats,
    near: Ints,
    place: ZYX,
    x: Floats,
    best: Floats,
    owner: Ints,
) -> None:
    """Write the nearest centre of each voxel of a row, of equals the first."""
    z, y, shrink = place
    best[:], owner[:] = np.inf, -1
    for i in near:
        d0, d1, middle = z - centres[i, 0], y - centres[i, 1], centres[i, 2]
        base = (d0 * d0 + d1 * d1) * squares[i]
        scale = shrink * shrink * squares[i]
        for j in range(len(x)):
            d2 = x[j] - middle
            key = base + d2 * d2 * scale
            closer = key < best[j]
            best[j] = key if closer else best[j]
            owner[j] = i if closer else owner[j]
