"""Large images in slabs, and by some of their planes."""

from collections.abc import Sequence
from math import prod
from typing import Any

from numpy.typing import NDArray

from cytosuite.volume import large
from cytosuite.volume.pieces import slabs

ENOUGH = 2**29  # voxels for a median or a mean of an image, about


def some_planes(shape: Sequence[int]) -> slice:
    """Return all planes of an image, or every second, third, ... of one with too many voxels."""
    return slice(None, None, max(1, -(-prod(shape) // ENOUGH)))


def copied(array: NDArray[Any]) -> NDArray[Any]:
    """Return a contiguous copy of an image, made in slabs, on disk where it does not fit."""
    copy = large.room(array.shape, array.dtype)
    for part in slabs(array, copy):
        copy[part] = array[part]
    return copy
