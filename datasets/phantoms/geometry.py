"""Surfaces between voxels: signed distance, volume, moments and directions of stored nuclei."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import brentq
from scipy.special import ndtri

from cytosuite.datasets.physics.grid import Array, Image, Lengths

SMOOTHING = 0.8  # voxels: takes the stairs of a mask away, keeps its shape
PARTS = 3  # sample points per voxel and axis when a volume is measured


def signed_distance(
    mask: NDArray[np.bool_], spacing: Lengths, volume_um3: float | None = None
) -> Image:
    """Return the distance (z, y, x), µm, of voxel centres to the surface of a mask; inside < 0.

    Parameters
    ----------
    mask : (z, y, x) bool array
        Neither empty nor full.
    spacing : tuple of float
        µm per voxel.
    volume_um3 : float, optional
        Volume in which the distance, interpolated trilinearly, is negative; without it that of the
        mask's voxels.

    Notes
    -----
    A Gaussian takes the stairs of the mask away. Where it has the value `b` near a flat surface,
    that is ``-sigma * probit(b)`` away, with `sigma` along the normal. From the nearest voxel of
    the other kind, which lies at the surface, the distance is carried on along its normal. Round
    bodies shrink a little in this; one constant is added to restore the volume.
    """
    smooth = ndimage.gaussian_filter(mask.astype(np.float64), SMOOTHING, mode="nearest")
    slope = -np.stack(np.gradient(smooth, *spacing))
    normal = slope / np.maximum(np.sqrt((slope**2).sum(axis=0)), 1e-9)
    steps = np.reshape(spacing, (3, 1, 1, 1))
    # The voxels of the mask blur the edge by a twelfth of their squared size as well.
    sigma = np.sqrt(((normal * steps) ** 2).sum(axis=0) * (SMOOTHING**2 + 1 / 12))
    height = -sigma * ndtri(np.clip(smooth, 0.01, 0.99))
    found = np.where(
        mask,
        -_carried(mask, -height, -normal, spacing),
        _carried(~mask, height, normal, spacing),
    )
    voxel = float(np.prod(spacing))
    volume = np.count_nonzero(mask) * voxel if volume_um3 is None else volume_um3
    values = _samples(found, spacing)
    moved = _level(values, volume / voxel * PARTS**3, voxel ** (1 / 3) / PARTS)
    return np.asarray(found - moved, np.float32)


def enclosed_um3(distance: Image, spacing: Lengths) -> float:
    """Return the volume in µm³ where a field (z, y, x), interpolated trilinearly, is negative."""
    voxel = float(np.prod(spacing))
    values = _samples(distance, spacing)
    return _covered(values, voxel ** (1 / 3) / PARTS) * voxel / PARTS**3


def between_voxels(field: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return a field (z, y, x) interpolated at `PARTS` points per voxel and axis, in any order."""
    values = field[..., None]
    for axis in range(3):
        n = values.shape[axis]
        below = values.take(np.maximum(np.arange(n) - 1, 0), axis)
        above = values.take(np.minimum(np.arange(n) + 1, n - 1), axis)
        shifts = (np.arange(PARTS) + 0.5) / PARTS - 0.5
        parts = [
            (1 - abs(shift)) * values + abs(shift) * (above if shift > 0 else below)
            for shift in shifts.astype(field.dtype)
        ]
        values = np.concatenate(parts, axis=3)
    return values


def _samples(field: NDArray[np.floating], spacing: Lengths) -> NDArray[np.floating]:
    """Return a signed distance (n,) at the points between the voxels of the body's box."""
    inside = (field < 2 * max(spacing)).astype(np.uint8)
    return between_voxels(field[ndimage.find_objects(inside)[0]]).ravel()


def moments(inside: NDArray[np.bool_], spacing: Lengths, volume: float) -> tuple[Array, Array]:
    """Return centroid (3,) in µm from the first voxel's centre, and covariance (3, 3) of a mask.

    The covariance is scaled to that of an ellipsoid with a volume in µm³, whose semi-axes are
    ``sqrt(5 lambda)`` with the eigenvalues `lambda`.
    """
    points = np.argwhere(inside) * np.asarray(spacing)
    centroid = points.mean(axis=0)
    away = points - centroid
    # Each voxel is a box, not a point: a single one has a shape as well.
    covariance = away.T @ away / len(points) + np.diag(np.square(spacing) / 12)
    found = 4 / 3 * np.pi * np.sqrt(5**3 * np.linalg.det(covariance))
    return centroid, np.asarray(covariance * (volume / found) ** (2 / 3))


def crossings_um(distance: Image, spacing: Lengths) -> Array:
    """Return points (n, 3) where the surface cuts the lines between neighbouring voxel centres.

    Positions are in µm from the first voxel's centre; the distance (z, y, x) is negative inside.
    """
    found = []
    for axis in range(3):
        first, second = (
            distance[tuple(span if a == axis else slice(None) for a in range(3))]
            for span in (slice(None, -1), slice(1, None))
        )
        where = (first < 0) != (second < 0)
        points = np.argwhere(where).astype(float)
        points[:, axis] += first[where] / (first[where] - second[where])
        found.append(points * np.asarray(spacing))
    return np.concatenate(found)


def draw_rotations(rng: np.random.Generator, count: int, tilt: float, turn: float = 180.0) -> Array:
    """Return rotation matrices (N, 3, 3): a turn about z, after z itself was tilted.

    Parameters
    ----------
    rng, count : numpy Generator, int
    tilt : float
        Largest angle in degrees between z before and after, towards any side; the tilted
        direction is uniform on the cap.
    turn : float
        Largest angle in degrees about z, either way. With 180 for both, all rotations are
        equally likely.
    """
    around = rng.uniform(-1.0, 1.0, count) * np.deg2rad(turn)
    side = rng.uniform(0, 2 * np.pi, count)
    cosine = 1 - rng.random(count) * (1 - np.cos(np.deg2rad(tilt)))
    tilted = _turns(side) @ _turns(np.arccos(cosine), axis=2) @ _turns(-side)
    return np.asarray(_turns(around) @ tilted)


def _turns(angles: Array, axis: int = 0) -> Array:
    """Return rotations (N, 3, 3) about one axis by angles (N,) in radians."""
    a, b = [other for other in range(3) if other != axis]
    turns = np.tile(np.eye(3), (len(angles), 1, 1))
    turns[:, a, a] = turns[:, b, b] = np.cos(angles)
    turns[:, b, a] = np.sin(angles)
    turns[:, a, b] = -np.sin(angles)
    return turns


def _covered(distance: NDArray[np.floating], width: float) -> float:
    """Return the sum of the shares inside of the surface of cells of a width at distances (n,)."""
    shares = np.clip(0.5 - distance / width, 0, 1)
    return float(shares.sum(dtype=np.float64))


def _level(values: NDArray[np.floating], cells: float, width: float) -> float:
    """Return the distance that has a number of cells of a width below it, to parts of a cell."""
    rank = min(int(cells), values.size - 1)
    about = float(np.partition(values, rank)[rank])
    near = values[abs(values - about) < 2 * width]
    wanted = cells - np.count_nonzero(values <= about - 2 * width)
    low, high = about - 1.5 * width, about + 1.5 * width
    return float(brentq(lambda d: _covered(near - d, width) - wanted, low, high, xtol=1e-5))


def _carried(mask: NDArray[np.bool_], height: Array, normal: Array, spacing: Lengths) -> Array:
    """Return the distance of the voxels of a mask to a surface that is known next to it.

    There `height` (z, y, x) is the distance and `normal` (3, z, y, x) its direction.
    """
    distance, nearest = ndimage.distance_transform_edt(mask, spacing, return_indices=True)
    steps = np.reshape(spacing, (3, 1, 1, 1))
    way = (np.indices(mask.shape) - nearest) * steps
    along = height[tuple(nearest)] + (way * normal[(slice(None), *nearest)]).sum(axis=0)
    # Farther away the point at the surface matters, and the normal would be a worse guide.
    foot = way + (height * normal)[(slice(None), *nearest)]
    straight = np.sqrt((foot**2).sum(axis=0))
    far = np.clip(distance / np.linalg.norm(spacing) - 0.5, 0, 1)
    return np.asarray((1 - far) * np.maximum(along, 0) + far * straight)
