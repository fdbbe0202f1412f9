"""Two images of one scene to compare voxel by voxel."""

from dataclasses import dataclass, field
from functools import cached_property
from math import inf, isfinite

import numpy as np

from cytosuite.errors import InputError
from cytosuite.files import FloatTuple
from cytosuite.metrics.evidence import Evidence
from cytosuite.networks.kernels import compiled
from cytosuite.volume.arrays import Array, Doubles, Floats
from cytosuite.volume.pieces import chunks, extremes

SIZE = 1 << 14  # voxels looked at together in double precision: all stay in the cache
LARGEST = 1e145  # of a voxel: the sum of the squares is a number


@dataclass(slots=True)
class Sums:
    """Sums over the voxels seen so far; the first of two values is the truth's."""

    voxels: int = 0
    absolute: float = 0.0
    truth_squares: float = 0.0
    means: list[float] = field(default_factory=lambda: [0.0, 0.0])
    deviations: list[float] = field(default_factory=lambda: [0.0, 0.0])  # squared, from the mean
    product: float = 0.0  # of the deviations
    lowest: list[float] = field(default_factory=lambda: [inf, inf])
    highest: list[float] = field(default_factory=lambda: [-inf, -inf])

    def add(self, voxels: int, *part: float) -> None:
        """Add the sums of some more voxels, as `tally` gives them."""
        self.absolute += part[0]
        self.truth_squares += part[1]
        # Of the parts to the whole (Chan, Golub, LeVeque 1983): nothing large cancels.
        steps = [part[2 + k] - self.means[k] for k in range(2)]
        whole = self.voxels + voxels
        share = self.voxels * voxels / whole
        self.product += part[6] + steps[0] * steps[1] * share
        for k, step in enumerate(steps):
            self.deviations[k] += part[4 + k] + step**2 * share
            self.means[k] += step * voxels / whole
            self.lowest[k] = min(self.lowest[k], part[7 + 2 * k])
            self.highest[k] = max(self.highest[k], part[8 + 2 * k])
        self.voxels = whole

    def is_constant(self, image: int) -> bool:
        """Return whether all voxels of an image are equal, or too small to be squared."""
        return self.lowest[image] == self.highest[image] or not self.deviations[image]


@dataclass(frozen=True, eq=False)
class ImagePair:
    """A true and a predicted image, checked: same shape, real and finite, in their own dtypes."""

    # (Z, Y, X) or (Y, X), as they were given: no copies, of any memory
    # layout
    truth: Array
    prediction: Array
    data_range: float  # L, the range of grey values that counts as 1: above 0
    squared: float  # sum of the squared differences

    @cached_property
    def sums(self) -> Sums:
        """Sums over all voxels, in one pass for all the metrics of a pair."""
        sums = Sums()
        for both in chunks(self.truth, self.prediction, dtype=np.float64, size=SIZE):
            sums.add(both[0].size, *tally(*both))
        return sums


def pair(truth: Array, prediction: Array, *, data_range: float) -> ImagePair:
    """Check two images once, so that every score of them can rely on it.

    Parameters
    ----------
    truth, prediction : real arrays of one shape
        Grey values, of any integer, floating or boolean dtype and memory layout (memory-mapped
        files are read piece by piece). Nothing is copied.
    data_range : float
        L, the range of grey values that counts as 1. It has no default: 65535 for a uint16 image
        that uses a few hundred grey values makes every prediction look perfect.

    Returns
    -------
    ImagePair
        The two images as they are.

    Raises
    ------
    InputError
        If the shapes differ, an image is empty, not real, or has NaN or infinite voxels, or the
        range is not a positive finite number.

    Examples
    --------
    >>> pair(np.zeros((2, 3)), np.ones((2, 3)), data_range=1.0).data_range
    1.0
    """
    names = {"truth": truth, "prediction": prediction}
    images = checked(names, finite=False)
    exact = None if all(image.dtype == np.float32 for image in images) else np.float64
    squared = sum(squares(*part) for part in chunks(*images, dtype=exact, size=SIZE))
    if not isfinite(squared):
        checked(names)
    number = isinstance(data_range, (int, float, np.number)) and not isinstance(data_range, bool)
    if not (number and isfinite(data_range) and data_range > 0):
        raise InputError(
            f"data_range must be a positive finite number, found {data_range!r}; give the range of "
            "grey values that counts as 1"
        )
    return ImagePair(images[0], images[1], float(data_range), squared)


PAIR = Evidence(pair, ("truth", "prediction", "data_range"))


def checked(images: dict[str, Array], *, finite: bool = True) -> tuple[Array, ...]:
    """Return images, not copied; InputError if not real, of one shape and, if asked, finite."""
    arrays = {name: np.asarray(image) for name, image in images.items()}
    first = next(iter(arrays))
    for name, array in arrays.items():
        if array.dtype.kind not in "buif":
            raise InputError(
                f"{name}: grey values must be integer or floating numbers, found {array.dtype}; "
                "convert the image, for instance to float32"
            )
        if array.shape != arrays[first].shape:
            raise InputError(
                f"{first} and {name} must have the same shape, found {arrays[first].shape} and "
                f"{array.shape}; they are compared voxel by voxel, crop or resample before"
            )
        if array.size == 0:
            raise InputError(f"{name}: an image without voxels, found shape {array.shape}")
        if array.dtype.kind == "f" and (finite or array.dtype.itemsize >= 8):
            low, high = map(float, extremes(array))
            if not (largest := max(-low, high)) <= LARGEST:
                found = (
                    f"{largest:g}, too large to square" if isfinite(largest) else "NaN or infinity"
                )
                raise InputError(
                    f"{name}: every voxel must be a finite number, found {found}; replace "
                    "them, for instance with numpy.nan_to_num, where they mean something, or "
                    "divide all images by one number"
                )
    return tuple(arrays.values())


@compiled(fastmath={"contract", "reassoc", "nsz"})
def squares(t: Floats | Doubles, p: Floats | Doubles) -> float:
    """Return the sum of squared differences of voxels (N,), not finite where one of them is not."""
    total = 0.0
    for i in range(t.size):
        difference = np.float64(t[i]) - np.float64(p[i])
        total += difference * difference
    return total


@compiled(fastmath={"contract", "reassoc", "nnan", "nsz"})
def tally(t: Doubles, p: Doubles) -> FloatTuple:
    """Return eleven sums over the same voxels, (N,), of truth and prediction, all finite.

    Those of the absolute differences and of the squared truth, the two means, the
    two sums of squared deviations from them, that of their products, and the lowest and highest
    value of the truth and of the prediction.
    """
    absolute = squares = sum_t = sum_p = 0.0
    low_t = high_t = t[0]
    low_p = high_p = p[0]
    for i in range(t.size):
        absolute += abs(t[i] - p[i])
        squares += t[i] * t[i]
        sum_t += t[i]
        sum_p += p[i]
        low_t = min(low_t, t[i])
        high_t = max(high_t, t[i])
        low_p = min(low_p, p[i])
        high_p = max(high_p, p[i])
    mean_t = sum_t / t.size
    mean_p = sum_p / t.size
    var_t = var_p = product = 0.0
    for i in range(t.size):
        a = t[i] - mean_t
        b = p[i] - mean_p
        var_t += a * a
        var_p += b * b
        product += a * b
    sums = (absolute, squares, mean_t, mean_p, var_t, var_p, product)
    return (*sums, low_t, high_t, low_p, high_p)
