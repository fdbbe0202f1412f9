"""The overlap table: the voxels that each object of a truth shares with each predicted object.

Most scores of instance labels are computed from this one sparse table, so that the two volumes
are read once, and the score of a whole set of volumes is the score of their concatenated tables.

The hash table is three arrays of one length, a power of two: label of the truth, label of the
prediction, voxels. A slot is free where voxels is 0; a collision goes to the next slot.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from math import inf
from operator import attrgetter
from typing import Any

import numpy as np

from cytosuite.errors import InputError
from cytosuite.files import IntPair, Json
from cytosuite.metrics.evidence import Evidence
from cytosuite.networks.kernels import compiled
from cytosuite.volume import memory
from cytosuite.volume.arrays import Array, Bools, Doubles, DType, Longs, LongWords, Unsigned
from cytosuite.volume.memory import GIB, free_gib, need_memory
from cytosuite.volume.pieces import chunks, distinct

CHUNK = 1 << 17  # voxels converted together where a volume must be
SLOTS = 1 << 12  # of a new hash table
SHARE = 2  # a hash table may take half of the memory of the inputs
LARGE_SHARE = 16  # it may take so small a part of the free memory, for inputs on disk
SORTED = 72  # bytes per voxel that sorting takes
NOISE = "is it noise? Give more memory, or crop them"

BLOCK = 4096  # voxels compared with the one before at a time: their flags stay in the cache
ONES = np.uint64(0x0101010101010101)  # a word of eight flags that are all set

Labels = LongWords
Pairs = tuple[Array, Array, Longs]  # label of the truth, of the prediction, voxels
Columns = tuple[Labels, Longs, Labels, Longs, Longs, Longs, Longs]
EVERY = slice(None)  # pair


def count(truth: Array, prediction: Array) -> Columns:
    """Return the columns of `Overlap`; InputError for negative labels, too many pairs on disk."""
    dtype = np.dtype(f"u{max(truth.dtype.itemsize, prediction.dtype.itemsize, 2)}")
    on_disk = memory.is_mapped(truth) or memory.is_mapped(prediction)
    pairs = _hashed(truth, prediction, dtype, on_disk)
    if pairs is None:
        many = f"labels of shape {truth.shape} overlap in so many pairs that their table needs"
        need_memory(inf if on_disk else truth.size * SORTED, many, NOISE)
        pairs = _sorted(truth, prediction, dtype)
    _refuse_negative("truth", pairs[0], truth.dtype.kind == "i")
    _refuse_negative("prediction", pairs[1], prediction.dtype.kind == "i")
    return _columns(*pairs)


def _hashed(truth: Array, prediction: Array, dtype: DType, on_disk: bool) -> Pairs | None:
    """Return each pair of labels once, None where there are too many."""
    allowed = (truth.nbytes + prediction.nbytes) // SHARE
    if on_disk:
        allowed = int(min(allowed, free_gib() * GIB // LARGE_SHARE))
    most = max(allowed // (2 * dtype.itemsize + 8), 4 * SLOTS)
    table = _new_table(SLOTS, dtype)
    in_use = 0
    for t, p in chunks(truth, prediction, dtype=dtype, size=CHUNK):
        t.flags.writeable = p.flags.writeable = False  # one compiled version for all
        position = 0
        while True:
            position, in_use = count_runs(t, p, position, *table, in_use)
            if position == t.size:
                break
            if 2 * table[2].size > most:
                return None
            larger = _new_table(2 * table[2].size, dtype)
            add_table(*table, *larger)
            table = larger
    used = np.flatnonzero(table[2])
    return table[0][used], table[1][used], table[2][used]


def _new_table(slots: int, dtype: DType) -> Pairs:
    """Return an empty hash table."""
    return np.empty(slots, dtype), np.empty(slots, dtype), np.zeros(slots, np.int64)


def _refuse_negative(name: str, labels: Array, signed: bool) -> None:
    """Refuse the largest labels of an unsigned dtype when they come from a signed one."""
    smallest = int(labels.view(f"i{labels.itemsize}").min()) if signed and labels.size else 0
    if smallest < 0:
        raise InputError(
            f"{name}: labels must not be negative, found {smallest}; "
            "use 0 for background and positive numbers for objects"
        )


def _columns(truth: Array, prediction: Array, voxels: Longs) -> Columns:
    """Return the columns of the table of distinct pairs of labels, 0 for background."""
    truth_labels, truth_index, truth_sizes = _objects(truth, voxels)
    prediction_labels, prediction_index, prediction_sizes = _objects(prediction, voxels)
    both = np.flatnonzero((truth != 0) & (prediction != 0))
    key = truth_index[both] * np.int64(prediction_labels.size) + prediction_index[both]
    both = both[np.argsort(key)]
    objects = (truth_labels, truth_sizes, prediction_labels, prediction_sizes)
    return (*objects, truth_index[both], prediction_index[both], voxels[both])


def _objects(labels: Array, voxels: Longs) -> tuple[Labels, Longs, Longs]:
    """Return the objects among labels, the position of each label there (-1: none), sizes."""
    objects, index = np.unique(labels, return_inverse=True)
    total = np.zeros(objects.size, np.int64)
    np.add.at(total, index, voxels)
    background = int(objects.size > 0 and objects[0] == 0)
    return objects[background:].astype(np.uint64), index - background, total[background:]


def _sorted(truth: Array, prediction: Array, dtype: DType) -> Pairs:
    """Return each pair of labels once, by sorting one number per voxel."""
    sides = [side.astype(dtype, copy=False) for side in (truth, prediction)]
    names = [distinct(side) for side in sides]
    first, second = (np.searchsorted(*pair).ravel() for pair in zip(names, sides, strict=True))
    pairs, voxels = np.unique(first * names[1].size + second, return_counts=True)
    t, p = np.divmod(pairs, names[1].size)
    return names[0][t], names[1][p], voxels


@compiled()
def _slot(t: Any, p: Any, keys_t: Unsigned, keys_p: Unsigned, voxels: Longs) -> Any:  # noqa: ANN401
    """Return the slot of a pair of labels, or the free slot where it belongs."""
    mask = np.uint64(voxels.size - 1)
    mixed = np.uint64(t) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(32))) + np.uint64(p)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xC2B2AE3D27D4EB4F)
    slot = (mixed >> np.uint64(32)) & mask
    while voxels[slot] != 0 and (keys_t[slot] != t or keys_p[slot] != p):
        slot = (slot + np.uint64(1)) & mask
    return slot


@compiled()
def _mark_changes(
    t: Unsigned, t_before: Unsigned, p: Unsigned, p_before: Unsigned, changed: Bools
) -> None:
    """Flag the voxels at which a run begins; the compiler makes vector instructions of it."""
    for k in range(t.size):
        changed[k] = (t[k] != t_before[k]) | (p[k] != p_before[k])


@compiled()
def count_runs(
    truth: Unsigned,
    prediction: Unsigned,
    begin: int,
    keys_t: Unsigned,
    keys_p: Unsigned,
    voxels: Longs,
    used: int,
) -> IntPair:
    """Add the runs of equal pairs of labels to the hash table, until it is half full.

    From voxel `begin` on, of (N,) arrays of one unsigned dtype, N at least 1; voxels that are
    background in both are left out. Returns the first voxel that was not counted (N when all were)
    and the slots of the table, (S,) arrays, in use now.
    """
    size = truth.size
    changed = np.zeros(BLOCK, np.bool_)
    words = changed.view(np.uint64)
    run, t, p = begin, truth[begin], prediction[begin]
    for start in range(begin + 1, size + 1, BLOCK):
        stop = min(start + BLOCK, size)
        if stop < start + BLOCK:
            changed[:] = False
            changed[stop - start] = True  # the end closes the last run
        now = slice(start, stop)
        before = slice(start - 1, stop - 1)
        _mark_changes(truth[now], truth[before], prediction[now], prediction[before], changed)
        for w in range(words.size):
            word = words[w]
            while word != 0:
                lowest = word & (~word + np.uint64(1))
                word ^= lowest
                byte = (((lowest - np.uint64(1)) & ONES) * ONES) >> np.uint64(56)  # its number
                here = start + 8 * w + int(byte)
                if t != 0 or p != 0:
                    slot = _slot(t, p, keys_t, keys_p, voxels)
                    if voxels[slot] == 0:
                        if 2 * used >= voxels.size:
                            return run, used
                        keys_t[slot], keys_p[slot] = t, p
                        used += 1
                    voxels[slot] += here - run
                run = here
                if here < size:
                    t = truth[np.uint64(here)]
                    p = prediction[np.uint64(here)]
    return size, used


@compiled()
def add_table(
    from_t: Unsigned,
    from_p: Unsigned,
    from_voxels: Longs,
    keys_t: Unsigned,
    keys_p: Unsigned,
    voxels: Longs,
) -> None:
    """Add one hash table to another, which must have room."""
    for i in range(from_voxels.size):
        if from_voxels[i] != 0:
            slot = _slot(from_t[i], from_p[i], keys_t, keys_p, voxels)
            keys_t[slot], keys_p[slot] = from_t[i], from_p[i]
            voxels[slot] += from_voxels[i]


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
        vars(self).update(
            {name: column.astype(dtype) for name, (column, dtype) in state.items()}, voxels=voxels
        )

    @property
    def objects(self) -> int:
        """Number of objects of both sides."""
        return self.truth_sizes.size + self.prediction_sizes.size

    def unions(self, pairs: Longs | slice = EVERY) -> Longs:
        """Return the voxels in either object of the pairs at some positions."""
        truth = self.truth_sizes[self.truth_index[pairs]]
        return truth + self.prediction_sizes[self.prediction_index[pairs]] - self.shared[pairs]

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
    columns = dict(
        zip(_COLUMNS, zip(*map(attrgetter(*_COLUMNS), tables), strict=True), strict=True)
    )
    joined = {name: np.concatenate(column) for name, column in columns.items()}
    for side in ("truth", "prediction"):
        sizes, pairs = (list(map(len, columns[f"{side}_{name}"])) for name in ("sizes", "index"))
        joined[f"{side}_index"] += np.repeat(np.cumsum(sizes) - sizes, pairs)
    return Overlap(**joined, voxels=sum(table.voxels for table in tables))


OVERLAP = Evidence(overlap, ("truth", "prediction"), pool=concatenate)
