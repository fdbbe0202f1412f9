import numpy as np
import pytest

from datasets import camera


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_average_over_whole_ratios_is_the_mean_of_blocks(rng):
    image = rng.random((4, 6, 6), dtype=np.float32)
    expected = image.reshape(2, 2, 2, 3, 3, 2).mean(axis=(1, 3, 5))
    averaged = camera.area_average(image, (1, 1, 1), (2, 2, 3), (2, 3, 2))
    assert averaged == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("step", [1.0, 1.25, 1.5, 2.7])
def test_average_of_a_ramp_is_its_value_at_the_centres(step):
    ramp = np.broadcast_to(np.arange(60, dtype=np.float32) + 0.5, (3, 3, 60))
    size = int(40 / step)
    averaged = camera.area_average(ramp, (1, 1, 1), (3, 3, size), (1, 1, step), (0, 0, 5.3))
    centres = 5.3 + (np.arange(size) + 0.5) * step
    inner = averaged[1, 1]
    assert inner == pytest.approx(centres, abs=0.25)  # steps of the ramp, not their slope
    assert inner.mean() == pytest.approx(centres.mean(), abs=0.02)


def test_average_keeps_the_light(rng):
    image = rng.random((12, 12, 12), dtype=np.float32)
    averaged = camera.area_average(image, (1, 1, 1), (8, 8, 8), (1.5, 1.5, 1.5))
    assert averaged.sum() * 1.5**3 == pytest.approx(image.sum(), rel=1e-5)


def test_average_sees_darkness_outside():
    ones = np.ones((4, 4, 4), np.float32)
    averaged = camera.area_average(ones, (1, 1, 1), (2, 2, 2), (4, 4, 4), (0, 0, 2))
    assert averaged[0, 0].tolist() == [0.5, 0.0]


def test_variance_grows_with_the_mean_at_the_slope_of_the_gain(rng):
    levels = np.array([2.0, 10.0, 40.0, 150.0])
    stacks = [
        camera.expose(
            rng, np.full((20, 50, 50), n, np.float32), gain=3.0, offset=200, read_noise=1.5
        )
        for n in levels
    ]
    means = [stack.mean() for stack in stacks]
    variances = [stack.var() for stack in stacks]
    slope, at_zero = np.polyfit(np.array(means) - 200, variances, 1)
    assert means == pytest.approx(3 * levels + 200, rel=0.01)
    assert slope == pytest.approx(3.0, rel=0.03)
    assert variances[0] == pytest.approx(3**2 * (2 + 1.5**2) + 1 / 12, rel=0.03)
    assert at_zero == pytest.approx(3**2 * 1.5**2, abs=15)


def test_offset_is_not_light(rng):
    dark = camera.expose(rng, np.zeros((8, 8, 8), np.float32), offset=123.4)
    assert (dark == 123).all()
    assert dark.dtype == np.uint16


def test_counts_are_rounded_not_truncated(rng):
    dark = camera.expose(rng, np.zeros((30, 50, 50), np.float32), offset=100, read_noise=4)
    assert dark.mean() == pytest.approx(100, abs=0.08)


def test_counts_stay_within_sixteen_bits(rng):
    light = np.full((2, 2, 2), 1e6, np.float32)
    assert (camera.expose(rng, light) == 65535).all()
    dark = camera.expose(rng, 0 * light, offset=0, read_noise=50)
    assert dark.max() < 1000  # negative noise does not wrap to the top


def test_chance_comes_from_the_generator_alone():
    light = np.full((4, 4, 4), 9, np.float32)
    first, same, other = (
        camera.expose(np.random.default_rng(seed), light, read_noise=1) for seed in (1, 1, 2)
    )
    assert (first == same).all()
    assert (first != other).any()
