"""Voxel-by-voxel differences of two images: PSNR, NRMSE, mean absolute error, correlation.

van der Walt et al., PeerJ 2 (2014), doi:10.7717/peerj.453 (variants of NRMSE); Pearson, Proceedings
of the Royal Society of London 58 (1895), doi:10.1098/rspl.1895.0041.
"""

from functools import partial
from math import inf, log10, nan, sqrt

from cytosuite.metrics.images.pair import PAIR, ImagePair
from cytosuite.metrics.known import ratio
from cytosuite.metrics.metric import metric


@metric("PSNR", "Peak signal-to-noise ratio (dB)", evidence=PAIR, worst=0.0)
def psnr(images: ImagePair) -> float:
    """Return the peak signal-to-noise ratio in decibels, ``10 log10(L^2 / MSE)``.

    With the data range L, which scikit-image, MONAI and torchmetrics define alike where they are
    given L. Positive infinity for equal images, which belongs in no mean: leave it out and count
    it; in a ranking it is the best. Negative where the root mean square error exceeds the data
    range.

    Examples
    --------
    >>> import numpy as np
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
    >>> import numpy as np
    >>> nrmse(np.array([3.0, 4.0]), np.array([3.0, 3.0]), data_range=1.0)
    0.2
    """
    return ratio(sqrt(images.squared), sqrt(images.sums.truth_squares))


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
    >>> import numpy as np
    >>> nrmse_range(np.array([3.0, 5.0]), np.array([4.0, 4.0]), data_range=1.0)
    0.5
    """
    sums = images.sums
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
    >>> import numpy as np
    >>> round(pearson(np.array([1.0, 2.0, 3.0]), np.array([0.0, 40.0, 20.0]), data_range=1.0), 6)
    0.5
    """
    sums = images.sums
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
    >>> import numpy as np
    >>> mae(np.array([3, 5], np.uint16), np.array([5, 1], np.uint16), data_range=10)
    0.3
    """
    sums = images.sums
    return sums.absolute / sums.voxels / images.data_range
