"""Structural similarity (SSIM) of images: Gaussian window, no padding, double precision.

References
----------
Wang, Bovik, Sheikh, Simoncelli, Image quality assessment: from error visibility to structural
similarity, IEEE Transactions on Image Processing 13 (2004), doi:10.1109/TIP.2003.819861.
"""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from cytosuite.large import room
from cytosuite.metrics.images.pair import PAIR, ImagePair
from cytosuite.metrics.images.ssim_compare import compare, values_shape
from cytosuite.metrics.images.ssim_window import SIGMA, Window, gaussian_window
from cytosuite.metrics.metric import metric


def mean_ssim(images: ImagePair, window: Window | None = None) -> float:
    """Return the mean structural similarity over all windows that lie within the images.

    Parameters
    ----------
    images : ImagePair
        Of shape (Z, Y, X) or (Y, X).
    window : Window, optional
        From `gaussian_window`, by default that of 11 voxels along each axis, or `uniform_window`.

    Returns
    -------
    float
        In [-1, 1]; see `ssim`.

    Raises
    ------
    InputError
        If an axis is shorter than the window.

    Examples
    --------
    >>> from cytosuite.metrics.images.pair import pair
    >>> images = pair(np.zeros((8, 8)), np.ones((8, 8)), data_range=1.0)
    >>> round(mean_ssim(images, gaussian_window((8, 8), shrink=True)), 6)
    0.0001
    """
    window = window or gaussian_window(images.truth.shape)
    return compare(images.truth, images.prediction, images.data_range, window)


def ssim_map(images: ImagePair, window: Window | None = None) -> NDArray[np.float64]:
    """Return the structural similarity of each window that lies within the images.

    Arguments and errors are those of `mean_ssim`, which is the mean of the values. The float64
    array is shorter than the images by twice the radius of the window along each axis: its first
    value is that of the window centred a radius inside.

    Examples
    --------
    >>> from cytosuite.metrics.images.pair import pair
    >>> image = np.arange(195.0).reshape(13, 15)
    >>> found = ssim_map(pair(image, image, data_range=100.0))
    >>> found.shape, found.min().item()
    ((3, 5), 1.0)
    """
    window = window or gaussian_window(images.truth.shape)
    out: NDArray[np.float64] = room(values_shape(images.truth.shape, window), np.float64)
    compare(images.truth, images.prediction, images.data_range, window, out=out)
    return out if images.truth.ndim == 3 else out[0]


similarity = partial(
    metric, evidence=PAIR, best=1.0, worst=-1.0, reference="10.1109/TIP.2003.819861", tolerance=1e-6
)


@similarity("SSIM", "Structural similarity")
def ssim(images: ImagePair) -> float:
    """Return the mean structural similarity, of volumes in three dimensions.

    Of images (Z, Y, X), or (Y, X) or one slice for SSIM in two dimensions. It is 1 for equal
    images, negative for inverted structure. Per window, with means mu, population variances and
    covariance sigma under its weights,
    ``(2 mu_x mu_y + C1)(2 sigma_xy + C2) / ((mu_x^2 + mu_y^2 + C1)(sigma_x^2 + sigma_y^2 + C2))``,
    ``C1 = (0.01 L)^2``, ``C2 = (0.03 L)^2``; the mean over all windows within the volume. The
    weights are a Gaussian of 1.5 voxels cut to 11 along each axis, whatever the voxel size: see
    `mean_ssim` for other windows, like that of scikit-image. No window reaches over the border,
    nothing is padded, as in the reference; programs that pad, or take the sample covariance, get
    other numbers. Two constant images a and b have ``(2ab + C1) / (a^2 + b^2 + C1)``.

    Examples
    --------
    >>> flat = np.full((11, 11, 11), 0.5)
    >>> round(ssim(flat, flat - 0.2, data_range=1.0), 5)
    0.88239
    """
    return mean_ssim(images)


@similarity("SSIM2D", "Structural similarity slice by slice")
def ssim2d(images: ImagePair) -> float:
    """Return the structural similarity of each slice in two dimensions, averaged over the slices.

    Another number than `ssim` of the volume.

    Examples
    --------
    >>> volume = np.arange(363.0).reshape(3, 11, 11)
    >>> round(ssim2d(volume, volume[::-1], data_range=100.0), 3)
    0.588
    """
    flat = (0.0,) * (images.truth.ndim - 2) + (SIGMA, SIGMA)
    return mean_ssim(images, gaussian_window(images.truth.shape, sigma=flat))
