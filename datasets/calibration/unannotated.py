"""Objects of a stack without annotation, by threshold and distance."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.filters import threshold_li
from skimage.segmentation import watershed

from cytosuite.metrics.realism.scene import stack
from cytosuite.volume import Volume

SMOOTH_UM = 0.8
APART_UM = 3.0  # seeds are at least this far from each other
SMALLEST_UM3 = 30.0


def segment(image: Volume) -> NDArray[np.uint16]:
    """Return objects by threshold and distance.

    Parameters
    ----------
    image : Volume
        Axes ZYX, bright objects on dark ground.

    Returns
    -------
    (Z, Y, X) uint16 array
        0 = background. Gaussian (0.8 µm), Li's threshold, local maxima of the smoothed distance to
        the border at least 3 µm apart as seeds, watershed; objects below 30 µm³ are dropped.

    References
    ----------
    Li and Tam, Pattern Recognition Letters 19 (1998), doi:10.1016/S0167-8655(98)00057-9.
    """
    array, spacing = stack(image).astype(np.float32), np.asarray(image.spacing)
    smooth = ndimage.gaussian_filter(array, SMOOTH_UM / spacing)
    if smooth.max() <= smooth.min():
        return np.zeros(array.shape, np.uint16)
    mask = smooth > threshold_li(smooth)
    depth = ndimage.distance_transform_edt(mask, sampling=image.spacing)
    depth = ndimage.gaussian_filter(depth, SMOOTH_UM / spacing)
    around = np.ones(2 * np.ceil(APART_UM / spacing).astype(int) + 1, bool)
    seeds = peak_local_max(depth, footprint=around, labels=mask, exclude_border=False)
    peaks = np.zeros(array.shape, bool)
    peaks[tuple(seeds.T)] = True
    markers, _ = ndimage.label(peaks, np.ones((3, 3, 3)))  # neighbours of equal depth are one seed
    found = watershed(-depth, markers, mask=mask)
    kept = np.bincount(found.ravel()) * spacing.prod() >= SMALLEST_UM3
    kept[0] = False
    numbers = np.where(kept, np.cumsum(kept), 0).astype(np.uint16)
    return np.asarray(numbers[found])
