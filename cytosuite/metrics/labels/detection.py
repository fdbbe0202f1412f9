"""F1, precision and recall of objects at an IoU of at least one half, and their numbers.

Everingham et al., International Journal of Computer Vision 88 (2010),
doi:10.1007/s11263-009-0275-4 (overlap criterion of VOC).
"""

from functools import partial

import numpy as np

from cytosuite.errors import InputError
from cytosuite.metrics.evidence import Evidence
from cytosuite.metrics.known import ratio
from cytosuite.metrics.labels.ctc import NO_OBJECT
from cytosuite.metrics.labels.overlap import OVERLAP, Overlap, overlap
from cytosuite.metrics.metric import metric
from cytosuite.volume.arrays import Array

EVERINGHAM = "10.1007/s11263-009-0275-4"
NOTHING = "when neither the truth nor the prediction holds an object"


def true_positives(table: Overlap, percent: int = 50) -> int:
    """Count the true positives: a largest one-to-one matching of pairs with at least some IoU.

    The least IoU is `percent` hundredths, an integer from 50 to 100, else an `InputError`: 55 for
    0.55, which no float is.

    Notes
    -----
    The condition ``100 |R n S| >= percent |R u S|`` is compared in integers. Above one half no
    object has a second candidate. At one half exactly an object may have two, its two disjoint
    halves, which then have no other: candidates form stars, each of which holds one pair of any
    largest matching, and their number is that of the objects in them minus that of their pairs.
    It does not depend on the order of the labels, nor on which of the two volumes is the truth.

    Examples
    --------
    Either half may stand for the whole, the other is in excess:

    >>> from cytosuite.metrics.labels.overlap import overlap
    >>> true_positives(overlap(np.array([1, 1, 1, 1]), np.array([1, 1, 2, 2])))
    1
    """
    if percent != int(percent) or not 50 <= percent <= 100:
        raise InputError(
            f"the least IoU must be a whole number of hundredths from 50 to 100, found {percent}; "
            "below one half objects have no unique partner"
        )
    near = table.halves
    same = near[100 * table.shared[near] >= int(percent) * table.unions(near)]
    truths = np.bincount(table.truth_index[same])
    predictions = np.bincount(table.prediction_index[same])
    return int(np.count_nonzero(truths) + np.count_nonzero(predictions) - same.size)


def f1_at(table: Overlap, percent: int) -> float:
    """Return `f1` at a least IoU of `percent` hundredths, see `true_positives`.

    Examples
    --------
    >>> from cytosuite.metrics.labels.overlap import overlap
    >>> table = overlap(np.array([1, 1, 1, 1, 2]), np.array([1, 1, 1, 0, 2]))
    >>> f1_at(table, 75), f1_at(table, 80)
    (1.0, 0.5)
    """
    return ratio(2 * true_positives(table, percent), table.objects)


def object_count(prediction: Array) -> int:
    """Count the objects of a label volume, an integer array with 0 = background."""
    return overlap(prediction, prediction).prediction_sizes.size


OBJECTS: Evidence[int] = Evidence(object_count, ("prediction",), pool=sum)
overlap_share = partial(metric, evidence=OVERLAP, best=1.0, worst=0.0, reference=EVERINGHAM)
count = partial(metric, evidence=OVERLAP)


@overlap_share("F1", "F1 at IoU >= 0.5", undefined=NOTHING)
def f1(table: Overlap) -> float:
    """Return the harmonic mean of precision and recall of objects, at an IoU of at least 0.5.

    ``F1 = 2 TP / (N + P)`` with N objects in the truth, P in the prediction and TP pairs of a
    largest one-to-one matching (see `true_positives`). It is the same with truth and prediction
    exchanged, and 0 when one of the two holds no object. An IoU of one half exactly counts here
    and in the metrics below; in Everingham et al., and in PQ and RQ, it does not.

    Examples
    --------
    >>> f1(np.array([1, 1, 2, 2]), np.array([1, 1, 0, 0])) == 2 / 3
    True
    """
    return f1_at(table, 50)


@overlap_share(
    "precision", "Precision at IoU >= 0.5", undefined="when the prediction holds no object"
)
def precision(table: Overlap) -> float:
    """Return the share of predicted objects that are a cell, ``TP / P`` at an IoU of 0.5 or more.

    Examples
    --------
    >>> precision(np.array([1, 1, 0, 0]), np.array([1, 1, 2, 3])) == 1 / 3
    True
    """
    return ratio(true_positives(table), table.prediction_sizes.size)


@overlap_share("recall", "Recall at IoU >= 0.5", undefined=NO_OBJECT)
def recall(table: Overlap) -> float:
    """Return the share of cells that were found, ``TP / N`` at an IoU of 0.5 or more.

    Examples
    --------
    >>> recall(np.array([1, 1, 2, 2]), np.array([0, 1, 0, 0]))
    0.5
    """
    return ratio(true_positives(table), table.truth_sizes.size)


@count("truth_count", "Cells in the truth")
def truth_count(table: Overlap) -> float:
    """Return the number N of objects in the truth."""
    return table.truth_sizes.size


@metric("prediction_count", "Objects predicted", evidence=OBJECTS)
def prediction_count(objects: int) -> float:
    """Return the number P of objects in the prediction, which needs no truth."""
    return objects


@count("count_error", "Relative error of the count", undefined=NO_OBJECT)
def count_error(table: Overlap) -> float:
    """Return the relative surplus of predicted objects, ``(P - N) / N``.

    Negative for too few. Signed, so that it is no score: means of it may cancel.
    """
    return ratio(table.prediction_sizes.size - table.truth_sizes.size, table.truth_sizes.size)


@count("count_error_absolute", "Absolute error of the count")
def count_error_absolute(table: Overlap) -> float:
    """Return the number of predicted objects too many or too few, ``|P - N|``.

    Its mean over cases does not cancel.
    """
    return abs(table.prediction_sizes.size - table.truth_sizes.size)
