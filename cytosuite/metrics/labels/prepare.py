"""Labels before they are scored: objects left out, and grey values mistaken for labels."""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cytosuite.errors import InputError
from cytosuite.metrics.labels.overlap import overlap
from cytosuite.volume.arrays import Integers
from cytosuite.volume.memory import room
from cytosuite.volume.pieces import distinct, gathered, slabs_of

Label = TypeVar("Label", bound=np.integer[Any])
Other = TypeVar("Other", bound=np.integer[Any])


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
        A copy of the same dtype, on disk where it is large, in which those objects are background;
        the array itself if there are none. Every other object is whole, also where it reaches into
        the border.

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
    inside = distinct(labels[..., pixels : height - pixels, pixels : width - pixels])
    return _without(labels, np.setdiff1d(distinct(labels), inside))


def without_small(
    truth: NDArray[Label], prediction: NDArray[Other], min_object_voxels: int
) -> tuple[NDArray[Label], NDArray[Other]]:
    """Return truth and prediction without the objects of the truth that are too small.

    Parameters
    ----------
    truth, prediction : integer arrays of one shape
        Instance labels, 0 = background.
    min_object_voxels : int
        Objects of the truth with fewer voxels are ignored: remains of a drawing, markers without
        a nucleus.

    Returns
    -------
    truth : ndarray
        A copy in which the ignored objects are background; the array itself if there are none.
    prediction : ndarray
        Likewise without the predictions that belong to an ignored object: those that cover more
        than half of one, or lie in them with more than half of their own voxels. A prediction
        that covers more than half of another object stays, whatever else it covers.

    Notes
    -----
    So an ignored object is neither missed nor found, and a prediction in its place is neither
    right nor false. To cover more than half is a match of the Cell Tracking Challenge (Maška et
    al. 2014, doi:10.1093/bioinformatics/btu080), whose annotations leave objects out as well.

    Examples
    --------
    >>> truth, prediction = np.array([1, 1, 1, 0, 2, 0]), np.array([5, 5, 5, 0, 6, 6])
    >>> [labels.tolist() for labels in without_small(truth, prediction, 2)]
    [[1, 1, 1, 0, 0, 0], [5, 5, 5, 0, 0, 0]]
    """
    table = overlap(truth, prediction)
    small = table.truth_sizes < min_object_voxels
    predicted = table.prediction_index
    of_small = small[table.truth_index]
    matches = 2 * table.shared > table.truth_sizes[table.truth_index]
    count = table.prediction_sizes.size
    inside = np.bincount(predicted[of_small], table.shared[of_small], minlength=count)
    matched = np.bincount(predicted[matches & of_small], minlength=count) > 0
    needed = np.bincount(predicted[matches & ~of_small], minlength=count) > 0
    dropped = ~needed & (matched | (2 * inside > table.prediction_sizes))
    return (
        _without(truth, table.truth_labels[small]),
        _without(prediction, table.prediction_labels[dropped]),
    )


def _without(labels: NDArray[Label], unwanted: Integers) -> NDArray[Label]:
    """Return a copy of labels in which some are background, itself on disk where it is large."""
    if not unwanted.size:
        return labels
    labels = np.asarray(labels)
    names = unwanted.astype(labels.dtype)
    cleaned = (np.where(np.isin(part, names), 0, part) for part in slabs_of(labels))
    return gathered(labels.shape, labels.dtype, cleaned)


SHARED = 0.75  # of neighbours; measured: 0.92 and more in label images, 0.71 and less in grey ones
LEAST = 100  # neighbours below which no warning is given
PLANES = 16  # at most, evenly over the image


def grey_doubt(labels: Integers) -> str:
    """Return why (..., Y, X) integers look like grey values, not labels; empty where they do not.

    Sixteen planes are looked at: of neighbours along y or x that are both no background, three in
    four have one number where objects are wider than a few pixels.

    Examples
    --------
    >>> grey_doubt(np.pad(np.ones((20, 20), int), 5))
    ''
    >>> grey_doubt(np.arange(900).reshape(30, 30))
    'grey values in place of labels?: 0% of neighbours within objects have one number'
    """
    stack = labels if labels.ndim > 2 else labels[None]
    same = pairs = 0
    for plane in stack[:: max(1, len(stack) // PLANES)]:
        for a, b in ((plane[..., 1:], plane[..., :-1]), (plane[..., 1:, :], plane[..., :-1, :])):
            inside = (a != 0) & (b != 0)
            pairs += int(np.count_nonzero(inside))
            same += int(np.count_nonzero(inside & (a == b)))
    if pairs < LEAST or same >= SHARED * pairs:
        return ""
    return (
        f"grey values in place of labels?: {same / pairs:.0%} of neighbours within objects have "
        "one number"
    )


def label_doubt(labels: Integers) -> str:
    """Return why integers look like grey values or a mask, not labels; empty if they do not."""
    return grey_doubt(labels) or mask_doubt(labels)


def mask_doubt(labels: Integers) -> str:
    """Return why labels (Y, X) or (Z, Y, X) look like a mask of all objects; empty if they do not.

    Examples
    --------
    >>> mask_doubt(np.array([[255, 0, 255]]))
    'a mask in place of labels?: 2 pieces have one number'
    >>> mask_doubt(np.array([[1, 0, 2]]))
    ''
    """
    alone = np.count_nonzero(distinct(labels, most=2)) == 1
    pieces = ndimage.label(labels, output=room(labels.shape, np.int32)) if alone else 1
    return f"a mask in place of labels?: {pieces} pieces have one number" if pieces > 1 else ""
