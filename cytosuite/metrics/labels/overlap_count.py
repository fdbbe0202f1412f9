"""Counts of the voxels of two label volumes: hashed where pairs are few, sorted in noise.

The hash table is three arrays of one length, a power of two: label of the truth, label of the
prediction, voxels. A slot is free where voxels is 0; a collision goes to the next slot.
"""

from math import inf
from typing import Any

import numpy as np

from cytosuite.errors import InputError
from cytosuite.files import IntPair
from cytosuite.networks.kernels import compiled
from cytosuite.volume import large
from cytosuite.volume.arrays import Array, Bools, DType, Longs, LongWords, Unsigned
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


def count(truth: Array, prediction: Array) -> Columns:
    """Return the columns of `Overlap`; InputError for negative labels, too many pairs on disk."""
    dtype = np.dtype(f"u{max(truth.dtype.itemsize, prediction.dtype.itemsize, 2)}")
    on_disk = large.is_mapped(truth) or large.is_mapped(prediction)
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
    if labels.size and int(labels.max()) < 4 * labels.size + (1 << 16):
        sizes = np.bincount(labels, weights=voxels)  # float64 is exact up to 2**53 voxels
        sizes[0] = 0
        objects = np.flatnonzero(sizes)
        position = np.full(sizes.size, -1, np.int64)
        position[objects] = np.arange(objects.size)
        return objects.astype(np.uint64), position[labels], sizes[objects].astype(np.int64)
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
