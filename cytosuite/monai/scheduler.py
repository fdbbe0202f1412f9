"""DPM-Solver++ as a scheduler of MONAI, which has none of second order."""

from typing import Any

import torch
from monai.networks.schedulers.scheduler import Scheduler
from torch import Tensor

from cytosuite.denoising.noise import SecondOrder, step_weights
from cytosuite.errors import InputError
from cytosuite.volume.arrays import Interval

ANSWERS = ("epsilon", "sample", "v_prediction")


class DPMSolverScheduler(Scheduler):
    """DPM-Solver++ (2M), in place of ``DDIMScheduler``: its change continues from step to step.

    Lu et al., DPM-Solver++, 2022, algorithm 2, doi:10.48550/arXiv.2211.01095. It remembers the last
    step: `set_timesteps` before each batch.

    `schedule` is a name in MONAI's ``NoiseSchedules``, which gets all further arguments;
    `prediction_type` one of `ANSWERS`; `clip` the lowest and highest value of an expected image.
    `InputError` for another type, or more steps than the training had.

    Examples
    --------
    >>> scheduler = DPMSolverScheduler(1000, "cosine")
    >>> scheduler.set_timesteps(4)
    >>> scheduler.timesteps.tolist()
    [999, 666, 333, 0]
    """

    def __init__(
        self,
        num_train_timesteps: int = 1000,
        schedule: str = "linear_beta",
        prediction_type: str = "epsilon",
        clip: Interval | None = None,
        **schedule_args: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(num_train_timesteps, schedule, **schedule_args)
        if prediction_type not in ANSWERS:
            raise InputError(f"prediction_type: expected one of {ANSWERS}, found {prediction_type}")
        self.prediction_type, self.clip = prediction_type, clip
        self.course: SecondOrder[Tensor] = SecondOrder()

    def set_timesteps(self, steps: int, device: str | torch.device | None = None) -> None:
        """Choose evenly spread steps from the noisiest on, and forget the last one."""
        if not 0 < steps <= self.num_train_timesteps:
            raise InputError(f"steps must be 1 to {self.num_train_timesteps}, found {steps}")
        self.num_inference_steps, self.course = steps, SecondOrder()
        spread = torch.linspace(self.num_train_timesteps - 1, 0, steps, device=device)
        self.timesteps = spread.round().long()

    def step(self, model_output: Tensor, timestep: int, sample: Tensor) -> tuple[Tensor, Tensor]:
        """Return the image after a step, and the image without noise that the network expects."""
        later = self.timesteps[self.timesteps < timestep]
        signal = float(self.alphas_cumprod[timestep])
        following = float(self.alphas_cumprod[later[0]]) if len(later) else 1.0
        image, noise = signal**0.5, (1 - signal) ** 0.5  # amplitudes
        clean = model_output
        if self.prediction_type == "epsilon":
            clean = (sample - noise * model_output) / image
        elif self.prediction_type == "v_prediction":
            clean = image * sample - noise * model_output
        clean = clean if self.clip is None else clean.clamp(*self.clip)
        weights = step_weights(signal, following, "dpm")
        expected = self.course.expected(clean, signal, following)
        return weights.noised * sample + weights.clean * expected, clean
