"""Voxel-by-voxel differences of two images: PSNR, NRMSE, mean absolute error, correlation.

van der Walt et al., PeerJ 2 (2014), doi:10.7717/peerj.453 (variants of NRMSE); Pearson, Proceedings
of the Royal Society of London 58 (1895), doi:10.1098/rspl.1895.0041.
"""

from dataclasses import dataclass, field
from functools import partial
from math import inf, log10, nan, sqrt
from weakref import WeakKeyDictionary

import numpy as np

from cytosuite.metrics.images.pair import PAIR, SIZE, ImagePair
from cytosuite.metrics.known import ratio
from cytosuite.metrics.metric import metric
from cytosuite.networks.kernels import compiled
from cytosuite.volume.arrays import Doubles
from cytosuite.volume.pieces import chunks


@dataclass(slots=True)
class _Sums:
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


_known: WeakKeyDictionary[ImagePair, _Sums] = WeakKeyDictionary()


def _sums(images: ImagePair) -> _Sums:
    """Return the sums over all voxels, in one pass for all the metrics of a pair."""
    if images not in _known:
        sums = _Sums()
        for both in chunks(images.truth, images.prediction, dtype=np.float64, size=SIZE):
            sums.add(both[0].size, *tally(*both))
        _known[images] = sums
    return _known[images]


@metric("PSNR", "Peak signal-to-noise ratio (dB)", evidence=PAIR, worst=0.0)
def psnr(images: ImagePair) -> float:
    """Return the peak signal-to-noise ratio in decibels, ``10 log10(L^2 / MSE)``.

    With the data range L, which scikit-image, MONAI and torchmetrics define alike where they are
    given L. Positive infinity for equal images, which belongs in no mean: leave it out and count
    it. Negative where the root mean square error exceeds the data range.

    Examples
    --------
    >>> psnr(np.zeros(4), np.full(4, 0.1), data_range=1.0)
    20.0
    """
    error = images.squared / images.truth.size
    return 20 * log10(images.data_range) - 10 * log10(error) if error else inf


error = partial(metric, evidence=PAIR, best=0.0, reference="10.7717/peerj.453")


@error(
    "NRMSE",
    "Root mean square error, relative to that of the truth",
    undefined="when the truth is 0 everywhere",
)
def nrmse(images: ImagePair) -> float:
    """Return the root mean square error divided by the root mean square of the truth.

    ``sqrt(mean((t - p)^2)) / sqrt(mean(t^2))``: ``normalization="euclidean"`` of scikit-image, its
    default, which returns infinity where this is undefined. It is 1 for a prediction of zeros. It
    depends on the black level of the camera; `nrmse_range` does not.

    Examples
    --------
    >>> nrmse(np.array([3.0, 4.0]), np.array([3.0, 3.0]), data_range=1.0)
    0.2
    """
    return ratio(sqrt(images.squared), sqrt(_sums(images).truth_squares))


@error(
    "NRMSE_range",
    "Root mean square error, relative to the range of the truth",
    undefined="when the truth is constant",
)
def nrmse_range(images: ImagePair) -> float:
    """Return the root mean square error divided by the range of the truth.

    ``sqrt(mean((t - p)^2)) / (max t - min t)``. One hot voxel of the truth lowers it.

    Examples
    --------
    >>> nrmse_range(np.array([3.0, 5.0]), np.array([4.0, 4.0]), data_range=1.0)
    0.5
    """
    sums = _sums(images)
    return ratio(sqrt(images.squared / sums.voxels), sums.highest[0] - sums.lowest[0])


@metric(
    "Pearson",
    "Correlation of the grey values",
    evidence=PAIR,
    best=1.0,
    worst=-1.0,
    reference="10.1098/rspl.1895.0041",
    undefined="when either image is constant",
)
def pearson(images: ImagePair) -> float:
    """Return the correlation of the grey values of the two images.

    The same whatever the gain and offset of either image, and whatever the data range.

    Examples
    --------
    >>> round(pearson(np.array([1.0, 2.0, 3.0]), np.array([0.0, 40.0, 20.0]), data_range=1.0), 6)
    0.5
    """
    sums = _sums(images)
    if sums.is_constant(0) or sums.is_constant(1):
        return nan
    # Scaled before they are multiplied, so that small variances do not vanish.
    return min(1.0, max(-1.0, sums.product / sqrt(sums.deviations[0]) / sqrt(sums.deviations[1])))


@error("MAE", "Mean absolute error, relative to the data range", reference="10.3354/cr030079")
def mae(images: ImagePair) -> float:
    """Return the mean absolute difference in units of the data range, ``mean(|t - p|) / L``.

    Grey values of different cameras become comparable by L; give 1 for the difference in grey
    values.

    Examples
    --------
    >>> mae(np.array([3, 5], np.uint16), np.array([5, 1], np.uint16), data_range=10)
    0.3
    """
    sums = _sums(images)
    return sums.absolute / sums.voxels / images.data_range


@compiled(fastmath={"contract", "reassoc", "nnan", "nsz"})
def tally(t: Doubles, p: Doubles) -> tuple[float, ...]:
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
        low_t, high_t = min(low_t, t[i]), max(high_t, t[i])
        low_p, high_p = min(low_p, p[i]), max(high_p, p[i])
    mean_t, mean_p = sum_t / t.size, sum_p / t.size
    var_t = var_p = product = 0.0
    for i in range(t.size):
        a, b = t[i] - mean_t, p[i] - mean_p
        var_t += a * a
        var_p += b * b
        product += a * b
    sums = (absolute, squares, mean_t, mean_p, var_t, var_p, product)
    return (*sums, low_t, high_t, low_p, high_p)
