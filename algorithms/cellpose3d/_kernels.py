"""Compiled loops of inference; no sum is reordered: the same bits on every machine."""

from pathlib import Path
from typing import TypeAlias, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cytosuite.networks.kernels import FOLDER, use

use(Path(__file__).with_name(FOLDER))

Floats: TypeAlias = NDArray[np.float32]
Bools: TypeAlias = NDArray[np.bool_]

# Numbers of numpy, as Python's would turn every sum into float64.
ZERO, HALF = (cast("float", np.float32(n)) for n in (0, 0.5))

_BLUR = (
    "void(float32[:, :, ::1], boolean[:, ::1], float32[:, :, ::1], float32[:, :, ::1], "
    "float32[::1], float32[::1], float32[::1])"
)
_TRACK = "void(float32[:, :, :, ::1], boolean[:, :, ::1], float32[:, ::1], int64, float32, float32)"
_TOP = "int64(float32[:, :, ::1], int64, int64[::1], float64[::1], float64)"
_CLIMB = "int64(float32[:, :, ::1], int64[::1], int64[::1], float64[::1], float64, uint32[::1])"


@njit("boolean[:, ::1](boolean[:, ::1], int64, int64)", cache=True, nogil=True)
def _reached(rows: Bools, along_z: int, along_y: int) -> Bools:
    """Return the rows (Z, Y) within a distance of those that hold something."""
    reached = np.zeros_like(rows)
    for z in range(rows.shape[0]):
        for y in range(rows.shape[1]):
            if rows[z, y]:
                reached[
                    max(z - along_z, 0) : z + along_z + 1, max(y - along_y, 0) : y + along_y + 1
                ] = True
    return reached


@njit(_BLUR, cache=True, nogil=True)
def blur(
    values: Floats, rows: Bools, spare: Floats, out: Floats, kz: Floats, ky: Floats, kx: Floats
) -> None:
    """Convolve (Z, Y, X) by symmetric taps into `out`, 0 beyond it, without empty rows."""
    nz, ny, nx = values.shape
    rz, ry, rx = len(kz) // 2, len(ky) // 2, len(kx) // 2
    along_z = _reached(rows, rz, 0)
    for z in range(nz):
        for y in range(ny):
            if along_z[z, y]:
                out[z, y] = ZERO
        for source in range(max(z - rz, 0), min(z + rz + 1, nz)):
            for y in range(ny):
                if rows[source, y]:
                    for x in range(nx):
                        out[z, y, x] += kz[source - z + rz] * values[source, y, x]
    reached = _reached(along_z, 0, ry)
    for z in range(nz):
        for y in range(ny):
            if reached[z, y]:
                spare[z, y] = ZERO
            for source in range(max(y - ry, 0), min(y + ry + 1, ny)):
                if along_z[z, source]:
                    for x in range(nx):
                        spare[z, y, x] += ky[source - y + ry] * out[z, source, x]
    for z in range(nz):
        for y in range(ny):
            if reached[z, y]:
                out[z, y] = ZERO
                for k in range(-rx, rx + 1):
                    for x in range(max(-k, 0), min(nx - k, nx)):
                        out[z, y, x] += kx[k + rx] * spare[z, y, x + k]


@njit(_TRACK, cache=True, nogil=True)
def track(
    flow: Floats, domain: Bools, points: Floats, steps: int, step: float, tolerance: float
) -> None:
    """Move points (N, 3) along the flow (3, Z, Y, X), in voxels per step, sliding along borders."""
    nz, ny, nx = domain.shape
    top_z, top_y, top_x = np.float32(nz - 1), np.float32(ny - 1), np.float32(nx - 1)
    away = np.zeros(3, np.float32)
    for n in range(len(points)):
        pz, py, px = points[n, 0], points[n, 1], points[n, 2]
        for _ in range(steps):
            z, y, x = np.int64(pz), np.int64(py), np.int64(px)
            wz, wy, wx = pz - np.float32(z), py - np.float32(y), px - np.float32(x)
            z1, y1, x1 = min(z + 1, nz - 1), min(y + 1, ny - 1), min(x + 1, nx - 1)
            for c in range(3):
                a, b = flow[c, z, y, x], flow[c, z, y1, x]
                e, f = flow[c, z1, y, x], flow[c, z1, y1, x]
                a += wx * (flow[c, z, y, x1] - a)
                b += wx * (flow[c, z, y1, x1] - b)
                e += wx * (flow[c, z1, y, x1] - e)
                f += wx * (flow[c, z1, y1, x1] - f)
                a += wy * (b - a)
                e += wy * (f - e)
                away[c] = step * (a + wz * (e - a))
            qz = min(max(pz + away[0], ZERO), top_z)
            qy = min(max(py + away[1], ZERO), top_y)
            qx = min(max(px + away[2], ZERO), top_x)
            z, y, x = np.int64(qz + HALF), np.int64(qy + HALF), np.int64(qx + HALF)
            if not domain[z, y, x]:
                z1, y1, x1 = np.int64(pz + HALF), np.int64(py + HALF), np.int64(px + HALF)
                if not domain[z, y1, x1]:
                    z, qz = z1, pz
                if not domain[z, y, x1]:
                    y, qy = y1, py
                if not domain[z, y, x]:
                    qx = px
            moved = max(abs(qz - pz), abs(qy - py), abs(qx - px))
            pz, py, px = qz, qy, qx
            if moved < tolerance:
                break
        points[n, 0], points[n, 1], points[n, 2] = pz, py, px


@njit(_TOP, cache=True, nogil=True)
def _top(
    density: Floats,
    at: int,
    reach: NDArray[np.int64],
    spacing: NDArray[np.float64],
    distance: float,
) -> int:
    """Return the densest voxel within a distance; of equal ones the first in memory."""
    nz, ny, nx = density.shape
    z, rest = at // (ny * nx), at % (ny * nx)
    y, x = rest // nx, rest % nx
    best, height = at, density[z, y, x]
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
                    best, height = place, value
    return best


@njit(_CLIMB, cache=True, nogil=True)
def climb(
    density: Floats,
    starts: NDArray[np.int64],
    reach: NDArray[np.int64],
    spacing: NDArray[np.float64],
    distance: float,
    basins: NDArray[np.uint32],
) -> int:
    """Write the peak, from 1, that each start (N,) leads to, over densest neighbours, in `basins`.

    Return their number; a peak gives way to a higher one within a distance² in µm², `reach` voxels.
    """
    count = np.uint32(0)
    touching, units = np.ones(3, np.int64), np.ones(3)
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
        number, at = basins[at], start
        while basins[at] == 0:
            basins[at] = number
            up = _top(density, at, touching, units, 3.0)
            if up == at:
                up = _top(density, at, reach, spacing, distance)
            at = up
    return int(count)
