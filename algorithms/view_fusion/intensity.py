"""Intensities of whole images in units of N_SSIM (percentiles 2 and 99.8), outliers compressed."""

from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from cytosuite.networks.normalise import in_dtype
from cytosuite.segmentation.specimen import HIGH, LOW
from cytosuite.volume.arrays import Array, Floats, Reals
from cytosuite.volume.pieces import percentiles

KNEE = 2.0  # distance from 0 beyond which units are logarithmic
_PIECE = 2**18  # voxels at a time
_LARGEST = 1e30  # distance from 0 that counts, in units before compression
_FARTHEST = 80.0  # and after it, with room for an answer beyond


class Units(NamedTuple):
    """Grey values of a whole image that a network sees as 0 and 1."""

    low: float
    high: float

    @property
    def flat(self) -> bool:
        """Whether both are alike, as in a constant image: there is nothing to restore."""
        return not self.high > self.low

    @property
    def scale(self) -> float:
        """Grey values of a unit; 1 in a flat image, as in the metric."""
        return 1.0 if self.flat else self.high - self.low


def units_of(array: Array) -> Units:
    """Return the units of a whole finite image: its percentiles 2 and 99.8."""
    return Units(*percentiles(array, (LOW, HIGH)))


def to_network(array: Array, units: Units) -> Floats:
    """Return ``t = (v - low) / (high - low)``, beyond 2 ``2 + log(1 + |t| - 2)``, float32."""
    kind = np.result_type(array, np.float32)  # float64 for more than 16 bits
    with np.errstate(over="ignore"):
        linear = (array.astype(kind) - kind.type(units.low)) / kind.type(units.scale)
    values: Floats = np.clip(linear, -_LARGEST, _LARGEST).astype(np.float32)
    far = np.abs(values) > KNEE
    if far.any():
        outlying = values[far]
        values[far] = np.copysign(KNEE + np.log1p(np.abs(outlying) - KNEE), outlying)
    return values


def to_counts(values: Reals, units: Units, dtype: DTypeLike) -> Array:
    """Return the inverse of `to_network`, rounded to integers; NaN counts as 0."""
    kind = np.dtype(dtype)
    counts = np.empty(values.shape, kind)
    flat = values.reshape(-1)
    out = counts.reshape(-1)
    for start in range(0, flat.size, _PIECE):
        part = slice(start, start + _PIECE)
        linear = np.clip(np.nan_to_num(flat[part].astype(np.float64)), -_FARTHEST, _FARTHEST)
        far = np.abs(linear) > KNEE
        outlying = linear[far]
        linear[far] = np.copysign(KNEE + np.expm1(np.abs(outlying) - KNEE), outlying)
        out[part] = in_dtype(units.low + units.scale * linear, kind)
    return counts
