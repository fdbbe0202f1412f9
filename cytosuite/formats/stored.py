"""An image in an open file: what is known of it, and its pixels slab by slab."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np

from cytosuite.errors import InputError
from cytosuite.files import IntDict, IntMap, Scalars, frozen
from cytosuite.volume import Header, Origin, Volume, memory
from cytosuite.volume.arrays import Array, Shape
from cytosuite.volume.pieces import chunk_rows, gathered, planes_in


@frozen
class Stored:
    """An image in an open file."""

    header: Header
    metadata: Scalars
    origin: Origin
    slabs: Callable[[int], Iterable[Array]]  # of so many planes; each part is decoded once
    mapped: Callable[[], Array] | None = None  # the file's own bytes as an array on disk
    image: Volume | None = None  # of a format without slabs, which has been read

    def volume(self) -> Volume:
        """Return the image, in memory where it fits, else on disk."""
        if self.image is not None:
            return self.image
        head = self.header
        fits = memory.fits(prod(head.shape) * head.dtype.itemsize)
        if self.mapped and not fits:
            array = self.mapped()
        else:
            few = max(1, planes_in(head) // 16)  # they are copied, two of them in memory at a time
            parts = self.slabs(head.shape[0] if fits else few)
            array = gathered(head.shape, head.dtype, parts)
        return Volume(array, head.spacing, head.axes, self.metadata, self.origin)


def rows_of(
    array: Any,  # noqa: ANN401 - of h5py or zarr
    axes: str,
    chunks: Shape,
    head: Header,
    held: IntMap = MappingProxyType({}),
) -> Iterator[Array]:
    """Yield the pixels of a stored array in rows of chunks along the first axis of a header.

    `axes` and `chunks` are as stored; of `held` axes one index each is read.
    """
    left = [axis for axis in axes if axis not in held]
    order = list(map(left.index, head.axes))

    def part(*region: slice) -> Array:
        """Return the pixels of a region along the first axes."""
        slices = dict(zip(head.axes, region, strict=False))
        index = tuple(held.get(a, slices.get(a, slice(None))) for a in axes)
        return np.asarray(array[index]).transpose(order)

    return chunk_rows(head, tuple(chunks[axes.index(axis)] for axis in head.axes), part)


def each_within(
    watch: Callable[[], AbstractContextManager[None]], parts: Iterator[Array]
) -> Iterator[Array]:
    """Yield slabs, each decoded in a context: the caller may read another file between."""
    while True:
        with watch():
            part = next(parts, None)
        if part is None:
            return
        yield part


def picked(pick: IntMap, axes: str, shape: Shape) -> IntDict:
    """Return the indices of those axes that an image has; InputError for one beyond its axis."""
    sizes = dict(zip(axes, shape, strict=True))
    for axis, number in pick.items():
        if axis not in "TC":
            raise InputError(f"expected the axis T or C to pick from, found {axis!r}")
        if axis in sizes and not 0 <= number < sizes[axis]:
            raise InputError(f"expected {axis} from 0 to {sizes[axis] - 1}, found {number}")
    return {axis: number for axis, number in pick.items() if axis in sizes}
