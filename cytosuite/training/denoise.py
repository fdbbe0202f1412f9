"""The step of a denoiser's training: noised crops in, the loss of its answer out."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cytosuite.denoising.noise import NoiseSchedule, phase
from cytosuite.training.parts import State, Tensors
from cytosuite.volume.arrays import Floats, Reals

FURTHER = ("sketch", "position", "channel")  # inputs of a denoiser next to the noised image


def phases(place: Reals, schedule: NoiseSchedule) -> Floats:
    """Return the phases of places 0..1 of the schedule, (N,)."""
    signal = schedule.signal()
    steps = np.minimum((place * signal.size).astype(int), signal.size - 1)
    return np.asarray(phase(signal[steps]), np.float32)


def with_further(crops: Tensor, batch: Tensors, names: Iterable[str] = FURTHER) -> Tensor:
    """Return crops with further channels of a batch, those that it has."""
    return torch.cat([crops, *(batch[name] for name in names if name in batch)], 1)


def denoising_step(state: State, batch: Tensors, settings: Any) -> Tensors:  # noqa: ANN401
    """Take a step towards the noise, or the velocity, of noised crops, and return the loss."""
    angle = batch["phase"][:, None, None, None, None]
    image = batch["image"]
    noise = batch["noise"]
    noised = angle.cos() * image + angle.sin() * noise
    noisy = settings.network.predicts == "noise"
    target = noise if noisy else angle.cos() * noise - angle.sin() * image
    with state.autocast():
        answer = state.modules["network"](with_further(noised, batch), batch["phase"])
    loss = (answer - target).square().mean()
    state.update("network", loss)
    return {"loss": loss.detach()}
