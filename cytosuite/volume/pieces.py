"""Work in pieces, also side by side: slabs, chunks that fit the cache, percentiles of them."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import ceil, floor, inf, prod
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from cytosuite.files import FloatTuple, IntPair
from cytosuite.volume import memory
from cytosuite.volume.arrays import Array, DType, Shape, Sizes, Unsigned
from cytosuite.volume.memory import is_mapped, release, room

if TYPE_CHECKING:
    from cytosuite.volume import Header


SLAB_BYTES = 2**26  # decoded at once
CHUNK = 1 << 16  # voxels of a chunk
EXACT = 2**24  # whole numbers that float32 tells apart
TABLE = 1 << 26  # numbers below which a table of all finds those that occur
Part = TypeVar("Part")
Result = TypeVar("Result")

PART = 1 << 20  # voxels of a part: the same for any number of cores, and so are sums over parts
BITS = 16  # of a number counted in one pass


def slab_bounds(shape: Sizes, voxels: int) -> list[IntPair]:
    """Return first plane and end of slabs of at most so many voxels, or of one plane."""
    step = max(1, voxels // max(1, prod(shape[1:])))
    return [(start, min(start + step, shape[0])) for start in range(0, shape[0], step)]


def slabs(*arrays: Array) -> Iterator[slice]:
    """Yield slices of the first axis of arrays of one shape, one if memory holds all; release."""
    slabwise = any(map(is_mapped, arrays)) or not memory.fits(arrays[0].nbytes)
    voxels = memory.SLAB if slabwise else arrays[0].size
    for start, stop in slab_bounds(arrays[0].shape, voxels):
        yield slice(start, stop)
        release(*arrays)


def slabs_of(array: Array) -> Iterator[Array]:
    """Yield the consecutive `slabs` of an array, as views."""
    for part in slabs(array):
        yield array[part]


def planes_of(array: Array) -> Iterator[Array]:
    """Yield the planes (y, x) of an array one by one, contiguous; mapped ones leave the memory."""
    for index in np.ndindex(*array.shape[:-2]):
        yield np.ascontiguousarray(array[index])
        release(array)


def deep(array: Array) -> Array:
    """Return an image as (Z, Y, X), with z of 1 for a plane."""
    return array if array.ndim == 3 else array[None]


def thinned(array: Array, step: int) -> Array:
    """Return every `step`-th voxel in C order, bool as 0 and 1; a copy of a memory-mapped array."""
    array = array.view(np.uint8) if array.dtype == bool else array
    if not is_mapped(array):
        return array.ravel()[::step]
    across = array[:1].size
    parts = (
        array[part].ravel()[-part.start * across % step :: step].copy() for part in slabs(array)
    )
    return np.concatenate([array[:0].ravel(), *parts])


def evenly(array: Array, most: int) -> Array:
    """Return at most so many voxels of an array, evenly spaced in C order; see `thinned`."""
    return thinned(array, max(1, -(-array.size // most)))


def chunks(*images: Array, dtype: Any = None, size: int = CHUNK) -> Iterator[tuple[Array, ...]]:  # noqa: ANN401
    """Yield the same voxels of images, (N <= `size`,) each; the next chunk overwrites them."""
    layout: Any = ["readonly", "contig"]  # unknown to the annotations of NumPy
    if not images[0].size:
        return
    parts = np.nditer(
        images,
        flags=["external_loop", "buffered"],
        op_flags=[layout] * len(images),
        op_dtypes=[image.dtype.newbyteorder("=") if dtype is None else dtype for image in images],
        casting="unsafe",
        buffersize=size,
    )
    held = 0
    for part in parts:
        voxels = part if isinstance(part, tuple) else (part,)
        yield voxels
        held += voxels[0].size
        if held >= memory.SLAB:
            release(*images)
            held = 0
    release(*images)


def extremes(array: Array) -> tuple[Any, Any]:
    """Return the lowest and highest value of an array, NaN with any; 0 and 0 of an empty one."""
    if not array.size:
        return 0, 0
    low = high = array.flat[0]
    for (part,) in chunks(array):
        low = np.minimum(low, part.min())
        high = np.maximum(high, part.max())
    return low, high


def from_lowest(array: Array) -> Array:
    """Return an array that float32 holds exactly as it is, another as float32 above its lowest.

    Half precision, which ndimage does not filter, as float32.
    """
    if array.dtype.char == "e":
        return converted(array, np.float32)
    if array.dtype.itemsize < 4 or array.dtype == np.float32:
        return array
    low, high = extremes(array)
    if max(-float(low), float(high)) <= EXACT:
        return array
    values = room(array.shape, np.float32)
    for part in slabs(array):
        np.subtract(array[part], low, values[part], dtype=float, casting="same_kind")
    return values


def distinct(array: Array, most: float = inf) -> Array:
    """Return the distinct integers in an array, ascending, until more than `most` are found."""
    if array.dtype == bool:
        array = array.view(np.uint8)
    values = np.zeros(0, array.dtype.newbyteorder("="))
    low, high = extremes(array)
    if low >= 0 and high < min(TABLE, max(array.size, CHUNK)):
        present = np.zeros(int(high) + 1, bool)
        for (part,) in chunks(array):
            present[part] = True
        return np.flatnonzero(present).astype(values.dtype)[: array.size]
    for (part,) in chunks(array, size=1 << 20):
        values = np.union1d(values, part)
        if values.size > most:
            break
    return values


def planes_in(image: "Header | Array", planes: int | None = None) -> int:
    """Return the planes of a slab of a file: `planes`, else as 64 MiB hold; one at least."""
    if planes is None:
        planes = SLAB_BYTES // max(1, prod(image.shape[1:]) * image.dtype.itemsize)
    return max(1, planes)


def copies(array: Array, planes: int) -> Iterator[Array]:
    """Yield copies of slabs of so many planes, in the order of bytes of this machine."""
    for start in range(0, len(array), planes):
        yield np.array(array[start : start + planes], array.dtype.newbyteorder("="), order="C")
        release(array)


def chunk_regions(shape: Sizes, chunks: Sizes, itemsize: int) -> Iterator[tuple[slice, slice]]:
    """Yield regions of whole chunks along the first two axes, of at most 64 MiB where they can."""
    for start in range(0, shape[0], chunks[0]):
        stop = min(start + chunks[0], shape[0])
        line = max(1, (stop - start) * prod(shape[2:]) * itemsize)
        step = max(1, SLAB_BYTES // line // chunks[1]) * chunks[1]
        for first in range(0, shape[1], step):
            yield slice(start, stop), slice(first, min(first + step, shape[1]))


def chunk_rows(
    header: "Header", chunks: Shape, part: Callable[[slice, slice], Array]
) -> Iterator[Array]:
    """Yield whole rows of chunks along the first axis; `part` decodes each chunk once."""
    shape = header.shape
    for along, across in chunk_regions(shape, chunks, header.dtype.itemsize):
        if across.start == 0:
            row = room((along.stop - along.start, *shape[1:]), header.dtype)
        row[:, across] = part(along, across)
        release(row)
        if across.stop == shape[1]:
            yield row


def gathered(shape: Shape, dtype: DTypeLike, parts: Iterable[Array]) -> Array:
    """Return an array in `room` made of consecutive slabs, or the slab that is all of it."""
    # Before the first is decoded: a broken file may name any size.
    large_one = not memory.fits(prod(shape) * np.dtype(dtype).itemsize)
    whole = room(shape, dtype) if large_one or not shape[0] else None
    start = 0
    for part in parts:
        if whole is None and part.shape == shape and part.dtype == dtype:
            whole = part
        else:
            whole = room(shape, dtype) if whole is None else whole
            whole[start : start + len(part)] = part
            release(whole, part)
        start += len(part)
    if whole is None or start != shape[0]:
        raise ValueError(f"{start} planes of {shape[0]}")
    return whole


def converted(array: Array, dtype: DTypeLike) -> Array:
    """Return an array with another dtype, in `room` of its own; itself where it has that dtype."""
    same = array.dtype == np.dtype(dtype)
    return array if same else gathered(array.shape, dtype, slabs_of(array))


def regrouped(header: "Header", parts: Iterable[Array], planes: int | None) -> Iterator[Array]:
    """Yield slabs of equal numbers of planes (see `planes_in`) from slabs of other numbers."""
    count = planes_in(header, planes)
    done = 0
    slab = None
    filled = 0
    for part in parts:
        start = 0
        while start < len(part):
            if slab is None:
                slab = np.empty(
                    (min(count, header.shape[0] - done), *header.shape[1:]), header.dtype
                )
            taken = min(len(slab) - filled, len(part) - start)
            slab[filled : filled + taken] = part[start : start + taken]
            release(part)
            filled = filled + taken
            start = start + taken
            if filled == len(slab):
                yield slab
                done, slab, filled = done + filled, None, 0


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


def percentiles(volume: Array, ranks: FloatTuple) -> FloatTuple:
    """Return percentiles, ranks in [0, 100], of finite voxels, as numpy in double precision."""
    places = [rank / 100 * (volume.size - 1) for rank in ranks]
    dtype = volume.dtype.newbyteorder("=") if volume.dtype.itemsize <= 8 else np.dtype(float)
    width = 8 * dtype.itemsize
    # Leading bits, and the place among those with them.
    starts = {place: (0, place) for place in {*map(floor, places), *map(ceil, places)}}
    for left in range(max(width - BITS, 0), -1, -BITS):  # `BITS` more in each pass
        bits = min(BITS, width)
        counts = {lead: np.zeros(1 << bits, np.int64) for lead, _ in starts.values()}
        for (piece,) in chunks(volume, dtype=dtype):
            keys = _ordered(piece)
            for lead, count in counts.items():
                same = keys if left + bits == width else keys[keys >> (left + bits) == lead]
                digits = (same >> left) & ((1 << bits) - 1)
                count += np.bincount(digits.astype(np.intp), minlength=count.size)
        for place, (lead, among) in starts.items():
            total = np.cumsum(counts[lead])
            digit = int(np.searchsorted(total, among, side="right"))
            before = int(total[digit - 1]) if digit else 0
            starts[place] = ((lead << bits) | digit, among - before)
    values = {place: _value(key, dtype) for place, (key, _) in starts.items()}
    levels = []
    for between in places:
        below = values[floor(between)]
        above = values[ceil(between)]
        levels.append(below + (above - below) * (between - floor(between)))
    return tuple(levels)


def _ordered(piece: Array) -> Unsigned:
    keys: Unsigned = piece.view(f"u{piece.itemsize}")
    top = keys.dtype.type(1 << (8 * piece.itemsize - 1))
    if piece.dtype.kind == "i":
        return keys ^ top
    if piece.dtype.kind == "f":
        keys = np.where(keys & top, ~keys, keys | top)
    return keys


def _value(key: int, dtype: DType) -> float:
    top = 1 << (8 * dtype.itemsize - 1)
    if dtype.kind == "i":
        key ^= top
    if dtype.kind == "f":
        key = key ^ top if key & top else key ^ (2 * top - 1)
    return float(np.array(key, f"u{dtype.itemsize}").view(dtype))
