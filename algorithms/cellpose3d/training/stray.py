"""Light from out of focus: added to volumes, and the share of a nucleus' own light in them.

A point spread function has wide, faint tails. Where many nuclei lie above each other these add up
to a haze that a network takes for dim nuclei, unless it has met it in training without a label.
"""

from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import ndimage

from cytosuite.manifest import Described

Image = NDArray[np.float32]
Range = tuple[float, float]

_COARSE = 4  # pixels of y and x in one of the grid on which light is spread widely
_LEAST = 0.02  # share of the light at a nucleus that counts as its own


class StrayRanges(Described):
    """Ranges of stray light; widths are in lateral diameters of a typical nucleus."""

    weight: Range = Field(
        (0.0, 0.7), description="light of each tail, relative to that of the sharp image"
    )
    share: float = Field(0.7, ge=0, le=1, description="of patches that get each of the two tails")
    near_z: Range = Field((0.6, 1.3), description="standard deviation along z of the first tail")
    near_xy: Range = Field((0.2, 0.6), description="and across")
    far_z: Range = Field((1.0, 3.0), description="standard deviation along z of the second tail")
    far_xy: Range = Field((0.4, 1.2), description="and across")


USUAL = StrayRanges()


def tails(
    light: Image, spacing: tuple[float, ...], diameter_um: float, ranges: StrayRanges, name: str
) -> Image:
    """Return the two tails of the light of a volume.

    Parameters
    ----------
    light : (Z, Y, X) float32 array
        Expected light.
    spacing : tuple of float
        µm per voxel, z y x.
    diameter_um : float
        Typical lateral diameter of the nuclei.
    ranges : StrayRanges
    name : str
        Of the case; widths are drawn (log-uniform) from it alone.

    Returns
    -------
    (2, Z, Y, X) float32 array
        Near and far; light that leaves the volume is lost.
    """
    rng = np.random.default_rng(crc32(name.encode()))
    z, y, x = light.shape
    fill = [(0, 0), (0, -y % _COARSE), (0, -x % _COARSE)]
    blocks = np.pad(light, fill).reshape(z, -(-y // _COARSE), _COARSE, -(-x // _COARSE), _COARSE)
    coarse = blocks.mean((2, 4))
    steps = np.array([spacing[0], _COARSE * spacing[1], _COARSE * spacing[2]])
    found = np.empty((2, z, y, x), np.float32)
    pairs = ((ranges.near_z, ranges.near_xy), (ranges.far_z, ranges.far_xy))
    for out, (along, across) in zip(found, pairs, strict=True):
        high, wide = (np.exp(rng.uniform(*np.log(pair))) * diameter_um for pair in (along, across))
        spread = ndimage.gaussian_filter(
            coarse, np.array([high, wide, wide]) / steps, mode="constant", truncate=3.0
        )
        fine = ndimage.zoom(spread, (1, _COARSE, _COARSE), order=1, mode="nearest", grid_mode=True)
        out[:] = fine[:, :y, :x]
    return found


def draw_weights(rng: np.random.Generator, ranges: StrayRanges) -> Image:
    """Return the weights with which the tails are added.

    Parameters
    ----------
    rng : numpy Generator
        Always four numbers are taken from it.
    ranges : StrayRanges

    Returns
    -------
    (2,) float32 array
    """
    weights = rng.uniform(*ranges.weight, 2) * (rng.random(2) < ranges.share)
    return weights.astype(np.float32)


def own_light(
    light: Image, labels: NDArray[np.uint16], level: NDArray[np.floating], means: Image
) -> Image:
    """Return the light at each nucleus that is its own.

    Parameters
    ----------
    light : (Z, Y, X) float32 array
        Expected, of everything.
    labels : (Z, Y, X) uint16 array
    level : (Z, Y, X) float array
        Share of the nucleus' own peak.
    means : (N + 1,) float32 array
        Mean light of each label, weighted by the level.

    Returns
    -------
    (N + 1,) float32 array
        Mean own light, weighted in the same way: the slope of the light over the level, times the
        mean level. Light that does not follow the shape of the nucleus is that of others.
    """
    inside = np.flatnonzero(labels)
    number = labels.ravel()[inside]
    x = level.ravel()[inside].astype(np.float64)
    y = light.ravel()[inside].astype(np.float64)
    size = len(means)
    count = np.maximum(np.bincount(number, minlength=size), 1)
    mean_x, mean_y = (np.bincount(number, v, size) / count for v in (x, y))
    shared = np.bincount(number, x * y, size) / count - mean_x * mean_y
    square = np.bincount(number, x * x, size) / count
    slope = shared / np.maximum(square - mean_x**2, 1e-9)
    own = slope * square / np.maximum(mean_x, 1e-9)
    return np.clip(own, _LEAST * means, means).astype(np.float32)
