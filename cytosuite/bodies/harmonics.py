"""Real spherical harmonics, and the radius of a star in every direction.

Directions are z, y, x; the polar angle is from z, the azimuth from y to x. Recursion: Press et al.,
Numerical Recipes (2007), section 6.7.
"""

from functools import lru_cache

import numpy as np

from cytosuite.volume.arrays import DoublePair, Doubles, Image, Indices

HIGHEST = 40  # order
SAMPLES = 3  # of the radius per order and quarter turn: linear interpolation errs by < 1e-3


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
