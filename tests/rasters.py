"""Rasters of voxels."""

import numpy as np


def away_from(place, shape, step=1.0):
    """Return how far each voxel is from a place, which is in voxels of this step along each axis."""
    return np.linalg.norm((np.stack(np.indices(shape), -1) - place) * step, axis=-1)


def numbers_of(image):
    """Return mean, deviation and centroid of an image, the latter in units of its size."""
    values = image.astype(float)
    sums = [
        np.moveaxis(values, axis, 0).reshape(size, -1).sum(1) @ (np.arange(size) / size)
        for axis, size in enumerate(values.shape)
    ]
    return [values.mean(), values.std(), *(np.array(sums) / values.sum())]
