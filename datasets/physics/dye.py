"""The fluorescent dye in nuclei: chromatin, nucleoli, brightness."""

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from datasets.physics.bodies import Patch
from datasets.physics.grid import Array, Grid, Image


def chromatin_tile(
    rng: np.random.Generator, grid: Grid, size_um: float, tile_um: float = 24.0
) -> Image:
    """Return periodic band-limited noise of mean 0 and standard deviation 1.

    Parameters
    ----------
    rng : numpy Generator
    grid : Grid
        Only its spacing is used.
    size_um : float
        Standard deviation in µm of the Gaussian that smooths white noise: the size of a clump.
        Waves longer than about ten times this are taken out.
    tile_um : float
        Period along every axis.

    Returns
    -------
    (z, y, x) float32 array
    """
    sizes = [scipy.fft.next_fast_len(int(np.ceil(tile_um / step))) for step in grid.spacing]
    squared = np.zeros([1, 1, 1])
    for axis, (size, step) in enumerate(zip(sizes, grid.spacing, strict=True)):
        frequency = (scipy.fft.rfftfreq if axis == 2 else scipy.fft.fftfreq)(size, step)
        squared = squared + np.expand_dims(frequency**2, [a for a in range(3) if a != axis])
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


@dataclass(frozen=True, slots=True)
class Texture:
    """Distribution of the dye in one nucleus.

    Parameters
    ----------
    contrast : float
        Standard deviation of the logarithm of the density of clumps.
    threads : float
        Share of the dye that lies in threads, 0 to 1.
    rim : float
        How much denser the dye is just below the surface.
    rim_um : float
        Thickness of that layer.
    """

    contrast: float = 0.3
    threads: float = 0.0
    rim: float = 0.0
    rim_um: float = 0.45


def chromatin(
    patch: Patch,
    grid: Grid,
    tile: Image,
    texture: Texture,
    *,
    brightness: float,
    semi_axes_um: Array,
    nucleoli: Array,
    offset: NDArray[np.int64],
) -> Image:
    """Return the density of the dye in a nucleus, 1 on average in a median one.

    Parameters
    ----------
    patch : Patch
        The n voxels in and near the nucleus.
    grid : Grid
        On which the patch lies.
    tile : (z, y, x) float32 array
        Chromatin noise at the spacing of `grid`, see `chromatin_tile`.
    texture : Texture
    brightness : float
        Mean over the nucleus, relative to the median nucleus.
    semi_axes_um : (3,) float array
    nucleoli : (M, 4) float array
        Centre and radius in units of the semi-axes; radius 0: none.
    offset : (3,) int array
        Where in the tile the noise is cut from.

    Returns
    -------
    (n,) float32 array

    Notes
    -----
    With contrast `c` and two independent cuts `t`, `u` of the noise, the density is the product of
    clumps ``exp(c t - c² / 2)``, threads ``1 - a + 3 a exp(-t² - u²)``, which are dense where both
    noises cross zero, a patchy rim and dark nucleoli in patchy bright shells, scaled to its mean,
    times the share of the voxel inside the surface.
    """
    from datasets.physics import nucleus_kernel  # compiled on first use

    begin = np.array([span.start for span in patch.box]) + grid.first
    starts = np.stack([begin + offset, begin + offset + np.array(tile.shape) // 2])
    kind = (texture.contrast, texture.threads, texture.rim, texture.rim_um)
    return nucleus_kernel.dye(
        np.array(patch.shape),
        patch.inside,
        patch.position,
        patch.distance,
        tile,
        starts,
        semi_axes_um.astype(np.float32),
        nucleoli.astype(np.float32),
        BALL,
        np.array(kind, np.float32),
        np.float32(brightness),
        np.float32(grid.voxel_um),
    )
