"""Scores of the Cell Tracking Challenge for special truths: sparse, or in slices; and OP_CSB.

References
----------
Maška et al., The Cell Tracking Challenge: 10 years of objective benchmarking, Nature Methods 20
(2023), doi:10.1038/s41592-023-01879-y (OP_CSB).
"""

from collections.abc import Sequence

import numpy as np

from cytosuite.metrics.labels.ctc import (
    MATULA,
    accuracy,
    ctc_errors,
    det,
    detection_accuracy,
    seg,
)
from cytosuite.metrics.labels.overlap import Counts, Labels, Overlap, concatenate


@accuracy("DET_NFP", "Detection accuracy without penalty for spurious objects", reference=MATULA)
def det_without_penalty(table: Overlap) -> float:
    """Return the detection accuracy in which spurious objects cost nothing.

    For a truth that marks only some of the cells, where a further predicted object may well be
    right: the option `penalize_extra_detections=0` of the official program. At least `det`.

    Examples
    --------
    >>> det_without_penalty(np.array([1, 0, 0]), np.array([1, 2, 3]))
    1.0
    """
    errors = ctc_errors(table)
    return detection_accuracy(table.truth_sizes.size, errors, penalize_spurious=False)


@accuracy(
    "OP_CSB",
    "Overall performance in the segmentation benchmark",
    reference="10.1038/s41592-023-01879-y",
)
def op_csb(table: Overlap) -> float:
    """Return the mean of detection and segmentation accuracy, ``(DET + SEG) / 2``."""
    return (det.of(table) + seg.of(table)) / 2


def stack(slices: Sequence[Overlap]) -> Overlap:
    """Return the table of one volume from those of its slices.

    Parameters
    ----------
    slices : sequence of Overlap
        Of slices that do not overlap; a label names the same object in all of them.

    Returns
    -------
    Overlap
        As if the slices had been stacked to a volume before.

    Examples
    --------
    >>> from cytosuite.metrics.labels.overlap import overlap
    >>> stack([overlap(np.array([1, 2]), np.array([7, 7]))] * 2).truth_sizes.tolist()
    [2, 2]
    """
    apart = concatenate(slices)
    truth_labels, truth, truth_sizes = _united(apart.truth_labels, apart.truth_sizes)
    labels, prediction, sizes = _united(apart.prediction_labels, apart.prediction_sizes)
    key = truth[apart.truth_index] * np.int64(labels.size) + prediction[apart.prediction_index]
    pairs, position = np.unique(key, return_inverse=True)
    shared = np.zeros(pairs.size, np.int64)
    np.add.at(shared, position, apart.shared)
    truth_index, prediction_index = np.divmod(pairs, max(labels.size, 1))
    return Overlap(
        truth_labels=truth_labels,
        truth_sizes=truth_sizes,
        prediction_labels=labels,
        prediction_sizes=sizes,
        truth_index=truth_index,
        prediction_index=prediction_index,
        shared=shared,
        voxels=apart.voxels,
    )


def seg_of_slices(frames: Sequence[Sequence[Overlap]], *, stacked: bool = False) -> float:
    """Return SEG of volumes of which single slices are annotated.

    Parameters
    ----------
    frames : sequence of sequences of Overlap
        For each frame the table of each annotated slice (`man_seg_TTT_ZZZ`) with that slice of the
        prediction. A fully annotated frame is a frame of one table.
    stacked : bool
        Whether the slices of a frame are one volume.

    Returns
    -------
    float
        In [0, 1]; NaN when no slice holds an object.

    Notes
    -----
    By default each slice is an image of its own, as in the Java program of the challenge: sizes are
    areas in the slice, and a label present in two slices counts twice. Other programs
    (py-ctcmetrics 1.3.3) stack the slices of a frame and count a label once, which gives another
    number for the same data: that is `stacked`.

    Examples
    --------
    Of one cell a slice of 4 voxels is found and one of 2 is not:

    >>> from cytosuite.metrics.labels.overlap import overlap
    >>> cell = np.array([1, 1, 1, 1]), np.array([1, 1, 0, 0])
    >>> slices = [overlap(cell[0], cell[0]), overlap(cell[1], np.zeros(4, int))]
    >>> seg_of_slices([slices]), round(seg_of_slices([slices], stacked=True), 4)
    (0.5, 0.6667)
    """
    if stacked:
        return seg.of(concatenate([stack(slices) for slices in frames]))
    return seg.of(concatenate([table for slices in frames for table in slices]))


def _united(labels: Labels, sizes: Counts) -> tuple[Labels, Counts, Counts]:
    """Return each label once, the position of each given one in them, and the summed sizes."""
    found, position = np.unique(labels, return_inverse=True)
    total = np.zeros(found.size, np.int64)
    np.add.at(total, position, sizes)
    return found, position, total
