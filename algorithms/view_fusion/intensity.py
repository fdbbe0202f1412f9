"""Intensities of whole images in units of N_SSIM (percentiles 2 and 99.8), outliers compressed."""

from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from cytosuite.networks.normalise import in_dtype
from cytosuite.segmentation.specimen import HIGH, LOW
from cytosuite.volume.arrays import Array, Floats, Reals
from cytosuite.volume.large import is_mapped
from cytosuite.volume.pieces import chunks, thinned

# Percentiles that become 0 and 1.
KNEE = 2.0  # distance from 0 beyond which units are logarithmic
_PIECE = 2**18  # voxels at a time
_MOST = 2**24  # of a mapped image of more than 16 bits that are put in order
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
    places = [rank / 100 * (array.size - 1) for rank in (LOW, HIGH)]
    ranks = [min(int(place) + step, array.size - 1) for place in places for step in (0, 1)]
    ordered = _by_histogram if array.dtype.itemsize <= 2 and array.dtype.kind in "bui" else _sorted
    values = ordered(array, ranks)
    below, above = values[::2], values[1::2]
    low, high = (
        lower + (upper - lower) * (place - int(place))
        for lower, upper, place in zip(below, above, places, strict=True)
    )
    return Units(low, high)


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
    flat, out = values.reshape(-1), counts.reshape(-1)
    for start in range(0, flat.size, _PIECE):
        part = slice(start, start + _PIECE)
        linear = np.clip(np.nan_to_num(flat[part].astype(np.float64)), -_FARTHEST, _FARTHEST)
        far = np.abs(linear) > KNEE
        outlying = linear[far]
        linear[far] = np.copysign(KNEE + np.expm1(np.abs(outlying) - KNEE), outlying)
        out[part] = in_dtype(units.low + units.scale * linear, kind)
    return counts


def _by_histogram(array: Array, ranks: list[int]) -> list[float]:
    """Return values of given ranks of an image of up to 16 bits."""
    least = 0 if array.dtype.kind == "b" else int(np.iinfo(array.dtype).min)
    counts = np.zeros(2 ** (8 * array.dtype.itemsize), np.int64)
    for (piece,) in chunks(array, size=_PIECE):
        counts += np.bincount(piece.astype(np.int32) - np.int32(least), minlength=counts.size)
    places = np.searchsorted(np.cumsum(counts), np.array(ranks) + 1)
    return [float(place + least) for place in places]


def _sorted(array: Array, ranks: list[int]) -> list[float]:
    """Return values of given ranks of an image of any dtype; a mapped one is thinned."""
    if is_mapped(array):
        step = -(-array.size // _MOST)
        values = thinned(array, step)
        ranks = [min(rank // step, values.size - 1) for rank in ranks]
    else:
        values = array.flatten()
    values.partition(sorted(set(ranks)))
    return [float(values[rank]) for rank in ranks]
