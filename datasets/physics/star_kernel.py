"""Compiled loop over the voxels of one body that is given by its radius in every direction."""

import numpy as np

from cytosuite.datasets.physics.nucleus_kernel import Floats, Indices, bounds, compiled, fill


@compiled
def radius_at(p: float, q: float, r: float, table: Floats) -> float:
    """Return the radius in a direction (not 0), interpolated linearly in both angles.

    `table` (n, m) holds the radius at polar angles 0 to π from the first axis and at azimuths 0 to
    2π, ends included.
    """
    rows, columns = table.shape[0] - 1, table.shape[1] - 1
    angle = np.arctan2(r, q)
    if angle < 0.0:
        angle += 2 * np.pi
    down = np.arctan2(np.sqrt(q * q + r * r), p) * (rows / np.pi)
    along = angle * (columns / (2 * np.pi))
    i, j = min(int(down), rows - 1), min(int(along), columns - 1)
    down, along = down - i, along - j
    upper = table[i, j] + along * (table[i, j + 1] - table[i, j])
    lower = table[i + 1, j] + along * (table[i + 1, j + 1] - table[i + 1, j])
    return float(upper + down * (lower - upper))


@compiled
def cut_star(
    z: Floats, y: Floats, x: Floats, to_axes: Floats, table: Floats, rim: float
) -> tuple[Indices, Floats, Floats]:
    """Return the voxels of a box in and near a body: inside, position, distance of a `Patch`.

    Parameters
    ----------
    z, y, x : float32 arrays
        Positions in µm of the planes, rows and columns of the box, from the centre of the body.
    to_axes : (3, 3) float32 array
        Turns µm into units of the semi-axes.
    table : (n, m) float32 array
        See `radius_at`.
    rim : float
        Voxels up to this distance are wanted, relative to the surface.
    """
    inside, position = fill(z, y, x, to_axes, bounds(float(table.max()) * rim, 0.0))
    distance = np.empty(inside.size, np.float32)
    for i in range(inside.size):
        p, q, r = float(position[0, i]), float(position[1, i]), float(position[2, i])
        away = np.sqrt(p * p + q * q + r * r)
        distance[i] = away / radius_at(p, q, r, table) if away > 0.0 else 0.0
    return inside, position, distance
