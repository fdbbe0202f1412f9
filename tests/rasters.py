"""Rasters of voxels."""

import numpy as np


def away_from(place, shape, step=1.0):
    """Return how far each voxel is from a place, which is in voxels of this step along each axis."""
    return np.linalg.norm((np.stack(np.indices(shape), -1) - place) * step, axis=-1)
