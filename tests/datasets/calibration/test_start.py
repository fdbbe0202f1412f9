from math import nan

import numpy as np
import pytest
from scipy import ndimage

from cytosuite.datasets.calibration.measure import measure
from cytosuite.datasets.calibration.start import sensor_blur, start
from cytosuite.denoising.camera import neighbour_correlation
from cytosuite.volume import Volume


@pytest.fixture
def stacks(toy):
    return [toy(toy.recipe(gain=6.0), seed) for seed in range(3)]


def begin(stacks):
    return start(measure(stacks))


def test_camera_and_geometry_are_read_off(stacks):
    guess = begin(stacks)
    expected = {
        "camera.gain": pytest.approx(6, rel=0.1),
        "camera.offset": pytest.approx(100, abs=2),
        "camera.bits": 16,
        "camera.excess": 0,
        "optics.objective": "first",
        "image.shape": [30, 48, 48],
        "image.spacing_um": [1.0, 1.0, 1.0],
        "tissue.outline": "shell",
        "tissue.may_be_cut": True,
    }
    assert {name: guess.fixed[name] for name in expected} == expected
    assert guess.centres["camera.background_photons"] == pytest.approx(0.5, abs=0.35)
    assert guess.centres["tissue.n_nuclei"] == 8
    assert 5 < guess.centres["nucleus.diameter_um"] < 10
    assert guess.notes == ()


def test_gain_and_multiplication_of_the_recipe_belong_together(stacks):
    measured = measure(stacks)
    gains = np.array([4.0, 8.0, nan, 8.0])
    for multiplied, excess in (([1, 0, nan, nan], 0.5), ([1, nan, nan, nan], 1)):
        doubt = {"gain": gains, "excess": np.array(multiplied)}
        camera = start(measured._replace(volumes={**measured.volumes, **doubt})).fixed
        assert camera["camera.excess"] == excess
        assert camera["camera.gain"] * (1 + excess) == pytest.approx(8, abs=1e-3)


def test_a_lag_is_fixed_where_there_is_one(stacks, toy):
    assert "camera.lag" not in begin(stacks).fixed
    guess = begin([toy(toy.recipe(gain=6.0, lag=0.08), seed) for seed in range(3)])
    assert guess.fixed["camera.lag"] == pytest.approx(0.08, abs=0.03)
    assert guess.sources["camera.lag"].startswith("photon transfer")


def test_tissue_that_is_cut_on_all_sides_fills_the_image(stacks):
    inner = np.s_[8:-8, 10:-10, 10:-10]
    guess = begin([(Volume(v.array[inner], v.spacing), labels[inner]) for v, labels in stacks])
    assert guess.fixed["tissue.outline"] == "fill"
    assert guess.fixed["tissue.n_nuclei"] == "auto"
    assert "tissue.core" not in guess.centres
    assert "tissue.volume_fraction" in guess.centres


def test_stacks_lit_from_below_keep_their_orientation(stacks):
    ramp = np.exp(0.05 * np.arange(30))[:, None, None]
    lit = [
        (Volume((100 + (v.array - 100.0) * ramp).clip(0), v.spacing), labels)
        for v, labels in stacks
    ]
    more = ((0, 10), (0, 0), (0, 0))
    low = [
        (Volume(np.pad(v.array, more, "edge"), v.spacing), np.pad(labels, more))
        for v, labels in lit
    ]
    assert begin(lit).fixed["optics.objective"] == "last"
    turned = [(Volume(v.array[::-1], v.spacing), labels[::-1]) for v, labels in lit]
    assert begin(turned).fixed["optics.objective"] == "first"
    # Counts from the objective.
    assert begin(low).centres["tissue.middle"] == pytest.approx(1 - 15 / 40, abs=0.03)


@pytest.mark.parametrize("sigma", [0.6, 0.9])
def test_sensor_blur_is_told_by_correlation(sigma, rng):
    soft = ndimage.gaussian_filter(rng.normal(size=(10, 120, 120)), (0, sigma, sigma), truncate=8)
    width, left = sensor_blur(neighbour_correlation(soft))
    assert width == pytest.approx(sigma, abs=0.06)
    if sigma > 0.7:
        return  # hardly anything is left
    second = [1.0, -2.0, 1.0]
    filtered = ndimage.convolve1d(ndimage.convolve1d(soft, second, axis=1), second, axis=2)
    assert (filtered**2).mean() / 36 == pytest.approx(left, rel=0.3)
