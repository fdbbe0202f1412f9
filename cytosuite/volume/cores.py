"""Parts of one image side by side, on the cores that this process may use."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from cytosuite.volume.pieces import slab_bounds

Part = TypeVar("Part")
Result = TypeVar("Result")

PART = 1 << 20  # voxels of a part: the same for any number of cores, and so are sums over parts


def cores() -> int:
    """Return the cores of this process: those it may run on, at most OMP_NUM_THREADS."""
    count = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return min(count, int(limit)) if limit.isdecimal() and int(limit) else count


def side_by_side(work: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
    """Return the results of work on parts in their order; numpy and SciPy free the lock in it."""
    if len(parts) < 2 or (threads := min(cores(), len(parts))) < 2:
        return [work(part) for part in parts]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, parts))


def parts_of(shape: Sequence[int], voxels: int = PART) -> list[slice]:
    """Return slices of the first axis of an image, each of about so many voxels."""
    return [slice(*bounds) for bounds in slab_bounds(shape, voxels)]
