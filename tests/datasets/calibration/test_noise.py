import numpy as np
import pytest

from cytosuite.datasets.calibration.noise import neighbour_correlation, noise_of, transfer_curve
from cytosuite.datasets.physics import camera
from cytosuite.volume import Volume

SHAPE = (30, 100, 100)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def scene(background=0.3, bright=40):
    z, y, x = np.mgrid[:30, :100, :100]
    glow = np.exp(-((z - 15) ** 2 / 60 + ((y - 50) ** 2 + (x - 50) ** 2) / 300))
    return (background + bright * glow).astype(np.float32)


def seen(rng, light, **settings):
    return noise_of(Volume(camera.Detector(**settings).expose(rng, light), (1, 1, 1)))


def test_gain_and_offset_of_a_quiet_camera(rng):
    noise = seen(rng, scene(), gain=12, offset=100, read_noise=0.2)
    assert noise.gain == pytest.approx(12, rel=0.06)
    assert noise.excess == 0
    assert noise.offset == pytest.approx(100, abs=2)
    assert noise.read_counts == pytest.approx(2.4, abs=1)
    assert abs(noise.correlation) < 0.05
    assert noise.note == ""


def test_read_noise_of_a_loud_camera(rng):
    noise = seen(rng, scene(), gain=2, offset=200, read_noise=3)
    assert noise.gain == pytest.approx(2, rel=0.08)
    assert noise.read_counts == pytest.approx(6, rel=0.2)
    assert noise.offset == pytest.approx(200, abs=3)


def test_multiplication_is_told_from_gain(rng):
    light = np.tile(scene(0.1, 20), (1, 2, 2))
    noise = seen(rng, light, gain=10, offset=100, read_noise=0.2, excess=1.0)
    assert noise.slope == pytest.approx(20, rel=0.06)
    assert noise.gain == pytest.approx(10, rel=0.12)
    assert noise.excess == pytest.approx(1, abs=0.15)


def test_structure_is_not_noise():
    mean, second, _, _ = transfer_curve(scene().astype(float))
    assert (second < 0.01 * mean).all()  # the light itself, without any noise


def test_correlated_noise_is_named(rng):
    noise = seen(rng, scene(), gain=5, offset=100, sensor_blur=0.8)
    assert noise.correlation > 0.5
    assert "correlated" in noise.note
    assert noise.slope < 1  # far below the true 5: the note matters


def test_noise_that_does_not_grow_tells_nothing(rng):
    stack = Volume(rng.normal(100, 5, SHAPE), (1, 1, 1))
    noise = noise_of(stack)
    assert np.isnan(noise.gain)
    assert "noise" in noise.note
    assert noise.correlation == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("value", [0, 7])
def test_a_constant_stack_tells_nothing(value):
    assert np.isnan(noise_of(Volume(np.full(SHAPE, value, np.uint8), (1, 1, 1))).gain)


@pytest.mark.parametrize("shape", [(2, 40, 40), (10, 4, 40)])
def test_too_few_voxels_are_named(rng, shape):
    noise = noise_of(Volume(rng.poisson(5, shape).astype(np.uint16), (1, 1, 1)))
    assert np.isnan(noise.gain)
    assert "too few" in noise.note


def test_correlation_of_white_noise_is_none(rng):
    assert neighbour_correlation(rng.normal(size=(10, 60, 60))) == pytest.approx(0, abs=0.02)
