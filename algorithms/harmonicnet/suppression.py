"""Suppression of candidates by the volume that they share with a more certain one."""

import numpy as np
from scipy.spatial import cKDTree

from cytosuite.algorithms.harmonicnet._kernels import suppress
from cytosuite.algorithms.harmonicnet.candidates import Candidates
from cytosuite.bodies.harmonics import ball, basis, fibonacci_sphere, radius_table
from cytosuite.bodies.stars import stars_from
from cytosuite.volume.arrays import Doubles, Floats, Indices

POINTS = 256  # in a star: its shares of volume err by 0.02


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
    return np.asarray(order[~removed])


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
