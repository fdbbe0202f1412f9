"""Real spherical harmonics: radii of stars in all directions, and their fit to label objects.

Directions are z, y, x; the polar angle is from z, the azimuth from y to x. Recursion: Press et al.,
Numerical Recipes (2007), section 6.7.

Coefficients with the Laplace-Beltrami term: Shen, Farid, McPeek, Evolution 63 (2009) 1003; as in
Eschweiler, Stegmaier, ISBI (2021), arXiv 2010.12369, whose ``smoothing`` is 0.006.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import scipy  # ndimage is loaded where it is used

from cytosuite.volume.arrays import (
    Bools,
    DoublePair,
    Doubles,
    Image,
    Indices,
    Integers,
    Lengths,
    Longs,
    Reals,
)
from cytosuite.volume.objects import objects_in

HIGHEST = 40  # order
SAMPLES = 3  # of the radius per order and quarter turn: linear interpolation errs by < 1e-3
DIRECTIONS = 1000  # in which a radius is measured, at least
PER_COEFFICIENT = 4  # directions
PUBLISHED = 5000  # directions that the published smoothing counts for


def legendre(order: int, cosine: Doubles) -> Doubles:
    """Return the associated Legendre functions (m, l, n), as of orthonormal real harmonics."""
    functions = np.zeros((order + 1, order + 1, len(cosine)))
    functions[0, 0] = np.sqrt(1 / (4 * np.pi))
    sine = np.sqrt((1 - cosine**2).clip(0))
    for m in range(1, order + 1):
        functions[m, m] = np.sqrt((2 * m + 1) / (2 * m)) * sine * functions[m - 1, m - 1]
    for m in range(order):
        functions[m, m + 1] = np.sqrt(2 * m + 3) * cosine * functions[m, m]
        for l in range(m + 2, order + 1):  # noqa: E741  (the degree's own letter)
            scale = np.sqrt((4 * l * l - 1) / (l * l - m * m))
            past = np.sqrt(((l - 1) ** 2 - m * m) / (4 * (l - 1) ** 2 - 1))
            functions[m, l] = scale * (cosine * functions[m, l - 1] - past * functions[m, l - 2])
    return functions


@lru_cache(maxsize=8)
def numbers(order: int) -> tuple[Indices, Indices, Indices]:
    """Return part (0 cosine, 1 sine), m and l of the coefficients ((order + 1)²,)."""
    degree = degrees(order)
    m = np.arange(len(degree)) - degree * (degree + 1)
    return (m < 0).astype(np.intp), abs(m), degree


def degrees(order: int) -> Indices:
    """Return the degree l of the coefficients ((order + 1)²,)."""
    degree = np.arange(order + 1)
    return np.repeat(degree, 2 * degree + 1)


def basis(order: int, directions: Doubles) -> Doubles:
    """Return the harmonics (n, (order + 1)²) in directions (3, n), orthonormal on the sphere.

    Column ``l (l + 1) + m`` holds degree l with cosines of the azimuth for m >= 0, sines of |m|
    for m < 0: the first (k + 1)² columns are the order k.
    """
    part, m, degree = numbers(order)
    values = legendre(order, directions[0])[m, degree]
    values *= waves(order, np.arctan2(directions[2], directions[1]))[part, m]
    return values.T


def waves(order: int, azimuths: Doubles) -> Doubles:
    """Return cosines and sines (2, m, n) of multiples of azimuths (n,), of mean square 1."""
    number = np.arange(order + 1)[:, None]
    norm = np.where(number > 0, np.sqrt(2), 1.0)
    return np.stack([norm * np.cos(number * azimuths), norm * np.sin(number * azimuths)])


@lru_cache(maxsize=4)
def _basis(order: int) -> DoublePair:
    """Return Legendre functions (m, l, n) and cosines, sines (2, m, k) at the angles of a table."""
    steps = SAMPLES * max(order, 6)
    falling = legendre(order, np.cos(np.linspace(0, np.pi, steps + 1)))
    return falling, waves(order, np.linspace(0, 2 * np.pi, 2 * steps + 1))


def radius_table(coefficients: Doubles) -> Image:
    """Return the radius (..., n, k) at polar angles and azimuths, of (..., 2, L + 1, L + 1)."""
    falling, turns = _basis(coefficients.shape[-1] - 1)
    rings = (coefficients[..., None, :] @ falling)[..., 0, :]  # (..., 2, m, n)
    table = np.tensordot(rings, turns, axes=((-3, -2), (0, 1)))
    table[..., -1] = table[..., 0]
    return np.asarray(table, np.float32)


def ring_table(coefficients: Doubles) -> Image:
    """Return the radius (2, k) in a plane, of coefficients (2, L + 1) of √2 cos and sin(l φ)."""
    _, turns = _basis(coefficients.shape[1] - 1)
    ring = np.tensordot(coefficients, turns, axes=((0, 1), (0, 1)))
    ring[-1] = ring[0]
    return np.tile(ring, (2, 1)).astype(np.float32)


def fibonacci_sphere(points: int = 256) -> Doubles:
    """Return nearly equidistant directions (3, points): a Fibonacci lattice."""
    index = np.arange(points) + 0.5
    z = 1 - 2 * index / points
    angle = np.pi * (1 + 5**0.5) * index
    return np.stack([z, np.sqrt(1 - z * z) * np.cos(angle), np.sqrt(1 - z * z) * np.sin(angle)])


def ball(points: int = 512) -> Image:
    """Return points (3, points) spread evenly in the unit ball: radii irrational to the angles."""
    radius = ((np.arange(points) + 0.5) * 3**0.5 % 1) ** (1 / 3)
    return np.asarray(radius * fibonacci_sphere(points), np.float32)


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
        centre: Reals = points.mean(axis=0)
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


def radii(mask: Bools, spacing: Lengths, centre: Reals, directions: Doubles) -> Doubles:
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
