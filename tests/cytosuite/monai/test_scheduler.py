import numpy as np
import pytest
import torch
from mistakes import refused

from cytosuite.denoising.sampling import sample
from cytosuite.monai import DPMSolverScheduler

MEAN, SD = 0.3, 0.5  # of normal data, whose denoiser is known in closed form


def _expected(noised, signal):
    gain = signal**0.5 * SD**2 / (signal * SD**2 + 1 - signal)
    return MEAN + gain * (noised - signal**0.5 * MEAN)


ANSWERS = {
    "sample": lambda clean, noised, signal: clean,
    "epsilon": lambda clean, noised, signal: (noised - signal**0.5 * clean) / (1 - signal) ** 0.5,
    "v_prediction": lambda clean, noised, signal: (
        (signal**0.5 * noised - clean) / (1 - signal) ** 0.5
    ),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_its_images_are_those_of_the_diffusion_model(kind):
    scheduler = DPMSolverScheduler(1000, "sigmoid_beta", kind)
    scheduler.set_timesteps(8)
    start = torch.randn(500, generator=torch.Generator().manual_seed(0))
    image = start
    for step in scheduler.timesteps:
        signal = float(scheduler.alphas_cumprod[step])
        image, _ = scheduler.step(
            ANSWERS[kind](_expected(image, signal), image, signal), step, image
        )
    levels = np.append(scheduler.alphas_cumprod[scheduler.timesteps].double(), 1.0)
    np.testing.assert_allclose(
        image, sample(start.numpy().copy(), _expected, levels, lambda _: None), atol=2e-4
    )
    assert abs(float(image.std()) - SD) < 0.05


def test_an_unknown_answer_or_too_many_steps_are_one_line():
    refused(
        "prediction_type: expected one of .* found noise",
        DPMSolverScheduler,
        prediction_type="noise",
    )
    refused("steps must be 1 to 10, found 11", DPMSolverScheduler(10).set_timesteps, 11)
