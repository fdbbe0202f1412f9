"""Wasserstein distance of the grey values of two sets of images, without pairing them.

The first Wasserstein distance is the work of moving one histogram onto the other: the mean number
of grey values by which a voxel must change. It is computed exactly, not from a coarse histogram.

References
----------
Panaretos and Zemel, Statistical aspects of Wasserstein distances, Annual Review of Statistics and
Its Application 6 (2019), doi:10.1146/annurev-statistics-030718-104938.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from math import isfinite, nan, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytosuite.errors import InputError
from cytosuite.large import fits, is_mapped
from cytosuite.metrics.chunks import chunks
from cytosuite.metrics.evidence import Evidence
from cytosuite.metrics.metric import metric
from cytosuite.metrics.realism import wasserstein_kernel as kernel
from cytosuite.metrics.realism.scene import members

CHUNK = 1 << 18  # voxels looked at together
SMALL = 1 << 15  # voxels of both sides up to which sorting is the quickest
BINS = 1 << 16  # of a value range: their counts and sums stay in the cache
FEW = 1 << 26  # bytes of values that are sorted in any case

Floats = NDArray[np.float64]
Weights = float | NDArray[Any]

PANARETOS = "10.1146/annurev-statistics-030718-104938"
CONSTANT = "when images hold no voxel, or the real ones are constant"


@dataclass(frozen=True, slots=True)
class Transport:
    """The distance of two samples of grey values, with spread and range of the real one.

    Parameters
    ----------
    distance : float
        First Wasserstein distance, in grey values; NaN if a sample is empty.
    real_voxels, synthetic_voxels : int
        Sizes of the samples.
    real_std : float
        Standard deviation of the real sample (of the population), in grey values.
    real_range : float
        Largest minus smallest value of the real sample.
    """

    distance: float
    real_voxels: int
    synthetic_voxels: int
    real_std: float
    real_range: float


@dataclass(frozen=True, slots=True)
class _Sample:
    """Arrays taken together as one sample, with its extent and moments."""

    arrays: list[NDArray[Any]]
    size: int
    low: float
    high: float
    mean: float


def transport(
    real: NDArray[Any] | Sequence[NDArray[Any]],
    synthetic: NDArray[Any] | Sequence[NDArray[Any]],
    *,
    real_weights: Weights | Sequence[Weights] | None = None,
    synthetic_weights: Weights | Sequence[Weights] | None = None,
) -> Transport:
    """Return the exact first Wasserstein distance of all grey values of two sets of images.

    Parameters
    ----------
    real, synthetic : array of integers or floats, or list of arrays
        Any shapes, sizes and memory layouts; memory-mapped files are read piece by piece. Grey
        values of both must be in one unit: nothing is normalised here.
    real_weights, synthetic_weights : float or array, or list of them, optional
        Weight of every voxel, per image: one number, or an array of the shape of the image; one
        weight for all by default. Numbers ``1 / image.size`` give every image the same weight.

    Returns
    -------
    Transport
        The distance, and spread and range of the real values.

    Raises
    ------
    InputError
        If a value is NaN or infinite, a dtype is no real number, or weights do not suit the images.

    Notes
    -----
    ``W1 = integral of |F_real(v) - F_synthetic(v)| dv`` with the cumulative shares F.

    - Integers of up to 16 bits: the sum over all values of the difference of two cumulative
      histograms, one pass over each image.
    - Other dtypes: counts and sums of the values in 65 536 bins. Where ``F_real - F_synthetic``
      cannot change its sign within a bin, count and sum give its integral there exactly; the
      values of the other bins, as a rule very few, are gathered and sorted.
    - Small samples, and all with weights, are sorted.

    All three agree up to rounding in float64. Integers beyond 2**53 are rounded to it.

    Examples
    --------
    >>> transport(np.array([0, 10], np.uint8), np.array([5, 25], np.uint8)).distance
    10.0
    """
    first, second = _sample("real", real), _sample("synthetic", synthetic)
    if not (first.size and second.size):
        return Transport(nan, first.size, second.size, nan, nan)
    if real_weights is not None or synthetic_weights is not None:
        distance, std = _by_weights((first, second), (real_weights, synthetic_weights))
    else:
        distance, std = _by_size(first, second)
    return Transport(distance, first.size, second.size, std, first.high - first.low)


TRANSPORT = Evidence(transport, ("real", "synthetic"))
distance = partial(metric, evidence=TRANSPORT, best=0.0, reference=PANARETOS)


@distance(
    "W1",
    "Wasserstein distance of intensities",
    undefined="when the real or the synthetic images hold no voxel",
)
def w1(moved: Transport) -> float:
    """Return the first Wasserstein distance of the grey values, in grey values.

    0 for equal histograms, wherever in the images the grey values lie.

    Examples
    --------
    >>> w1(np.array([0, 1, 3]), np.array([5, 6, 8]))
    5.0
    """
    return moved.distance


@distance(
    "W1_by_std",
    "Wasserstein distance of intensities / standard deviation of the real ones",
    undefined=CONSTANT,
)
def w1_by_std(moved: Transport) -> float:
    """Return the distance of the grey values in standard deviations of the real ones.

    Unchanged if one factor is applied to all images, so that data of different microscopes can be
    compared.

    Examples
    --------
    >>> w1_by_std(np.array([0, 2]), np.array([5, 7]))
    5.0
    """
    return moved.distance / moved.real_std if moved.real_std > 0 else nan


@distance(
    "W1_by_range",
    "Wasserstein distance of intensities / range of the real ones",
    undefined=CONSTANT,
)
def w1_by_range(moved: Transport) -> float:
    """Return the distance of the grey values as a share of the range of the real ones.

    The range depends on the two most extreme voxels: a single hot one changes it, where
    `w1_by_std` hardly moves.

    Examples
    --------
    >>> w1_by_range(np.array([0, 2]), np.array([5, 7]))
    2.5
    """
    return moved.distance / moved.real_range if moved.real_range > 0 else nan


def sorted_distance(first: Floats, second: Floats) -> float:
    """Return the first Wasserstein distance of two samples in ascending order.

    (N,) and (M,) float64 arrays of at least one value each; the distance is in their unit.

    Examples
    --------
    >>> sorted_distance(np.array([0.0, 1.0]), np.array([0.5]))
    0.5
    """
    if first.size == second.size:
        return float(np.abs(first - second).mean())
    merged = np.sort(np.concatenate([first, second]), kind="stable")
    share = np.searchsorted(first, merged[:-1], side="right") / first.size
    share -= np.searchsorted(second, merged[:-1], side="right") / second.size
    return float(np.abs(share) @ np.diff(merged))


def _sample(side: str, images: NDArray[Any] | Sequence[NDArray[Any]]) -> _Sample:
    """Return the checked arrays of one side; NaN is found by the minimum, which passes it on."""
    arrays = [np.asanyarray(image) for image in members(images)]
    low, high, total, size = np.inf, -np.inf, 0.0, 0
    for place, array in enumerate(arrays):
        if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
            raise InputError(
                f"{side} image {place}: grey values must be integers or floats of up to 64 bits, "
                f"found {array.dtype}; convert the image"
            )
        for chunk in _chunks(array):
            smallest, largest = float(chunk.min()), float(chunk.max())
            if not (isfinite(smallest) and isfinite(largest)):
                raise InputError(
                    f"{side} image {place}: grey values must be finite numbers, found NaN or "
                    "infinity; replace such voxels or leave them out"
                )
            low, high = min(low, smallest), max(high, largest)
            total += float(chunk.sum(dtype=np.float64))
            size += chunk.size
    return _Sample(arrays, size, low, high, total / size if size else nan)


def _chunks(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield all voxels in contiguous pieces, as native numbers that the kernels know."""
    known = {"b1": "u1", "f2": "f4", "i8": "f8", "u8": "f8"}
    dtype = known.get(f"{array.dtype.kind}{array.dtype.itemsize}")
    for (piece,) in chunks(array, dtype=dtype, size=CHUNK):
        yield piece


def _by_size(first: _Sample, second: _Sample) -> tuple[float, float]:
    """Return the distance, and the standard deviation of the first sample, the quickest way."""
    values = first.size + second.size
    dtypes = {array.dtype for side in (first, second) for array in side.arrays}
    low, high = min(first.low, second.low), max(first.high, second.high)
    if values > SMALL and all(dtype.kind in "iu" and dtype.itemsize < 3 for dtype in dtypes):
        distance, squares = _by_histograms(first, second, int(low), int(high))
    elif values > SMALL and high > low and isfinite(BINS / (high - low)):
        distance, squares = _by_bins(first, second, low, high)
    else:
        distance, squares = _by_sorting(first, second)
    return distance, sqrt(squares / first.size)


def _values(sample: _Sample) -> Floats:
    """Return all values of a sample."""
    return np.concatenate([np.ravel(array).astype(np.float64) for array in sample.arrays])


def _by_sorting(first: _Sample, second: _Sample) -> tuple[float, float]:
    """Return the distance, and the sum of squares of the first sample about its mean."""
    a, b = np.sort(_values(first)), np.sort(_values(second))
    return sorted_distance(a, b), float(np.square(a - first.mean).sum())


def _masses(sample: _Sample, weights: Weights | Sequence[Weights] | None) -> Floats:
    """Return the share of each voxel in the weight of its sample."""
    given = [1.0] * len(sample.arrays) if weights is None else members(weights)
    found = [np.asarray(weight, np.float64) for weight in given]
    shapes = [array.shape for array in sample.arrays]
    wrong = [w.shape for w, shape in zip(found, shapes, strict=False) if w.shape not in ((), shape)]
    if wrong or len(found) != len(shapes):
        raise InputError(
            "weights: one number per image, or an array of its shape, is needed, found "
            f"{[weight.shape for weight in found]} for images of {shapes}"
        )
    pairs = zip(found, shapes, strict=True)
    mass = np.concatenate([np.broadcast_to(weight, shape).ravel() for weight, shape in pairs])
    total = float(mass.sum())
    if not (isfinite(total) and total > 0 and mass.min() >= 0):
        raise InputError(f"weights must be at least 0 and not all 0, found a sum of {total}")
    shares: Floats = mass / total
    return shares


def _by_weights(
    sides: Sequence[_Sample], weights: Sequence[Weights | Sequence[Weights] | None]
) -> tuple[float, float]:
    """Return the distance of two weighted samples, and the standard deviation of the first."""
    first, second = map(_masses, sides, weights)
    values = _values(sides[0])
    merged = np.concatenate([values, _values(sides[1])])
    order = np.argsort(merged, kind="stable")
    share = np.cumsum(np.concatenate([first, -second])[order])[:-1]
    deviations = values - values @ first
    return float(np.abs(share) @ np.diff(merged[order])), sqrt(deviations**2 @ first)


def _by_histograms(first: _Sample, second: _Sample, low: int, high: int) -> tuple[float, float]:
    """Return the same as `_by_sorting` from one count per grey value."""
    counts = np.zeros((2, high - low + 1), np.int64)

    def fill(side: _Sample, row: NDArray[np.int64]) -> None:
        """Count one side."""
        for array in side.arrays:
            for chunk in _chunks(array):
                kernel.count(chunk, low, row)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(fill, (first, second), counts))
    shares = np.cumsum(counts, axis=1) / [[first.size], [second.size]]
    values = np.arange(low, high + 1) - first.mean
    return float(np.abs(shares[0] - shares[1]).sum()), float(counts[0] @ values**2)


def _by_bins(first: _Sample, second: _Sample, low: float, high: float) -> tuple[float, float]:
    """Return the same as `_by_sorting`, sorting only where the shares cross."""
    scale = (BINS - 1) / (high - low)
    counts, sums = np.zeros((2, BINS), np.int64), np.zeros((2, BINS))

    def fill(side: _Sample, count: NDArray[Any], total: NDArray[Any]) -> float:
        """Count one side into its bins; return its sum of squares."""
        centre = side.mean - low
        chunks = (chunk for array in side.arrays for chunk in _chunks(array))
        return float(sum(kernel.tally(chunk, low, scale, centre, count, total) for chunk in chunks))

    with ThreadPoolExecutor(2) as pool:
        squares, _ = pool.map(fill, (first, second), counts, sums)
    sizes = np.array([[first.size], [second.size]])
    edges = np.arange(BINS + 1) / scale
    shares = counts / sizes
    before = np.cumsum(counts, axis=1) / sizes - shares
    start = before[0] - before[1]  # F_real - F_synthetic where the bin begins
    area = (counts * edges[1:] - sums) / sizes  # of the steps within the bin
    crossing = (start - shares[1] < 0) & (start + shares[0] > 0)
    whole = np.abs(start / scale + area[0] - area[1])[~crossing].sum()
    # The compiled passes let go of the interpreter: the two sides are sorted side by side.
    amounts = [int(row[crossing].sum()) for row in counts]
    on_disk = any(is_mapped(array) for side in (first, second) for array in side.arrays)
    if on_disk and 8 * sum(amounts) > FEW and not fits(8 * sum(amounts)):
        raise InputError(
            f"grey values of {first.size} and {second.size} voxels are so alike that {sum(amounts)}"
            " must be sorted, more than a quarter of the free memory holds; give more memory"
        )
    gather_values = partial(_gathered, low=low, scale=scale, crossing=crossing)
    with ThreadPoolExecutor(2) as pool:
        pieces = list(pool.map(gather_values, (first, second), amounts))
    rest = kernel.merge(pieces[0], pieces[1], low, counts, edges, np.flatnonzero(crossing))
    return float(whole + rest), squares


def _gathered(
    side: _Sample, size: int, low: float, scale: float, crossing: NDArray[np.bool_]
) -> NDArray[Any]:
    """Return all values of some bins in ascending order."""
    single = all(array.dtype == np.float32 for array in side.arrays)
    values = np.empty(size, np.float32 if single else np.float64)
    done = 0
    for array in side.arrays if size else []:
        for chunk in _chunks(array):
            done = kernel.gather(chunk, low, scale, crossing, values, done)
    values.sort()
    return values
