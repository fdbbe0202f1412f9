"""Tests of the measurement of levels, noise and blur, on scenes with known ones."""

import numpy as np
import pytest
from scenes import GAIN, OFFSET, READ, SPACING, camera, light
from scipy import ndimage

from cytosuite.algorithms.cyclegan3d.measure import blur_of, levels_of, noise_of, tap
from cytosuite.denoising.camera import late


def _floats(array):
    return np.asarray(array, np.float32)


def test_gain_read_noise_and_offset_of_a_camera_are_found():
    estimate = noise_of(_floats(camera(light(shape=(32, 96, 96), blur_um=(2.0, 1.0)))))
    assert estimate.gain == pytest.approx(GAIN, rel=0.1)
    assert estimate.offset == pytest.approx(OFFSET, abs=1.5)
    assert estimate.read_variance == pytest.approx(READ**2, abs=3)
    assert estimate.correlation < 0.05


def test_multiplied_light_is_more_skewed_than_counted_light(rng):
    scene = np.tile(np.linspace(0, 100, 128), (48, 128, 1))
    counted = 5.0 * rng.poisson(scene / 5)
    multiplied = 5.0 * rng.standard_gamma(rng.poisson(scene / 5) + 1e-9)
    plain, amplified = (noise_of(_floats(image)) for image in (counted, multiplied))
    assert plain.skew / plain.gain == pytest.approx(1.0, abs=0.15)
    assert amplified.skew / amplified.gain > 1.3
    assert amplified.gain == pytest.approx(2 * plain.gain, rel=0.1)


@pytest.mark.parametrize("correlation", [0.2, 0.5])
def test_noise_of_neighbours_that_is_correlated_keeps_its_variance(correlation, rng):
    side = tap(correlation)
    taps = np.array([side, 1, side]) / np.sqrt(1 + 2 * side**2)
    noise = rng.normal(0, 5, (16, 96, 96))
    for axis in (1, 2):
        noise = ndimage.convolve1d(noise, taps, axis)
    estimate = noise_of(_floats(100 + noise))
    assert estimate.correlation == pytest.approx(correlation, abs=0.03)
    assert estimate.read_variance == pytest.approx(25, rel=0.1)
    assert estimate.gain == 0


def test_noise_that_is_read_late_keeps_its_gain(rng):
    scene = 10 + 0.1 * light(shape=(32, 96, 96), blur_um=(2.0, 1.0))
    noise = rng.poisson(scene) - scene
    sharp, lagged = (
        noise_of(_floats(100 + 12 * (scene + grain))) for grain in (noise, late(noise, 0.08))
    )
    assert (sharp.lag, lagged.lag) == (0, pytest.approx(0.08, abs=0.02))
    assert lagged.gain == pytest.approx(sharp.gain, rel=0.05)
    assert lagged.correlation < 0.05


@pytest.mark.parametrize("blur", [(1.0, 0.6), (2.5, 1.0)])
def test_blur_that_is_added_is_found(blur):
    scene = light(3, shape=(40, 96, 96), balls=14)
    sharp, blurred = (
        blur_of(_floats(ndimage.gaussian_filter(scene, sigma)), SPACING)
        for sigma in ((0, 0, 0), np.divide([blur[0], blur[1], blur[1]], SPACING))
    )
    for axis, added in ((0, blur[0]), (2, blur[1])):
        assert np.sqrt(blurred[axis] ** 2 - sharp[axis] ** 2) == pytest.approx(added, rel=0.25)


def test_noise_alone_holds_no_object(rng):
    alone = rng.normal(100, 5, (24, 64, 64))
    assert levels_of(ndimage.gaussian_filter(_floats(alone), 1)).objects.size == 0


def test_levels_of_an_image_on_disk_are_those_in_memory(mapped, monkeypatch):
    level = ndimage.gaussian_filter(camera(light(2)).astype(np.float32), 1)
    monkeypatch.setattr(
        "cytosuite.algorithms.cyclegan3d.measure.SAMPLE", 500
    )  # the values are thinned
    expected = levels_of(level)
    levels = levels_of(mapped(level))
    assert expected.voxels > 1000
    for one, other in zip(levels, expected, strict=True):
        np.testing.assert_array_equal(one, other)
