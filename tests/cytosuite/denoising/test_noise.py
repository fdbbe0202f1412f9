import numpy as np
import pytest
import torch
from monai.networks.schedulers import NoiseSchedules
from numpy.testing import assert_allclose
from rasters import same

from cytosuite.denoising.noise import (
    BLOCK,
    NoiseSchedule,
    noise_field,
    object_noise,
    phase,
)

SHAPE = (5, 150, 130)


@pytest.mark.parametrize(
    "origin, shape",
    [
        ((2, 10, 60), (1, 100, 20)),
        ((4, 64, 128), (1, 64, 2)),
    ],
)
def test_a_part_has_the_noise_of_the_whole(origin, shape):
    whole = noise_field(SHAPE, 7, 2)
    box = tuple(slice(low, low + size) for low, size in zip(origin, shape, strict=True))
    same(noise_field(shape, 7, 2, origin), whole[box])


def test_the_noise_stays_the_same_over_versions():
    # A stored result is made again from its seed: these numbers must never change.
    stream = np.random.Philox(counter=[0, 1, 2, 3], key=[5, 6])
    expected = np.random.Generator(stream).standard_normal(BLOCK, np.float32)
    same(noise_field((1, 64, 64), 5, 6, (1, 128, 192)), expected[:])
    values = noise_field((1, 1, 4), 0, 0)[0, 0]
    assert_allclose(values, [0.059911, 0.0155596, -1.1644385, -0.1326471], atol=1e-6)


def test_the_noise_of_an_object_moves_with_it_and_that_of_the_ground_stays():
    first, second = np.zeros((2, *SHAPE), np.uint16)
    first[1:4, 20:60, 10:70] = 3
    second[2:5, 33:73, 1:61] = 3
    second[0, :10, :10] = 1
    noises = [object_noise(SHAPE, 7, 2, labels) for labels in (first, second)]
    same(noises[0][first == 3], noises[1][second == 3])
    ground = (first == 0) & (second == 0)
    same(noises[0][ground], noises[1][ground])
    plain = noise_field(SHAPE, 7, 2)
    assert abs(np.corrcoef(plain[first == 3], noises[0][first == 3])[0, 1]) < 0.05
    assert (noises[0].mean(), noises[0].std()) == pytest.approx((0, 1), abs=0.02)


def test_known_values():
    # The reference sheet has these for the cosine; MONAI has the other schedules.
    schedule = NoiseSchedule()
    assert schedule.betas()[999] == pytest.approx(0.9999, rel=5e-3)
    assert schedule.signal()[[399, 999]] == pytest.approx([0.647, 2.4e-10], rel=2e-2)


@pytest.mark.parametrize(
    "kind, peer",
    [("linear", "linear_beta"), ("quadratic", "scaled_linear_beta"), ("sigmoid", "sigmoid_beta")],
)
def test_variances_are_those_of_monai(kind, peer):
    assert_allclose(NoiseSchedule(kind=kind).betas(), NoiseSchedules[peer](1000), rtol=2e-4)


def test_the_cosine_is_that_of_monai_within_the_limits():
    expected, *_ = NoiseSchedules["cosine"](1000)
    betas = NoiseSchedule().betas()
    inside = (betas > 2e-4) & (betas < 0.999)
    assert inside.sum() > 900
    assert_allclose(betas[inside], expected[torch.from_numpy(inside)], rtol=2e-3)


def test_the_steps_to_a_signal_of_the_schedule_are_found():
    schedule = NoiseSchedule(length=100)
    for steps in (1, 37, 100):
        assert schedule.steps_to(schedule.signal()[steps - 1]) == steps
    assert schedule.steps_to(1.0) == 1
    assert schedule.steps_to(0.0) == 100


@pytest.mark.parametrize("count", [1, 7, 400])
def test_visited_levels_go_from_the_start_to_the_image(count):
    schedule = NoiseSchedule()
    start = 400
    levels = schedule.visited(start, count)
    assert levels.shape == (count + 1,)
    assert levels[0] == schedule.signal()[start - 1]
    assert levels[-1] == 1
    assert (np.diff(levels) > 0).all()
    if count > 1:
        assert levels[-2] == schedule.signal()[0]


def test_the_phase_is_the_angle_of_image_and_noise():
    assert (phase(1.0), phase(0.5)) == pytest.approx((0, np.pi / 4))
    signal = NoiseSchedule().signal()
    assert_allclose(np.cos(phase(signal)), np.sqrt(signal), atol=1e-12)
    assert_allclose(np.sin(phase(signal)), np.sqrt(1 - signal), atol=1e-12)
