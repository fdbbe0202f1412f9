"""Signed distances in µm on regular grids: negative inside, positive outside.

A distance changes by at most one per µm, so that a coarse grid of it holds a smooth surface far
better than a mask does: linear interpolation errs by ``spacing² / (8 radius)``, 0.02 µm for
64 samples across 300 µm.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

from cytosuite.datasets.physics.grid import Array, Image, Lengths

STEPS = 24  # of Newton's method; 12 suffice but for points next to a plane of symmetry
BLUR = 0.8  # of a voxel: makes the shares of tissue in neighbouring voxels one smooth edge


def to_ellipsoid(half: int, spacing: Lengths, semi_axes: Lengths) -> Image:
    """Return the distance to an ellipsoid in the middle of a cube of 2 `half` samples per axis.

    Notes
    -----
    The nearest point of the surface to ``y`` is ``x_i = a_i² y_i / (t + a_i²)``, where ``t`` is
    the largest root of ``Σ (a_i y_i / (t + a_i²))² = 1``; the sum is convex and falls with ``t``,
    so Newton's method started below the root climbs to it. One octant is solved, the others are
    its mirror images.

    References
    ----------
    Eberly, Robust computation of distance from a point to a hyperellipsoid (2011, revised 2020).
    """
    axes = np.reshape(semi_axes, (3, 1, 1, 1))
    ticks = [(np.arange(half) + 0.5) * step for step in spacing]
    points = np.stack(np.meshgrid(*ticks, indexing="ij"))
    squares = axes**2
    t = (axes * points - squares).max(axis=0)
    for _ in range(STEPS):
        share = 1 / (t + squares)
        terms = (axes * points * share) ** 2
        value = terms[0] - 1 + terms[1] + terms[2]
        t += value / (2 * (terms * share).sum(axis=0))
    parts = (points * t / (t + squares)) ** 2
    distance = np.copysign(np.sqrt(parts.sum(axis=0)), t).astype(np.float32)
    for axis in range(3):
        distance = np.concatenate([np.flip(distance, axis), distance], axis)
    return np.asarray(distance)


def to_box(positions: Sequence[Array], low: Lengths, high: Lengths) -> Image:
    """Return the distance (Z, Y, X) at positions (n,) along z, y, x to a box with two corners."""
    z, y, x = (
        np.maximum(start - ticks, ticks - stop).astype(np.float32)
        for ticks, start, stop in zip(positions, low, high, strict=True)
    )
    z, y = z[:, None, None], y[:, None]
    inside = np.minimum(np.maximum(np.maximum(z, y), x), 0)
    outside = z.clip(0) ** 2 + y.clip(0) ** 2 + x.clip(0) ** 2
    return np.asarray(inside + np.sqrt(outside), np.float32)


def first_order(level: Image, spacing: Lengths) -> Image:
    """Return ``f / |∇f|``, the distance near the surface where a smooth function f is zero."""
    slope = np.sqrt(sum(part**2 for part in np.gradient(level, *spacing)))
    return np.asarray(level / np.maximum(slope, 1e-12), np.float32)


def from_shares(shares: Image, spacing: Lengths) -> Image:
    """Return the distance to the surface of a body from the share of each voxel that it fills.

    Shares (Z, Y, X) are 0 to 1, the spacing is in µm. The distance from a flat surface is exact up
    to 1.5 voxels; farther away only its sign holds.

    Notes
    -----
    Averaging over a voxel and a Gaussian blur turn a flat surface into a normal distribution,
    whose quantile is the distance in units of the width.
    """
    shares = ndimage.gaussian_filter(shares, BLUR, mode="nearest")
    slopes = np.gradient(shares, *spacing)
    weights = [slope**2 + 1e-9 for slope in slopes]  # far from the surface all alike
    widths = [step**2 * (BLUR**2 + 1 / 12) for step in spacing]
    variance = sum(w * width for w, width in zip(weights, widths, strict=True)) / sum(weights)
    return np.asarray(-np.sqrt(variance) * special.ndtri(shares.clip(1e-5, 1 - 1e-5)), np.float32)


def everywhere(near: Image, spacing: Lengths) -> Image:
    """Return the distance at all samples (Z, Y, X) from one that holds only near its surface.

    Parameters
    ----------
    near : (Z, Y, X) float32 array
        Distance to first order within one voxel of the surface; beyond only the sign counts.
    spacing : tuple of float
        µm per voxel.

    Notes
    -----
    Each sample near the surface is moved onto it along the normal; a Euclidean distance transform
    finds the nearest such point for every other sample. Its distance ``v`` is taken along the
    normal, ``v·n``, since the points stand up to a voxel apart on the surface, unless ``v`` itself
    is longer by more than this explains (a corner).
    """
    steps = np.asarray(spacing, np.float32)
    band = np.abs(near) <= steps.max()
    normals = np.asarray(np.gradient(near, *spacing))[:, band]  # (3, n)
    normals /= np.maximum(np.linalg.norm(normals, axis=0), 1e-6)
    ticks = np.stack(np.nonzero(band)).astype(np.float32) * steps[:, None]
    surface = ticks - near[band] * normals
    number = np.zeros(near.shape, np.int64)
    number[band] = np.arange(band.sum())
    nearest = ndimage.distance_transform_edt(
        ~band, sampling=spacing, return_distances=False, return_indices=True
    )
    number = number[tuple(nearest)]
    place = np.indices(near.shape, np.float32) * steps[:, None, None, None]
    least = _squares(place, surface, number)
    for axis, shift in ((0, 1), (0, -1), (1, 1), (1, -1), (2, 1), (2, -1)):
        other = np.roll(number, shift, axis)  # a neighbour's nearest point may be nearer still
        squares = _squares(place, surface, other)
        number = np.where(squares < least, other, number)
        np.minimum(least, squares, out=least)
    along = np.zeros_like(near)
    for axis in range(3):
        along += (place[axis] - surface[axis][number]) * normals[axis][number]
    distance = np.sqrt(np.maximum(along**2, least - np.float32((steps**2).sum())))
    return np.where(band, near, np.copysign(distance, near)).astype(np.float32)


def _squares(place: Image, surface: Image, number: NDArray[np.int64]) -> Image:
    """Return the squared distance (Z, Y, X) of each sample to the surface point it is given."""
    squares = np.zeros(number.shape, np.float32)
    for axis in range(3):
        squares += (place[axis] - surface[axis][number]) ** 2
    return squares
