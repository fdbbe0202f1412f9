"""The detector: voxels that integrate over their volume, photons, electronics, whole numbers."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]

MAX_COUNT = 65535


def area_average(
    image: Image,
    spacing: Sequence[float],
    out_shape: Sequence[int],
    out_spacing: Sequence[float],
    offset_um: Sequence[float] = (0.0, 0.0, 0.0),
) -> Image:
    """Return the mean of an image over each voxel of a coarser grid.

    Parameters
    ----------
    image : (Z, Y, X) float32 array
    spacing, out_spacing : sequence of float
        µm per voxel of the image and of the result; their ratio need not be whole.
    out_shape : sequence of int
        Voxels of the result.
    offset_um : sequence of float
        Where the result's first voxel begins, from the outer corner of the image's.

    Returns
    -------
    (z, y, x) float32 array
        Voxels of the image which are cut by a border count with the share inside. What lies
        outside of the image counts as 0. Memory: that of the result along z, times three.
    """
    for axis in range(image.ndim):
        ratio = out_spacing[axis] / spacing[axis]
        start = offset_um[axis] / spacing[axis]
        image = _average_axis(image, axis, out_shape[axis], ratio, start)
    return image


def _average_axis(image: Image, axis: int, size: int, ratio: float, start: float) -> Image:
    """Return means over `size` intervals of `ratio` samples along an axis, from `start` on."""
    edges = np.round(start + ratio * np.arange(size + 1), 9)
    low, high = edges[:-1], edges[1:]
    first = np.floor(low).astype(int)
    terms = int((np.ceil(high) - first).max())
    form = [1] * image.ndim
    form[axis] = size
    result: Image | None = None
    for k in range(terms):
        index = first + k
        weight = (np.minimum(high, index + 1) - np.maximum(low, index)).clip(0) / ratio
        weight *= (index >= 0) & (index < image.shape[axis])
        taken = image.take(index.clip(0, image.shape[axis] - 1), axis)
        taken *= weight.astype(np.float32).reshape(form)
        result = taken if result is None else np.add(result, taken, out=result)
    assert result is not None  # an interval has at least one term
    return result


def expose(
    rng: np.random.Generator,
    photons: Image,
    *,
    gain: float = 1.0,
    offset: float = 100.0,
    read_noise: float = 0.0,
) -> NDArray[np.uint16]:
    """Return the counts of a detector that catches light.

    Parameters
    ----------
    rng : numpy Generator
    photons : (Z, Y, X) float32 array
        Expected number of detected photons per voxel.
    gain : float
        Counts per photon.
    offset : float
        Counts in the dark; not light, so it carries no shot noise.
    read_noise : float
        Standard deviation of the electronic noise, in photons.

    Returns
    -------
    (Z, Y, X) uint16 array
        ``round(gain (Poisson(photons) + Normal(0, read_noise)) + offset)``, clipped to 0..65535.
        Variance grows with the mean at the slope `gain`. Memory: 20 bytes per voxel.
    """
    counts = rng.poisson(photons).astype(np.float32)
    if read_noise > 0:
        noise = rng.standard_normal(photons.shape, dtype=np.float32)
        noise *= np.float32(read_noise)
        counts += noise
    counts *= np.float32(gain)
    counts += np.float32(offset)
    np.rint(counts, out=counts)
    return counts.clip(0, MAX_COUNT).astype(np.uint16)
