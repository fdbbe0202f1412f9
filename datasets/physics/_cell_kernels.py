"""Compiled loops of `cells`; float32 sums in one order: the same bits in any block or slab."""

from math import cos, exp, sin, sqrt
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from cytosuite.bodies._kernels import compiled, length
from cytosuite.files import IntPair, IntTriple
from cytosuite.volume.arrays import ZYX, Floats, Ints, Shorts

# Numbers of numpy, as Python's would turn every sum into float64.
ZERO, HALF, ONE, TWO = (cast("float", np.float32(n)) for n in (0, 0.5, 1, 2))
TINY, MARGIN, INFINITE = (cast("float", np.float32(n)) for n in (1e-6, 1e-3, np.inf))
NOBODY = cast("int", np.int32(-1))  # -1 would be another type: loops would be compiled twice
# Gradients of the difference of two keys are cut here, so that no border is missed or smeared.
FLATTEST, STEEPEST = (cast("float", np.float32(n)) for n in (0.3, 2.8))

NUMBERS = ("smallest", "largest", "steepest", "wrinkle", "radius", "weight", "brightness")
VECTORS = [("centre", np.float32, (3,)), ("axes", np.float32, (3,)), ("frame", np.float32, (3, 3))]
CELL = np.dtype(VECTORS + [(name, np.float32, ()) for name in NUMBERS], align=True)


class Table(NamedTuple):
    """The cells in a few arrays, as the loops need them."""

    cells: NDArray[np.void]  # CELL (N,), µm; rows of a frame are axes; steepest: of the distance
    scale: Floats  # (4,): lightest and heaviest weight, softness (µm), 1 / mean radius
    look: Floats  # (6,): voxel size, thickness, unevenness, reach of dye (0: labels only)
    waves: Floats  # (K, 3), radians per µm
    turns: Floats  # (N, 4, K): cosine, sine of each wave in the weight (µm) and the stain


@compiled
def distance(l0: float, l1: float, l2: float, a0: float, a1: float, a2: float) -> float:
    """Return about the `s` for which the ellipsoid ``a + s`` meets a point: one Newton step."""
    d0, d1, d2 = l0 * l0, l1 * l1, l2 * l2
    i0, i1, i2 = ONE / (a0 * a0), ONE / (a1 * a1), ONE / (a2 * a2)
    q = sqrt(d0 * i0 + d1 * i1 + d2 * i2)
    start = sqrt(d0 + d1 + d2) * (ONE - ONE / q)
    b0, b1, b2 = a0 + start, a1 + start, a2 + start
    inverse = ONE / (b0 * b1 * b2)
    u0, u1, u2 = b1 * b2 * inverse, b2 * b0 * inverse, b0 * b1 * inverse
    e0, e1, e2 = d0 * u0 * u0, d1 * u1 * u1, d2 * u2 * u2
    total = e0 + e1 + e2
    s = start + (sqrt(total) - ONE) * total / (e0 * u0 + e1 * u1 + e2 * u2)
    return max(s, ZERO) if q > ONE else (q - ONE) * min(a0, a1, a2)


@compiled
def key(s: float, weight: float, radius: float, softness: float, inverse: float) -> float:
    """Return the weighted power of a point: of the sign of `s`, with a positive slope."""
    share = radius * inverse
    outer = share * s * (ONE + s * (HALF / radius) - weight / (s + softness))
    return outer if s > ZERO else s * share


@compiled
def steepest(value: float, inverse: float) -> float:
    """Return the largest change per µm of the difference between the keys of two cells."""
    return STEEPEST * sqrt(ONE + TWO * max(value, ZERO) * inverse)


@compiled
def _candidates(table: Table, middle: Floats, ball: float, near: Ints) -> int:
    """List the cells that may own a point of a ball, or come second with a border near it."""
    lightest, heaviest, softness, inverse = table.scale
    upper = INFINITE
    for i in range(len(table.cells)):
        cell = table.cells[i]
        centre = cell.centre
        away = length(centre[0] - middle[0], centre[1] - middle[1], centre[2] - middle[2])
        light = max(cell.weight - cell.wrinkle, lightest)
        upper = min(upper, key(away - cell.smallest + ball, light, cell.radius, softness, inverse))
    margin = table.look[5] * steepest(upper, inverse)
    count = 0
    for i in range(len(table.cells)):
        cell = table.cells[i]
        centre = cell.centre
        d0, d1, d2 = middle[0] - centre[0], middle[1] - centre[1], middle[2] - centre[2]
        heavy = min(cell.weight + cell.wrinkle, heaviest)
        nearest = length(d0, d1, d2) - cell.largest - ball
        if key(nearest, heavy, cell.radius, softness, inverse) > upper + margin:
            continue
        axes, (l0, l1, l2) = cell.axes, _local(cell.frame, d0, d1, d2)
        s = distance(l0, l1, l2, axes[0], axes[1], axes[2])
        slack = cell.steepest * ball
        if key(s - slack, heavy, cell.radius, softness, inverse) <= upper + margin:
            light = max(cell.weight - cell.wrinkle, lightest)
            upper = min(upper, key(s + slack, light, cell.radius, softness, inverse))
            near[count] = i
            count += 1
    return count


@compiled
def _local(frame: Floats, d0: float, d1: float, d2: float) -> ZYX:
    return (
        frame[0, 0] * d0 + frame[0, 1] * d1 + frame[0, 2] * d2,
        frame[1, 0] * d0 + frame[1, 1] * d1 + frame[1, 2] * d2,
        frame[2, 0] * d0 + frame[2, 1] * d1 + frame[2, 2] * d2,
    )


@compiled
def _waves(table: Table, z: float, y: float, ripples: Floats, out: Floats) -> None:
    """Write cosine and sine of the waves (2, K, W) along a row, from those (2, K, W) of its x."""
    for k in range(len(table.waves)):
        start = table.waves[k, 0] * z + table.waves[k, 1] * y
        c = cos(start)
        s = sin(start)
        for j in range(ripples.shape[2]):
            out[0, k, j] = c * ripples[0, k, j] - s * ripples[1, k, j]
            out[1, k, j] = s * ripples[0, k, j] + c * ripples[1, k, j]


@compiled
def _keys(table: Table, i: int, z: float, y: Floats, x: Floats, waves: Floats, out: Floats) -> None:
    """Write the keys (W,) of a cell at voxels of a plane, by their y and x."""
    lightest, heaviest, softness, inverse = table.scale
    cell = table.cells[i]
    radius = cell.radius
    for j in range(len(x)):
        out[j] = cell.weight
    for k in range(waves.shape[1]):
        c = table.turns[i, 0, k]
        s = table.turns[i, 1, k]
        for j in range(len(x)):
            out[j] += c * waves[0, k, j] + s * waves[1, k, j]
    centre, axes, frame = cell.centre, cell.axes, cell.frame
    cy, cx, a0, a1, a2 = centre[1], centre[2], axes[0], axes[1], axes[2]
    d0 = z - centre[0]
    b0, b1, b2 = frame[0, 0] * d0, frame[1, 0] * d0, frame[2, 0] * d0
    f0, f1, f2 = frame[0, 1], frame[1, 1], frame[2, 1]
    g0, g1, g2 = frame[0, 2], frame[1, 2], frame[2, 2]
    for j in range(len(x)):
        d1 = y[j] - cy
        d2 = x[j] - cx
        weight = min(max(out[j], lightest), heaviest)
        s = distance(
            b0 + f0 * d1 + g0 * d2, b1 + f1 * d1 + g1 * d2, b2 + f2 * d1 + g2 * d2, a0, a1, a2
        )
        out[j] = key(s, weight, radius, softness, inverse)


@compiled
def _sum(table: Table, i: int, turn: int, start: float, waves: Floats, at: int) -> float:
    """Return a sum of waves at a point: `turn` is 0 for the weight of a cell, 2 for its stain."""
    total = start
    for k in range(len(table.waves)):
        cosine = table.turns[i, turn, k]
        total += cosine * waves[0, k, at] + table.turns[i, turn + 1, k] * waves[1, k, at]
    return total


@compiled
def _ball(z: Floats, y: Floats, x: Floats, middle: Floats) -> float:
    """Write the centre of a block of voxels and return the radius of the ball around them."""
    middle[0], middle[1] = HALF * (z[0] + z[-1]), HALF * (y[0] + y[-1])
    middle[2] = HALF * (x[0] + x[-1])
    return length(z[-1] - middle[0], y[-1] - middle[1], x[-1] - middle[2]) + MARGIN


@compiled
def _slope(
    table: Table, i: int, z: float, y: float, x: float, waves: Floats, at: int, out: Floats
) -> None:
    """Write the gradient (3,) of a cell's key at voxel `at` of a row with its waves."""
    lightest, heaviest, softness, inverse = table.scale
    cell = table.cells[i]
    centre, axes, frame = cell.centre, cell.axes, cell.frame
    l0, l1, l2 = _local(frame, z - centre[0], y - centre[1], x - centre[2])
    s = max(distance(l0, l1, l2, axes[0], axes[1], axes[2]), ZERO)
    u0, u1, u2 = ONE / (axes[0] + s), ONE / (axes[1] + s), ONE / (axes[2] + s)
    g0, g1, g2 = l0 * u0 * u0, l1 * u1 * u1, l2 * u2 * u2
    along = max(g0 * l0 * u0 + g1 * l1 * u1 + g2 * l2 * u2, TINY)
    weight = _sum(table, i, 0, cell.weight, waves, at)
    held = min(max(weight, lightest), heaviest)
    share = cell.radius * inverse
    rise = ONE + s / cell.radius - held * softness / ((s + softness) * (s + softness))
    rise *= share / along
    for c in range(3):
        out[c] = (frame[0, c] * g0 + frame[1, c] * g1 + frame[2, c] * g2) * rise
    if weight == held:
        share *= s / (s + softness)
        for k in range(len(table.waves)):
            change = (
                table.turns[i, 1, k] * waves[0, k, at] - table.turns[i, 0, k] * waves[1, k, at]
            ) * share
            for c in range(3):
                out[c] -= change * table.waves[k, c]


@compiled
def _sheet(away: float, thickness: float, width: float) -> float:
    """Return the share of a voxel of some width that a sheet at a distance fills."""
    low = max(away - HALF * width, -HALF * thickness)
    return max(min(away + HALF * width, HALF * thickness) - low, ZERO) / width


@compiled
def _width(slope: Floats, spacing: Floats) -> float:
    """Return the width of the box that blurs as voxels do across a sheet with this gradient."""
    steep = length(slope[0], slope[1], slope[2]) + TINY
    return length(slope[0] * spacing[0], slope[1] * spacing[1], slope[2] * spacing[2]) / steep


@compiled
def _stain(table: Table, i: int, waves: Floats, at: int) -> float:
    """Return the brightness of the membrane of a cell at a point."""
    level = _sum(table, i, 2, ZERO, waves, at)
    uneven = table.look[4]
    bright: float = table.cells[i].brightness
    return bright * exp(uneven * (level - HALF * uneven))


@compiled
def _dye(
    table: Table,
    pair: IntPair,
    difference: float,
    most: float,
    point: ZYX,
    away: float,
    waves: Floats,
    at: int,
    slopes: Floats,
) -> float:
    """Return the dye of membranes at a point of the first cell of a pair; no second one: -1."""
    i, j = pair
    z, y, x = point
    thickness = table.look[3]
    _slope(table, i, z, y, x, waves, at, slopes[0])
    width = _width(slopes[0], table.look)
    free = _sheet(away, HALF * thickness, width)
    covered = min(max(HALF - away / width, ZERO), ONE)
    sheet = ZERO
    if j >= 0 and covered > ZERO:
        _slope(table, j, z, y, x, waves, at, slopes[1])
        for c in range(3):
            slopes[1, c] -= slopes[0, c]
        steep = length(slopes[1, 0], slopes[1, 1], slopes[1, 2])
        border = difference / min(max(steep, FLATTEST), most)
        sheet = covered * _sheet(border, thickness, _width(slopes[1], table.look))
    if free == ZERO and sheet == ZERO:
        return ZERO
    here = _stain(table, i, waves, at)
    if sheet == ZERO:
        return free * here
    return max(free * here, sheet * HALF * (here + _stain(table, j, waves, at)))


@compiled
def _dyes(
    table: Table,
    z: float,
    y: Floats,
    x: Floats,
    outside: Floats,
    waves: Floats,
    work: Floats,
    owner: Ints,
    out: Floats,
) -> None:
    """Add the dye of membranes in a plane (Y, X) of voxels."""
    reach = table.look[5]
    slopes = np.empty((2, 3), np.float32)
    for j in range(outside.size):
        row, column = divmod(j, len(x))
        difference = work[2, j] - work[1, j]
        away = outside[row, column]
        most = steepest(work[1, j], table.scale[3])
        close = difference < reach * most
        if away < reach and (close or away > -reach):
            pair = (owner[0, j], owner[1, j] if close else NOBODY)
            point = (z, y[row], x[column])
            out[row, column] += _dye(table, pair, difference, most, point, away, waves, j, slopes)


@compiled
def _two(i: int, size: int, work: Floats, owner: Ints) -> None:
    """Enter the keys of a cell, ``work[0]``, into the two smallest so far and their owners."""
    for j in range(size):
        v, best, second = work[0, j], work[1, j], work[2, j]
        work[2, j] = best if v < best else min(second, v)
        owner[1, j] = owner[0, j] if v < best else (i if v < second else owner[1, j])
        work[1, j] = min(best, v)
        owner[0, j] = i if v < best else owner[0, j]


@compiled
def _plane(
    table: Table,
    z: float,
    y: Floats,
    x: Floats,
    ripples: Floats,
    near: Ints,
    waves: Floats,
    work: Floats,
    owner: Ints,
) -> None:
    """Write the waves of a plane of voxels, the two smallest keys there, and their owners."""
    wide = len(x)
    size = len(y) * len(x)
    for b in range(len(y)):
        row = slice(b * wide, b * wide + wide)
        work[3, row] = y[b]
        for j in range(wide):  # numba takes 4 s to compile an array given to a slice
            work[4, b * wide + j] = x[j]
        _waves(table, z, y[b], ripples, waves[:, :, row])
    work[1:3], owner[:] = np.inf, -1
    for i in near:
        _keys(table, i, z, work[3, :size], work[4, :size], waves, work[0])
        _two(i, size, work, owner)


@compiled
def fill(
    table: Table,
    positions: tuple[Floats, Floats, Floats],
    ripples: Floats,
    outside: Floats,
    block: IntTriple,
    labels: Shorts,
    image: Floats,
) -> None:
    """Write labels (Z, Y, X), add membranes to an image; `ripples` (2, K, X): cos, sin along x."""
    z, y, x = positions
    reach = table.look[5]
    near = np.empty(len(table.cells), np.int32)
    middle = np.empty(3, np.float32)
    plane = block[1] * block[2]
    work = np.empty((5, plane), np.float32)  # key, smallest and second smallest, y, x
    owner = np.empty((2, plane), np.int32)
    waves = np.empty((2, len(table.waves), plane), np.float32)
    for z0 in range(0, len(z), block[0]):
        for y0 in range(0, len(y), block[1]):
            for x0 in range(0, len(x), block[2]):
                box = slice(z0, z0 + block[0]), slice(y0, y0 + block[1]), slice(x0, x0 + block[2])
                away, ys, xs = outside[box], y[box[1]], x[box[2]]
                if away.min() >= reach:
                    continue
                ball = _ball(z[box[0]], ys, xs, middle)
                count = _candidates(table, middle, ball, near)
                part = ripples[:, :, box[2]]
                for a in range(len(away)):
                    _plane(table, z[z0 + a], ys, xs, part, near[:count], waves, work, owner)
                    if labels.size:
                        mine = labels[box][a]
                        for b in range(len(ys)):
                            for c in range(len(xs)):
                                first = owner[0, b * len(xs) + c]
                                mine[b, c] = first + 1 if away[a, b, c] < 0 else 0
                    if image.size:
                        out = image[box][a]
                        _dyes(table, z[z0 + a], ys, xs, away[a], waves, work, owner, out)
