"""Arrays in memory where they fit, else mapped from disk: `release` after each slab or tile."""

import errno
import mmap
import os
import shutil
import tempfile
from collections.abc import Iterator
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from cytosuite.errors import InputError
from cytosuite.volume.arrays import Array, Box, Sizes
from cytosuite.volume.memory import GIB, NO_MATTER, free_gib

SHARE = 4  # an array may take a quarter of the free memory
SPARED = 8  # of the free disk an eighth stays free
SCRATCH = "CYTOSUITE_SCRATCH"  # names the folder for arrays on disk
SLAB = 2**22  # voxels of arrays on disk that are looked at together


def fits(size: float) -> bool:
    """Return whether an array of a size in bytes is held in memory."""
    return size <= NO_MATTER or size * SHARE <= free_gib() * GIB


def room(shape: Sizes, dtype: DTypeLike) -> Array:
    """Return zeros, in memory where they fit, else in an unnamed file in the folder `scratch`."""
    kind = np.dtype(dtype)
    size = prod(shape) * kind.itemsize
    if not size or fits(size):
        return np.zeros(tuple(shape), kind)
    folder = scratch()
    reason = os.strerror(errno.ENOSPC)
    try:
        space = shutil.disk_usage(folder).free
        if size <= space - space // SPARED:  # a broken file may name any size
            with tempfile.TemporaryFile(dir=folder) as stream:
                # A later lack of room kills the process.
                os.posix_fallocate(stream.fileno(), 0, size)
                return np.memmap(stream, kind, "r+", shape=tuple(shape))
    except OSError as error:
        reason = error.strerror or str(error)
    free = shutil.disk_usage(folder).free / GIB
    raise InputError(
        f"{folder}: an array of {size / GIB:.3g} GiB that is too large for the memory needs "
        f"as much disk, {free:.3g} GiB are free, of which an eighth stays so ({reason}); make "
        f"room, or name another folder in {SCRATCH}"
    )


def blank(array: Array) -> Array:
    """Return zeros like an array, read only and without memory where that one lies on disk."""
    if not is_mapped(array):
        return np.zeros_like(array)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
    zeros = mmap.mmap(-1, max(1, array.nbytes), flags=flags, prot=mmap.PROT_READ)
    return np.frombuffer(zeros, array.dtype, array.size).reshape(array.shape)


def scratch() -> Path:
    """Return the folder for arrays on disk."""
    return Path(os.environ.get(SCRATCH) or tempfile.gettempdir())


def is_mapped(array: Array) -> bool:
    """Return whether an array or its base is memory-mapped."""
    return _map_of(array) is not None


def release(*arrays: Array) -> None:
    """Give the memory of mapped arrays back; their values stay, on disk or on the way there."""
    for array in arrays:
        if (mapping := _map_of(array)) is not None:
            mapping.madvise(mmap.MADV_DONTNEED)


def taken(array: Array, box: Box) -> Array:
    """Return the voxels in a box: a view of an array in memory, a copy of a mapped one."""
    if not is_mapped(array):
        return array[box]
    voxels = np.empty(array[box].shape, array.dtype)
    for there, here in _planes(array, box):
        voxels[here] = array[there]
    return voxels


def put(array: Array, box: Box, values: Array) -> None:
    """Write voxels into a box of an array; a mapped one keeps no memory of them."""
    if not is_mapped(array):
        array[box] = values
        return
    for there, here in _planes(array, box):
        array[there] = values[here]


def _planes(array: Array, box: Box) -> Iterator[tuple[Box, slice]]:
    """Yield some planes at a time of a box of a mapped array, and their place in it; release."""
    first = box[0]
    rest = box[1:]
    span = range(*first.indices(len(array)))
    # A row is read by whole pages, also for a few voxels.
    step = max(1, SLAB * len(array) // max(1, array.size))
    for start in range(0, len(span), step):
        there = slice(span.start + start, min(span.start + start + step, span.stop))
        yield (there, *rest), slice(start, start + step)
        release(array)


def _map_of(array: Array) -> mmap.mmap | None:
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    return base if isinstance(base, mmap.mmap) else None
