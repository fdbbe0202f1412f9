"""Restoration without a network: smoothing, the loss of light along its way, and the blur.

References
----------
Richardson, J. Opt. Soc. Am. 62 (1972) 55, doi:10.1364/JOSA.62.000055; Lucy, Astron. J. 79 (1974)
745, doi:10.1086/111605 (deconvolution).
"""

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import ndimage

from cytosuite.algorithms.view_fusion.attenuation import Loss, LossEstimate, loss_of
from cytosuite.algorithms.view_fusion.intensity import Units, cast
from cytosuite.large import put, room, taken
from cytosuite.manifest import Described
from cytosuite.tiling import Tile, fit, plan, smallest_tile

_TRUNCATE = 3.0  # standard deviations of a Gaussian that are summed
_WIDEST_PX = 3.0  # standard deviation of the blur that is corrected
_LARGEST = 1e20  # units of the percentiles that a signal may have

Um = Annotated[float, Field(ge=0, le=20)]


class Restoration(Described):
    """Parameters of the classical restoration."""

    loss: LossEstimate = Field(LossEstimate(), description="Of light; strength 0 corrects none.")
    psf_um: tuple[Um, Um, Um] = Field(
        (1.2, 0.25, 0.25), description="Standard deviations [µm] of the blur along z, y, x."
    )
    steps: int = Field(1, ge=0, le=10, description="Steps of Richardson and Lucy; 0 for none.")
    pedestal: float = Field(
        0.1,
        gt=0,
        le=10,
        description="Added to the signal, in units of the percentiles: dark noise is left alone.",
    )


def smooth(image: NDArray[Any], sigma: float, *, tile: Sequence[int]) -> NDArray[Any]:
    """Return an image after a Gaussian.

    Parameters
    ----------
    image : (Z, Y, X) array of finite numbers
    sigma : float
        Standard deviation in voxels, along all axes.
    tile : sequence of int
        Voxels z y x; its volume bounds the memory, about 12 bytes per voxel.

    Returns
    -------
    array of the image's shape and dtype
    """
    made = room(image.shape, image.dtype)
    for piece in _tiles(image.shape, tile, [int(4 * sigma + 0.5)] * 3):
        part = taken(image, piece.input).astype(np.result_type(image, np.float32))
        found = cast(ndimage.gaussian_filter(part, sigma)[piece.crop], image.dtype)
        put(made, piece.output, found)
    return made


def correct(
    image: NDArray[Any],
    spacing: Sequence[float],
    units: Units,
    given: Restoration,
    *,
    tile: Sequence[int],
) -> tuple[NDArray[Any], Loss]:
    """Return an image with its loss of light and its blur corrected in part, and the loss.

    Parameters
    ----------
    image : (Z, Y, X) array of finite numbers
    spacing : sequence of float
        µm per voxel, z y x.
    units : Units
        Of the whole image.
    given : Restoration
    tile : sequence of int
        Voxels z y x; its volume bounds the memory, about 30 bytes per voxel.

    Returns
    -------
    image : array of the image's shape and dtype
    loss : Loss
    """
    loss = loss_of(image, spacing, given.loss)
    sigma = [
        min(width / step, _WIDEST_PX) for width, step in zip(given.psf_um, spacing, strict=True)
    ]
    reach = [int(_TRUNCATE * width + 0.5) * 2 * given.steps for width in sigma]
    made = room(image.shape, image.dtype)
    for piece in _tiles(image.shape, tile, reach if given.steps else [0] * 3):
        part: NDArray[Any] = taken(image, piece.input).astype(np.result_type(image, np.float32))
        part -= loss.background
        part *= loss.gain.read(piece.input)
        part += loss.background
        if given.steps:
            part = _sharpened(part, units, sigma, given)
        put(made, piece.output, cast(part[piece.crop], image.dtype))
    return made, loss


def _sharpened(
    part: NDArray[Any], units: Units, sigma: Sequence[float], given: Restoration
) -> NDArray[Any]:
    """Return a part of an image with its blur corrected."""
    with np.errstate(over="ignore"):
        signal = np.clip((part - units.low) / units.scale, 0, _LARGEST)
    made: NDArray[Any] = deconvolved(signal, sigma, given.steps, given.pedestal)
    return units.low + units.scale * made


def deconvolved(
    signal: NDArray[np.floating], sigma: Sequence[float], steps: int, pedestal: float
) -> NDArray[np.floating]:
    """Return a signal with a Gaussian blur undone in part, by the way of Richardson and Lucy.

    Parameters
    ----------
    signal : (Z, Y, X) array of numbers, none negative
    sigma : sequence of float
        Standard deviations of the blur in voxels.
    steps : int
        Steps, from the signal itself on: a smoothed start loses the noise that the fused image
        shares with its better view, and N_SSIM with it.
    pedestal : float
        Above 0, added on both sides of each comparison.
    """
    made = signal
    for _ in range(steps):
        made = made * _blurred((signal + pedestal) / (_blurred(made, sigma) + pedestal), sigma)
    return made


def _blurred(values: NDArray[np.floating], sigma: Sequence[float]) -> NDArray[np.floating]:
    """Return values after a Gaussian."""
    found: NDArray[np.floating] = ndimage.gaussian_filter(
        values, sigma, mode="nearest", truncate=_TRUNCATE
    )
    return found


def _tiles(shape: Sequence[int], tile: Sequence[int], halo: Sequence[int]) -> list[Tile]:
    """Return tiles of an image, at least as large as their halo needs."""
    single = (1,) * len(shape)
    size = [max(n, least) for n, least in zip(tile, smallest_tile(halo, single), strict=True)]
    return plan(shape, fit(shape, size, halo, single), halo)
