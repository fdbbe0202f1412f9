"""Arrays of any size, dtype and memory layout in pieces that stay in the cache."""

from collections.abc import Iterator
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytosuite import large

CHUNK = 1 << 16  # voxels looked at together
TABLE = 1 << 26  # numbers below which a table of all finds those that occur

Array = NDArray[Any]


def chunks(*images: Array, dtype: Any = None, size: int = CHUNK) -> Iterator[tuple[Array, ...]]:  # noqa: ANN401
    """Yield the voxels of images of one shape piece by piece, in an order that suits the memory.

    A piece is a tuple of contiguous (N,) arrays with the same voxels of each image, N at most
    `size`, of their own dtype in native byte order or of that given; overwritten by the next.
    Arrays on disk take the memory of a slab.

    Examples
    --------
    >>> [piece.tolist() for (piece,) in chunks(np.arange(5, dtype=np.uint8), dtype=float, size=3)]
    [[0.0, 1.0, 2.0], [3.0, 4.0]]
    """
    layout: Any = ["readonly", "contig"]  # which the annotations of NumPy do not know
    if not images[0].size:
        return
    types = [image.dtype.newbyteorder("=") if dtype is None else dtype for image in images]
    pieces = np.nditer(
        images,
        flags=["external_loop", "buffered"],
        op_flags=[layout] * len(images),
        op_dtypes=types,
        casting="unsafe",
        buffersize=size,
    )
    held = 0
    for piece in pieces:
        found = piece if isinstance(piece, tuple) else (piece,)
        yield found
        held += found[0].size
        if held >= large.SLAB:
            large.release(*images)
            held = 0
    large.release(*images)


def extremes(array: Array) -> tuple[Any, Any]:
    """Return the lowest and highest value of an array with one element at least, NaN with any.

    Examples
    --------
    >>> [int(value) for value in extremes(np.array([[3, 1], [4, 1]], np.uint8))]
    [1, 4]
    """
    low = high = array.flat[0]
    for (piece,) in chunks(array):
        low, high = np.minimum(low, piece.min()), np.maximum(high, piece.max())
    return low, high


def distinct(array: Array, most: float = inf) -> Array:
    """Return the distinct integers in an array in ascending order, of its dtype.

    Parameters
    ----------
    array : integer array
        Of any shape.
    most : float
        Once more than so many are found the rest is not looked for.

    Examples
    --------
    >>> distinct(np.array([[3, 0], [3, -1]])).tolist()
    [-1, 0, 3]
    """
    if array.dtype == bool:
        array = array.view(np.uint8)
    found: Array = np.zeros(0, array.dtype.newbyteorder("="))
    low, high = extremes(array) if array.size else (0, 0)
    if low >= 0 and high < min(TABLE, max(array.size, CHUNK)):
        present = np.zeros(int(high) + 1, bool)
        for (piece,) in chunks(array):
            present[piece] = True
        return np.flatnonzero(present).astype(found.dtype)[: array.size]
    for (piece,) in chunks(array, size=1 << 20):
        found = np.union1d(found, piece)
        if found.size > most:
            break
    return found
