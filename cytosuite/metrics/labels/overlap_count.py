"""Counts of the voxels of two label volumes: hashed where pairs are few, sorted in noise.

The hash table is three arrays of one length, a power of two: label of the truth, label of the
prediction, voxels. A slot is free where voxels is 0; a collision goes to the next slot.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytosuite.errors import InputError
from cytosuite.networks.kernels import compiled
from cytosuite.volume import large
from cytosuite.volume.arrays import Array, Bools, Longs
from cytosuite.volume.memory import GIB, free_gib
from cytosuite.volume.pieces import chunks

CHUNK = 1 << 17  # voxels converted together where a volume must be
THREADED = 1 << 22  # voxels from which two threads are worth their start: some milliseconds
SLOTS = 1 << 12  # of a new hash table
SHARE = 4  # the two hash tables together may take half of the memory of the inputs
LARGE_SHARE = 32  # each of them may take so small a part of the free memory, for inputs on disk
DIRECT = 1 << 26  # labels below which a table of all labels is used, bounded by the voxels too
SMALL = 1 << 20  # pairs above which the table uses narrow integers
NARROW = 1 << 24  # voxels of a pair below which 32 bits leave room for products

BLOCK = 4096  # voxels compared with the one before at a time: their flags stay in the cache
ONES = np.uint64(0x0101010101010101)  # a word of eight flags that are all set

Unsigned = NDArray[np.unsignedinteger[Any]]
Labels = NDArray[np.uint64]
Pairs = tuple[Array, Array, Longs]  # label of the truth, of the prediction, voxels
Columns = tuple[Labels, Longs, Labels, Longs, Longs, Longs, Longs]


def count(truth: Array, prediction: Array) -> Columns:
    """Return the columns of `Overlap`; InputError for negative labels, too many pairs on disk."""
    dtype = np.dtype(f"u{max(truth.dtype.itemsize, prediction.dtype.itemsize, 2)}")
    on_disk = large.is_mapped(truth) or large.is_mapped(prediction)
    pairs = _hashed(truth, prediction, dtype, on_disk)
    if pairs is None and on_disk:
        raise InputError(
            f"labels of shape {truth.shape} overlap in so many pairs that their table does not fit "
            "into the memory; is it noise? Give more memory, or crop them"
        )
    if pairs is None:
        return _sorted(truth, prediction, dtype)
    _refuse_negative("truth", pairs[0], truth.dtype.kind == "i")
    _refuse_negative("prediction", pairs[1], prediction.dtype.kind == "i")
    return _columns(*pairs)


def _hashed(truth: Array, prediction: Array, dtype: np.dtype[Any], on_disk: bool) -> Pairs | None:
    """Return each pair of labels once, None where there are too many."""
    allowed = (truth.nbytes + prediction.nbytes) // SHARE
    if on_disk:
        allowed = int(min(allowed, free_gib() * GIB // LARGE_SHARE))
    most = max(allowed // (2 * dtype.itemsize + 8), 4 * SLOTS)
    if truth.size < THREADED:
        table = _count_slab(truth, prediction, dtype, most)
    else:
        if truth.flags.c_contiguous and prediction.flags.c_contiguous:
            truth, prediction = truth.reshape(-1), prediction.reshape(-1)
        middle = truth.shape[0] // 2
        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(
                lambda part: _count_slab(truth[part], prediction[part], dtype, most),
                (slice(middle), slice(middle, None)),
            )
        table = None if first is None or second is None else _merged(first, second)
    if table is None:
        return None
    used = np.flatnonzero(table[2])
    return table[0][used], table[1][used], table[2][used]


def _count_slab(truth: Array, prediction: Array, dtype: np.dtype[Any], most: int) -> Pairs | None:
    """Return the hash table of one slab, None where it would have more than `most` slots."""
    table, used = _new_table(SLOTS, dtype), 0
    for t, p in _chunks(truth, prediction, dtype):
        position = 0
        while True:
            position, used = count_runs(t, p, position, *table, used)
            if position == t.size:
                break
            if 2 * table[2].size > most:
                return None
            table = _larger(table, 2 * table[2].size)
    return table


def _new_table(slots: int, dtype: np.dtype[Any]) -> Pairs:
    """Return an empty hash table."""
    return np.empty(slots, dtype), np.empty(slots, dtype), np.zeros(slots, np.int64)


def _larger(table: Pairs, slots: int) -> Pairs:
    """Return a hash table with more slots."""
    larger = _new_table(slots, table[0].dtype)
    add_table(*table, *larger)
    return larger


def _merged(table: Pairs, other: Pairs) -> Pairs:
    """Return the sum of two hash tables."""
    used = sum(int(np.count_nonzero(pairs[2])) for pairs in (table, other))
    if 2 * used > table[2].size:
        table = _larger(table, 1 << (2 * used - 1).bit_length())
    add_table(*other, *table)
    return table


def _chunks(truth: Array, prediction: Array, dtype: np.dtype[Any]) -> Iterator[tuple[Array, ...]]:
    """Yield both volumes in flat pieces of one unsigned dtype, read-only."""
    arrays = (truth, prediction)
    if truth.size and all(
        a.flags.c_contiguous and a.dtype.isnative and a.itemsize == dtype.itemsize for a in arrays
    ):
        pieces = _slabs(*(array.reshape(-1).view(dtype) for array in arrays))
    else:  # negative labels become the largest ones and are refused then
        pieces = chunks(*arrays, dtype=dtype, size=CHUNK)
    for t, p in pieces:
        t.flags.writeable = p.flags.writeable = False  # one compiled version for all
        yield t, p


def _slabs(truth: Array, prediction: Array) -> Iterator[tuple[Array, ...]]:
    """Yield flat arrays whole, or where one lies on disk slab by slab."""
    step = large.SLAB if large.is_mapped(truth) or large.is_mapped(prediction) else truth.size
    for first in range(0, truth.size, step):
        yield truth[first : first + step], prediction[first : first + step]
        large.release(truth, prediction)


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


def _sorted(truth: Array, prediction: Array, dtype: np.dtype[Any]) -> Columns:
    """Return the columns by sorting one key per voxel, in the memory of the inputs' size."""
    names = [_distinct("truth", truth, dtype), _distinct("prediction", prediction, dtype)]
    bits = int(names[1].size).bit_length()
    wide = np.uint32 if bits + int(names[0].size).bit_length() <= 32 else np.uint64
    low = wide((1 << bits) - 1)
    keys = _keys(truth, prediction, dtype, names, wide(bits))
    keys.sort()
    pairs, most = count_sorted(keys, low)
    narrow = np.int32 if pairs > SMALL and most < NARROW else np.int64
    truth_index: Array = np.empty(pairs, narrow)
    shared: Array = np.empty(pairs, narrow)
    sizes = [np.zeros(labels.size + 1, np.int64) for labels in names]
    squeeze_sorted(keys, wide(bits), low, truth_index, shared, *sizes)
    prediction_index: Array = keys[:pairs]
    if wide is np.uint32 and narrow is np.int32 and 2 * pairs > keys.size:
        prediction_index = prediction_index.view(np.int32)
    else:
        prediction_index = prediction_index.astype(narrow)
    objects = (names[0], sizes[0][1:], names[1], sizes[1][1:])
    return (*objects, truth_index, prediction_index, shared)


def _distinct(name: str, array: Array, dtype: np.dtype[Any]) -> Labels:
    """Return the labels of a volume in ascending order, without background."""
    signed = array.dtype.kind == "i"
    if signed:
        _refuse_negative(name, np.array([array.min()]).astype(dtype), signed)
    largest = int(array.max())
    if largest < min(DIRECT, max(array.size, 1 << 16)):
        present = np.zeros(largest + 1, bool)
        for (labels,) in chunks(array, dtype=dtype, size=CHUNK):
            present[labels] = True
        present[0] = False
        return np.flatnonzero(present).astype(np.uint64)
    flat = array.flatten("K").astype(dtype, copy=False)
    flat.sort()
    first = np.concatenate([flat[:1] != 0, flat[1:] != flat[:-1]])
    labels_found: Labels = flat[first].astype(np.uint64)
    return labels_found


def _keys(
    truth: Array,
    prediction: Array,
    dtype: np.dtype[Any],
    names: list[Labels],
    bits: np.uint32 | np.uint64,
) -> Array:
    """Return per voxel the numbers of its two objects in one word, 0 for background."""
    keys = np.empty(truth.size, bits.dtype)
    number = [_numbering(labels, bits.dtype) for labels in names]
    begin = 0
    for t, p in _chunks(truth, prediction, dtype):
        for start in range(0, t.size, CHUNK):
            part = slice(start, start + CHUNK)
            size = t[part].size
            keys[begin : begin + size] = (number[0](t[part]) << bits) | number[1](p[part])
            begin += size
    return keys


def _numbering(labels: Labels, dtype: np.dtype[Any]) -> Callable[[Array], Array]:
    """Return a function from labels to 1, 2, ... in ascending order, and from background to 0."""
    if not labels.size or int(labels[-1]) < DIRECT:
        table = np.zeros(int(labels[-1]) + 1 if labels.size else 1, dtype)
        table[labels] = np.arange(1, labels.size + 1, dtype=dtype)
        return lambda part: table[part]
    return lambda part: np.searchsorted(labels, part, side="right").astype(dtype)


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
) -> tuple[int, int]:
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
        now, before = slice(start, stop), slice(start - 1, stop - 1)
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
                    t, p = truth[np.uint64(here)], prediction[np.uint64(here)]
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


@compiled()
def count_sorted(keys: Unsigned, low: np.unsignedinteger[Any]) -> tuple[int, int]:
    """Return the number of distinct keys of two objects, and the count of the most frequent one.

    The (K,) keys are ascending: number of the object of the truth in the high bits, of the
    predicted one in those of the mask `low`, 0 for background.
    """
    pairs, most, i = 0, 0, 0
    while i < keys.size:
        key, j = keys[i], i + 1
        while j < keys.size and keys[j] == key:
            j += 1
        if (key & low) != 0 and key > low:
            pairs += 1
            most = max(most, j - i)
        i = j
    return pairs, most


@compiled()
def squeeze_sorted(
    keys: Unsigned,
    bits: np.unsignedinteger[Any],
    low: np.unsignedinteger[Any],
    truth_index: NDArray[np.signedinteger[Any]],
    shared: NDArray[np.signedinteger[Any]],
    truth_sizes: Longs,
    prediction_sizes: Longs,
) -> None:
    """Write each pair of objects once, its voxels, and the sizes of all objects.

    The first P of the keys, those of `count_sorted` with `bits` low bits, become positions of
    predicted objects. The (P,) index and shared voxels are filled, and the sizes, zero before,
    one per object and the first for background.
    """
    written, i = 0, 0
    while i < keys.size:
        key, j = keys[i], i + 1
        while j < keys.size and keys[j] == key:
            j += 1
        t, p = np.int64(key >> bits), np.int64(key & low)
        truth_sizes[t] += j - i
        prediction_sizes[p] += j - i
        if t != 0 and p != 0:
            truth_index[written], shared[written] = t - 1, j - i
            keys[written] = p - 1  # behind the elements still to be read
            written += 1
        i = j
