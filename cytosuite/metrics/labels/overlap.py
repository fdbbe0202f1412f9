"""The overlap table: the voxels that each object of a truth shares with each predicted object.

Most scores of instance labels are computed from this one sparse table, so that the two volumes
are read once, and the score of a whole set of volumes is the score of their concatenated tables.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from operator import attrgetter

import numpy as np

from cytosuite.errors import InputError
from cytosuite.files import Json
from cytosuite.metrics.evidence import Evidence
from cytosuite.metrics.labels.overlap_count import count
from cytosuite.volume.arrays import Array, Doubles, Longs, LongWords

EVERY = slice(None)  # pair

Labels = LongWords


@dataclass(frozen=True, eq=False)
class Overlap:
    """Objects of a truth and a prediction, their sizes, and the voxels each pair shares."""

    # (T,), label of each object of the truth, ascending within one volume; background is left out
    truth_labels: Labels
    truth_sizes: Longs  # (T,), its size in voxels
    prediction_labels: Labels  # (P,), label of each predicted object, ascending within one volume
    prediction_sizes: Longs  # (P,), its size in voxels
    # (N,), positions, in the arrays above, of the two objects of each pair that overlaps;
    # ascending, by the first, then by the second
    truth_index: Longs
    prediction_index: Longs
    shared: Longs  # (N,), voxels which the two objects of that pair share, at least 1
    voxels: int  # voxels of the volume, background included

    def __getstate__(self) -> Json:
        """Return the pickled columns: each in the fewest bytes per number, and its dtype."""
        columns = {name: value for name, value in vars(self).items() if name in _COLUMNS}
        return {
            name: (column.astype(np.min_scalar_type(column.max(initial=0))), column.dtype)
            for name, column in columns.items()
        } | {"voxels": self.voxels}

    def __setstate__(self, state: Json) -> None:
        """Take the columns in their own dtypes again."""
        voxels = state.pop("voxels")
        columns = {name: column.astype(dtype) for name, (column, dtype) in state.items()}
        vars(self).update(columns, voxels=voxels)

    @property
    def objects(self) -> int:
        """Number of objects of both sides."""
        return self.truth_sizes.size + self.prediction_sizes.size

    def unions(self, pairs: Longs | slice = EVERY) -> Longs:
        """Return the voxels in either object of the pairs at some positions."""
        truth = self.truth_sizes[self.truth_index[pairs]]
        prediction = self.prediction_sizes[self.prediction_index[pairs]]
        return truth + prediction - self.shared[pairs]

    def iou(self, pairs: Longs | slice = EVERY) -> Doubles:
        """Return the intersection over union of the pairs at some positions."""
        return self.shared[pairs] / self.unions(pairs)

    @cached_property
    def best(self) -> Longs:
        """Position of the pair of the highest IoU, of equal ones the first, of each true object.

        Of those that overlap with any predicted object, ascending.
        """
        cells = self.truth_index
        iou = self.iou()
        first = np.flatnonzero(np.diff(cells, prepend=-1))
        highest = np.maximum.reduceat(iou, first)
        equal = np.flatnonzero(iou == np.repeat(highest, np.diff(first, append=cells.size)))
        return np.asarray(equal[np.diff(cells[equal], prepend=-1) != 0])

    @property
    def partners(self) -> tuple[Labels, Doubles]:
        """Label and IoU of the predicted object in the `best` pair of each true one, else 0."""
        pairs = self.best
        labels = np.zeros(self.truth_sizes.size, self.prediction_labels.dtype)
        iou = np.zeros(labels.size)
        labels[self.truth_index[pairs]] = self.prediction_labels[self.prediction_index[pairs]]
        iou[self.truth_index[pairs]] = self.iou(pairs)
        return labels, iou

    @cached_property
    def halves(self) -> Longs:
        """Positions of the pairs that share at least half of the object of the truth, ascending.

        At most two per object of the truth. Every pair with an IoU of 1/2 or more is among them,
        and every match of the Cell Tracking Challenge.
        """
        return self._covering(self.truth_sizes, self.truth_index, 0)

    @property
    def contained(self) -> Longs:
        """Positions of the pairs with over half of the predicted object (one each), rising."""
        return self._covering(self.prediction_sizes, self.prediction_index, 1)

    def _covering(self, sizes: Longs, index: Longs, more: int) -> Longs:
        """Return the positions of the pairs where twice the shared voxels exceed a size."""
        return np.flatnonzero(2 * self.shared >= sizes[index] + more)

    @cached_property
    def above_half(self) -> Longs:
        """Positions of the pairs with an IoU of strictly more than 1/2, one to one."""
        near = self.halves
        return near[2 * self.shared[near] > self.unions(near)]


_COLUMNS = tuple(column.name for column in fields(Overlap) if column.name != "voxels")


def overlap(truth: Array, prediction: Array) -> Overlap:
    """Count in one pass the voxels which each object shares with each object of the other volume.

    Parameters
    ----------
    truth, prediction : integer arrays of one shape
        Instance labels, 0 = background, of any integer dtype and memory layout (memory-mapped
        files are read piece by piece). Labels need not be consecutive, and an object may be in
        several pieces: it stays one object.

    Returns
    -------
    Overlap
        The objects and their common voxels.

    Raises
    ------
    InputError
        If a dtype is not an integer, a label is negative, the shapes differ, or two volumes of
        noise take more memory than is free.

    Notes
    -----
    Neighbouring voxels mostly have the same pair of labels: runs are counted, in a hash table of
    the pairs that occur. Where these are so many that the table would take more
    than half of the memory of the inputs, the pairs of all voxels are sorted instead, in memory
    that must be free. The memory above that of the inputs is a few MiB as a rule, for volumes of
    noise 72 bytes per voxel; never a table of all true by all predicted objects.

    Examples
    --------
    >>> table = overlap(np.array([0, 7, 7, 7, 9]), np.array([0, 0, 1, 1, 1]))
    >>> table.truth_sizes.tolist(), table.prediction_sizes.tolist(), table.shared.tolist()
    ([3, 1], [3], [2, 1])
    """
    truth = np.asarray(truth)
    prediction = np.asarray(prediction)
    for name, array in (("truth", truth), ("prediction", prediction)):
        if array.dtype.kind not in "iu":
            raise InputError(
                f"{name}: labels must be of an integer dtype, found {array.dtype}; "
                "write the labels as integers, for instance uint16 or uint32"
            )
    if truth.shape != prediction.shape:
        raise InputError(
            f"truth and prediction must have the same shape, found {truth.shape} and "
            f"{prediction.shape}; the prediction must cover the image voxel by voxel"
        )
    return Overlap(*count(truth, prediction), voxels=truth.size)


def concatenate(tables: Sequence[Overlap]) -> Overlap:
    """Return the table of several volumes taken together, their objects kept apart.

    A score of the result is the pooled score of the set: every object has the same weight,
    whichever volume it lies in; a label may occur once per volume. Without tables it is that of an
    empty volume.

    Examples
    --------
    >>> one = overlap(np.array([0, 1, 1]), np.array([1, 1, 1]))
    >>> concatenate([one, one]).truth_sizes.tolist()
    [2, 2]
    """
    tables = tables or [overlap(np.zeros(0, np.uint8), np.zeros(0, np.uint8))]
    parts = zip(*map(attrgetter(*_COLUMNS), tables), strict=True)
    columns = dict(zip(_COLUMNS, parts, strict=True))
    joined = {name: np.concatenate(column) for name, column in columns.items()}
    for side in ("truth", "prediction"):
        sizes, pairs = (list(map(len, columns[f"{side}_{name}"])) for name in ("sizes", "index"))
        joined[f"{side}_index"] += np.repeat(np.cumsum(sizes) - sizes, pairs)
    return Overlap(**joined, voxels=sum(table.voxels for table in tables))


OVERLAP = Evidence(overlap, ("truth", "prediction"), pool=concatenate)
