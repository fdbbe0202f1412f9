"""Compiled loops of the overlap table: runs of voxels into a hash table, sorted pairs into counts.

The hash table is three arrays of one length, a power of two: label of the truth, label of the
prediction, voxels. A slot is free where voxels is 0; a collision goes to the next slot.
"""

from typing import Any, TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

BLOCK = 4096  # voxels compared with the one before at a time: their flags stay in the cache
ONES = np.uint64(0x0101010101010101)  # a word of eight flags that are all set

Unsigned: TypeAlias = NDArray[np.unsignedinteger[Any]]
Counts: TypeAlias = NDArray[np.int64]


@njit(cache=True, nogil=True)
def _slot(t: Any, p: Any, keys_t: Unsigned, keys_p: Unsigned, voxels: Counts) -> Any:  # noqa: ANN401
    """Return the slot of a pair of labels, or the free slot where it belongs."""
    mask = np.uint64(voxels.size - 1)
    mixed = np.uint64(t) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(32))) + np.uint64(p)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xC2B2AE3D27D4EB4F)
    slot = (mixed >> np.uint64(32)) & mask
    while voxels[slot] != 0 and (keys_t[slot] != t or keys_p[slot] != p):
        slot = (slot + np.uint64(1)) & mask
    return slot


@njit(cache=True, nogil=True)
def _mark_changes(
    t: Unsigned, t_before: Unsigned, p: Unsigned, p_before: Unsigned, changed: NDArray[np.bool_]
) -> None:
    """Flag the voxels at which a run begins; the compiler makes vector instructions of it."""
    for k in range(t.size):
        changed[k] = (t[k] != t_before[k]) | (p[k] != p_before[k])


@njit(cache=True, nogil=True)
def count_runs(
    truth: Unsigned,
    prediction: Unsigned,
    begin: int,
    keys_t: Unsigned,
    keys_p: Unsigned,
    voxels: Counts,
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


@njit(cache=True, nogil=True)
def add_table(
    from_t: Unsigned,
    from_p: Unsigned,
    from_voxels: Counts,
    keys_t: Unsigned,
    keys_p: Unsigned,
    voxels: Counts,
) -> None:
    """Add one hash table to another, which must have room."""
    for i in range(from_voxels.size):
        if from_voxels[i] != 0:
            slot = _slot(from_t[i], from_p[i], keys_t, keys_p, voxels)
            keys_t[slot], keys_p[slot] = from_t[i], from_p[i]
            voxels[slot] += from_voxels[i]


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def squeeze_sorted(
    keys: Unsigned,
    bits: np.unsignedinteger[Any],
    low: np.unsignedinteger[Any],
    truth_index: NDArray[np.signedinteger[Any]],
    shared: NDArray[np.signedinteger[Any]],
    truth_sizes: Counts,
    prediction_sizes: Counts,
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
