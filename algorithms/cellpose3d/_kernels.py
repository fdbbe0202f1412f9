"""Compiled loops of inference; no sum is reordered: the same bits on every machine."""

from typing import cast

import numpy as np

from cytosuite.networks.kernels import compiled
from cytosuite.volume.arrays import Bools, Doubles, Floats, Longs, Words

# Numbers of numpy, as Python's would turn every sum into float64.
ZERO, HALF = (cast("float", np.float32(n)) for n in (0, 0.5))
NONE, ONE = np.uint64(0), np.uint64(1)  # an index without a sign needs no check


@compiled("void(float32[::1], float32[::1], float32)")
def _add(total: Floats, row: Floats, weight: float) -> None:
    """Add a weighted row: on whole rows the compiler uses vectors."""
    for x in range(len(total)):
        total[x] += weight * row[x]


@compiled("void(float32[::1], float32[::1], boolean[::1], float32)")
def _add_within(total: Floats, row: Floats, mask: Bools, weight: float) -> None:
    """Add a weighted row where a mask holds."""
    for x in range(len(total)):
        total[x] += weight * row[x] if mask[x] else ZERO


@compiled(
    "void(float32[:, :, ::1], boolean[:, :, ::1], boolean[:, ::1], boolean[:, ::1], int64, "
    "float32[:, ::1], float32[:, ::1], float32[::1], float32[::1], float32[::1])"
)
def _plane(
    values: Floats,
    mask: Bools,
    along_z: Bools,
    reached: Bools,
    z: int,
    spare: Floats,
    out: Floats,
    kz: Floats,
    ky: Floats,
    kx: Floats,
) -> None:
    """Write plane z of values, or one for all, in a mask, convolved, where `reached` holds."""
    nz, ny, nx = mask.shape
    rz, ry, rx = len(kz) // 2, len(ky) // 2, len(kx) // 2
    for y in range(ny):
        if along_z[z, y]:
            out[y] = ZERO
            for source in range(max(z - rz, 0), min(z + rz + 1, nz)):
                row = values[source % len(values), y]
                _add_within(out[y], row, mask[source, y], kz[source - z + rz])
    for y in range(ny):
        if reached[z, y]:
            spare[y] = ZERO
            for source in range(max(y - ry, 0), min(y + ry + 1, ny)):
                if along_z[z, source]:
                    _add(spare[y], out[source], ky[source - y + ry])
    for y in range(ny):
        if reached[z, y]:
            out[y] = ZERO
            for k in range(-rx, rx + 1):
                low = max(-k, 0)
                high = max(min(nx - k, nx), 0)
                if low < high:
                    _add(out[y, low:high], spare[y, low + k : high + k], kx[k + rx])


@compiled(
    "void(float32[:, :, ::1], boolean[:, :, ::1], boolean[:, ::1], boolean[:, ::1], int64, "
    "int64, float32[:, :, ::1], float32[::1], float32[::1], float32[::1])"
)
def blur(
    values: Floats,
    mask: Bools,
    along_z: Bools,
    reached: Bools,
    first: int,
    stop: int,
    out: Floats,
    kz: Floats,
    ky: Floats,
    kx: Floats,
) -> None:
    """Convolve planes `first` to `stop` of values in a mask (Z, Y, X) by symmetric taps.

    Rows (Z, Y) that taps bring some of the mask to are `along_z`, and `reached` along y, too; the
    others, and voxels beyond the image, count as 0.
    """
    spare = np.empty(mask.shape[1:], np.float32)
    for z in range(first, stop):
        _plane(values, mask, along_z, reached, z, spare, out[z], kz, ky, kx)


@compiled(
    "void(float32[:, :, :, ::1], boolean[:, :, ::1], boolean[:, ::1], boolean[:, ::1], "
    "int64, int64, float32, float32[:, :, :, ::1], float32[::1], float32[::1], float32[::1])"
)
def smooth(
    flow: Floats,
    mask: Bools,
    along_z: Bools,
    reached: Bools,
    first: int,
    stop: int,
    least: float,
    out: Floats,
    kz: Floats,
    ky: Floats,
    kx: Floats,
) -> None:
    """Write planes of the flow's (C, Z, Y, X) mean in a mask, see `blur`; 0 below a weight."""
    spare = np.empty(mask.shape[1:], np.float32)
    total = np.empty_like(spare)
    ones = np.ones((1, *mask.shape[1:]), np.float32)
    for z in range(first, stop):
        _plane(ones, mask, along_z, reached, z, spare, total, kz, ky, kx)
        for c in range(len(flow)):
            mean = out[c, z]
            _plane(flow[c], mask, along_z, reached, z, spare, mean, kz, ky, kx)
            for y in range(mask.shape[1]):
                if reached[z, y]:
                    for x in range(mask.shape[2]):
                        weight = total[y, x]
                        mean[y, x] = mean[y, x] / weight if weight >= least else ZERO


@compiled("float32[:, ::1](boolean[:, :, ::1])")
def voxels(mask: Bools) -> Floats:
    """Return the places (N, 3) of the voxels of a mask, in the order of the memory."""
    places = np.empty((np.count_nonzero(mask), 3), np.float32)
    n = 0
    for z in range(mask.shape[0]):
        for y in range(mask.shape[1]):
            for x in range(mask.shape[2]):
                if mask[z, y, x]:
                    places[n, 0], places[n, 1], places[n, 2] = z, y, x
                    n += 1
    return places


@compiled("float32(float32[::1], uint64, uint64, uint64, float32, float32)")
def _between(
    values: Floats, at: np.uint64, right: np.uint64, down: np.uint64, wy: float, wx: float
) -> float:
    """Return the value between four of a plane: `at`, `right` along x, `down` along y, and both."""
    upper = values[at]
    lower = values[down]
    upper += wx * (values[right] - upper)
    lower += wx * (values[down + right - at] - lower)
    result: float = upper + wy * (lower - upper)
    return result


@compiled(
    "void(float32[:, :, :, ::1], boolean[:, :, ::1], float32[:, ::1], int64, float32, float32)"
)
def track(
    flow: Floats, domain: Bools, points: Floats, steps: int, step: float, tolerance: float
) -> None:
    """Move points (N, 3) along the flow (3, Z, Y, X), in voxels per step, sliding along borders."""
    nz, ny, nx = domain.shape
    top_z, top_y, top_x = np.float32(nz - 1), np.float32(ny - 1), np.float32(nx - 1)
    width = np.uint64(nx)
    plane = np.uint64(ny * nx)
    flows = flow.reshape(3, -1)
    away = np.zeros(3, np.float32)
    for n in range(len(points)):
        pz, py, px = points[n, 0], points[n, 1], points[n, 2]
        for _ in range(steps):
            z, y, x = np.uint64(pz), np.uint64(py), np.uint64(px)
            wz, wy, wx = pz - np.float32(z), py - np.float32(y), px - np.float32(x)
            at = z * plane + y * width + x
            right = at + ONE if px < top_x else at
            down = at + width if py < top_y else at
            deep = plane if pz < top_z else NONE
            for c in range(3):
                upper = _between(flows[c], at, right, down, wy, wx)
                lower = _between(flows[c], at + deep, right + deep, down + deep, wy, wx)
                away[c] = step * (upper + wz * (lower - upper))
            qz = min(max(pz + away[0], ZERO), top_z)
            qy = min(max(py + away[1], ZERO), top_y)
            qx = min(max(px + away[2], ZERO), top_x)
            z, y, x = np.uint64(qz + HALF), np.uint64(qy + HALF), np.uint64(qx + HALF)
            if not domain[z, y, x]:
                z1, y1, x1 = np.uint64(pz + HALF), np.uint64(py + HALF), np.uint64(px + HALF)
                if not domain[z, y1, x1]:
                    z = z1
                    qz = pz
                if not domain[z, y, x1]:
                    y = y1
                    qy = py
                if not domain[z, y, x]:
                    qx = px
            moved = max(abs(qz - pz), abs(qy - py), abs(qx - px))
            pz, py, px = qz, qy, qx
            if moved < tolerance:
                break
        points[n, 0], points[n, 1], points[n, 2] = pz, py, px


@compiled("void(float32[:, :, ::1], boolean[:, ::1], float32[:, ::1], int64, float32, float32)")
def settle(
    flow: Floats, domain: Bools, points: Floats, steps: int, step: float, tolerance: float
) -> None:
    """Move points (N, 3) of a plane along the flow (2, Y, X) as `track` does, ten times faster.

    A point that after a step comes into half a pixel on another's way to its rest ends there, too,
    where both ways together are no longer than `steps`.
    """
    ny, nx = domain.shape
    top_y, top_x, width = np.float32(ny - 1), np.float32(nx - 1), np.uint64(nx)
    flow_y = flow[0].ravel()
    flow_x = flow[1].ravel()
    seen = np.zeros(4 * ny * nx, np.uint32)  # by half pixels, the number of a point, from 1
    path = np.empty(steps, np.uint64)
    ways = np.empty(len(points), np.int64)
    for n in range(len(points)):
        py = points[n, 1]
        px = points[n, 2]
        end = np.uint32(n + 1)
        taken = 0
        while taken < steps:
            half = np.uint64(py + py + HALF) * (width + width) + np.uint64(px + px + HALF)
            if taken > 0 and seen[half] > 0 and taken + ways[seen[half] - 1] <= steps:
                end = seen[half]
                py = points[end - 1, 1]
                px = points[end - 1, 2]
                break
            path[taken] = half
            taken += 1
            y = np.uint64(py)
            x = np.uint64(px)
            wy = py - np.float32(y)
            wx = px - np.float32(x)
            at = y * width + x
            right = at + ONE if px < top_x else at
            down = at + width if py < top_y else at
            move_y = step * _between(flow_y, at, right, down, wy, wx)
            move_x = step * _between(flow_x, at, right, down, wy, wx)
            qy = min(max(py + move_y, ZERO), top_y)
            qx = min(max(px + move_x, ZERO), top_x)
            y = np.uint64(qy + HALF)
            x = np.uint64(qx + HALF)
            if not domain[y, x]:
                y1 = np.uint64(py + HALF)
                if not domain[y, np.uint64(px + HALF)]:
                    y = y1
                    qy = py
                if not domain[y, x]:
                    qx = px
            moved = max(abs(qy - py), abs(qx - px))
            py = qy
            px = qx
            if moved < tolerance:
                break
        if taken < steps:  # else it does not rest
            seen[path[:taken]] = end
        points[n, 1], points[n, 2], ways[n] = py, px, taken


@compiled("int64[::1](float32[:, ::1], float32[:, :, ::1])")
def land(ends: Floats, density: Floats) -> Longs:
    """Count the ends (N, 3) in their nearest voxels of `density`; return these, in memory."""
    flat = np.empty(len(ends), np.int64)
    for n in range(len(ends)):
        z = np.int64(np.rint(ends[n, 0]))
        y = np.int64(np.rint(ends[n, 1]))
        x = np.int64(np.rint(ends[n, 2]))
        density[z, y, x] += np.float32(1)
        flat[n] = (z * density.shape[1] + y) * density.shape[2] + x
    return flat


@compiled(
    "Tuple((float64[:, ::1], int64[:, ::1], int64[:, ::1]))(boolean[:, :, ::1], int64[::1], int64)"
)
def extents(mask: Bools, number: Longs, count: int) -> tuple[Doubles, Longs, Longs]:
    """Return sum, least and largest of the voxels (N,) of objects 0..n-1 in a mask, each (3, n)."""
    sums = np.zeros((3, count))
    high = np.zeros((3, count), np.int64)
    low = np.full((3, count), max(mask.shape), np.int64)
    n = 0
    for z in range(mask.shape[0]):
        for y in range(mask.shape[1]):
            for x in range(mask.shape[2]):
                if mask[z, y, x]:
                    for axis, place in enumerate((z, y, x)):
                        sums[axis, number[n]] += place
                        low[axis, number[n]] = min(low[axis, number[n]], place)
                        high[axis, number[n]] = max(high[axis, number[n]], place)
                    n += 1
    return sums, low, high


@compiled("float32[::1](boolean[:, :, ::1], int64[::1], float32[::1], float32[::1], int64)")
def reaches(mask: Bools, number: Longs, centres: Floats, scale: Floats, axis: int) -> Floats:
    """Return the way along an axis of each voxel (N,) in a mask to its object's centre, scaled."""
    result = np.empty(len(number), np.float32)
    n = 0
    for z in range(mask.shape[0]):
        for y in range(mask.shape[1]):
            for x in range(mask.shape[2]):
                if mask[z, y, x]:
                    place = np.float32((z, y, x)[axis])
                    result[n] = (centres[number[n]] - place) * scale[number[n]]
                    n += 1
    return result


@compiled("int64(float32[:, :, ::1], int64, int64[::1], float64[::1], float64)")
def _top(
    density: Floats,
    at: int,
    reach: Longs,
    spacing: Doubles,
    distance: float,
) -> int:
    """Return the densest voxel within a distance; of equal ones the first in memory."""
    nz, ny, nx = density.shape
    z = at // (ny * nx)
    rest = at % (ny * nx)
    y = rest // nx
    x = rest % nx
    best = at
    height = density[z, y, x]
    for i in range(max(z - reach[0], 0), min(z + reach[0] + 1, nz)):
        dz = (i - z) * spacing[0]
        for j in range(max(y - reach[1], 0), min(y + reach[1] + 1, ny)):
            dy = (j - y) * spacing[1]
            for k in range(max(x - reach[2], 0), min(x + reach[2] + 1, nx)):
                value = density[i, j, k]
                if value < height:
                    continue
                dx = (k - x) * spacing[2]
                place = (i * ny + j) * nx + k
                if (value > height or place < best) and dz * dz + dy * dy + dx * dx <= distance:
                    best = place
                    height = value
    return best


@compiled("int64(float32[:, :, ::1], int64[::1], int64[::1], float64[::1], float64, uint32[::1])")
def climb(
    density: Floats,
    starts: Longs,
    reach: Longs,
    spacing: Doubles,
    distance: float,
    basins: Words,
) -> int:
    """Write the peak, from 1, that each start (N,) leads to, over densest neighbours, in `basins`.

    Return their number; a peak gives way to a higher one within a distance² in µm², `reach` voxels.
    """
    count = np.uint32(0)
    touching = np.ones(3, np.int64)
    units = np.ones(3)
    for start in starts:
        at = start
        while basins[at] == 0:
            up = _top(density, at, touching, units, 3.0)
            if up == at:
                up = _top(density, at, reach, spacing, distance)
            if up == at:
                count += np.uint32(1)
                basins[at] = count
            at = up
        number = basins[at]
        at = start
        while basins[at] == 0:
            basins[at] = number
            up = _top(density, at, touching, units, 3.0)
            if up == at:
                up = _top(density, at, reach, spacing, distance)
            at = up
    return int(count)
