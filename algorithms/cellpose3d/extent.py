"""The extent of nuclei: a threshold on the image itself, in addition to the network's level."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cytosuite.algorithms.cellpose3d.parameters import Parameters
from cytosuite.segmentation.foreground import background_and_noise, li_threshold, sigmas

Image = NDArray[np.float32]

_SAMPLE = 2_000_000  # voxels for the statistics of an image; larger ones are thinned evenly
_SLAB = 16_000_000  # of these, voxels smoothed at a time
_REACH = 4.0  # standard deviations after which a Gaussian ends


class Whole(NamedTuple):
    """Statistics of the smoothed intensities of a whole image, in its unit."""

    background: float
    threshold: float  # minimum cross entropy, above the background; 0 in a constant image


def smoothed(image: Image, spacing: Sequence[float], parameters: Parameters) -> Image:
    """Return intensities after a Gaussian of `smoothing_um`, longer along z.

    Parameters
    ----------
    image : (Z, Y, X) float32 array
    spacing : sequence of float
        µm per voxel at the scale of the training.
    parameters : Parameters
    """
    widths = sigmas(parameters.smoothing_um, spacing, parameters.axial_elongation)
    return np.asarray(ndimage.gaussian_filter(image, widths), np.float32)


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
    width = sigmas(parameters.smoothing_um, spacing, parameters.axial_elongation)[0]
    edge = int(_REACH * width + 1)
    planes = max(1, _SLAB // max(1, image[0].size))
    for start in range(0, len(image), planes):
        stop = min(start + planes, len(image))
        first = max(0, start - edge)
        part = np.asarray(image[first : stop + edge], np.float32)
        yield smoothed(part, spacing, parameters)[start - first : stop - first]


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
