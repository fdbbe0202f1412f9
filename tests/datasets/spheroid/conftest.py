from types import SimpleNamespace

import numpy as np
import pytest

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


@pytest.fixture(scope="session")
def simulation():
    """Return functions that make small samples and read them."""
    return SimpleNamespace(make=make, small=small, image=image_of, labels=labels_of)


@pytest.fixture(scope="session")
def sample():
    """Return a small sample."""
    return make()
