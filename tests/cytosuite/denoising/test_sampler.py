"""Solvers against closed forms: of normal data the expected image is known exactly."""

import numpy as np
import pytest

from cytosuite.denoising.noise import NoiseSchedule, step_weights
from cytosuite.denoising.sampling import sample

MEAN = 1.5
SD = 0.6


def _expected(noised, signal):
    """Return the image that is expected of normal data with `MEAN` and `SD`."""
    a = np.sqrt(signal)
    gain = a * SD**2 / (a**2 * SD**2 + 1 - signal)
    return (MEAN + gain * (noised - a * MEAN)).astype(noised.dtype)


def _no_noise(step):
    pytest.fail(f"noise was drawn in step {step}")


def test_a_step_by_hand():
    # Amplitudes 0.6, 0.8 before and 0.8, 0.6 after: 0.75 of the noised image, 0.35 of the clean.
    assert step_weights(0.36, 0.64, "ddim") == pytest.approx((0.75, 0.35, 0))
    # The step adds 1 - 0.36 / 0.64 = 0.4375, of which 0.36 / 0.64 are the posterior's.
    assert step_weights(0.36, 0.64, "ddim", 1).fresh ** 2 == pytest.approx(0.4375 * 0.5625)
    assert step_weights(0.36, 0.64, "ddpm").fresh ** 2 == pytest.approx(0.4375)
    assert step_weights(0.36, 0.64, "dpm") == step_weights(0.36, 0.64, "ddim")


def _ode_errors(solver):
    """Return the largest differences from the solution of the flow without noise."""
    errors = []
    drawn = np.random.default_rng(0).standard_normal(1000)
    for count in (25, 50, 100):
        levels = NoiseSchedule().visited(1000, count)
        noised = np.sqrt(levels[0]) * MEAN + np.sqrt(levels[0] * SD**2 + 1 - levels[0]) * drawn
        image = sample(noised, _expected, levels, _no_noise, solver=solver)
        errors.append(np.abs(image - MEAN - SD * drawn).max())
    return errors


def test_solvers_without_noise_converge_to_the_flow():
    first, second = map(_ode_errors, ("ddim", "dpm"))
    assert first[0] > 1.6 * first[1] > 1.6**2 * first[2]
    assert all(fast < slow / 8 for fast, slow in zip(second, first, strict=True))


def test_noise_follows_an_expectation_that_was_cut():
    levels = np.array([0.36, 0.64, 1.0])
    seen = []

    def cut(noised, signal):
        seen.append(float(noised[0]))
        return np.clip(noised / np.sqrt(np.float32(signal)), -1, 1)

    image = sample(np.array([1.2], np.float32), cut, levels, _no_noise, solver="ddim")
    # 1 is expected, so that (1.2 - 0.6) / 0.8 = 0.75 is noise: 0.8 + 0.6 * 0.75 comes next.
    assert seen == pytest.approx([1.2, 1.25])
    assert image[0] == 1
