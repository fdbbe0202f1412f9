"""Structural similarity (SSIM) of images: Gaussian window, no padding, double precision.

Wang, Bovik, Sheikh, Simoncelli, IEEE Transactions on Image Processing 13 (2004),
doi:10.1109/TIP.2003.819861.
"""

from cytosuite.metrics.images.pair import PAIR, ImagePair
from cytosuite.metrics.images.ssim_compare import compare, gaussian_window
from cytosuite.metrics.metric import metric


@metric(
    "SSIM",
    "Structural similarity",
    evidence=PAIR,
    best=1.0,
    worst=-1.0,
    reference="10.1109/TIP.2003.819861",
    tolerance=1e-6,
)
def ssim(images: ImagePair) -> float:
    """Return the mean structural similarity, of volumes in three dimensions.

    Of images (Z, Y, X), or (Y, X) or one slice for SSIM in two dimensions. It is 1 for equal
    images, negative for inverted structure. Per window, with means mu, population variances and
    covariance sigma under its weights,
    ``(2 mu_x mu_y + C1)(2 sigma_xy + C2) / ((mu_x^2 + mu_y^2 + C1)(sigma_x^2 + sigma_y^2 + C2))``,
    ``C1 = (0.01 L)^2``, ``C2 = (0.03 L)^2``; the mean over all windows within the volume. The
    weights are a Gaussian of 1.5 voxels cut to 11 along each axis, whatever the voxel size. No
    window reaches over the border, nothing is padded, as in the reference; programs that pad, or
    take the sample covariance, get other numbers. Two constant images a and b have
    ``(2ab + C1) / (a^2 + b^2 + C1)``.

    Examples
    --------
    >>> import numpy as np
    >>> flat = np.full((11, 11, 11), 0.5)
    >>> round(ssim(flat, flat - 0.2, data_range=1.0), 5)
    0.88239
    """
    window = gaussian_window(images.truth.shape)
    return compare(images.truth, images.prediction, images.data_range, window)
