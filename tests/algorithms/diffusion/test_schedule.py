import numpy as np
import pytest
import torch
from monai.networks.schedulers import NoiseSchedules

from cytosuite.algorithms.diffusion.schedule import NoiseSchedule, phase
from cytosuite.errors import InputError
from cytosuite.manifest import parse

KINDS = ("cosine", "linear", "quadratic", "sigmoid")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [2, 10, 1000])
def test_the_signal_falls_from_nearly_all_to_little(kind, length):
    found = NoiseSchedule(kind=kind, length=length)
    betas, signal = found.betas(), found.signal()
    assert betas.shape == signal.shape == (length,)
    assert betas.dtype == signal.dtype == np.float64
    assert ((betas > 0) & (betas < 1)).all()
    assert (np.diff(signal) < 0).all()
    assert ((signal > 0) & (signal < 1)).all()


@pytest.mark.parametrize(
    ("kind", "step", "beta", "signal"),
    [  # checked values of the reference sheet
        ("cosine", 0, 1e-4, None),
        ("cosine", 399, None, 0.647),
        ("cosine", 999, 0.9999, 2.4e-10),
        ("linear", 399, None, 0.195),
        ("linear", 999, 0.02, 4.0e-5),
        ("quadratic", 999, 0.02, 7.3e-4),
        ("sigmoid", 0, 1.49e-4, None),
        ("sigmoid", 999, None, 4.0e-5),
    ],
)
def test_known_values(kind, step, beta, signal):
    found = NoiseSchedule(kind=kind)
    if beta is not None:
        assert found.betas()[step] == pytest.approx(beta, rel=5e-3)
    if signal is not None:
        assert found.signal()[step] == pytest.approx(signal, rel=2e-2)


def test_a_schedule_of_two_steps_by_hand():
    found = NoiseSchedule(kind="quadratic", length=2)
    np.testing.assert_allclose(found.betas(), [1e-4, 0.02])
    np.testing.assert_allclose(found.signal(), [0.9999, 0.9999 * 0.98])


@pytest.mark.parametrize(
    ("kind", "peer"),
    [("linear", "linear_beta"), ("quadratic", "scaled_linear_beta"), ("sigmoid", "sigmoid_beta")],
)
def test_variances_are_those_of_monai(kind, peer):
    expected = NoiseSchedules[peer](1000)
    np.testing.assert_allclose(NoiseSchedule(kind=kind).betas(), expected, rtol=2e-4)


def test_the_cosine_is_that_of_monai_within_the_limits():
    expected, *_ = NoiseSchedules["cosine"](1000)
    betas = NoiseSchedule().betas()
    inside = (betas > 2e-4) & (betas < 0.999)
    assert inside.sum() > 900
    np.testing.assert_allclose(betas[inside], expected[torch.from_numpy(inside)], rtol=2e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_the_steps_to_a_signal_of_the_schedule_are_found(kind):
    found = NoiseSchedule(kind=kind, length=100)
    for steps in (1, 37, 100):
        assert found.steps_to(found.signal()[steps - 1]) == steps
    assert found.steps_to(1.0) == 1
    assert found.steps_to(0.0) == 100


@pytest.mark.parametrize("start", [400, 1000])
@pytest.mark.parametrize("count", [1, 2, 7, 399, 400])
def test_visited_levels_go_from_the_start_to_the_image(count, start):
    schedule = NoiseSchedule()
    levels = schedule.visited(start, count)
    assert levels.shape == (count + 1,)
    assert levels[0] == schedule.signal()[start - 1]
    assert levels[-1] == 1
    assert (np.diff(levels) > 0).all()
    assert set(levels[:-1]) <= set(schedule.signal()[:start])
    if count > 1:
        assert levels[-2] == schedule.signal()[0]


def test_all_steps_are_those_of_the_schedule():
    schedule = NoiseSchedule(length=20)
    np.testing.assert_array_equal(schedule.visited(20, 20), [*schedule.signal()[::-1], 1.0])


def test_the_phase_is_the_angle_of_image_and_noise():
    assert phase(1.0) == 0
    assert phase(0.5) == pytest.approx(np.pi / 4)
    assert phase(0.0) == pytest.approx(np.pi / 2)
    signal = NoiseSchedule().signal()
    np.testing.assert_allclose(np.cos(phase(signal)), np.sqrt(signal), atol=1e-12)
    np.testing.assert_allclose(np.sin(phase(signal)), np.sqrt(1 - signal), atol=1e-12)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kind": "cosin"}, "kind"),
        ({"length": 1}, "length"),
        ({"betas": [0.1]}, "betas is not a known key"),
    ],
)
def test_explains_an_impossible_schedule(given, message):
    with pytest.raises(InputError, match=f"card: .*{message}"):
        parse("card", given, NoiseSchedule)
