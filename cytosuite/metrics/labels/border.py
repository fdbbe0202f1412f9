"""Removal of the objects at the lateral border, which published annotations leave out."""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cytosuite.errors import InputError
from cytosuite.large import room, slabs
from cytosuite.metrics.chunks import distinct

Label = TypeVar("Label", bound=np.integer[Any])


def without_border(labels: NDArray[Label], pixels: int) -> NDArray[Label]:
    """Return the labels without the objects that lie wholly within some pixels of the border.

    Parameters
    ----------
    labels : (..., Y, X) integer array
        Instance labels, 0 = background; at least two axes.
    pixels : int
        Width E of the border along Y and X, at least 0. Z has no border.

    Returns
    -------
    (..., Y, X) integer array
        A copy of the same dtype, on disk where it is large, in which those objects are background.
        Every other object is whole, also where it reaches into the border.

    Raises
    ------
    InputError
        If the array is not of labels or has fewer than two axes, or nothing lies inside the border.

    Notes
    -----
    The field of interest of the Cell Tracking Challenge: its annotations leave out the objects of
    which no voxel is at least E pixels from each lateral side (E = 25 or 50 for most of its 2D
    data sets, 0 for simulated ones). Its programs score the volumes as they are: remove the border
    from truth and prediction alike before. In a volume an object stays if it reaches the
    inside in any plane; in a sequence each frame is to be given on its own, as an object may
    leave the field while it moves.

    References
    ----------
    Maška et al., The Cell Tracking Challenge: 10 years of objective benchmarking, Nature Methods
    20 (2023), doi:10.1038/s41592-023-01879-y.

    Examples
    --------
    Object 1 lies in the border of one pixel, object 2 reaches out of it:

    >>> without_border(np.array([[1, 0, 0, 0], [1, 0, 2, 2], [0, 0, 0, 0]]), 1).tolist()
    [[0, 0, 0, 0], [0, 0, 2, 2], [0, 0, 0, 0]]
    """
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iu" or labels.ndim < 2:
        raise InputError(
            "labels must be an integer array with axes Y and X, found "
            f"{labels.ndim} axes of {labels.dtype}; give instance labels of an image or a volume"
        )
    height, width = labels.shape[-2:]
    if pixels < 0 or 2 * pixels >= min(height, width):
        raise InputError(
            f"the border must be at least 0 pixels wide and less than half of the {height} x "
            f"{width} image, found {pixels}"
        )
    border = np.ones((height, width), bool)
    border[pixels : height - pixels, pixels : width - pixels] = False
    return _cleared(labels, pixels, border)


def _cleared(labels: NDArray[Label], pixels: int, border: NDArray[np.bool_]) -> NDArray[Label]:
    """Return labels without those of the border that are not inside."""
    height, width = border.shape
    found: NDArray[Label] = room(labels.shape, labels.dtype)
    flat, kept = (array.reshape(-1, height, width) for array in (labels, found))
    inside = distinct(flat[:, pixels : height - pixels, pixels : width - pixels])
    for part in slabs(flat, kept):
        outer = flat[part][:, border]
        kept[part] = flat[part]
        kept[part][:, border] = np.where(np.isin(outer, inside), outer, 0)
    return found
