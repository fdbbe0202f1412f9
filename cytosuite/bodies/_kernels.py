"""Compiled loops over the voxels of one star; float32 in one order, whatever the slab."""

import numpy as np

from cytosuite.networks import kernels
from cytosuite.volume.arrays import Floats, Longs

ONE = np.float32(1.0)
TINY = 1e-6
WIDER = np.float32(1.05)  # an ellipsoid this much wider holds a bent one, see `bounds`


compiled = kernels.compiled(error_model="numpy")


@compiled
def _rows(
    z: Floats, y: Floats, x: Floats, to_axes: Floats, reach: Floats, first: Longs, last: Longs
) -> int:
    """Write the voxels `first` to `last` of each row in an ellipsoid; return their number."""
    step = float(x[1] - x[0]) if x.size > 1 else 1.0
    total = 0
    for j in range(z.size):
        for i in range(y.size):
            a = b = c = 0.0
            for axis in range(3):
                start = to_axes[axis, 0] * z[j] + to_axes[axis, 1] * y[i] + to_axes[axis, 2] * x[0]
                start = start / reach[axis]
                slope = to_axes[axis, 2] * step / reach[axis]
                a += slope * slope
                b += slope * start
                c += start * start
            root = b * b - a * (c - 1.0)
            row = j * y.size + i
            first[row] = last[row] = 0
            if root >= 0.0:
                root = np.sqrt(root)
                first[row] = max(int(np.ceil((-b - root) / a)), 0)
                last[row] = max(min(int(np.floor((root - b) / a)) + 1, x.size), first[row])
            total += last[row] - first[row]
    return total


@compiled
def length(p: float, q: float, r: float) -> float:
    """Return the length of a vector, in the precision of its parts."""
    return np.sqrt(p * p + q * q + r * r)  # type: ignore[no-any-return]


@compiled
def fill(z: Floats, y: Floats, x: Floats, to_axes: Floats, reach: Floats) -> tuple[Longs, Floats]:
    """Return the voxels (n,) of a box in an ellipsoid and their positions (3, n)."""
    first = np.empty(z.size * y.size, np.int64)
    last = np.empty(z.size * y.size, np.int64)
    total = _rows(z, y, x, to_axes, reach, first, last)
    inside = np.empty(total, np.int64)
    position = np.empty((3, total), np.float32)
    p, q, r = position[0], position[1], position[2]
    p1, q1, r1 = to_axes[0, 2], to_axes[1, 2], to_axes[2, 2]
    n = 0
    for row in range(first.size):
        down = z[row // y.size]
        along = y[row % y.size]
        p0 = to_axes[0, 0] * down + to_axes[0, 1] * along
        q0 = to_axes[1, 0] * down + to_axes[1, 1] * along
        r0 = to_axes[2, 0] * down + to_axes[2, 1] * along
        for i in range(first[row], last[row]):
            p[n] = p0 + p1 * x[i]
            q[n] = q0 + q1 * x[i]
            r[n] = r0 + r1 * x[i]
            inside[n] = row * x.size + i
            n += 1
    return inside, position


@compiled
def bounds(radius: float, bend: float) -> Floats:
    """Return semi-axes (3,) of an ellipsoid that holds a bent ball; exact without bend."""
    ball = np.float32(radius)
    reach = np.empty(3, np.float32)
    reach[0] = ball + np.float32(abs(bend)) * (ONE + WIDER) if bend != 0.0 else ball
    reach[1] = reach[2] = ball * WIDER if bend != 0.0 else ball
    return reach


@compiled
def radius_at(p: float, q: float, r: float, table: Floats) -> float:
    """Return the radius in a direction, interpolated linearly in a table over both angles."""
    rows = table.shape[0] - 1
    columns = table.shape[1] - 1
    angle = np.arctan2(r, q)
    if angle < 0.0:
        angle += 2 * np.pi
    down = np.arctan2(np.sqrt(q * q + r * r), p) * (rows / np.pi)
    along = angle * (columns / (2 * np.pi))
    i = min(int(down), rows - 1)
    j = min(int(along), columns - 1)
    down = down - i
    along = along - j
    upper = table[i, j] + along * (table[i, j + 1] - table[i, j])
    lower = table[i + 1, j] + along * (table[i + 1, j + 1] - table[i + 1, j])
    return float(upper + down * (lower - upper))


@compiled
def cut_star(
    z: Floats, y: Floats, x: Floats, to_axes: Floats, table: Floats, rim: float
) -> tuple[Longs, Floats, Floats]:
    """Return the voxels of a box up to `rim` from a body, see `cut` and `radius_at`."""
    largest = 0.0
    for i in range(table.size):
        largest = max(largest, float(table.flat[i]))
    inside, position = fill(z, y, x, to_axes, bounds(largest * rim, 0.0))
    distance = np.empty(inside.size, np.float32)
    for i in range(inside.size):
        p, q, r = float(position[0, i]), float(position[1, i]), float(position[2, i])
        away = length(p, q, r)
        # Harmonics of a network may fall below 0: nothing lies inside there.
        distance[i] = away / max(radius_at(p, q, r, table), TINY) if away > 0.0 else 0.0
    return inside, position, distance
