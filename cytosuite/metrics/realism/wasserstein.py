"""Wasserstein distance of the grey values of two sets of images, without pairing them.

The first Wasserstein distance is the work of moving one histogram onto the other: the mean number
of grey values by which a voxel must change. It is computed exactly, not from a coarse histogram.
Panaretos and Zemel, Annual Review of Statistics and Its Application 6 (2019),
doi:10.1146/annurev-statistics-030718-104938.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from math import isfinite, nan, sqrt

import numpy as np

from cytosuite.errors import InputError
from cytosuite.files import FloatPair, frozen
from cytosuite.metrics.evidence import Evidence
from cytosuite.metrics.known import ratio
from cytosuite.metrics.metric import metric
from cytosuite.metrics.realism.scene import members
from cytosuite.networks.kernels import compiled
from cytosuite.volume.arrays import Array, Bools, Doubles, Longs
from cytosuite.volume.memory import fits, is_mapped
from cytosuite.volume.pieces import chunks

CHUNK = 1 << 18  # voxels looked at together
SMALL = 1 << 15  # voxels of both sides up to which sorting is the quickest
BINS = 1 << 16  # of a value range: their counts and sums stay in the cache
FEW = 1 << 26  # bytes of values that are sorted in any case
Moments = FloatPair  # distance of two samples, squares of the first about its mean

PANARETOS = "10.1146/annurev-statistics-030718-104938"
CONSTANT = "when images hold no voxel, or the real ones are constant"


@frozen
class Transport:
    """The distance of two samples of grey values, with spread and range of the real one."""

    distance: float  # first Wasserstein distance, in grey values; NaN if a sample is empty
    real_std: float  # standard deviation of the real sample (of the population), in grey values
    real_range: float  # largest minus smallest value of the real sample


@frozen
class _Sample:
    """Arrays taken together as one sample, with its extent and moments."""

    arrays: list[Array]
    size: int
    low: float
    high: float
    mean: float


def transport(real: Array | Sequence[Array], synthetic: Array | Sequence[Array]) -> Transport:
    """Return the exact first Wasserstein distance of all grey values of two sets, in one unit.

    InputError if a value is NaN or infinite or a dtype is no real number.

    Notes
    -----
    ``W1 = integral of |F_real(v) - F_synthetic(v)| dv`` with the cumulative shares F.

    - Integers of up to 16 bits: the sum over all values of the difference of two cumulative
      histograms, one pass over each image.
    - Other dtypes: counts and sums of the values in 65 536 bins. Where ``F_real - F_synthetic``
      cannot change its sign within a bin, count and sum give its integral there exactly; the
      values of the other bins, as a rule very few, are gathered and sorted.
    - Small samples are sorted.

    All three agree up to rounding in float64. Integers beyond 2**53 are rounded to it.
    """
    first = _sample("real", real)
    second = _sample("synthetic", synthetic)
    if not (first.size and second.size):
        return Transport(nan, nan, nan)
    values = first.size + second.size
    dtypes = {array.dtype for side in (first, second) for array in side.arrays}
    low = min(first.low, second.low)
    high = max(first.high, second.high)
    if values > SMALL and all(dtype.kind in "iu" and dtype.itemsize < 3 for dtype in dtypes):
        distance, squares = _by_histograms(first, second, int(low), int(high))
    elif values > SMALL and high > low and isfinite(BINS / (high - low)):
        distance, squares = _by_bins(first, second, low, high)
    else:
        a, b = (
            np.sort(np.concatenate([np.ravel(array).astype(np.float64) for array in side.arrays]))
            for side in (first, second)
        )
        distance = sorted_distance(a, b)
        squares = float(np.square(a - first.mean).sum())
    return Transport(distance, sqrt(squares / first.size), first.high - first.low)


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
    return ratio(moved.distance, moved.real_std)


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
    return ratio(moved.distance, moved.real_range)


def sorted_distance(first: Doubles, second: Doubles) -> float:
    """Return the first Wasserstein distance of two ascending float64 samples, none empty."""
    if first.size == second.size:
        return float(np.abs(first - second).mean())
    merged = np.sort(np.concatenate([first, second]), kind="stable")
    share = np.searchsorted(first, merged[:-1], side="right") / first.size
    share -= np.searchsorted(second, merged[:-1], side="right") / second.size
    return float(np.abs(share) @ np.diff(merged))


def _sample(side: str, images: Array | Sequence[Array]) -> _Sample:
    """Return the checked arrays of one side; NaN is found by the minimum, which passes it on."""
    arrays = [np.asanyarray(image) for image in members(images, object)]
    low, high, total, size = np.inf, -np.inf, 0.0, 0
    for place, array in enumerate(arrays):
        if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
            raise InputError(
                f"{side} image {place}: grey values must be integers or floats of up to 64 bits, "
                f"found {array.dtype}; convert the image"
            )
        for chunk in _chunks(array):
            smallest = float(chunk.min())
            largest = float(chunk.max())
            if not (isfinite(smallest) and isfinite(largest)):
                raise InputError(
                    f"{side} image {place}: grey values must be finite numbers, found NaN or "
                    "infinity; replace such voxels or leave them out"
                )
            low = min(low, smallest)
            high = max(high, largest)
            total += float(chunk.sum(dtype=np.float64))
            size += chunk.size
    return _Sample(arrays, size, low, high, ratio(total, size))


def _chunks(array: Array) -> Iterator[Array]:
    """Yield all voxels in contiguous pieces, as native numbers that the kernels know."""
    read_as = {"b1": "u1", "f2": "f4", "i8": "f8", "u8": "f8"}
    dtype = read_as.get(f"{array.dtype.kind}{array.dtype.itemsize}")
    for (piece,) in chunks(array, dtype=dtype, size=CHUNK):
        yield piece


def _by_histograms(first: _Sample, second: _Sample, low: int, high: int) -> Moments:
    """Return the moments of two samples from one count per grey value."""
    counts = np.zeros((2, high - low + 1), np.int64)

    def fill(side: _Sample, row: Longs) -> None:
        """Count one side."""
        for array in side.arrays:
            for chunk in _chunks(array):
                count(chunk, low, row)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(fill, (first, second), counts))
    shares = np.cumsum(counts, axis=1) / [[first.size], [second.size]]
    values = np.arange(low, high + 1) - first.mean
    return float(np.abs(shares[0] - shares[1]).sum()), float(counts[0] @ values**2)


def _by_bins(first: _Sample, second: _Sample, low: float, high: float) -> Moments:
    """Return the moments of two samples, sorting only where the shares cross."""
    scale = (BINS - 1) / (high - low)
    counts = np.zeros((2, BINS), np.int64)
    sums = np.zeros((2, BINS))

    def fill(side: _Sample, count: Array, total: Array) -> float:
        """Count one side into its bins; return its sum of squares."""
        centre = side.mean - low
        chunks = (chunk for array in side.arrays for chunk in _chunks(array))
        return float(sum(tally(chunk, low, scale, centre, count, total) for chunk in chunks))

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

    def gathered(side: _Sample, size: int) -> Array:
        """Return all values of these bins in ascending order."""
        single = all(array.dtype == np.float32 for array in side.arrays)
        values = np.empty(size, np.float32 if single else np.float64)
        done = 0
        for array in side.arrays if size else []:
            for chunk in _chunks(array):
                done = gather(chunk, low, scale, crossing, values, done)
        values.sort()
        return values

    with ThreadPoolExecutor(2) as pool:
        first_values, second_values = pool.map(gathered, (first, second), amounts)
    rest = merge(first_values, second_values, low, counts, edges, np.flatnonzero(crossing))
    return float(whole + rest), squares


@compiled()
def count(values: Array, low: int, counts: Longs) -> None:
    """Add (N,) integer grey values to their counts, (V,); the first is the count of `low`."""
    for i in range(values.size):
        counts[np.int64(values[i]) - low] += 1


@compiled()
def tally(
    values: Array, low: float, scale: float, centre: float, counts: Longs, sums: Doubles
) -> float:
    """Add the (N,) values in each bin to its count and sum, (B,), and return the sum of squares.

    Value x is in bin ``int((x - low) * scale)``, which must exist. The sums are of values less
    `low`, the squares about ``low + centre``.
    """
    squares = 0.0
    for i in range(values.size):
        x = np.float64(values[i]) - low
        k = int(x * scale)
        counts[k] += 1
        sums[k] += x
        squares += (x - centre) * (x - centre)
    return squares


@compiled()
def gather(
    values: Array,
    low: float,
    scale: float,
    chosen: Bools,
    collected: Array,
    done: int,
) -> int:
    """Collect values of the (B,) wanted bins, see `tally`, from `done` on; return the end."""
    for i in range(values.size):
        if chosen[int((np.float64(values[i]) - low) * scale)]:
            collected[done] = values[i]
            done += 1
    return done


@compiled()
def merge(a: Array, b: Array, low: float, counts: Longs, edges: Doubles, bins: Longs) -> float:
    """Return the integral of ``|F_a - F_b|``, the difference of cumulative shares, over some bins.

    `a` and `b` are all values of both samples in these bins, ascending, `low` the begin of the
    first of all bins; `counts` (2, B) the values of both samples in all bins, `edges` (B + 1,) the
    limits less `low`, `bins` (K,) those to integrate over, ascending.
    """
    total, i, j, k, below_a, below_b = 0.0, 0, 0, 0, 0, 0
    size_a = counts[0].sum()
    size_b = counts[1].sum()
    for place in bins:
        while k < place:
            below_a += counts[0, k]
            below_b += counts[1, k]
            k += 1
        end_a = i + counts[0, k]
        end_b = j + counts[1, k]
        past = edges[k]
        left_a, left_b = below_a - i, below_b - j  # values below this bin that were not gathered
        while True:
            difference = abs((left_a + i) / size_a - (left_b + j) / size_b)
            if i >= end_a and j >= end_b:
                break
            if j >= end_b or (i < end_a and a[i] <= b[j]):
                value = np.float64(a[i]) - low
                i += 1
            else:
                value = np.float64(b[j]) - low
                j += 1
            total += difference * (value - past)
            past = value
        total += difference * (edges[k + 1] - past)
    return total
