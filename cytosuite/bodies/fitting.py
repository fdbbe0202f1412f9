"""Harmonics of label objects: radii in even directions, fitted with smoothing.

Coefficients with the Laplace-Beltrami term: Shen, Farid, McPeek, Evolution 63 (2009) 1003; as in
Eschweiler, Stegmaier, ISBI (2021), arXiv 2010.12369, whose ``smoothing`` is 0.006.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import scipy  # ndimage is loaded where it is used

from cytosuite.bodies.harmonics import basis, degrees, fibonacci_sphere
from cytosuite.volume.arrays import Bools, DoublePair, Doubles, Image, Integers, Lengths, Longs
from cytosuite.volume.objects import objects_in

DIRECTIONS = 1000  # in which a radius is measured, at least
PER_COEFFICIENT = 4  # directions
PUBLISHED = 5000  # directions that the published smoothing counts for


class Fitted(NamedTuple):
    """The objects of a label image as stars."""

    ids: Longs  # (n,), their labels, rising
    centres: Image  # (n, 3), µm from the middle of the first voxel; always in the object
    coefficients: Image  # (n, (order + 1)²), µm, see `basis`


def fit(labels: Integers, spacing: Lengths, order: int, smoothing: float) -> Fitted:
    """Return the stars of all objects (Z, Y, X); `smoothing` weighs l² (l + 1)² against radii."""
    directions, solve = _solver(order, smoothing)
    ids, centres, coefficients = [], [], []
    for number, box, inside in objects_in(labels):
        mask = np.pad(inside, 1)
        points = np.argwhere(mask) * spacing
        centre: Doubles = points.mean(axis=0)
        if not mask[tuple(np.rint(centre / spacing).astype(int))]:  # the voxel nearest to it
            centre = points[((points - centre) ** 2).sum(axis=1).argmin()]
        ids.append(number)
        centres.append(centre + np.multiply([span.start - 1 for span in box], spacing))
        coefficients.append(solve @ radii(mask, spacing, centre, directions))
    return Fitted(
        np.array(ids, np.int64),
        np.reshape(centres, (-1, 3)).astype(np.float32),
        np.reshape(coefficients, (-1, len(solve))).astype(np.float32),
    )


def radii(mask: Bools, spacing: Lengths, centre: Doubles, directions: Doubles) -> Doubles:
    """Return µm (n,) within an object from a centre along directions (d, n); its faces are empty.

    Voxels count linearly between their middles: borders lie between voxels. Beyond a gap an object
    counts on.
    """
    step = min(spacing) / 2
    farthest = np.linalg.norm(np.argwhere(mask) * spacing - centre, axis=1).max()
    away = np.arange(0.5, (farthest + 2 * max(spacing)) / step + 1) * step
    rays = directions[:, :, None] * away
    places = (centre[:, None, None] + rays) / np.reshape(spacing, (-1, 1, 1))
    shares = scipy.ndimage.map_coordinates(mask.astype(np.float32), places, order=1)
    lengths: Doubles = shares.sum(axis=1, dtype=np.float64) * step
    return lengths


@lru_cache(maxsize=4)
def _solver(order: int, smoothing: float) -> DoublePair:
    """Return directions (3, n) and the matrix ((order + 1)², n) from radii to coefficients."""
    directions = fibonacci_sphere(max(DIRECTIONS, PER_COEFFICIENT * (order + 1) ** 2))
    rows = basis(order, directions)
    degree = degrees(order)
    weight = smoothing * len(rows) / PUBLISHED * (degree * (degree + 1)) ** 2
    return directions, np.linalg.solve(rows.T @ rows + np.diag(weight), rows.T).astype(np.float64)
