"""Structural similarity of two volumes, window by window, in compiled loops.

The window is the product of one symmetric window per axis. A column of the volume, at most `ROWS`
times ``WIDTH - 2 * radius`` values wide and as long as the volume, is smoothed plane by plane along
Y and X into a stack of planes, and the stack along Z: that stack is all the memory it takes.

With ``s = x + y`` and ``d = x - y`` four maps suffice instead of five: s, d, s^2 and d^2, for
``2 mu_x mu_y = (mu_s^2 - mu_d^2) / 2``, ``mu_x^2 + mu_y^2 = (mu_s^2 + mu_d^2) / 2`` and likewise
for the variances. For equal volumes d is 0 and the value exactly 1; exchanging the volumes only
changes the sign of d. All is done in double precision. A row of the four maps, side by side, is a
line.
"""

from collections.abc import Callable

import numpy as np

from cytosuite.networks.kernels import compiled
from cytosuite.volume.arrays import Array, Doubles

WIDTH = 144  # columns of a working buffer, the window's halo included
ROWS = 16  # rows of values computed together
CHUNK = 32  # planes of values computed together
TOGETHER = 4  # lines smoothed across together
LINE = 4 * WIDTH
PLANE = LINE * ROWS + 40  # no multiple of 4096 bytes: 12 planes would share one cache set
TAPS = 6  # distinct weights of the usual window of 11 voxels, which has loops of its own
DTYPES = ("uint8", "uint16", "float32", "float64")  # read as they are

Volumes = tuple[Array, Array, Array, Array]


# A product and a sum may be fused, and nothing bolder.
_compiled = compiled(fastmath={"contract"}, error_model="numpy")


def _four_lines(step: int) -> Callable[[Doubles, Doubles, Doubles], None]:
    """Return a loop that smooths four lines across, 11 weights, a constant `step` apart."""

    def smooth(source: Doubles, weights: Doubles, out: Doubles) -> None:
        """Write the smoothed line of `source` and the next three; 14 reads serve all."""
        w0, w1, w2 = weights[0], weights[1], weights[2]
        w3, w4, w5 = weights[3], weights[4], weights[5]
        for i in range(LINE):
            a0, a1, a2 = source[i], source[i + step], source[i + 2 * step]
            a3, a4, a5 = source[i + 3 * step], source[i + 4 * step], source[i + 5 * step]
            a6, a7, a8 = source[i + 6 * step], source[i + 7 * step], source[i + 8 * step]
            a9, a10, a11 = source[i + 9 * step], source[i + 10 * step], source[i + 11 * step]
            a12, a13 = source[i + 12 * step], source[i + 13 * step]
            near = w0 * a5 + w1 * (a4 + a6) + w2 * (a3 + a7)
            out[i] = near + w3 * (a2 + a8) + w4 * (a1 + a9) + w5 * (a0 + a10)
            near = w0 * a6 + w1 * (a5 + a7) + w2 * (a4 + a8)
            out[i + LINE] = near + w3 * (a3 + a9) + w4 * (a2 + a10) + w5 * (a1 + a11)
            near = w0 * a7 + w1 * (a6 + a8) + w2 * (a5 + a9)
            out[i + 2 * LINE] = near + w3 * (a4 + a10) + w4 * (a3 + a11) + w5 * (a2 + a12)
            near = w0 * a8 + w1 * (a7 + a9) + w2 * (a6 + a10)
            out[i + 3 * LINE] = near + w3 * (a5 + a11) + w4 * (a4 + a12) + w5 * (a3 + a13)

    # Code is linked by name: of two equal names, kept by two processes, one would serve for both.
    smooth.__qualname__ = f"_four_lines_{step}"
    return _compiled(smooth)


_four_rows = _four_lines(LINE)
_four_planes = _four_lines(PLANE)


@_compiled
def _along_x(source: Doubles, w: Doubles, out: Doubles) -> None:
    """Smooth four lines along X with 11 weights."""
    w0, w1, w2, w3, w4, w5 = w[0], w[1], w[2], w[3], w[4], w[5]
    for i in range(TOGETHER * LINE):
        near = w0 * source[i + 5] + w1 * (source[i + 4] + source[i + 6])
        near += w2 * (source[i + 3] + source[i + 7]) + w3 * (source[i + 2] + source[i + 8])
        out[i] = near + w4 * (source[i + 1] + source[i + 9]) + w5 * (source[i] + source[i + 10])


@_compiled
def _any_window(source: Doubles, step: int, weights: Doubles, out: Doubles, second: int) -> None:
    """Smooth the lines at `source` and `second` further, with a window of any size."""
    centre = (weights.size - 1) * step
    for row in range(TOGETHER):
        begin = row * second
        line = out[row * LINE : (row + 1) * LINE]
        for i in range(LINE):
            line[i] = weights[0] * source[begin + centre + i]
        for k in range(1, weights.size):
            before = source[begin + centre - k * step :]
            after = source[begin + centre + k * step :]
            for i in range(LINE):
                line[i] += weights[k] * (before[i] + after[i])


@_compiled
def _scale(values: Array, scale: tuple[float, float], out: Doubles, length: int) -> None:
    """Write ``gain * value + offset``."""
    gain, offset = scale
    for i in range(length):
        out[i] = gain * np.float64(values[i]) + offset


@_compiled
def _load(
    volumes: Volumes,
    kind: int,
    at: tuple[int, int, int],
    scale: tuple[float, float],
    out: Doubles,
    length: int,
) -> None:
    """Write part of a row of the volume of a kind."""
    z, y, x = at
    if kind == 0:
        _scale(volumes[0][z, y, x:], scale, out, length)
    elif kind == 1:
        _scale(volumes[1][z, y, x:], scale, out, length)
    elif kind == 2:
        _scale(volumes[2][z, y, x:], scale, out, length)
    else:
        _scale(volumes[3][z, y, x:], scale, out, length)


@_compiled
def _maps(x: Doubles, y: Doubles, out: Doubles, length: int) -> None:
    """Write sum, difference and their squares side by side."""
    for i in range(length):
        total, difference = x[i] + y[i], x[i] - y[i]
        out[i] = total
        out[i + WIDTH] = difference
        out[i + 2 * WIDTH] = total * total
        out[i + 3 * WIDTH] = difference * difference


@_compiled
def _similarity(
    means: Doubles, constants: tuple[float, float, float], out: Doubles, length: int
) -> None:
    """Write the similarity from the window means of the four maps."""
    c1, c2, shift = constants
    for i in range(length):
        s, d = means[i], means[i + WIDTH]
        var_s, var_d = means[i + 2 * WIDTH] - s * s, means[i + 3 * WIDTH] - d * d
        s, d = (s + shift) * (s + shift), d * d
        out[i] = ((s - d + c1) * (var_s - var_d + c2)) / ((s + d + c1) * (var_s + var_d + c2))


@_compiled
def _smooth_plane(
    maps: Doubles,
    rows: int,
    weights: tuple[Doubles, Doubles, Doubles],
    lines: Doubles,
    out: Doubles,
) -> None:
    """Smooth the maps of one plane along Y and X."""
    for r in range(0, rows, TOGETHER):
        source, goal = maps[r * LINE :], out[r * LINE :]
        if weights[1].size == TAPS:
            _four_rows(source, weights[1], lines)
        else:
            _any_window(source, LINE, weights[1], lines, LINE)
        if weights[2].size == TAPS:
            _along_x(lines, weights[2], goal)
        else:
            _any_window(lines, 1, weights[2], goal, LINE)


@_compiled
def _values(
    stack: Doubles,
    ready: int,
    size: tuple[int, int],
    weights: Doubles,
    constants: tuple[float, float, float],
    sums: Doubles,
) -> None:
    """Smooth the stack along Z; add the similarities to `sums`."""
    rows, columns = size
    means, values = np.empty(TOGETHER * LINE), np.empty(WIDTH)
    for p in range(0, ready, TOGETHER):
        for r in range(rows):
            source = stack[p * PLANE + r * LINE :]
            if weights.size == TAPS:
                _four_planes(source, weights, means)
            else:
                _any_window(source, PLANE, weights, means, PLANE)
            for k in range(min(TOGETHER, ready - p)):
                _similarity(means[k * LINE :], constants, values, columns)
                for i in range(columns):
                    sums[i] += values[i]


def workspace(radii: tuple[int, int, int]) -> tuple[Doubles, Doubles, Doubles, Doubles, Doubles]:
    """Return the buffers of `advance` (rows, plane, lines, stack, sums) for radii z, y, x."""
    rz, ry, rx = radii
    return (
        np.zeros(2 * WIDTH),
        np.zeros((ROWS + 2 * ry + TOGETHER) * LINE),
        np.zeros(TOGETHER * LINE + 2 * rx),
        np.zeros((CHUNK + 2 * rz + TOGETHER) * PLANE),
        np.zeros(WIDTH),
    )


@_compiled
def advance(
    truth: Volumes,
    prediction: Volumes,
    kinds: tuple[int, int],
    begin: tuple[int, int, int],
    size: tuple[int, int, int],
    scales: tuple[tuple[float, float], tuple[float, float]],
    constants: tuple[float, float, float],
    weights: tuple[Doubles, Doubles, Doubles],
    work: tuple[Doubles, Doubles, Doubles, Doubles, Doubles],
    held: int,
    ends: bool,
) -> int:
    """Add the similarity of the windows of a column, or of its next planes, to the sums.

    A volume stands at the place, `kinds`, of its dtype in `DTYPES`, anything at the other three.
    `begin` is the first voxel to read, `size` the planes to read, rows and columns of values;
    ``gain * value + offset`` of `scales` is compared; `constants` are ``2 C1, 2 C2`` and the number
    to add to the sum of two values for its true mean; `weights` those of the window along Z, Y, X,
    from its centre outwards. `work`, from `workspace`, keeps `held` smoothed planes of the call
    before, 0 at the top of a column; the number kept for the next call is returned. With `ends` the
    values of all planes read are added, not only those of whole chunks.
    """
    voxels, maps, lines, stack, sums = work
    planes, rows, columns = size
    halo, rows_read = 2 * (weights[0].size - 1), rows + 2 * (weights[1].size - 1)
    length = columns + 2 * (weights[2].size - 1)
    for z in range(begin[0], begin[0] + planes):
        for r in range(rows_read):
            at = (z, begin[1] + r, begin[2])
            _load(truth, kinds[0], at, scales[0], voxels, length)
            _load(prediction, kinds[1], at, scales[1], voxels[WIDTH:], length)
            _maps(voxels, voxels[WIDTH:], maps[r * LINE :], length)
        _smooth_plane(maps, rows, weights, lines, stack[held * PLANE :])
        held += 1
        if held == CHUNK + halo or (ends and z == begin[0] + planes - 1 and held > halo):
            ready = held - halo
            _values(stack, ready, (rows, columns), weights[0], constants, sums)
            for i in range(halo * PLANE):  # numba takes 4 s to compile an array given to a slice
                stack[i] = stack[ready * PLANE + i]
            held = halo
    return held
