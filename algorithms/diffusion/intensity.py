"""Sketches in units of their own contrast, and in those of the images to be made."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import ndimage

from cytosuite.manifest import Described
from cytosuite.normalise import (
    Background,
    Dtype,
    Target,
    background_of,
    denormalise,
    dtype_of,
    in_dtype,
    normalise,
    target_of,
)
from cytosuite.segmentation.foreground import li_threshold

Image = NDArray[np.float32]
Units = Literal["background", "contrast"]

_SPAN = 2.0  # of the contrast in units of the network: their deviation is then near 1

HIDDEN = -1.0  # everywhere, in place of a sketch: the ground of a real one is at 0 on average


class Contrast(Described):
    """Levels of the two sides of an image's threshold, in its unit."""

    dark: float = Field(description="mean of the ground")
    bright: float = Field(description="mean of the objects")


class GreyLevels(Contrast):
    """Grey values of a domain without a dark background, like tissue full of membranes."""

    dtype: Dtype = Field("uint16", description="of the images")


def contrast_of(image: NDArray[Any]) -> Contrast:
    """Return the mean levels on both sides of Li's threshold.

    Parameters
    ----------
    image : array of numbers
        A whole image, any shape, not empty.

    Returns
    -------
    Contrast
        Both levels are the same in a constant image.

    Examples
    --------
    >>> contrast_of(np.array([3, 3, 3, 9, 9]))
    Contrast(dark=3.0, bright=9.0)
    """
    values = image.astype(np.float32)
    low = float(values.min())
    values -= low
    above = values > li_threshold(values)
    if not above.any() or above.all():
        mean = low + float(values.mean(dtype=np.float64))
        return Contrast(dark=mean, bright=mean)
    dark, bright = (low + float(values[s].mean(dtype=np.float64)) for s in (~above, above))
    return Contrast(dark=dark, bright=bright)


def sketch_units(sketch: NDArray[Any]) -> Image:
    """Return a sketch with its ground at 0 and its objects at 1, on average.

    Parameters
    ----------
    sketch : array of numbers
        A whole image: its own contrast counts, no other image's. A constant one is ground.
    """
    found = contrast_of(sketch)
    if found.bright <= found.dark:
        return np.zeros(sketch.shape, np.float32)
    values = sketch.astype(np.float32) - np.float32(found.dark)
    values /= np.float32(found.bright - found.dark)
    return values


def sketch_of_labels(labels: NDArray[np.integer]) -> Image:
    """Return a sketch of known objects: 1 inside, 0 outside and where they touch.

    Parameters
    ----------
    labels : (Z, Y, X) or (Y, X) array of integers
        0 is background.
    """
    size = 3
    highest = ndimage.maximum_filter(labels, size)
    # Background would always be the lowest: it counts as the highest number here.
    top = np.iinfo(labels.dtype).max
    lowest = ndimage.minimum_filter(np.where(labels > 0, labels, top), size)
    touching = (labels > 0) & (lowest != highest)
    return np.asarray((labels > 0) & ~touching, np.float32)


def image_units(image: NDArray[Any], units: Units = "background") -> Image:
    """Return a microscope's image in units of the network.

    Parameters
    ----------
    image : array of numbers
        A whole image.
    units : {"background", "contrast"}
        ``background``: see `cytosuite.normalise`; the dark third of the voxels must be background,
        of more than a few grey values. ``contrast``: linear, ground at 0 and objects at 2, see
        `contrast_of`; ground in a constant image.
    """
    if units == "background":
        return normalise(image, background_of(image))
    return np.asarray(np.float32(_SPAN) * sketch_units(image))


def target_of_images(images: Sequence[NDArray[Any]], units: Units) -> Target | GreyLevels:
    """Return the median grey values of images and the dtype of the first, for `grey_values`."""
    if units == "background":
        return target_of(images)
    found = [contrast_of(image) for image in images]
    dark, bright = np.median([(each.dark, each.bright) for each in found], 0)
    return GreyLevels(dark=float(dark), bright=float(bright), dtype=dtype_of(images[0]))


def grey_values(values: Image, target: Target | GreyLevels) -> NDArray[Any]:
    """Return an image in the grey values and the dtype of a domain from units of the network."""
    if isinstance(target, Target):
        return in_dtype(denormalise(values, Background(target.mean, target.sd)), target.dtype)
    gain = (target.bright - target.dark) / _SPAN
    return in_dtype(values * np.float32(gain) + np.float32(target.dark), target.dtype)
