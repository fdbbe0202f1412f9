"""Errors of single objects: the class of each by the matching of SEG and DET.

The rule of the Cell Tracking Challenge (`cytosuite.metrics.labels.ctc.matches`): a predicted object
matches an object of the truth if it covers more than half of it. A piece is a predicted object with
more than half of its own voxels in one object of the truth.

=========  =========================================  ===========================================
class      object of the truth                        predicted object
=========  =========================================  ===========================================
matched    has a match, and is neither of the below   matches one
merged     its match also matches another             matches two or more
split      holds two or more pieces                   matches none, is a piece of a split object
missed     has no match and at most one piece         -
false      -                                          matches none, is no piece of a split object
=========  =========================================  ===========================================

The first class that holds counts, in the order merged, split, matched, missed of the truth: DET
takes 5 points for a merged cell and 1 for a piece. The match of an object counts among its pieces
where it is one; of a split object it is matched, the other pieces are split. An object with a
single piece that covers half of it or less is missed, and the piece false, as in DET.

References
----------
Matula et al., Cell Tracking Accuracy Measurement Based on Comparison of Acyclic Oriented Graphs,
PLOS ONE 10 (2015), doi:10.1371/journal.pone.0144959 (matching and costs).
Caicedo et al., Evaluation of Deep Learning Strategies for Nucleus Segmentation in Fluorescence
Images, Cytometry A 95 (2019), doi:10.1002/cyto.a.23863 (missed, merged and split objects).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cytosuite.metrics.labels.ctc import matches
from cytosuite.metrics.labels.overlap import Labels, Overlap
from cytosuite.volume.arrays import Doubles, Longs

MATCHED, MERGED, SPLIT, MISSED, FALSE = "matched", "merged", "split", "missed", "false"

Values = Doubles


class ObjectErrors(NamedTuple):
    """Objects of one side, a truth or a prediction, and how each was judged."""

    labels: Labels  # (N,), in the order of the overlap table
    classes: NDArray[np.str_]  # (N,), MISSED of a truth alone, FALSE of a prediction alone
    # (N,), label of the match, 0 without one; of several that with the highest IoU, of equal ones
    # the smallest label
    matched: Labels
    # (N,), IoU with the match, 0 without one: the mean over the objects of the truth is SEG
    seg: Values
    iou: Values  # (N,), the highest IoU with any object of the other side, 0 where none overlaps
    covered: Values  # (N,), the largest share of the object in one object of the other side


def object_classes(table: Overlap) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    """Return the classes of the objects of a truth (T,) and of a prediction (P,)."""
    truths = table.truth_sizes.size
    predictions = table.prediction_sizes.size
    pairs = matches(table)
    inside = table.contained
    owner = table.truth_index[pairs]
    match = table.prediction_index[pairs]
    holder = table.truth_index[inside]
    piece = table.prediction_index[inside]
    detected = np.bincount(owner, minlength=truths) > 0
    matching = np.bincount(match, minlength=predictions)
    split = np.bincount(holder, minlength=truths) > 1
    merged = np.zeros(truths, bool)
    of_split = np.zeros(predictions, bool)
    merged[owner] = matching[match] > 1
    of_split[piece] = split[holder]
    return (
        np.select([merged, split, detected], [MERGED, SPLIT, MATCHED], MISSED),
        np.select([matching > 1, matching > 0, of_split], [MERGED, MATCHED, SPLIT], FALSE),
    )


def object_errors(table: Overlap) -> tuple[ObjectErrors, ObjectErrors]:
    """Judge the objects of a truth and of a prediction one by one, in the order of the table.

    Both scores follow: SEG is the mean of ``seg`` over the truth. Of DET, objects of the truth
    without a match are missed, predicted ones spurious, and the splits are the objects of the truth
    with a match less the predicted ones with a match.

    Examples
    --------
    >>> from cytosuite.metrics.labels.overlap import overlap
    >>> labels, answer = np.array([1, 1, 1, 1, 2, 2]), np.array([7, 7, 7, 0, 8, 0])
    >>> truth, prediction = object_errors(overlap(labels, answer))
    >>> truth.seg.tolist(), truth.iou.tolist(), truth.matched.tolist()
    ([0.75, 0.0], [0.75, 0.5], [7, 0])
    """
    of_truth, of_prediction = object_classes(table)
    truth = _Side(table.truth_labels, table.truth_sizes, table.truth_index)
    prediction = _Side(table.prediction_labels, table.prediction_sizes, table.prediction_index)
    pairs = matches(table)
    iou = table.iou()
    return (
        _judged(truth, prediction, table.shared, iou, pairs, of_truth),
        _judged(prediction, truth, table.shared, iou, pairs, of_prediction),
    )


class _Side(NamedTuple):
    """Labels and sizes of the objects of one side, and their positions in the pairs."""

    labels: Labels
    sizes: Longs
    positions: Longs


def _judged(
    own: _Side, other: _Side, shared: Longs, iou: Values, pairs: Longs, classes: NDArray[np.str_]
) -> ObjectErrors:
    """Return how the objects of one side were judged, given the positions of the matches."""
    best = np.zeros(own.sizes.size)
    most = np.zeros(own.sizes.size, np.int64)
    np.maximum.at(best, own.positions, iou)
    np.maximum.at(most, own.positions, shared)
    # Ascending by IoU, of equal ones the smaller label last: the last one is kept.
    order = pairs[np.lexsort((-other.positions[pairs], iou[pairs]))]
    matched = np.zeros(own.sizes.size, np.uint64)
    seg = np.zeros(own.sizes.size)
    matched[own.positions[order]] = other.labels[other.positions[order]]
    seg[own.positions[order]] = iou[order]
    return ObjectErrors(own.labels, classes, matched, seg, best, most / own.sizes)
