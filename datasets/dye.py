"""The fluorescent dye in nuclei: chromatin, nucleoli, brightness."""

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from datasets.bodies import Patch
from datasets.grid import Array, Grid, Image


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


def chromatin(
    patch: Patch,
    grid: Grid,
    tile: Image,
    *,
    brightness: float,
    contrast: float,
    nucleoli: Array,
    offset: NDArray[np.int64],
    radius_um: float,
) -> Image:
    """Return the density of the dye in a nucleus, 1 in a median one.

    Parameters
    ----------
    patch : Patch
        The n voxels in and near the nucleus.
    grid : Grid
        On which the patch lies.
    tile : (z, y, x) float32 array
        Chromatin noise at the spacing of `grid`, see `chromatin_tile`.
    brightness : float
        Relative to the median nucleus.
    contrast : float
        Standard deviation of the logarithm of the density.
    nucleoli : (M, 4) float array
        Centre and radius in units of the semi-axes; radius 0: none.
    offset : (3,) int array
        Where in the tile the noise is cut from.
    radius_um : float
        Of the sphere of the same volume.

    Returns
    -------
    (n,) float32 array

    Notes
    -----
    Density is ``brightness * exp(c t - c² / 2)`` with contrast `c` and noise `t`, slightly denser
    at the rim, 0.4 of that in nucleoli, times the share of the voxel inside the surface.
    """
    rows = [
        (np.arange(span.start, span.stop) + first + start) % size
        for span, first, start, size in zip(patch.box, grid.first, offset, tile.shape, strict=True)
    ]
    noise = tile[np.ix_(*rows)].reshape(-1)[patch.inside]
    density = np.exp(np.float32(contrast) * noise - np.float32(contrast**2 / 2))
    density *= np.float32(0.92) + np.float32(0.2) * patch.distance**4
    density *= _outside_nucleoli(patch.position, nucleoli)
    radius = np.float32(radius_um / grid.voxel_um)
    density *= np.clip((1 - patch.distance) * radius + np.float32(0.5), 0, 1)
    return np.asarray(density * np.float32(brightness), np.float32)


def _outside_nucleoli(position: Image, nucleoli: Array) -> Image:
    """Return 1 outside of nucleoli, 0.4 inside, with a soft rim (n,)."""
    factor = np.ones(position.shape[1], np.float32)
    for z, y, x, radius in np.asarray(nucleoli, np.float32):
        if radius > 0:
            away = (position[0] - z) ** 2 + (position[1] - y) ** 2 + (position[2] - x) ** 2
            factor -= np.float32(0.6) * np.exp(-((away / radius**2) ** 2))
    return np.maximum(factor, np.float32(0.3))
