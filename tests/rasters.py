"""Rasters of voxels."""

import numpy as np

from cytosuite.bodies.grid import Grid


def same(one, other):
    """Hold that two arrays have one shape and the same values."""
    np.testing.assert_array_equal(one, other)


def counted(*shape):
    """Return an image of 16 bits whose voxels are numbered."""
    return np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)


def away_from(place, shape, step=1.0):
    """Return how far each voxel is from a place, which is in voxels of this step along each axis."""
    return np.linalg.norm((np.stack(np.indices(shape), -1) - place) * step, axis=-1)


def places_of(grid):
    """Return the centres (Z, Y, X, 3) of a grid's voxels, in µm."""
    return np.stack(np.meshgrid(*map(grid.centres, range(3)), indexing="ij"), -1)


def cube(size_um, *spacing):
    """Return the grid of a cube with voxels of a size along each axis."""
    return Grid(tuple(round(size_um / step) for step in spacing), spacing)


def sizes_of(labels):
    """Return the numbers of voxels of the labels from 1 on."""
    return np.bincount(labels.ravel())[1:]


def numbers_of(image):
    """Return mean, deviation and centroid of an image, the latter in units of its size."""
    values = image.astype(float)
    sums = [
        np.moveaxis(values, axis, 0).reshape(size, -1).sum(1) @ (np.arange(size) / size)
        for axis, size in enumerate(values.shape)
    ]
    return [values.mean(), values.std(), *(np.array(sums) / values.sum())]


def discs(radius, gap=8, count=4):
    """Return image and labels of a square of discs on a dark ground."""
    step = 2 * radius + gap
    y, x = np.indices((count * step + gap,) * 2)
    row = y // step
    column = x // step
    inside = (y % step - step // 2) ** 2 + (x % step - step // 2) ** 2 <= radius**2
    labels = np.where(inside & (row < count) & (column < count), row * count + column + 1, 0)
    noise = np.random.default_rng(0).normal(10, 1, labels.shape)
    return np.clip(noise + 60 * (labels > 0), 0, 255).astype(np.uint8), labels.astype(np.uint16)
