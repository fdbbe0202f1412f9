"""Segmentation (SEG) and detection (DET) accuracy of the Cell Tracking Challenge.

Both match in the same way: a predicted object matches an object of the truth if it covers strictly
more than half of it, in integers ``2 |R n S| > |R|``. An object of the truth has at most one match;
a predicted object may match several. Half exactly is no match, and the size of the predicted
object does not matter.

Maška et al., Bioinformatics 30 (2014), doi:10.1093/bioinformatics/btu080 (SEG); Matula et al., PLOS
ONE 10 (2015), doi:10.1371/journal.pone.0144959 (DET and its errors); Maška et al., Nature Methods
20 (2023), doi:10.1038/s41592-023-01879-y (OP_CSB).
"""

from functools import partial
from typing import NamedTuple

import numpy as np

from cytosuite.metrics.known import ratio
from cytosuite.metrics.labels.overlap import OVERLAP, Overlap
from cytosuite.metrics.metric import family, metric
from cytosuite.volume.arrays import Longs

MASKA = "10.1093/bioinformatics/btu080"
MATULA = "10.1371/journal.pone.0144959"
MASKA_2023 = "10.1038/s41592-023-01879-y"
NO_OBJECT = "when the truth holds no object"
SPLIT, MISSED, SPURIOUS = 5, 10, 1  # cost of repairing one error by hand (Matula et al. 2015)


class CtcErrors(NamedTuple):
    """Errors of a detection, each repaired by one operation of its kind."""

    splits: int  # for each predicted object that matches m > 1 objects of the truth, m - 1
    missed: int  # objects of the truth without a match
    spurious: int  # predicted objects that match nothing


def matches(table: Overlap) -> Longs:
    """Return the positions (M,) of the pairs that match in the sense of the challenge.

    In these the predicted object covers more than half of the object of the truth.

    Examples
    --------
    >>> from cytosuite.metrics.labels.overlap import overlap
    >>> matches(overlap(np.array([1, 1, 1, 2, 2]), np.array([7, 7, 8, 8, 9]))).tolist()
    [0]
    """
    near = table.halves
    return near[2 * table.shared[near] > table.truth_sizes[table.truth_index[near]]]


def ctc_errors(table: Overlap) -> CtcErrors:
    """Count the operations that turn detected objects into true ones.

    NS, FN and FP of Matula et al.

    Examples
    --------
    One predicted object covers both cells, another lies in the background:

    >>> from cytosuite.metrics.labels.overlap import overlap
    >>> ctc_errors(overlap(np.array([1, 1, 2, 2, 0]), np.array([7, 7, 7, 7, 8])))
    CtcErrors(splits=1, missed=0, spurious=1)
    """
    matched = matches(table)
    covering = int(np.count_nonzero(np.bincount(table.prediction_index[matched])))
    return CtcErrors(
        splits=matched.size - covering,
        missed=table.truth_sizes.size - matched.size,
        spurious=table.prediction_sizes.size - covering,
    )


def saved(cost: float, from_scratch: float) -> float:
    """Return the share of the work from scratch that is saved, in [0, 1]; NaN without any work.

    Examples
    --------
    Published scores of a watershed method on a volume of 201 nuclei (Bruch et al., 2023):

    >>> round(saved(SPLIT * 12 + MISSED * 43 + SPURIOUS * 71, MISSED * 201), 6)
    0.720896
    """
    return 1.0 - ratio(min(cost, from_scratch), from_scratch)


def detected(table: Overlap, spurious: int) -> float:
    """Return the share of the work of drawing that is saved, at the cost of a spurious object."""
    errors = ctc_errors(table)
    cost = SPLIT * errors.splits + MISSED * errors.missed + spurious * errors.spurious
    return saved(cost, MISSED * table.truth_sizes.size)


accuracy = partial(metric, evidence=OVERLAP, best=1.0, worst=0.0, undefined=NO_OBJECT)


@accuracy("SEG", "Segmentation accuracy", reference=MASKA)
def seg(table: Overlap) -> float:
    """Return the mean Jaccard index of the cells with the predicted objects that match them.

    ``SEG = 1/N sum_R J(R)`` over the N objects R of the truth, with ``J = |R n S| / |R u S|`` for
    the S that covers more than half of R, and 0 where there is none. Spurious objects do not
    lower it. Published programs return 0 for a truth without objects; here it is undefined.

    Examples
    --------
    Half of the second cell is not enough:

    >>> seg(np.array([1, 1, 1, 1, 2, 2]), np.array([1, 1, 1, 0, 2, 0]))
    0.375
    """
    return ratio(table.iou(matches(table)).sum(), table.truth_sizes.size)


@accuracy("DET", "Detection accuracy", reference=MATULA)
def det(table: Overlap) -> float:
    """Return the share of the work of drawing every cell that the prediction saves.

    ``DET = 1 - min(A, A0) / A0`` with ``A = 5 splits + 10 missed + 1 spurious`` and ``A0 = 10 N``,
    the cost of drawing all N cells by hand. A predicted object that matches m > 1 cells needs
    m - 1 splits. Published programs divide by zero for a truth without objects; here it is
    undefined. Challenge data sets give tracking markers as the truth of DET and whole cells as
    that of SEG; where only one truth exists it serves both.

    Examples
    --------
    Three cells under one object need two splits, 10 of 30 points:

    >>> round(det(np.array([1, 2, 3]), np.array([1, 1, 1])), 4)
    0.6667
    """
    return detected(table, SPURIOUS)


@accuracy("DET_NFP", "Detection accuracy without penalty for spurious objects", reference=MATULA)
def det_without_penalty(table: Overlap) -> float:
    """Return the detection accuracy in which spurious objects cost nothing.

    For a truth that marks only some of the cells, where a further predicted object may well be
    right: the option `penalize_extra_detections=0` of the official program. At least `det`. It is
    on no board; `cytosuite score` gives it where it is named.

    Examples
    --------
    >>> det_without_penalty(np.array([1, 0, 0]), np.array([1, 2, 3]))
    1.0
    """
    return detected(table, 0)


@accuracy("OP_CSB", "Overall performance in the segmentation benchmark", reference=MASKA_2023)
def op_csb(table: Overlap) -> float:
    """Return the mean of detection and segmentation accuracy, ``(DET + SEG) / 2``."""
    return (det.of(table) + seg.of(table)) / 2


def error_count(table: Overlap, kind: str) -> float:
    """Return the number of errors of a kind, a field of `CtcErrors`: NS, FN or FP of DET."""
    return float(getattr(ctc_errors(table), kind))


KINDS = {
    "splits": ("Splits needed", "cuts between the cells under one predicted object (NS of DET)"),
    "missed": ("Cells missed", "cells that no object covers by more than half (FN of DET)"),
    "spurious": ("Spurious objects", "predicted objects that match no cell (FP of DET)"),
}
splits, missed, spurious = family(
    OVERLAP,
    error_count,
    {
        kind: (kind, title, kind, f"Return the number of {what}.")
        for kind, (title, what) in KINDS.items()
    },
    best=0.0,
    reference=MATULA,
)
