import numpy as np
import pytest
from mistakes import refused

from cytosuite.metrics.images.pair import pair


def image():
    return np.random.default_rng(0).integers(0, 100, (3, 4, 5)).astype("f4")


def changed(place, value):
    """Return an image with another value in one voxel."""
    array = image().astype(float)
    array[place] = value
    return array


FINITE = "every voxel must be a finite number, found NaN or infinity"
MISTAKES = {
    "truth and prediction must have the same shape, found (3, 4, 5) and (3, 4, 4)": {
        "prediction": image()[..., 1:]
    },
    "prediction: grey values must be integer or floating numbers, found complex64": {
        "prediction": image() * 1j
    },
    "truth: every voxel must be a finite number, found 1e+154, too large to square": {
        "truth": changed((1, 2, 3), -1e154)
    },
    f"prediction: {FINITE}": {"prediction": changed((1, 2, 3), np.nan)},
    f"truth: {FINITE}": {"truth": changed((2, 3, 4), -np.inf)},
    "truth: an image without voxels, found shape (3, 0, 5)": dict.fromkeys(
        ("truth", "prediction"), image()[:, :0]
    ),
    "data_range must be a positive finite number, found 0": {"data_range": 0},
}


@pytest.mark.parametrize("message", MISTAKES)
def test_explains(message):
    arguments = {"truth": image(), "prediction": image(), "data_range": 1.0}
    refused(message, pair, **arguments | MISTAKES[message])
