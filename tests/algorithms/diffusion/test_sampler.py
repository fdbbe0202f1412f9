"""Solvers against closed forms: of normal data the expected image is known exactly."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from monai.networks.schedulers import DDIMScheduler, DDPMScheduler

from cytosuite.algorithms.diffusion.sampler import sample, step_weights
from cytosuite.algorithms.diffusion.schedule import NoiseSchedule

MEAN, SD = 1.5, 0.6
SOLVERS = [("ddpm", 0.0), ("ddim", 0.0), ("ddim", 0.5), ("ddim", 1.0), ("dpm", 0.0)]


def _expected(noised, signal):
    """Return the image that is expected of normal data with `MEAN` and `SD`."""
    a = np.sqrt(signal)
    gain = a * SD**2 / (a**2 * SD**2 + 1 - signal)
    return (MEAN + gain * (noised - a * MEAN)).astype(noised.dtype)


def _no_noise(step):
    pytest.fail(f"noise was drawn in step {step}")


def _noised(levels, size, dtype=np.float32):
    """Return normal data with noise of the first level."""
    rng = np.random.default_rng(0)
    spread = np.sqrt(levels[0] * SD**2 + 1 - levels[0])
    return (np.sqrt(levels[0]) * MEAN + spread * rng.standard_normal(size)).astype(dtype)


def _variance(levels, solver, eta):
    """Return the variance of samples with the exact denoiser, step by step in closed form."""
    variance = levels[0] * SD**2 + 1 - levels[0]
    for signal, following in pairwise(levels):
        a = np.sqrt(signal)
        gain = a * SD**2 / (a**2 * SD**2 + 1 - signal)
        noised, clean, fresh = step_weights(signal, following, solver, eta)
        variance = (noised + clean * gain) ** 2 * variance + fresh**2
    return variance


@pytest.mark.parametrize("signal", [0.001, 0.4, 0.98])
@pytest.mark.parametrize("following", [0.985, 1.0])
@pytest.mark.parametrize(("solver", "eta"), SOLVERS)
def test_a_step_leads_to_the_noise_of_the_next_level(signal, following, solver, eta):
    noised, clean, fresh = step_weights(signal, following, solver, eta)
    # Of a known image: the amplitude of the image, then the variance of the noise.
    assert noised * np.sqrt(signal) + clean == pytest.approx(np.sqrt(following))
    if solver != "ddpm":
        left = noised**2 * (1 - signal) + fresh**2
        assert left == pytest.approx(1 - following, abs=1e-12)
    if following == 1:
        assert (noised, clean, fresh) == (0, 1, 0)


def test_a_step_by_hand():
    # Amplitudes 0.6, 0.8 before and 0.8, 0.6 after: 0.75 of the noised image, 0.35 of the clean.
    assert step_weights(0.36, 0.64, "ddim") == pytest.approx((0.75, 0.35, 0))
    # The step adds 1 - 0.36 / 0.64 = 0.4375, of which 0.36 / 0.64 are the posterior's.
    assert step_weights(0.36, 0.64, "ddim", 1).fresh ** 2 == pytest.approx(0.4375 * 0.5625)
    assert step_weights(0.36, 0.64, "ddpm").fresh ** 2 == pytest.approx(0.4375)
    assert step_weights(0.36, 0.64, "dpm") == step_weights(0.36, 0.64, "ddim")


def test_neighbouring_steps_have_the_published_weights():
    schedule = NoiseSchedule(kind="linear", length=50)
    betas, signal = schedule.betas(), schedule.signal()
    before = np.append(1.0, signal[:-1])
    for t in range(1, 50):
        found = step_weights(signal[t], before[t], "ddim", 1.0)
        clean = np.sqrt(before[t]) * betas[t] / (1 - signal[t])
        noised = np.sqrt(1 - betas[t]) * (1 - before[t]) / (1 - signal[t])
        posterior = betas[t] * (1 - before[t]) / (1 - signal[t])
        assert found == pytest.approx((noised, clean, np.sqrt(posterior)))
        assert step_weights(signal[t], before[t], "ddpm") == pytest.approx(
            (noised, clean, np.sqrt(betas[t]))
        )


@pytest.mark.parametrize(("solver", "eta"), SOLVERS)
@pytest.mark.parametrize("start", [400, 1000])
def test_samples_have_mean_and_variance_of_the_data(solver, eta, start):
    levels = NoiseSchedule().visited(start, 200)
    rng = np.random.default_rng(1)
    made = sample(
        _noised(levels, 200_000),
        _expected,
        levels,
        lambda step: rng.standard_normal(200_000, np.float32),
        solver=solver,
        eta=eta,
    )
    assert made.dtype == np.float32
    assert made.mean() == pytest.approx(MEAN, abs=0.01)
    assert made.std() == pytest.approx(SD, rel=0.03)


@pytest.mark.parametrize(("solver", "eta"), SOLVERS[:4])
def test_the_variance_is_right_for_any_number_of_steps_and_better_with_more(solver, eta):
    errors = []
    for count in (10, 50, 400):
        found = _variance(NoiseSchedule().visited(400, count), solver, eta)
        errors.append(abs(np.sqrt(found) / SD - 1))
    assert errors[0] > errors[1] > errors[2]
    assert errors[1] < 0.08
    assert errors[2] < 0.02


def test_weights_of_single_steps_are_wrong_where_steps_are_left_out():
    # The published way to leave steps out: the noise no longer fits the level.
    schedule = NoiseSchedule()
    steps = np.rint(np.linspace(399, 0, 20)).astype(int)
    variance = schedule.signal()[399] * SD**2 + 1 - schedule.signal()[399]
    for t in steps:
        signal, following = schedule.signal()[t], schedule.signal()[t - 1] if t else 1.0
        a = np.sqrt(signal)
        gain = a * SD**2 / (a**2 * SD**2 + 1 - signal)
        noised, clean, fresh = step_weights(signal, following, "ddpm")
        variance = (noised + clean * gain) ** 2 * variance + fresh**2
    wrong = abs(np.sqrt(variance) / SD - 1)
    right = abs(np.sqrt(_variance(schedule.visited(400, 20), "ddim", 1.0)) / SD - 1)
    assert wrong > 3 * right


def _ode_errors(solver, start, counts):
    """Return the largest differences from the solution of the flow without noise."""
    found = []
    for count in counts:
        levels = NoiseSchedule().visited(start, count)
        noised = _noised(levels, 1000, np.float64)
        spread = np.sqrt(levels[0] * SD**2 + 1 - levels[0])
        exact = MEAN + SD * (noised - np.sqrt(levels[0]) * MEAN) / spread
        made = sample(noised.copy(), _expected, levels, _no_noise, solver=solver)
        found.append(np.abs(made - exact).max())
    return found


@pytest.mark.parametrize("start", [400, 1000])
def test_solvers_without_noise_converge_to_the_flow(start):
    first = _ode_errors("ddim", start, [25, 50, 100])
    second = _ode_errors("dpm", start, [25, 50, 100])
    assert first[0] > 1.6 * first[1] > 1.6**2 * first[2]
    assert all(fast < slow / 8 for fast, slow in zip(second, first, strict=True))


def test_few_steps_of_the_fast_solver_do_not_overshoot():
    (error,) = _ode_errors("dpm", 400, [15])
    assert error < 0.004
    assert error < _ode_errors("ddim", 400, [100])[0]


def test_a_single_step_gives_the_expected_image():
    levels = NoiseSchedule().visited(400, 1)
    noised = _noised(levels, 100)
    expected = _expected(noised, levels[0])
    for solver, eta in SOLVERS:
        made = sample(noised.copy(), _expected, levels, _no_noise, solver=solver, eta=eta)
        np.testing.assert_array_equal(made, expected)


def test_noise_follows_an_expectation_that_was_cut():
    levels = np.array([0.36, 0.64, 1.0])
    seen = []

    def cut(noised, signal):
        seen.append(float(noised[0]))
        return np.clip(noised / np.sqrt(np.float32(signal)), -1, 1)

    made = sample(np.array([1.2], np.float32), cut, levels, _no_noise, solver="ddim")
    # 1 is expected, so that (1.2 - 0.6) / 0.8 = 0.75 is noise: 0.8 + 0.6 * 0.75 comes next.
    assert seen == pytest.approx([1.2, 1.25])
    assert made[0] == 1


def _peer(scheduler, noised, levels):
    """Return the result of one of MONAI's schedulers with the exact denoiser."""
    image = torch.from_numpy(noised.copy())[None]
    for step in scheduler.timesteps.tolist():
        signal = float(scheduler.alphas_cumprod[step])
        clean = torch.from_numpy(_expected(image.numpy(), signal))
        noise = (image - signal**0.5 * clean) / (1 - signal) ** 0.5
        image, _ = scheduler.step(noise, step, image)
    return image[0].numpy()


@pytest.mark.parametrize("kind", ["linear", "quadratic"])
def test_all_steps_agree_with_monais_ddim(kind):
    name = {"linear": "linear_beta", "quadratic": "scaled_linear_beta"}[kind]
    scheduler = DDIMScheduler(100, name, clip_sample=False)
    levels = NoiseSchedule(kind=kind, length=100).visited(100, 100)
    noised = _noised(levels, 50, np.float64)
    made = sample(noised.copy(), _expected, levels, _no_noise, solver="ddim")
    np.testing.assert_allclose(_peer(scheduler, noised, levels), made, atol=2e-3)


def test_all_steps_agree_with_monais_ddpm():
    scheduler = DDPMScheduler(60, "linear_beta", clip_sample=False)
    levels = NoiseSchedule(kind="linear", length=60).visited(60, 60)
    noised = _noised(levels, 50)
    torch.manual_seed(0)
    expected = _peer(scheduler, noised, levels)
    torch.manual_seed(0)
    made = sample(
        noised.copy(), _expected, levels, lambda step: torch.randn(50).numpy(), solver="ddim", eta=1
    )
    np.testing.assert_allclose(expected, made, atol=2e-3)


def test_monais_ddim_misses_the_next_level_where_steps_are_left_out():
    """It steps to ``t - T // n``, though the steps that it visits are spaced otherwise."""
    scheduler = DDIMScheduler(1000, "linear_beta", clip_sample=False)
    scheduler.set_timesteps(15)
    signal = scheduler.alphas_cumprod.numpy()
    steps, errors = scheduler.timesteps.numpy(), []
    for step, following in pairwise(steps):
        weights = step_weights(signal[step], signal[following], "ddim")
        noise = torch.ones(1)  # of an image of zeros: what is left of it is the level of the noise
        noised = noise * (1 - signal[step]) ** 0.5
        theirs = scheduler.step(noise, int(step), noised)[0].item()
        wanted = (1 - signal[following]) ** 0.5
        assert weights.noised * noised.item() == pytest.approx(wanted)
        errors.append(theirs - wanted)
    assert min(errors) > 0
    assert max(errors) > 0.01
