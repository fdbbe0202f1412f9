"""Tests of the measurement of levels, noise and blur, on scenes with known ones."""

from pathlib import Path
from runpy import run_path

import numpy as np
import pytest
from scipy import ndimage

from cytosuite.algorithms.cyclegan3d import measure as module
from cytosuite.algorithms.cyclegan3d.measure import SHARES, blur_of, levels_of, noise_of, tap

_scenes = run_path(str(Path(__file__).with_name("scenes.py")))
GAIN, OFFSET, READ, SPACING, camera, light = (
    _scenes[name] for name in ("GAIN", "OFFSET", "READ", "SPACING", "camera", "light")
)


def _floats(array):
    return np.asarray(array, np.float32)


def test_gain_read_noise_and_offset_of_a_camera_are_found():
    found = noise_of(_floats(camera(light(shape=(32, 96, 96), blur_um=(2.0, 1.0)))))
    assert found.gain == pytest.approx(GAIN, rel=0.1)
    assert found.offset == pytest.approx(OFFSET, abs=1.5)
    assert found.read_variance == pytest.approx(READ**2, abs=3)
    assert found.correlation < 0.05


def test_multiplied_light_is_more_skewed_than_counted_light():
    rng = np.random.default_rng(0)
    scene = np.tile(np.linspace(0, 100, 128), (48, 128, 1))
    counted = 5.0 * rng.poisson(scene / 5)
    multiplied = 5.0 * rng.standard_gamma(rng.poisson(scene / 5) + 1e-9)
    plain, amplified = (noise_of(_floats(image)) for image in (counted, multiplied))
    assert plain.skew / plain.gain == pytest.approx(1.0, abs=0.15)
    assert amplified.skew / amplified.gain > 1.3
    assert amplified.gain == pytest.approx(2 * plain.gain, rel=0.1)


@pytest.mark.parametrize("correlation", [0.2, 0.5])
def test_noise_of_neighbours_that_is_correlated_keeps_its_variance(correlation):
    side = tap(correlation)
    taps = np.array([side, 1, side]) / np.sqrt(1 + 2 * side**2)
    noise = np.random.default_rng(0).normal(0, 5, (16, 96, 96))
    for axis in (1, 2):
        noise = ndimage.convolve1d(noise, taps, axis)
    found = noise_of(_floats(100 + noise))
    assert found.correlation == pytest.approx(correlation, abs=0.03)
    assert found.read_variance == pytest.approx(25, rel=0.1)
    assert found.gain == 0


def test_an_image_without_noise_or_too_small_has_none():
    for array in (np.full((4, 32, 32), 7.0), np.zeros((4, 5, 5)), np.zeros((0, 32, 32))):
        assert noise_of(_floats(array)).read_variance == 0


@pytest.mark.parametrize("blur", [(1.0, 0.6), (1.5, 0.8), (2.5, 1.0)])
def test_blur_that_is_added_is_found(blur):
    scene = light(3, shape=(40, 96, 96), balls=14)
    sharp, blurred = (
        blur_of(_floats(ndimage.gaussian_filter(scene, sigma)), SPACING)
        for sigma in ((0, 0, 0), np.divide([blur[0], blur[1], blur[1]], SPACING))
    )
    for axis, added in ((0, blur[0]), (2, blur[1])):
        assert np.sqrt(blurred[axis] ** 2 - sharp[axis] ** 2) == pytest.approx(added, rel=0.25)


def test_noise_hardly_moves_the_blur_and_alone_has_none():
    scene = light(3, shape=(40, 96, 96), balls=14, blur_um=(2.0, 0.9))
    clean, noisy = (blur_of(_floats(image), SPACING) for image in (scene, camera(scene)))
    np.testing.assert_allclose(noisy, clean, rtol=0.3)
    alone = np.random.default_rng(0).normal(0, 1, (24, 64, 64))
    assert np.isnan(blur_of(_floats(alone), SPACING)).all()


def test_offset_and_gain_scale_the_levels():
    level = ndimage.gaussian_filter(_floats(camera(light(blur_um=(2.0, 0.9)))), 1)
    one, other = levels_of(level), levels_of(4 * level + 64)
    assert one.objects.shape == one.glow.shape == SHARES.shape
    for name in ("background", "glow", "objects"):
        expected = 4 * np.asarray(getattr(one, name)) + 64
        np.testing.assert_allclose(getattr(other, name), expected, rtol=1e-3)
    assert other.voxels == one.voxels > 0


def test_parts_follow_each_other_without_a_gap():
    found = levels_of(ndimage.gaussian_filter(_floats(camera(light(blur_um=(2.0, 0.9)))), 1))
    floor = found.background + 4 * found.spread
    assert floor == found.glow[0] < found.glow[-1] == found.objects[0] < found.objects[-1]
    assert (np.diff([*found.glow, *found.objects]) >= 0).all()


def test_noise_alone_holds_no_object():
    alone = np.random.default_rng(0).normal(100, 5, (24, 64, 64))
    assert levels_of(ndimage.gaussian_filter(_floats(alone), 1)).objects.size == 0


def test_levels_of_an_image_on_disk_are_those_in_memory(mapped, monkeypatch):
    level = ndimage.gaussian_filter(camera(light(2)).astype(np.float32), 1)
    monkeypatch.setattr(module, "SAMPLE", 500)  # the values are thinned
    expected, found = levels_of(level), levels_of(mapped(level))
    assert expected.voxels > 1000
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
