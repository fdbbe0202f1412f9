"""Images in slabs along their first axis, so that none need fit into the memory as a whole."""

from collections.abc import Callable, Iterable, Iterator
from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from cytosuite import large
from cytosuite.large import release, room
from cytosuite.volume import Header

SLAB = 2**26  # bytes that are decoded at once


def planes_of(header: Header, planes: int | None = None) -> int:
    """Return the planes of a slab: those asked for, else as many as 64 MiB hold, at least one."""
    if planes is not None:
        return max(1, planes)
    return max(1, SLAB // max(1, prod(header.shape[1:]) * header.dtype.itemsize))


def in_planes(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield the planes of an array one after the other; those of one on disk leave the memory."""
    shape = array.shape[:-2]
    for index in np.ndindex(*shape):
        yield np.ascontiguousarray(array[index])
        release(array)


def chunk_rows(
    header: Header, chunks: tuple[int, ...], part: Callable[[slice, slice], NDArray[Any]]
) -> Iterator[NDArray[Any]]:
    """Yield whole rows of chunks along the first axis: each chunk is decoded once.

    Parameters
    ----------
    header : Header
        Geometry and dtype of the whole.
    chunks : tuple of int
        Shape of its chunks.
    part : callable
        Returns the pixels of a region along the first two axes, of at most 64 MiB where chunks
        allow it.
    """
    shape, item = header.shape, header.dtype.itemsize
    for start in range(0, shape[0], chunks[0]):
        stop = min(start + chunks[0], shape[0])
        line = max(1, (stop - start) * prod(shape[2:]) * item)
        step = max(1, SLAB // line // chunks[1]) * chunks[1]
        row = room((stop - start, *shape[1:]), header.dtype)
        for first in range(0, shape[1], step):
            cut = slice(first, min(first + step, shape[1]))
            row[:, cut] = part(slice(start, stop), cut)
            release(row)
        yield row


def gathered(
    shape: tuple[int, ...], dtype: DTypeLike, parts: Iterable[NDArray[Any]]
) -> NDArray[Any]:
    """Return an array made of slabs, in memory where it fits, else on disk.

    Parameters
    ----------
    shape : tuple of int
        Of the whole.
    dtype : numpy dtype
        Of the whole.
    parts : iterable of ndarray
        Consecutive along the first axis. One that is the whole is returned as it is.

    Raises
    ------
    InputError
        If the disk has no room for an array that does not fit into memory.
    ValueError
        If the slabs are not the whole.
    """
    # Before the first is decoded: a broken file may name any size.
    large_one = not large.fits(prod(shape) * np.dtype(dtype).itemsize)
    whole = room(shape, dtype) if large_one else None
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


def regrouped(
    header: Header, parts: Iterable[NDArray[Any]], planes: int | None
) -> Iterator[NDArray[Any]]:
    """Yield slabs of equal numbers of planes, but for the last, from slabs of other numbers.

    Parameters
    ----------
    header : Header
        Geometry and dtype of the whole.
    parts : iterable of ndarray
        Consecutive along the first axis.
    planes : int, optional
        As of `planes_of`.
    """
    count, done = planes_of(header, planes), 0
    slab, filled = None, 0
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
            filled, start = filled + taken, start + taken
            if filled == len(slab):
                yield slab
                done, slab, filled = done + filled, None, 0
