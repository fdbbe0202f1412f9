"""Which object of the truth shares how many voxels with which object of the prediction.

Every score of instance labels is computed from this one sparse table, so that the two volumes are
read once, and the score of a whole set of volumes is the score of their concatenated tables.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytosuite.errors import InputError

CHUNK = 1 << 18  # voxels looked at together: both volumes' share stays in the cache
PENDING = 1 << 21  # runs kept before they are summed up: bounds the memory on noise
DENSE = 1 << 20  # cells of a table of all label pairs up to which counting beats sorting

Labels = NDArray[np.uint64]
Counts = NDArray[np.int64]
Triples = tuple[Labels, Labels, Counts]  # label of the truth, of the prediction, voxels


@dataclass(frozen=True, slots=True, eq=False)
class Overlap:
    """Objects of a truth and a prediction, their sizes, and the voxels each pair shares.

    Parameters
    ----------
    truth_labels : (T,) uint64 array
        Label of each object of the truth, ascending within one volume; background is left out.
    truth_sizes : (T,) int64 array
        Its size in voxels.
    prediction_labels : (P,) uint64 array
        Label of each predicted object, ascending within one volume.
    prediction_sizes : (P,) int64 array
        Its size in voxels.
    truth_index, prediction_index : (N,) int64 array
        Positions, in the arrays above, of the two objects of each pair that overlaps.
    shared : (N,) int64 array
        Voxels which the two objects of that pair share, at least 1.
    voxels : int
        Voxels of the volume, background included.
    """

    truth_labels: Labels
    truth_sizes: Counts
    prediction_labels: Labels
    prediction_sizes: Counts
    truth_index: Counts
    prediction_index: Counts
    shared: Counts
    voxels: int

    @property
    def unions(self) -> Counts:
        """Voxels in either object of each overlapping pair, (N,)."""
        truth = self.truth_sizes[self.truth_index]
        prediction = self.prediction_sizes[self.prediction_index]
        union: Counts = truth + prediction - self.shared
        return union


def overlap(truth: NDArray[Any], prediction: NDArray[Any]) -> Overlap:
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
        If a dtype is not an integer, a label is negative, or the shapes differ.

    Notes
    -----
    Neighbouring voxels mostly have the same pair of labels: only the runs are counted. Beside the
    inputs the memory is about 75 bytes per run, of which 2 million are kept at a time (160 MB),
    plus 100 bytes per overlapping pair; never a table of all truth by all predicted objects.

    Examples
    --------
    >>> table = overlap(np.array([0, 7, 7, 7, 9]), np.array([0, 0, 1, 1, 1]))
    >>> table.truth_sizes.tolist(), table.prediction_sizes.tolist(), table.shared.tolist()
    ([3, 1], [3], [2, 1])
    """
    truth, prediction = np.asanyarray(truth), np.asanyarray(prediction)
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
    done: list[Triples] = []
    pending: list[Triples] = []
    runs = 0
    for triples in _runs(truth, prediction):
        pending.append(triples)
        runs += triples[2].size
        if runs > PENDING:
            done.append(_sum_equal(pending))
            pending, runs = [], 0
    return _table(_sum_equal(done + pending), truth.size)


def concatenate(tables: Sequence[Overlap]) -> Overlap:
    """Return the table of several volumes taken together, their objects kept apart.

    A score of the result is the pooled score of the set: every object has the same weight,
    whichever volume it lies in.

    Parameters
    ----------
    tables : sequence of Overlap
        One per volume; none gives the table of an empty volume.

    Returns
    -------
    Overlap
        All objects and pairs; a label may occur once per volume.

    Examples
    --------
    >>> one = overlap(np.array([0, 1, 1]), np.array([1, 1, 1]))
    >>> concatenate([one, one]).truth_sizes.tolist()
    [2, 2]
    """
    if not tables:
        return _table(_sum_equal([]), 0)
    truth_start = np.cumsum([0] + [table.truth_sizes.size for table in tables])
    prediction_start = np.cumsum([0] + [table.prediction_sizes.size for table in tables])
    return Overlap(
        truth_labels=np.concatenate([table.truth_labels for table in tables]),
        truth_sizes=np.concatenate([table.truth_sizes for table in tables]),
        prediction_labels=np.concatenate([table.prediction_labels for table in tables]),
        prediction_sizes=np.concatenate([table.prediction_sizes for table in tables]),
        truth_index=np.concatenate(
            [t.truth_index + start for t, start in zip(tables, truth_start, strict=False)]
        ),
        prediction_index=np.concatenate(
            [t.prediction_index + start for t, start in zip(tables, prediction_start, strict=False)]
        ),
        shared=np.concatenate([table.shared for table in tables]),
        voxels=sum(table.voxels for table in tables),
    )


def _runs(truth: NDArray[Any], prediction: NDArray[Any]) -> Iterator[Triples]:
    """Yield label, label and length of all runs that are not background in both, by chunks."""
    chunks = np.nditer(
        [truth, prediction],
        flags=["external_loop", "buffered", "zerosize_ok"],
        op_flags=[["readonly"], ["readonly"]],
        op_dtypes=[truth.dtype.newbyteorder("="), prediction.dtype.newbyteorder("=")],
        casting="equiv",
        buffersize=CHUNK,
    )
    for t, p in chunks:
        if t.size == 0:
            continue
        changes = t[1:] != t[:-1]
        changes |= p[1:] != p[:-1]
        starts = np.concatenate([[0], np.flatnonzero(changes) + 1])
        lengths = np.diff(starts, append=t.size)
        labels_t, labels_p = t[starts], p[starts]
        for name, labels in (("truth", labels_t), ("prediction", labels_p)):
            if labels.dtype.kind == "i" and labels.min() < 0:
                raise InputError(
                    f"{name}: labels must not be negative, found {labels.min()}; "
                    "use 0 for background and positive numbers for objects"
                )
        kept = (labels_t != 0) | (labels_p != 0)
        yield labels_t[kept].astype(np.uint64), labels_p[kept].astype(np.uint64), lengths[kept]


def _sum_equal(parts: Sequence[Triples]) -> Triples:
    """Return each pair of labels once, in ascending order, with the sum of its voxels."""
    if not any(part[2].size for part in parts):
        nothing = np.zeros(0, np.uint64)
        return nothing, nothing, np.zeros(0, np.int64)
    truth, prediction, voxels = (np.concatenate(column) for column in zip(*parts, strict=True))
    columns = int(prediction.max()) + 1
    cells = (int(truth.max()) + 1) * columns
    bits = int(voxels.max()).bit_length()
    if cells <= DENSE:
        key = truth.astype(np.intp) * columns + prediction.astype(np.intp)
        total = np.bincount(key, weights=voxels)  # float64 is exact up to 2**53 voxels
        found = np.flatnonzero(total)
        total = total[found].astype(np.int64)
    elif cells.bit_length() + bits <= 64:  # pair and voxels in one word: sorts without an index
        key = (truth * np.uint64(columns) + prediction) << np.uint64(bits)
        key |= voxels.astype(np.uint64)
        key.sort()
        voxels = (key & np.uint64((1 << bits) - 1)).astype(np.int64)
        key >>= np.uint64(bits)
        first = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
        found, total = key[first], np.add.reduceat(voxels, first)
    else:
        order = np.lexsort((prediction, truth))
        truth, prediction = truth[order], prediction[order]
        changes = (truth[1:] != truth[:-1]) | (prediction[1:] != prediction[:-1])
        first = np.flatnonzero(np.concatenate([[True], changes]))
        return truth[first], prediction[first], np.add.reduceat(voxels[order], first)
    rows, remainder = np.divmod(found.astype(np.uint64), np.uint64(columns))
    return rows, remainder, total


def _table(triples: Triples, voxels: int) -> Overlap:
    """Return the table of summed triples, in which label 0 stands for the background."""
    truth, prediction, shared = triples
    truth_labels, truth_index = np.unique(truth, return_inverse=True)
    prediction_labels, prediction_index = np.unique(prediction, return_inverse=True)
    truth_sizes = np.zeros(truth_labels.size, np.int64)
    prediction_sizes = np.zeros(prediction_labels.size, np.int64)
    np.add.at(truth_sizes, truth_index, shared)
    np.add.at(prediction_sizes, prediction_index, shared)
    pairs = (truth != 0) & (prediction != 0)
    skip_t, skip_p = (
        int(labels.size and labels[0] == 0) for labels in (truth_labels, prediction_labels)
    )
    return Overlap(
        truth_labels=truth_labels[skip_t:],
        truth_sizes=truth_sizes[skip_t:],
        prediction_labels=prediction_labels[skip_p:],
        prediction_sizes=prediction_sizes[skip_p:],
        truth_index=truth_index[pairs] - skip_t,
        prediction_index=prediction_index[pairs] - skip_p,
        shared=shared[pairs],
        voxels=voxels,
    )
