"""The extent of nuclei: a threshold on the image itself, in addition to the network's level."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from algorithms.cellpose3d.parameters import Parameters
from cytosuite.segmentation.foreground import (
    background_and_noise,
    li_threshold,
    sigmas,
    threshold_map,
)
from cytosuite.segmentation.objects import own_level

Image = NDArray[np.float32]

_SAMPLE = 2_000_000  # voxels for the statistics of an image; larger ones are thinned evenly
_SLAB = 16_000_000  # of these, voxels smoothed at a time
_REACH = 4.0  # standard deviations after which a Gaussian ends


@dataclass(frozen=True, slots=True)
class Whole:
    """Statistics of a whole image, in its unit.

    Parameters
    ----------
    background : float
        Of the smoothed intensities.
    threshold : float
        The minimum cross entropy threshold above the background; 0 in a constant image.
    """

    background: float
    threshold: float


def smoothed(image: Image, spacing: Sequence[float], parameters: Parameters) -> Image:
    """Return intensities after a Gaussian of `smoothing_um`, longer along z.

    Parameters
    ----------
    image : (Z, Y, X) float32 array
    spacing : sequence of float
        µm per voxel at the scale of the training.
    parameters : Parameters
    """
    return np.asarray(ndimage.gaussian_filter(image, _widths(spacing, parameters)), np.float32)


def _widths(spacing: Sequence[float], parameters: Parameters) -> tuple[float, ...]:
    """Return the standard deviations of the smoothing, voxels."""
    return sigmas(parameters.smoothing_um, spacing, parameters.axial_elongation)


def measure(image: Image, spacing: Sequence[float], parameters: Parameters) -> Whole:
    """Return the background of an image and its threshold.

    Parameters
    ----------
    image : (Z, Y, X) float32 array
        The whole image. It is smoothed some planes at a time: beyond 16 million voxels memory
        does not grow.
    spacing : sequence of float
        µm per voxel at the scale of the training.
    parameters : Parameters

    References
    ----------
    Li, Lee, Pattern Recognition 26 (1993) 617, doi:10.1016/0031-3203(93)90115-D; Li, Tam,
    Pattern Recognition Letters 19 (1998) 771, doi:10.1016/S0167-8655(98)00057-9.
    """
    step = max(1, -(-image.size // _SAMPLE))
    values = np.concatenate([p.ravel()[::step] for p in _slabs(image, spacing, parameters)])
    background, _ = background_and_noise(values)
    values -= np.float32(background)
    return Whole(background, li_threshold(values) if values.max() > 0 else 0.0)


def _slabs(image: Image, spacing: Sequence[float], parameters: Parameters) -> Iterator[Image]:
    """Yield the smoothed image, some planes at a time."""
    edge = int(_REACH * _widths(spacing, parameters)[0] + 1)
    planes = max(1, _SLAB // max(1, image[0].size))
    for start in range(0, len(image), planes):
        stop = min(start + planes, len(image))
        first = max(0, start - edge)
        part = np.asarray(image[first : stop + edge], np.float32)
        yield smoothed(part, spacing, parameters)[start - first : stop - first]


def thresholds(
    signal: Image, spacing: Sequence[float], whole: Whole, parameters: Parameters
) -> Image:
    """Return the least intensity of foreground: higher in bright surroundings.

    Parameters
    ----------
    signal : (Z, Y, X) float32 array
        Smoothed intensities above the background.
    spacing : sequence of float
        µm per voxel at the scale of the training.
    whole : Whole
    parameters : Parameters
        `li_factor`, `local_um`, `local_weight`, `axial_elongation`.
    """
    return threshold_map(
        signal,
        spacing,
        threshold=parameters.li_factor * whole.threshold,
        local_um=parameters.local_um,
        local_weight=parameters.local_weight,
        elongation=parameters.axial_elongation,
    )


def above(signal: Image, level: Image) -> Image:
    """Return ``signal / level - 1``, and -1 where the level is 0.

    Parameters
    ----------
    signal, level : (Z, Y, X) float32 arrays
    """
    margin = np.full(signal.shape, -1, np.float32)
    np.divide(signal, level, out=margin, where=level > 0)
    np.subtract(margin, 1, out=margin, where=level > 0)
    return margin


def own_margin(
    labels: NDArray[np.uint32], signal: Image, level: Image, parameters: Parameters
) -> Image:
    """Return the relative height above the threshold of the own object; -1 outside of objects.

    Parameters
    ----------
    labels : (Z, Y, X) uint32 array
    signal : (Z, Y, X) float32 array
        Smoothed intensities above the background.
    level : (Z, Y, X) float32 array
        From `thresholds`.
    parameters : Parameters
        A bright object is cut higher, a dim one lower than the rest: at
        ``own_factor level^(1 - own_weight) mean^own_weight`` with the object's own mean.
    """
    own = own_level(
        labels, signal, level, factor=parameters.own_factor, weight=parameters.own_weight
    )
    return above(signal, own)
