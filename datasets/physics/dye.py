"""Noise of the chromatin, and evenly spread points."""

import numpy as np
import scipy.fft

from cytosuite.datasets.physics.grid import Array, Grid, Image


def chromatin_tile(
    rng: np.random.Generator, grid: Grid, size_um: float, tile_um: float = 24.0
) -> Image:
    """Return periodic band-limited noise (z, y, x) of mean 0 and standard deviation 1.

    Parameters
    ----------
    rng, grid : numpy Generator, Grid
        Only the spacing of the grid is used.
    size_um : float
        Standard deviation in µm of the Gaussian that smooths white noise: the size of a clump.
        Waves longer than about ten times this are taken out.
    tile_um : float
        Period along every axis.
    """
    sizes = [scipy.fft.next_fast_len(int(np.ceil(tile_um / step))) for step in grid.spacing]
    transforms = (scipy.fft.fftfreq, scipy.fft.fftfreq, scipy.fft.rfftfreq)
    waves = [f(n, step) for f, n, step in zip(transforms, sizes, grid.spacing, strict=True)]
    squared = sum(part**2 for part in np.meshgrid(*waves, indexing="ij", sparse=True))
    exponent = -2 * np.pi**2 * squared * size_um**2
    band = np.exp(exponent) - np.exp(9 * exponent)
    noise = scipy.fft.rfftn(rng.standard_normal(sizes), workers=1) * band
    tile = scipy.fft.irfftn(noise, sizes, workers=1)
    return np.asarray(tile / tile.std(), np.float32)


def ball(points: int = 512) -> Image:
    """Return points (3, points) spread evenly in the unit ball.

    Notes
    -----
    Directions of a Fibonacci lattice, whose angles follow the golden ratio; the radii follow
    another irrational number, or they would go with the angles.
    """
    index = np.arange(points) + 0.5
    radius = (index * 3**0.5 % 1) ** (1 / 3)
    return np.asarray(radius * fibonacci_sphere(points), np.float32)


def fibonacci_sphere(points: int = 256) -> Array:
    """Return nearly equidistant directions (3, points): a Fibonacci lattice."""
    index = np.arange(points) + 0.5
    z = 1 - 2 * index / points
    angle = np.pi * (1 + 5**0.5) * index
    return np.stack([z, np.sqrt(1 - z * z) * np.cos(angle), np.sqrt(1 - z * z) * np.sin(angle)])


BALL = ball()
