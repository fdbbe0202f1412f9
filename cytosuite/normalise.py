"""Intensities in units of the background's noise: the network's input, in training and after."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray
from pydantic import Field

from cytosuite.large import thinned
from cytosuite.manifest import Described

LOW, HIGH = 5.0, 30.0  # percentiles of voxels that are background in any image of nuclei
_LOW_Z, _HIGH_Z = -1.6448536, -0.5244005  # where a normal distribution has them
_SAMPLE = 1_000_000  # voxels that percentiles are taken from; larger images are thinned evenly
_QUIETEST = 0.001  # the noise counts as at least this share of the brightest signal
_NOISE_UNITS = 3.0  # linear up to about this many standard deviations, logarithmic beyond

Dtype = Literal["uint8", "uint16", "float32"]


class Background(NamedTuple):
    """The background of an image, in its unit."""

    mean: float
    sd: float  # standard deviation, above 0


class Target(Described):
    """Grey values of a domain that images are brought into."""

    mean: float = Field(description="of the background")
    sd: float = Field(gt=0, description="standard deviation of the background")
    dtype: Dtype = Field("uint16", description="of the images")


def background_of(image: NDArray[Any]) -> Background:
    """Return the background of an image, from its dark percentiles.

    Parameters
    ----------
    image : array of numbers
        Any shape; the dark third of the voxels must be background. Not empty.

    Returns
    -------
    Background
        Mean and standard deviation of the normal distribution that has the image's 5th and 30th
        percentile. Where these are (nearly) equal, as in an image with its background cut off,
        the deviation is 0.1 % of the range up to the 99.8th percentile; 1 in a constant image.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(100.0, 5.0, 100_000)
    >>> found = background_of(noise)
    >>> round(found.mean), round(found.sd)
    (100, 5)
    """
    flat = thinned(image, max(1, -(-image.size // _SAMPLE)))
    low, high, top = (float(value) for value in np.percentile(flat, (LOW, HIGH, 99.8)))
    sd = (high - low) / (_HIGH_Z - _LOW_Z)
    mean = high - _HIGH_Z * sd
    sd = max(sd, _QUIETEST * (top - low))
    return Background(mean, sd if sd > 0 else 1.0)


def normalise(image: NDArray[Any], background: Background) -> NDArray[np.float32]:
    """Return ``0.5 asinh((image - background) / (3 sd))``.

    Parameters
    ----------
    image : array of numbers
        Any shape.
    background : Background
        That of the whole image, also where only a part of it is given.

    Returns
    -------
    float32 array
        Of the same shape; background near 0, bright nuclei at 1 to 3.

    Notes
    -----
    The inverse hyperbolic sine is linear in the noise and logarithmic in the signal, so that dim
    nuclei next to bright ones keep their contrast.
    """
    scale = 1 / (_NOISE_UNITS * background.sd)
    values = np.asarray(image, np.float32) - np.float32(background.mean)
    values *= np.float32(scale)
    np.arcsinh(values, out=values)
    values *= np.float32(0.5)
    return values


def denormalise(values: NDArray[Any], background: Background) -> NDArray[np.float32]:
    """Return the image that `normalise` turns into given values.

    Parameters
    ----------
    values : array of numbers
        Any shape; beyond 40, about 1e34 standard deviations, they count as 40.
    background : Background
        Of the image that is wanted.

    Returns
    -------
    float32 array
        Of the same shape.
    """
    image = np.clip(np.asarray(values, np.float32), -40, 40) * np.float32(2)
    np.sinh(image, out=image)
    image *= np.float32(_NOISE_UNITS * background.sd)
    image += np.float32(background.mean)
    return image


def in_dtype(image: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
    """Return an image with another dtype: integers are rounded, and kept within its range."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return image.astype(kind)
    limits = np.iinfo(kind)
    found: NDArray[Any] = np.clip(np.rint(image), limits.min, limits.max).astype(kind)
    return found


def target_of(images: Sequence[NDArray[Any]]) -> Target:
    """Return the grey values of a domain: median background of its images, and dtype.

    Parameters
    ----------
    images : sequence of array
        Whole images, one or more; the dtype of the first counts.
    """
    mean, sd = np.median([background_of(image) for image in images], 0)
    return Target(mean=float(mean), sd=float(sd), dtype=dtype_of(images[0]))


def dtype_of(image: NDArray[Any]) -> Dtype:
    """Return the dtype of a domain: that of its image, float32 for all but 8 and 16 bits."""
    kept: dict[str, Dtype] = {"uint8": "uint8", "uint16": "uint16"}
    return kept.get(image.dtype.name, "float32")
