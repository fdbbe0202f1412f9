"""Large images in slabs, by some of their planes, and on coarser grids."""

from math import prod

import numpy as np

from cytosuite.bodies.grid import Grid
from cytosuite.volume.arrays import Array, Image, Sizes
from cytosuite.volume.pieces import gathered, slabs_of

ENOUGH = 2**29  # voxels for a median or a mean of an image, about


def some_planes(shape: Sizes) -> slice:
    """Return all planes of an image, or every second, third, ... of one with too many voxels."""
    return slice(None, None, max(1, -(-prod(shape) // ENOUGH)))


def copied(array: Array) -> Array:
    """Return a contiguous copy of an image, made in slabs, on disk where it does not fit."""
    return gathered(array.shape, array.dtype, (np.array(p, order="C") for p in slabs_of(array)))


def area_average(image: Image, grid: Grid, detector: Grid) -> Image:
    """Return the mean of an image on a grid, dark outside, over the voxels of a coarser one."""
    for axis, size in enumerate(detector.shape):
        step = grid.spacing[axis]
        ratio = detector.spacing[axis] / step
        start = detector.origin[axis] - grid.origin[axis]
        edges = np.round(start / step + ratio * np.arange(size + 1), 9)  # in samples
        low = edges[:-1]
        high = edges[1:]
        first = np.floor(low).astype(int)
        terms = int((np.ceil(high) - first).max())
        form = [size if a == axis else 1 for a in range(image.ndim)]
        result = np.zeros((*image.shape[:axis], size, *image.shape[axis + 1 :]), np.float32)
        for index in first + np.arange(terms)[:, None]:
            weight = (np.minimum(high, index + 1) - np.maximum(low, index)).clip(0) / ratio
            weight *= (index >= 0) & (index < image.shape[axis])
            taken = image.take(index.clip(0, image.shape[axis] - 1), axis)
            taken *= weight.astype(np.float32).reshape(form)
            result += taken
        image = result
    return image
