"""A toy microscope: balls of dye, blurred, exposed; quick, and with parameters of known effect."""

import numpy as np
import pytest
from rasters import away_from
from scipy import ndimage

from cytosuite.datasets import camera
from cytosuite.datasets.calibration.measure import in_turn
from cytosuite.volume import Volume

SPACING = (1.0, 1.0, 1.0)


def simulate(parameters, seed):
    """Return a stack of 8 balls and its labels; photons, background and diameter are drawn from their ranges."""
    light = np.zeros((30, 48, 48), np.float32)
    labels = np.zeros((30, 48, 48), np.uint16)
    rng = np.random.default_rng(seed)
    radius = rng.uniform(*np.broadcast_to(parameters["nucleus"]["diameter_um"], 2)) / 2
    for number in range(8):
        place = [7.5 + 15 * (number // 4), 12 + 24 * (number // 2 % 2), 12 + 24 * (number % 2)]
        inside = away_from(place + rng.uniform(-1, 1, 3), light.shape) <= radius
        light[inside] = rng.uniform(0.8, 1.2)
        labels[inside] = number + 1
    light = ndimage.gaussian_filter(light, 1.0)
    sensor = parameters["camera"]
    light *= np.exp(rng.uniform(*np.log(np.broadcast_to(sensor["photons"], 2)))).astype(np.float32)
    light += np.float32(rng.uniform(*np.broadcast_to(sensor["background_photons"], 2)))
    detector = camera.Camera(
        lag=sensor.get("lag", 0.0), gain=sensor["gain"], offset=sensor["offset"]
    )
    return Volume(detector.expose(rng, light), SPACING), labels


def recipe(photons=40.0, diameter=10.0, gain=4.0, lag=0.0):
    light = {"photons": photons, "background_photons": 0.5, "gain": gain, "offset": 100.0}
    return {"nucleus": {"diameter_um": diameter}, "camera": light | ({"lag": lag} if lag else {})}


@pytest.fixture(scope="session")
def backwards():
    """Do the last piece first, as processes may."""
    return lambda work, pieces: reversed(list(in_turn(work, pieces)))


@pytest.fixture(scope="session")
def toy():
    """The simulator; ``toy.recipe(photons, diameter, gain)`` are its parameters."""
    simulate.recipe = recipe
    return simulate
