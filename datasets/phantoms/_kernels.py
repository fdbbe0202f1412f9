"""Compiled loops of stored nuclei: trilinear samples at the voxels of a grid."""

import numpy as np

from cytosuite.datasets.physics.grid import Array, Image
from cytosuite.datasets.physics.nucleus_kernel import Indices, compiled


@compiled
def sample(field: Image, z: float, y: float, x: float) -> float:
    """Return a field (z, y, x) at one position within it, in voxels, by trilinear interpolation."""
    k = min(int(z), field.shape[0] - 2)
    j = min(int(y), field.shape[1] - 2)
    i = min(int(x), field.shape[2] - 2)
    z, y, x = z - k, y - j, x - i
    near = field[k, j, i] * (1 - x) + field[k, j, i + 1] * x
    far = field[k, j + 1, i] * (1 - x) + field[k, j + 1, i + 1] * x
    low = near * (1 - y) + far * y
    near = field[k + 1, j, i] * (1 - x) + field[k + 1, j, i + 1] * x
    far = field[k + 1, j + 1, i] * (1 - x) + field[k + 1, j + 1, i + 1] * x
    return low * (1 - z) + (near * (1 - y) + far * y) * z  # type: ignore[no-any-return]


@compiled
def clip(value: float, size: int) -> float:
    """Return a position moved into 0 to `size` - 1."""
    return min(max(value, 0.0), size - 1.0)


@compiled
def distances(
    field: Image,
    spacing: Array,
    local: tuple[Array, Array, Array],
    to_index: Array,
    origin: Array,
    to_axes: Array,
    limit: float,
    found: Indices,
    position: Image,
    distance: Image,
) -> int:
    """Sample the signed distance at the voxels of a box and keep those nearer than a limit.

    Parameters
    ----------
    field, spacing : (z, y, x) float32 and (3,) float64 arrays
        Signed distance of the stored nucleus, and its voxel size, in one unit of length.
    local : three float64 arrays
        Positions of the box's planes, rows and columns from the body's centre.
    to_index, origin, to_axes : (3, 3), (3,) and (3, 3) float64 arrays
        From there to positions in voxels of the field, and in units of the body's semi-axes.
    limit : float
        In the unit of the field.
    found, position, distance : (n,), (3, n), (n,) arrays
        Filled from the start: flat index in the box, position along the axes, signed distance.

    Returns
    -------
    int
        Number of voxels that were kept.
    """
    count = flat = 0
    nz, ny, nx = field.shape
    for z in local[0]:
        for y in local[1]:
            for x in local[2]:
                pz = to_index[0, 0] * z + to_index[0, 1] * y + to_index[0, 2] * x + origin[0]
                py = to_index[1, 0] * z + to_index[1, 1] * y + to_index[1, 2] * x + origin[1]
                px = to_index[2, 0] * z + to_index[2, 1] * y + to_index[2, 2] * x + origin[2]
                qz, qy, qx = clip(pz, nz), clip(py, ny), clip(px, nx)
                value = sample(field, qz, qy, qx)
                if pz != qz or py != qy or px != qx:  # beyond the stored box
                    dz, dy = (pz - qz) * spacing[0], (py - qy) * spacing[1]
                    value += np.sqrt(dz * dz + dy * dy + ((px - qx) * spacing[2]) ** 2)
                if value < limit:
                    found[count] = flat
                    for axis in range(3):
                        a, b, c = to_axes[axis]
                        position[axis, count] = a * z + b * y + c * x
                    distance[count] = value
                    count += 1
                flat += 1
    return count


@compiled
def averages(
    field: Image, position: Image, to_index: Array, origin: Array, parts: Array, out: Image
) -> None:
    """Write means (n,) of a field (z, y, x) over several points of each voxel.

    `position` (3, n) and `to_index` (3, 3), `origin` (3,) give the voxels, `parts` (k, 3) the
    offsets of the points, in voxels of the field.
    """
    nz, ny, nx = field.shape
    for n in range(position.shape[1]):
        z, y, x = position[0, n], position[1, n], position[2, n]
        pz = to_index[0, 0] * z + to_index[0, 1] * y + to_index[0, 2] * x + origin[0]
        py = to_index[1, 0] * z + to_index[1, 1] * y + to_index[1, 2] * x + origin[1]
        px = to_index[2, 0] * z + to_index[2, 1] * y + to_index[2, 2] * x + origin[2]
        total = 0.0
        for k in range(parts.shape[0]):
            qz, qy, qx = pz + parts[k, 0], py + parts[k, 1], px + parts[k, 2]
            total += sample(field, clip(qz, nz), clip(qy, ny), clip(qx, nx))
        out[n] = total / parts.shape[0]
