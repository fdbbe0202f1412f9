"""Small views of a specimen that loses light along x."""

import numpy as np
from rasters import away_from
from scipy import ndimage

SPACING = (4.0, 1.5, 1.5)
SHAPE = (20, 72, 64)


def noise(shape=SHAPE, seed=0):
    """Return grey values of a background: noise and nothing else."""
    return np.random.default_rng(seed).gamma(4, 10, shape).astype(np.uint16)


def specimen(shape=SHAPE, spacing=SPACING, share=0.7):
    """Return the voxels of an ellipsoid, of this share of each side."""
    size = np.array(shape)
    return away_from((size - 1) / 2, shape, 2 / (share * size)) < 1


def view(seed=0, shape=SHAPE, loss_per_um=0.02, dtype="uint16", axis=2, spacing=SPACING):
    """Return grey values of a grainy specimen, lit from the lower end of an axis."""
    rng = np.random.default_rng(seed)
    inside = specimen(shape, spacing)
    grain = ndimage.gaussian_filter(rng.standard_normal(shape), (1, 2, 2))
    light = np.where(inside, 150 + 40 * np.clip(grain / grain.std(), -2, 2), 0)
    path = np.cumsum(inside, axis) * spacing[axis]
    return (rng.poisson(light * np.exp(-loss_per_um * path) + 10) + 10).clip(0, 255).astype(dtype)
