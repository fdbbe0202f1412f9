"""Removal of objects that are too small to be judged, and of the predictions that match them."""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cytosuite.large import room, slabs
from cytosuite.metrics.labels.overlap import overlap

Label = TypeVar("Label", bound=np.integer[Any])
Other = TypeVar("Other", bound=np.integer[Any])


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
    predicted, of_small = table.prediction_index, small[table.truth_index]
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


def _without(labels: NDArray[Label], unwanted: NDArray[np.uint64]) -> NDArray[Label]:
    """Return a copy of labels in which some are background, itself on disk where it is large."""
    if not unwanted.size:
        return labels
    labels = np.asarray(labels)
    found: NDArray[Label] = room(labels.shape, labels.dtype)
    names = unwanted.astype(labels.dtype)
    for part in slabs(labels, found):
        found[part] = np.where(np.isin(labels[part], names), 0, labels[part])
    return found
