"""Inputs of networks: intensities in units of the background's noise, sketches of labels."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import DTypeLike
from scipy import ndimage

from cytosuite.contract.manifest import Described, Positive
from cytosuite.volume.arrays import Array, Floats, Integers
from cytosuite.volume.pieces import evenly, extremes, gathered, slabs_of

LOW, HIGH = 5.0, 30.0  # percentiles of voxels that are background in any image of nuclei
LOW_Z, HIGH_Z = -1.6448536, -0.5244005  # where a normal distribution has them
_SAMPLE = 1_000_000  # voxels that percentiles are taken from; larger images are thinned evenly
QUIETEST = 0.001  # the noise counts as at least this share of the brightest signal
BRIGHT = 0.6  # 192 fluorescent planes of BBBC038 have 1.4 or more, 106 volumes 3.2 or more
NOISE_UNITS = 3.0  # linear up to about this many standard deviations, logarithmic beyond

Dtype = Literal["uint8", "uint16", "float32"]


class Background(NamedTuple):
    """The background of an image, in its unit."""

    mean: float
    sd: float  # standard deviation, above 0


class Target(Described):
    """Grey values of a domain that images are brought into."""

    mean: float  # of the background
    sd: Positive  # standard deviation of the background
    dtype: Dtype = "uint16"  # of the images


def background_of(image: Array, quietest: float = QUIETEST) -> Background:
    """Return the background, a normal distribution with the image's 5th and 30th percentile.

    Its standard deviation is at least the share `quietest` of the brightest signal.
    """
    low, high, top = sampled_percentiles(image, LOW, HIGH, 99.8)
    sd = (high - low) / (HIGH_Z - LOW_Z)
    mean = high - HIGH_Z * sd
    sd = max(sd, quietest * (top - low))
    return Background(mean, sd if sd > 0 else 1.0)


def sampled_percentiles(image: Array, *ranks: float) -> list[float]:
    """Return percentiles of an image, of a million of its voxels where it has more."""
    return [float(value) for value in np.percentile(evenly(image, _SAMPLE), ranks)]


def normalise(image: Array, background: Background) -> Floats:
    """Return ``0.5 asinh((image - background) / (3 sd))``: linear in noise, logarithmic beyond."""
    scale = 1 / (NOISE_UNITS * background.sd)
    values = np.asarray(image, np.float32) - np.float32(background.mean)
    values *= np.float32(scale)
    np.arcsinh(values, out=values)
    values *= np.float32(0.5)
    return values


def denormalise(values: Array, background: Background) -> Floats:
    """Return the float32 image that `normalise` turns into `values`; beyond 40 they count as 40."""
    image = np.clip(np.asarray(values, np.float32), -40, 40) * np.float32(2)
    np.sinh(image, out=image)
    image *= np.float32(NOISE_UNITS * background.sd)
    image += np.float32(background.mean)
    return image


def in_dtype(values: Array, dtype: DTypeLike) -> Array:
    """Return finite numbers as another dtype: rounded to integers, and within its range."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        limit = float(np.finfo(kind).max)
        return np.clip(values, -limit, limit).astype(kind)
    limits = (0, 1) if kind.kind == "b" else (np.iinfo(kind).min, np.iinfo(kind).max)
    top = np.array(limits[1], values.dtype)
    if int(top) > limits[1]:  # rounded up; the next lower float is within the range
        top = np.nextafter(top, np.array(0, values.dtype))
    return np.clip(np.rint(values), limits[0], top).astype(kind)


def target_of(images: Sequence[Array]) -> Target:
    """Return the grey values of a domain: median background of its images, and dtype."""
    mean, sd = np.median([background_of(image) for image in images], 0)
    return Target(mean=float(mean), sd=float(sd), dtype=dtype_of(images[0]))


def dtype_of(image: Array) -> Dtype:
    """Return the dtype of a domain: its image's for 8 and 16 bits, else float32."""
    dtypes: dict[str, Dtype] = {"uint8": "uint8", "uint16": "uint16"}
    return dtypes.get(image.dtype.name, "float32")


def sketch_of_labels(labels: Integers) -> Floats:
    """Return a sketch of integer labels: 1 inside, 0 outside and where objects touch, float32."""
    size = 3
    inside = labels > 0
    highest = ndimage.maximum_filter(labels, size)
    # Background would always be the lowest: it counts as the highest number here.
    most = min(np.iinfo(labels.dtype).max, 2**53)  # that a filter, which counts in float64, keeps
    lowest = ndimage.minimum_filter(np.where(inside, labels, most), size)
    return np.asarray(inside & (lowest == highest), np.float32)


def bright(image: Array) -> Array:
    """Return an image (..., Y, X) of dark nuclei turned within its range."""
    if image.dtype == bool:
        return image
    low, middle, high = sampled_percentiles(image, 1, 50, 99)
    if not high - middle < BRIGHT * (middle - low):  # so nor one with NaN
        return image
    bottom, top = extremes(image)
    # Of integers modulo their range.
    return gathered(image.shape, image.dtype, (top - part + bottom for part in slabs_of(image)))
