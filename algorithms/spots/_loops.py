"""Compiled loops of filters over images; no sum is reordered: the same bits everywhere.

Arrays are copied value by value: numba takes a second to compile each other way.
"""

import numpy as np

from cytosuite.networks.kernels import compiled
from cytosuite.volume.arrays import Bytes, Floats, Longs

_MAD_TO_SD = 1.4826
_ENOUGH = 64  # values of a block from which its noise is measured


@compiled("void(float32[:, ::1], float32[::1], float32[:, ::1])")
def _along_y(plane: Floats, taps: Floats, out: Floats) -> None:
    """Convolve the columns of a plane by symmetric taps, the edges repeated."""
    last = plane.shape[0] - 1
    half = len(taps) // 2
    for y in range(plane.shape[0]):
        middle = taps[half]
        for x in range(plane.shape[1]):
            out[y, x] = middle * plane[y, x]
        for k in range(1, half + 1):
            low, high, tap = max(y - k, 0), min(y + k, last), taps[half + k]
            for x in range(plane.shape[1]):
                out[y, x] += tap * (plane[low, x] + plane[high, x])


@compiled("void(float32[:, ::1], float32[::1], float32[:, ::1])")
def _along_x(plane: Floats, taps: Floats, out: Floats) -> None:
    """Convolve the rows of a plane by symmetric taps, the edges repeated."""
    size = plane.shape[1]
    half = len(taps) // 2
    row = np.empty(size + 2 * half, np.float32)
    for y in range(plane.shape[0]):
        for k in range(half):
            row[k] = plane[y, 0]
            row[half + size + k] = plane[y, size - 1]
        for x in range(size):
            row[half + x] = plane[y, x]
        for x in range(size):
            out[y, x] = taps[half] * row[half + x]
        for k in range(1, half + 1):
            tap = taps[half + k]
            low = row[half - k : half - k + size]
            high = row[half + k : half + k + size]
            for x in range(size):
                out[y, x] += tap * (low[x] + high[x])


@compiled("void(float32[:, :, ::1], float32[::1], float32[::1], float32[::1], float32[:, :, ::1])")
def blur(values: Floats, kz: Floats, ky: Floats, kx: Floats, out: Floats) -> None:
    """Convolve (Z, Y, X) by symmetric taps along each axis into `out`, the edges repeated."""
    nz, ny, nx = values.shape
    half = len(kz) // 2
    total = np.empty((ny, nx), np.float32)
    spare = np.empty((ny, nx), np.float32)
    for z in range(nz):
        if nz == 1:
            _along_y(values[z], ky, spare)
        else:
            for y in range(ny):
                for x in range(nx):
                    total[y, x] = kz[half] * values[z, y, x]
                for k in range(1, half + 1):
                    low, high, tap = max(z - k, 0), min(z + k, nz - 1), kz[half + k]
                    for x in range(nx):
                        total[y, x] += tap * (values[low, y, x] + values[high, y, x])
            _along_y(total, ky, spare)
        _along_x(spare, kx, out[z])


@compiled("float32[:, :, ::1](float32[:, :, ::1], int64[::1], int64[::1], float32)")
def spreads(values: Floats, ends_y: Longs, ends_x: Longs, least: float) -> Floats:
    """Return the sd around 0 in blocks of each plane (Z, M, N), by the median; at least `least`."""
    sd = np.empty((values.shape[0], len(ends_y) - 1, len(ends_x) - 1), np.float32)
    part = np.empty(values.shape[1] * values.shape[2], np.float32)
    for z in range(sd.shape[0]):
        for i in range(sd.shape[1]):
            for j in range(sd.shape[2]):
                size = (ends_y[i + 1] - ends_y[i]) * (ends_x[j + 1] - ends_x[j])
                step = min(3, max(1, int(np.sqrt(size / _ENOUGH))))
                n = 0
                for y in range(ends_y[i], ends_y[i + 1], step):
                    for x in range(ends_x[j], ends_x[j + 1], step):
                        part[n] = abs(values[z, y, x])
                        n += 1
                sd[z, i, j] = max(least, _MAD_TO_SD * np.median(part[:n]))
    return sd


@compiled(
    "void(float32[:, :, ::1], float32[:, :, ::1], int64[::1], int64[::1], int64, "
    "float32[:, :, ::1], uint8[:, :, ::1])"
)
def keep_best(
    values: Floats,
    noise: Floats,
    ends_y: Longs,
    ends_x: Longs,
    scale: int,
    best: Floats,
    which: Bytes,
) -> None:
    """Raise `best` to the values in units of their block's noise, and note where that was."""
    for z in range(values.shape[0]):
        for i in range(len(ends_y) - 1):
            for j in range(len(ends_x) - 1):
                unit, first, end = np.float32(1) / noise[z, i, j], ends_x[j], ends_x[j + 1]
                for y in range(ends_y[i], ends_y[i + 1]):
                    row = values[z, y, first:end]
                    out = best[z, y, first:end]
                    if scale == 0:
                        for x in range(len(row)):
                            out[x] = unit * row[x]
                        continue
                    name = which[z, y, first:end]
                    for x in range(len(row)):
                        name[x] = scale if unit * row[x] > out[x] else name[x]
                        out[x] = max(out[x], unit * row[x])


@compiled("boolean(float32[:, :, ::1], int64, int64, int64)")
def _is_peak(values: Floats, z: int, y: int, x: int) -> bool:
    """Return whether no neighbour is larger; of equal ones the first counts."""
    nz, ny, nx = values.shape
    value = values[z, y, x]
    for k in range(max(z - 1, 0), min(z + 2, nz)):
        for j in range(max(y - 1, 0), min(y + 2, ny)):
            for i in range(max(x - 1, 0), min(x + 2, nx)):
                before = k < z or (k == z and (j < y or (j == y and i < x)))
                if values[k, j, i] > value or (before and values[k, j, i] == value):
                    return False
    return True


@compiled("int64[:, ::1](float32[:, :, ::1], float32)")
def peaks(values: Floats, threshold: float) -> Longs:
    """Return the places (N, 3) of local maxima from a threshold, in the order of the memory."""
    nz, ny, nx = values.shape
    count = 0
    places = np.empty((1024, 3), np.int64)
    for z in range(nz):
        for y in range(ny):
            for x in range(nx):
                value = values[z, y, x]
                if value < threshold or (x > 0 and values[z, y, x - 1] >= value):
                    continue
                if _is_peak(values, z, y, x):
                    if count == len(places):
                        more = np.empty((2 * count, 3), np.int64)
                        for n in range(count):
                            for axis in range(3):
                                more[n, axis] = places[n, axis]
                        places = more
                    places[count, 0], places[count, 1], places[count, 2] = z, y, x
                    count += 1
    return places[:count].copy()
