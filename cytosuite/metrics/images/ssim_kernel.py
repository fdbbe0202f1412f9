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

import numpy as np

from cytosuite.files import FloatTriple, IntPair
from cytosuite.networks.kernels import compiled
from cytosuite.volume.arrays import Doubles

WIDTH = 144  # columns of a working buffer, the window's halo included
ROWS = 16  # rows of values computed together
CHUNK = 32  # planes of values computed together
TOGETHER = 4  # lines smoothed across together
LINE = 4 * WIDTH
PLANE = LINE * ROWS + 40  # no multiple of 4096 bytes: 12 planes would share one cache set

Buffers = tuple[Doubles, Doubles, Doubles, Doubles]
Window = tuple[Doubles, Doubles, Doubles]  # weights along Z, Y and X, from the centre outwards

# A product and a sum may be fused, and nothing bolder.
_compiled = compiled(fastmath={"contract"}, error_model="numpy")


@_compiled
def _windowed(source: Doubles, step: int, weights: Doubles, out: Doubles, second: int) -> None:
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
def _maps(x: Doubles, y: Doubles, out: Doubles, length: int) -> None:
    """Write sum, difference and their squares side by side."""
    for i in range(length):
        total = x[i] + y[i]
        difference = x[i] - y[i]
        out[i] = total
        out[i + WIDTH] = difference
        out[i + 2 * WIDTH] = total * total
        out[i + 3 * WIDTH] = difference * difference


@_compiled
def _similarity(means: Doubles, constants: FloatTriple, out: Doubles, length: int) -> None:
    """Write the similarity from the window means of the four maps."""
    c1, c2, shift = constants
    for i in range(length):
        s = means[i]
        d = means[i + WIDTH]
        var_s = means[i + 2 * WIDTH] - s * s
        var_d = means[i + 3 * WIDTH] - d * d
        s = (s + shift) * (s + shift)
        d = d * d
        out[i] = ((s - d + c1) * (var_s - var_d + c2)) / ((s + d + c1) * (var_s + var_d + c2))


@_compiled
def _smooth_plane(
    maps: Doubles,
    rows: int,
    weights: Window,
    lines: Doubles,
    out: Doubles,
) -> None:
    """Smooth the maps of one plane along Y and X."""
    for r in range(0, rows, TOGETHER):
        source = maps[r * LINE :]
        goal = out[r * LINE :]
        _windowed(source, LINE, weights[1], lines, LINE)
        _windowed(lines, 1, weights[2], goal, LINE)


@_compiled
def _values(
    stack: Doubles,
    ready: int,
    size: IntPair,
    weights: Doubles,
    constants: FloatTriple,
    sums: Doubles,
) -> None:
    """Smooth the stack along Z; add the similarities to `sums`."""
    rows, columns = size
    means = np.empty(TOGETHER * LINE)
    values = np.empty(WIDTH)
    for p in range(0, ready, TOGETHER):
        for r in range(rows):
            _windowed(stack[p * PLANE + r * LINE :], PLANE, weights, means, PLANE)
            for k in range(min(TOGETHER, ready - p)):
                _similarity(means[k * LINE :], constants, values, columns)
                for i in range(columns):
                    sums[i] += values[i]


def workspace(window: Window) -> Buffers:
    """Return the buffers of `advance` (plane, lines, stack, sums) for a window."""
    rz, ry, rx = (half.size - 1 for half in window)
    return (
        np.zeros((ROWS + 2 * ry + TOGETHER) * LINE),
        np.zeros(TOGETHER * LINE + 2 * rx),
        np.zeros((CHUNK + 2 * rz + TOGETHER) * PLANE),
        np.zeros(WIDTH),
    )


@_compiled
def advance(
    truth: Doubles,
    prediction: Doubles,
    left: int,
    size: IntPair,
    constants: FloatTriple,
    weights: Window,
    work: Buffers,
    held: int,
    ends: bool,
) -> int:
    """Add the similarity of the windows of a column, or of its next planes, to the sums.

    `left` is the first column to read of the planes (Z, Y, X), `size` the rows and columns of
    values; `constants` are ``2 C1, 2 C2`` and the number to add to the sum of two values for its
    true mean; `weights` those of the window along Z, Y, X, from its centre outwards. `work`, from
    `workspace`, keeps `held` smoothed planes of the call before, 0 at the top of a column; the
    number kept for the next call is returned. With `ends` the values of all planes are added, not
    only those of whole chunks.
    """
    maps, lines, stack, sums = work
    rows, columns = size
    halo = 2 * (weights[0].size - 1)
    rows_read = rows + 2 * (weights[1].size - 1)
    length = columns + 2 * (weights[2].size - 1)
    for z in range(len(truth)):
        for r in range(rows_read):
            _maps(truth[z, r, left:], prediction[z, r, left:], maps[r * LINE :], length)
        _smooth_plane(maps, rows, weights, lines, stack[held * PLANE :])
        held += 1
        if held == CHUNK + halo or (ends and z == len(truth) - 1 and held > halo):
            ready = held - halo
            _values(stack, ready, size, weights[0], constants, sums)
            for i in range(halo * PLANE):  # numba takes 4 s to compile an array given to a slice
                stack[i] = stack[ready * PLANE + i]
            held = halo
    return held
