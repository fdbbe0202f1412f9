"""Aggregated Jaccard indices of the objects, and the Dice coefficient of the foreground.

References
----------
Kumar et al., A Dataset and a Technique for Generalized Nuclear Segmentation for Computational
Pathology, IEEE Transactions on Medical Imaging 36 (2017), doi:10.1109/TMI.2017.2677499 (AJI).
Graham et al., HoVer-Net: Simultaneous segmentation and classification of nuclei in multi-tissue
histology images, Medical Image Analysis 58 (2019), doi:10.1016/j.media.2019.101563 (AJI+).
Dice, Measures of the Amount of Ecologic Association Between Species, Ecology 26 (1945),
doi:10.2307/1932409.
"""

from functools import partial
from math import nan

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from cytosuite.metrics.labels.detection import NOTHING
from cytosuite.metrics.labels.overlap import BLOCK, OVERLAP, Counts, Overlap
from cytosuite.metrics.metric import metric

shared_area = partial(metric, evidence=OVERLAP, best=1.0, worst=0.0, undefined=NOTHING)


@shared_area("AJI", "Aggregated Jaccard index", reference="10.1109/TMI.2017.2677499")
def aji(table: Overlap) -> float:
    """Return the summed overlaps of all cells with their best partners over the summed unions.

    The partner of a cell is the predicted object with the highest IoU of all that overlap with
    it, the one with the smaller label of two equal ones. An object may be the partner of several
    cells. Cells without one, and objects that are nobody's, add their voxels to the unions.

    Examples
    --------
    >>> aji(np.array([1, 1, 1, 1, 2]), np.array([1, 1, 1, 0, 0]))
    0.6
    """
    return _aggregated(table, _best_partners(table))


def aji_plus(table: Overlap) -> float:
    """Return the aggregated Jaccard index with partners that are used only once.

    In [0, 1]; NaN when neither volume holds an object. Partners are those of the one-to-one
    matching with the largest sum of IoU; where several have it, one of them. A pair with an IoU
    of at least 2/3 is in every such matching, as other partners share too little with the rest
    of its objects; the others are matched as a sparse graph.

    Examples
    --------
    Two cells under one object: only one of them may have it.

    >>> from cytosuite.metrics.labels.overlap import overlap
    >>> table = overlap(np.array([1, 1, 2, 2]), np.array([1, 1, 1, 1]))
    >>> aji.of(table), round(aji_plus(table), 4)
    (0.5, 0.3333)
    """
    iou = table.shared / table.unions
    sure = np.flatnonzero(3 * table.shared >= 2 * table.unions)
    taken_t = np.isin(table.truth_index, table.truth_index[sure])
    taken_p = np.isin(table.prediction_index, table.prediction_index[sure])
    rest = np.flatnonzero(~taken_t & ~taken_p)
    if not rest.size:
        return _aggregated(table, sure)
    rows, row = np.unique(table.truth_index[rest], return_inverse=True)
    columns, column = np.unique(table.prediction_index[rest], return_inverse=True)
    # every cell may also stay alone, at the same cost as a partner with an IoU of 0
    alone = np.arange(rows.size)
    cost = np.concatenate([2 - iou[rest], np.full(rows.size, 2.0)])
    place = np.concatenate([row, alone]), np.concatenate([column, columns.size + alone])
    graph = csr_array((cost, place), shape=(rows.size, columns.size + rows.size))
    chosen_row, chosen = min_weight_full_bipartite_matching(graph)
    partner = np.full(rows.size, -1)
    partner[chosen_row] = chosen
    return _aggregated(table, np.concatenate([sure, rest[partner[row] == column]]))


@shared_area("Dice", "Dice coefficient of the foreground", reference="10.2307/1932409")
def dice(table: Overlap) -> float:
    """Return the agreement of the foregrounds, ``2 |A n B| / (|A| + |B|)``, whatever the objects.

    Other programs give 1 where both are empty, or NaN whenever the truth is empty.

    Examples
    --------
    >>> dice(np.array([1, 1, 2, 0]), np.array([7, 7, 7, 7])) == 6 / 7
    True
    """
    voxels = int(table.truth_sizes.sum() + table.prediction_sizes.sum())
    return 2 * int(table.shared.sum()) / voxels if voxels else nan


def _aggregated(table: Overlap, pairs: Counts) -> float:
    """Return shared over united voxels of the pairs, with the objects in none of them."""
    truths = np.delete(table.truth_sizes, table.truth_index[pairs]).sum()
    predictions = np.delete(table.prediction_sizes, table.prediction_index[pairs]).sum()
    united = int(table.unions_of(pairs).sum() + truths + predictions)
    return int(table.shared[pairs].sum()) / united if united else nan


def _best_partners(table: Overlap) -> Counts:
    """Return for each cell that overlaps with anything its pair of the highest IoU."""
    best: list[Counts] = [np.zeros(0, np.int64)]
    begin, cells = 0, table.truth_index
    while begin < cells.size:
        end = cells.size
        if begin + BLOCK < end:  # up to the first pair of a cell, past it if that has too many
            end = int(np.searchsorted(cells, cells[begin + BLOCK]))
            if end <= begin:
                end = int(np.searchsorted(cells, cells[begin], side="right"))
        part = slice(begin, end)
        iou = table.shared[part] / table.unions_of(part)
        first = np.flatnonzero(np.diff(cells[part], prepend=-1))
        highest = np.maximum.reduceat(iou, first)
        equal = np.flatnonzero(iou == np.repeat(highest, np.diff(first, append=end - begin)))
        best.append(begin + equal[np.diff(cells[part][equal], prepend=-1) != 0])
        begin = end
    return np.concatenate(best)
