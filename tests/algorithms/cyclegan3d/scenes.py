"""Scenes of bright balls as cameras see them, for tests of the classical transfer."""

import numpy as np
from rasters import away_from
from scipy import ndimage

SPACING = (1.5, 0.8, 0.8)
GAIN, OFFSET, READ = 8.0, 100.0, 2.0


def light(seed=0, shape=(24, 72, 72), balls=10, blur_um=(0.0, 0.0)):
    """Return balls of 4 to 6 µm radius and of 60 to 200 counts, and faint light around them."""
    rng, scene, (high, wide) = np.random.default_rng(seed), np.zeros(shape), blur_um
    for _ in range(balls):
        inside = away_from(rng.uniform(0.15, 0.85, 3) * shape, shape, SPACING) < rng.uniform(4, 6)
        scene[inside] = rng.uniform(60, 200)
    scene += 4 * (away_from(np.divide(shape, 2), shape, SPACING) < shape[-1] * SPACING[-1] / 3)
    return ndimage.gaussian_filter(scene, np.divide((high, wide, wide), SPACING))


def camera(scene, seed=1, gain=GAIN, offset=OFFSET, read=READ):
    """Return the counts of a camera with Poisson and read noise."""
    rng = np.random.default_rng(seed)
    counts = gain * rng.poisson(scene / gain + 0.3) + rng.normal(offset, read, scene.shape)
    return np.clip(np.rint(counts), 0, 65535).astype(np.uint16)
