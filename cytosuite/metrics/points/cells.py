"""Points in cells: numbers by cell, and pairs in one cell, where label images of cells are known.

A point lies in the cell at its nearest pixel, in none outside of the image. True and predicted
points are asked alike, so that the truth itself is perfect.

References
----------
Petukhov et al., Cell segmentation in imaging-based spatial transcriptomics, Nature Biotechnology 40
(2022), doi:10.1038/s41587-021-01044-w (molecules assigned to cells).
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from cytosuite.errors import InputError
from cytosuite.metrics.evidence import Evidence
from cytosuite.metrics.known import known, ratio
from cytosuite.metrics.metric import metric
from cytosuite.metrics.points.matching import matched_points
from cytosuite.volume.arrays import Array, Bools, Doubles, Longs, Spacing
from cytosuite.volume.objects import label_at
from cytosuite.volume.pieces import distinct


class CellPoints(NamedTuple):
    """Numbers of points in each cell, and the cells of pairs."""

    truth: Longs  # (C,), points in each cell of the label image
    prediction: Longs  # (C,)
    right: Bools  # (K,), of the pairs with a true point in a cell: in the same one


def cell_points(
    truth: Doubles,
    prediction: Doubles,
    labels: Array,
    spacing: Spacing,
    radius_um: float | None = None,
) -> CellPoints:
    """Count points by cell; the first arguments are as of `matching.matched_points`.

    Examples
    --------
    >>> cells = np.array([[1, 1, 0, 2, 2]])
    >>> found = cell_points([[0, 0], [0, 3]], [[0, 1], [0, 2]], cells, (1.0, 1.0), 1.0)
    >>> found.truth.tolist(), found.prediction.tolist(), found.right.tolist()
    ([1, 1], [1, 0], [True, False])
    """
    matched = matched_points(truth, prediction, spacing, radius_um)
    labels = np.asarray(labels)
    if labels.dtype.kind not in "biu" or labels.ndim != len(spacing):
        raise InputError(
            f"cells: expected labels, integers along {len(spacing)} axes, found {labels.dtype} of "
            f"shape {labels.shape}"
        )
    cells = distinct(labels)
    cells = cells[cells > 0]
    sides = [cell_at(places, labels) for places in (truth, prediction)]
    counts = [
        np.bincount(np.searchsorted(cells, names[names > 0]), minlength=cells.size)
        for names in sides
    ]
    one = sides[0][matched.truth_index]
    return CellPoints(counts[0], counts[1], (one == sides[1][matched.prediction_index])[one > 0])


def cell_at(places: Doubles, labels: Array) -> Array:
    """Return the label at the nearest pixel of each place (N, D), 0 outside of the image."""
    nearest = np.floor(np.asarray(places, np.float64).reshape(-1, labels.ndim) + 0.5)
    return label_at(labels, nearest.astype(np.int64))


def joined(parts: Sequence[CellPoints]) -> CellPoints:
    """Return the cells of several images taken together."""
    return CellPoints(*map(np.concatenate, zip(*parts, strict=True)))


CELL_POINTS = Evidence(
    cell_points, ("truth", "prediction", "labels", "spacing"), ("radius_um",), pool=joined
)
of_cells = partial(metric, evidence=CELL_POINTS)


@of_cells(
    "right_cell",
    "Pairs in the right cell",
    best=1.0,
    worst=0.0,
    reference="10.1038/s41587-021-01044-w",
    undefined="when no true point in a cell has a pair",
)
def right_cell(cells: CellPoints) -> float:
    """Return the share of pairs in one cell among those with a true point in a cell."""
    return known(cells.right)


@of_cells(
    "cell_count_correlation",
    "Correlation of the numbers of points by cell",
    best=1.0,
    worst=-1.0,
    reference="10.1098/rspl.1895.0041",
    undefined="when all cells hold equally many true points, or equally many predicted ones",
)
def cell_count_correlation(cells: CellPoints) -> float:
    """Return Pearson's correlation of true and predicted numbers over the cells."""
    sides = [
        counts - counts.mean() if counts.size else counts
        for counts in (cells.truth, cells.prediction)
    ]
    scale = float(np.sqrt((sides[0] ** 2).sum() * (sides[1] ** 2).sum()))
    return ratio(float((sides[0] * sides[1]).sum()), scale)


@of_cells(
    "cell_count_error",
    "Mean error of the number of points by cell",
    best=0.0,
    reference="10.3354/cr030079",
    undefined="when the labels hold no cell",
)
def cell_count_error(cells: CellPoints) -> float:
    """Return the mean of the absolute differences of true and predicted numbers over the cells."""
    return known(np.abs(cells.prediction - cells.truth))
