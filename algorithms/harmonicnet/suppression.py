"""Candidates for stars, maxima of the heat, and their suppression by the volume that they share."""

from itertools import product
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from cytosuite.algorithms.harmonicnet._kernels import suppress
from cytosuite.bodies.harmonics import ball, basis, fibonacci_sphere, radius_table
from cytosuite.bodies.stars import stars_from
from cytosuite.volume.arrays import Doubles, Floats, Indices, Spacing

FAINT = np.float32(0.05)  # at least: heat ends with its nucleus, where a Gaussian goes on
POINTS = 256  # in a star: its shares of volume err by 0.02


class Candidates(NamedTuple):
    """Stars that a network proposes."""

    certainty: Floats  # (n,), heat of the centre
    centres_um: Doubles  # (n, 3), from the outer corner of the first voxel
    coefficients: Floats  # (n, K), in the unit of the maps


def find(heat: Floats, coefficients: Floats, spacing: Spacing, threshold: float) -> Candidates:
    """Return the maxima of the heat (Z, Y, X) above a threshold, of maps (K, Z, Y, X).

    A centre lies where a Gaussian through its neighbours peaks; coefficients are the mean of 27
    voxels, weighted with their heat.
    """
    peaks = np.stack(np.nonzero((heat == ndimage.maximum_filter(heat, 3)) & (heat > threshold)))
    maps = np.moveaxis(coefficients, 0, -1)
    last = np.reshape(heat.shape, (3, 1)) - 1
    beside = np.zeros((27, peaks.shape[1]), np.float32)  # heat, 0 beyond the faces
    total = np.zeros((peaks.shape[1], maps.shape[-1]), np.float32)
    for weight, step in zip(beside, product((-1, 0, 1), repeat=3), strict=True):
        shifted = peaks + np.reshape(step, (3, 1))
        place = shifted.clip(0, last)
        weight[:] = heat[tuple(place)] * (shifted == place).all(axis=0)
        total += weight[:, None] * maps[tuple(place)]
    shift = np.stack([_summit(*beside[13 - way : 14 + way : way]) for way in (9, 3, 1)])
    centres = ((peaks + 0.5 + shift).T * spacing).astype(np.float64)
    return Candidates(beside[13], centres, total / beside.sum(axis=0)[:, None])


def _summit(below: Floats, middle: Floats, above: Floats) -> Floats:
    """Return how far (n,) from its middle voxel a Gaussian peaks; 0 where a neighbour lacks."""
    before, at, after = (np.log(np.maximum(heat, FAINT)) for heat in (below, middle, above))
    bend = np.maximum(2 * at - before - after, np.float32(1e-12))
    shift = np.clip((after - before) / (2 * bend), -0.5, 0.5)
    return np.where(np.minimum(above, below) > 0, shift, np.float32(0))


def kept(proposed: Candidates, overlap: float, smallest_um3: float) -> Indices:
    """Return the numbers of the stars that stay, the most certain first; coefficients in µm.

    A star goes where more than `overlap` of the smaller of two lies in the other, more certain one.
    Equally certain stars are taken along z, y, x: the order of the candidates decides nothing.
    """
    stars = stars_from(proposed.coefficients)
    volumes = 4 / 3 * np.pi * stars.semi_axes_um.prod(axis=1)
    order: Indices = np.lexsort((*proposed.centres_um.T[::-1], -proposed.certainty))
    order = order[(volumes[order] >= smallest_um3) & (volumes[order] > 0)]
    if len(order) < 2:
        return order
    centres = proposed.centres_um[order]
    tables = radius_table(stars.coefficients[order]).clip(0)
    directions = basis(stars.coefficients.shape[-1] - 1, fibonacci_sphere(POINTS))
    farthest = tables.max(axis=(1, 2))
    removed = suppress(
        *_pairs(centres, farthest),
        centres,
        (proposed.coefficients[order] @ directions.T).clip(0).astype(np.float32),
        np.ascontiguousarray(ball(POINTS).T),
        tables,
        tables.min(axis=(1, 2)),
        farthest,
        overlap,
    )
    return order[~removed]


def _pairs(centres: Doubles, reach: Floats) -> tuple[Indices, Indices]:
    """Return both numbers, the lower first, of all stars that may touch, rising."""
    # Of two stars the one that reaches farther finds the other.
    near = cKDTree(centres).query_ball_point(centres, 2 * reach, return_sorted=False)
    left = np.repeat(np.arange(len(centres)), [len(numbers) for numbers in near])
    right = np.concatenate(near).astype(np.intp)
    away = np.linalg.norm(centres[left] - centres[right], axis=1)
    once = (reach[left] > reach[right]) | ((reach[left] == reach[right]) & (left < right))
    pairs = np.stack([left, right])[:, once & (away < reach[left] + reach[right])]
    both = np.sort(pairs.min(axis=0) * len(centres) + pairs.max(axis=0))
    return both // len(centres), both % len(centres)
