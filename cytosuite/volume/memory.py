"""Memory that this process can still get."""

import os
from collections.abc import Iterable
from itertools import accumulate
from math import inf
from pathlib import Path

from cytosuite.errors import InputError, RoomError

# Any file may claim so many bytes of pixels, and beyond them so many times its own size:
# zstd packs 128 KiB of one value into 4 bytes, other codecs in use less (blosc as we write it
# 1,200, zlib 1,030 times), so that no whole image is refused.
DECLARED = 2**29
TIMES = 2**15
GIB = 2**30  # bytes
NO_MATTER = 2**24  # bytes that any program can have
_LATER = 2**28  # bytes of libraries that are loaded on first use


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
