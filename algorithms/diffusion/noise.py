"""Normal noise by position: the same voxel gets the same noise, whatever part is asked for."""

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

BLOCK = (1, 64, 64)  # voxels z, y, x that share a stream of random numbers


def noise_field(
    shape: Sequence[int], seed: int, draw: int, origin: Sequence[int] = (0, 0, 0)
) -> NDArray[np.float32]:
    """Return normal noise of mean 0 and variance 1.

    Parameters
    ----------
    shape : (Z, Y, X)
        Voxels.
    seed : int
        Of the image, 0..2**64 - 1.
    draw : int
        Number of the field, 0..2**64 - 1; fields of one seed are independent.
    origin : (z, y, x)
        Place of the first voxel in the whole, not negative.

    Returns
    -------
    (Z, Y, X) float32 array

    Notes
    -----
    Each block of voxels has a stream of its own, from its place: Philox is a function of a key
    (seed, draw) and a counter (place), with no state to pass on. So noise depends neither on the
    size of the image nor on tiles and their order, and the frames of a time series that are given
    one seed share their noise.

    References
    ----------
    Salmon et al., SC 2011, doi:10.1145/2063384.2063405 (Philox).
    """
    found = np.empty(tuple(shape), np.float32)
    key = np.array([seed, draw], np.uint64)
    ranges = [
        range(low // step, -(-(low + size) // step))
        for low, size, step in zip(origin, shape, BLOCK, strict=True)
    ]
    for place in product(*ranges):
        stream = np.random.Philox(counter=np.array([0, *place], np.uint64), key=key)
        values = np.random.Generator(stream).standard_normal(BLOCK, np.float32)
        target, source = [], []
        for number, step, low, size in zip(place, BLOCK, origin, shape, strict=True):
            first = number * step - low  # of the block, counted from the origin
            begin, end = max(first, 0), min(first + step, size)
            target.append(slice(begin, end))
            source.append(slice(begin - first, end - first))
        found[tuple(target)] = values[tuple(source)]
    return found
