"""Memory that is free; arrays in it or, where they do not fit, mapped from disk."""

import errno
import mmap
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from itertools import accumulate
from math import inf, prod
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from cytosuite.errors import InputError, RoomError
from cytosuite.volume.arrays import Array, Box, Sizes

# Any file may claim so many bytes of pixels, and beyond them so many times its own size:
# zstd packs 128 KiB of one value into 4 bytes, other codecs in use less (blosc as we write it
# 1,200, zlib 1,030 times), so that no whole image is refused.
DECLARED = 2**29
TIMES = 2**15
GIB = 2**30  # bytes
NO_MATTER = 2**24  # bytes that any program can have
_LATER = 2**28  # bytes of libraries that are loaded on first use
SHARE = 4  # an array may take a quarter of the free memory
SPARED = 8  # of the free disk an eighth stays free
SCRATCH = "CYTOSUITE_SCRATCH"  # names the folder for arrays on disk
SLAB = 2**22  # voxels of arrays on disk that are looked at together


def free_gib() -> float:
    """Return the GiB that machine, container and ``CYTOSUITE_MEMORY_GIB`` leave, inf if unknown."""
    free = [inf]
    try:
        if gib := os.environ.get("CYTOSUITE_MEMORY_GIB"):
            used = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            free.append(int(float(gib) * GIB) - used - _LATER)
        lines = Path("/proc/meminfo").read_text().splitlines()
        free += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")]
        group = Path("/sys/fs/cgroup")
        limit = (group / "memory.max").read_text().strip()
        if limit != "max":
            used = int((group / "memory.current").read_text())
            kinds = dict(map(str.split, (group / "memory.stat").read_text().splitlines()))
            # Idle pages of files make room when memory is needed.
            free.append(int(limit) - used + int(kinds.get("inactive_file", 0)) - _LATER)
    except (OSError, ValueError):
        pass  # not this kind of system: the limits read so far count
    return min(free) / GIB


def check_room(size: float) -> None:
    """Raise an error where the pixels of a file, so many bytes, do not fit into free memory."""
    if size > NO_MATTER:
        need_memory(size, "needs", "crop it, or give more memory")


def need_memory(size: float, purpose: str, remedy: str) -> None:
    """Raise an error that begins with `purpose` (``an image takes``) unless `size` is free."""
    if size > (free := free_gib()) * GIB:
        needed = f"{purpose} {size / GIB:.3g} GiB of memory"
        raise RoomError(f"{needed}, {free:.3g} GiB are free; {remedy}")


def check_declared(size: float, stored: Iterable[int]) -> None:
    """Refuse pixels of a size in bytes that their files, of these sizes in bytes, cannot hold."""
    for held in accumulate(stored, initial=0):
        if size <= max(DECLARED, TIMES * held):
            return
    raise InputError(
        f"claims {size / GIB:.3g} GiB of pixels in {held} bytes, more than {TIMES} times as "
        "many; write all parts of the image, also empty ones, or crop it"
    )


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
