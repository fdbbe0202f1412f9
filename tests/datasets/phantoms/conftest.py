"""Balls and ellipsoids as phantoms."""

import numpy as np
import pytest

from cytosuite.datasets.phantoms.library import from_mask


def _radius(semi_axes, spacing):
    """Distance from the centre relative to the surface, with the centre off the raster."""
    counts = [int(np.ceil(a / s)) + 2 for a, s in zip(semi_axes, spacing, strict=True)]
    z, y, x = (
        (np.arange(-n, n + 1) - 0.3) * s / a
        for n, s, a in zip(counts, spacing, semi_axes, strict=True)
    )
    return np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2), z


@pytest.fixture
def ellipsoid():
    """Return a function that makes an ellipsoid; `ramp` makes it brighter towards high z."""

    def make(semi_axes=(5.0, 5.0, 5.0), spacing=(0.5, 0.5, 0.5), brightness=1.0, ramp=0.0):
        radius, z = _radius(semi_axes, spacing)
        light = np.broadcast_to((1 + ramp * z)[:, None, None], radius.shape)
        light = light * (brightness / light[radius < 1].mean())
        return from_mask("ball", light.astype(np.float32), radius < 1, spacing)

    return make
