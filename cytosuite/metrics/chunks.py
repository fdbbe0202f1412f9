"""Arrays of any size, dtype and memory layout in pieces that stay in the cache."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

CHUNK = 1 << 16  # voxels looked at together

Array = NDArray[Any]


def chunks(*images: Array, dtype: Any = None, size: int = CHUNK) -> Iterator[tuple[Array, ...]]:  # noqa: ANN401
    """Yield the voxels of images of one shape piece by piece, in an order that suits the memory.

    A piece is a tuple of contiguous (N,) arrays with the same voxels of each image, N at most
    `size`, of their own dtype in native byte order or of that given; overwritten by the next.

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
    for piece in pieces:
        yield piece if isinstance(piece, tuple) else (piece,)
