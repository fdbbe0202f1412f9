"""Small simulated spheroids."""

import numpy as np

from cytosuite.datasets.recipes import merged
from cytosuite.datasets.spheroid.generate import generate

SMALL = {
    "image": {"shape": (24, 96, 96), "spacing_um": (2.0, 0.5, 0.5)},
    "tissue": {"n_nuclei": (10, 16)},
}


def small(*changes):
    """Return the sections of a small recipe with changes."""
    values = SMALL
    for change in changes:
        values = merged(values, change)
    return values


def make(*changes, seed=0):
    """Return a small sample with changes to its recipe."""
    return generate(np.random.default_rng(seed), small(*changes))


def image_of(sample):
    """Return the image of a sample."""
    return sample.volume("microscopy-image").array


def labels_of(sample):
    """Return the labels of a sample."""
    return sample.volume("instance-labels").array
