"""Balls and ellipsoids as phantoms."""

import numpy as np
import pytest
from rasters import away_from

from cytosuite.datasets.phantoms.library import from_mask


@pytest.fixture
def ellipsoid():
    """Return a function that makes an ellipsoid; `ramp` makes it brighter towards high z."""

    def make(semi_axes=(5.0, 5.0, 5.0), spacing=(0.5, 0.5, 0.5), brightness=1.0, ramp=0.0):
        step = np.divide(spacing, semi_axes)
        counts = np.ceil(1 / step).astype(int) + 2
        radius = away_from(counts + 0.3, 2 * counts + 1, step)  # the centre is off the raster
        z = (np.arange(len(radius)) - counts[0] - 0.3) * step[0]
        light = np.broadcast_to((1 + ramp * z)[:, None, None], radius.shape)
        light = light * (brightness / light[radius < 1].mean())
        return from_mask("ball", light.astype(np.float32), radius < 1, spacing)

    return make
