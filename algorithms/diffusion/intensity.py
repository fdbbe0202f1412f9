"""Units: of sketches by their own contrast, of images by background or contrast."""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from cytosuite.denoising.sampling import Contrast
from cytosuite.files import FloatDict
from cytosuite.networks.normalise import (
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
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Array, Image

Units = Literal["background", "contrast"]

_SPAN = 2.0  # of the contrast in units of the network: their deviation is then near 1


class GreyLevels(Contrast):
    """Grey values of a domain without a dark background, like tissue full of membranes."""

    dtype: Dtype = "uint16"  # of the images


def each_channel(change: Callable[[Array], Image], image: Volume) -> Image:
    """Return the pixels of an image after a change of each channel alone."""
    channels = [change(channel.array) for channel in image.channels]
    return np.stack(channels) if "C" in image.axes else channels[0]


def contrast_of(image: Array) -> Contrast:
    """Return the mean levels on both sides of Li's threshold, the same ones in a constant image."""
    values = image.astype(np.float32)
    low = float(values.min())
    values -= low
    above = values > li_threshold(values)
    if not above.any() or above.all():
        mean = low + float(values.mean(dtype=np.float64))
        return Contrast(dark=mean, bright=mean)
    dark, bright = (low + float(values[s].mean(dtype=np.float64)) for s in (~above, above))
    return Contrast(dark=dark, bright=bright)


def sketch_units(sketch: Array) -> Image:
    """Return a whole sketch with its ground at 0 and its objects at 1, on average, float32."""
    levels = contrast_of(sketch)
    if levels.bright <= levels.dark:
        return np.zeros(sketch.shape, np.float32)
    values = sketch.astype(np.float32) - np.float32(levels.dark)
    values /= np.float32(levels.bright - levels.dark)
    return values


def image_units(image: Array, units: Units) -> Image:
    """Return a whole image in units of the network: `normalise`, or ground at 0, objects at 2."""
    if units == "background":
        return normalise(image, background_of(image))
    return np.float32(_SPAN) * sketch_units(image)


def target_of_images(images: Sequence[Array], units: Units) -> Target | GreyLevels:
    """Return the median grey values of images and the dtype of the first, for `grey_values`."""
    if units == "background":
        return target_of(images)
    return GreyLevels(**typical_contrast(images), dtype=dtype_of(images[0]))


def typical_contrast(images: Sequence[Array]) -> FloatDict:
    """Return the median `contrast_of` images, ``dark`` and ``bright``."""
    levels = map(contrast_of, images)
    dark, bright = np.median([(level.dark, level.bright) for level in levels], 0)
    return {"dark": float(dark), "bright": float(bright)}


def grey_values(values: Image, target: Target | GreyLevels) -> Array:
    """Return an image in the grey values and the dtype of a domain from units of the network."""
    if isinstance(target, Target):
        return in_dtype(denormalise(values, Background(target.mean, target.sd)), target.dtype)
    gain = (target.bright - target.dark) / _SPAN
    return in_dtype(values * np.float32(gain) + np.float32(target.dark), target.dtype)
