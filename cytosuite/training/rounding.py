"""Whether gradients of a training are sound in the fast precision of a CPU."""

from copy import deepcopy
from math import inf
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from cytosuite.training.parts import DivergedError, State, Tensors, Training
from cytosuite.training.settings import Settings

_FAINT = 1e-3  # of an optimiser's gradient: the part of a weight below it may be all rounding
_STIR = 0.05  # deviation of weights that are 0 at first: no gradient passes them


def rounding(
    training: Training[Any, Any], settings: Settings, state: State, batch: Tensors
) -> float:
    """Return the largest relative error of a gradient in fast precision; oneDNN has bugs there."""
    overhung: list[bool] = []
    try:
        with register_module_forward_pre_hook(lambda *call: overhung.append(_overhangs(*call))):
            exact = _gradients(training, settings, state, batch, inf)
    except DivergedError:
        return 0.0  # which the step itself explains
    if any(overhung):
        return inf
    try:
        fast = _gradients(training, settings, state, batch, 0.0)
    except DivergedError:
        return inf
    errors = [torch.zeros(())]
    for name, gradients in exact.items():
        least = _FAINT * torch.stack([gradient.norm() for gradient in gradients]).norm()
        # Gains, shifts and biases before a norm over an image have gradients near 0.
        errors += [
            (approximate - gradient).norm() / gradient.norm().maximum(least)
            for gradient, approximate in zip(gradients, fast[name], strict=True)
            if gradient.ndim > 1 and gradient.any()
        ]
    return float(torch.stack(errors).max())


def _overhangs(layer: nn.Module, inputs: tuple[Tensor, ...]) -> bool:
    """Return whether a convolution is longer along z than its input.

    In bfloat16 oneDNN leaves parts of its gradient unwritten, and may write beyond the end.
    """
    return isinstance(layer, nn.Conv3d) and 1 < inputs[0].shape[2] < layer.kernel_size[0]


def _gradients(
    training: Training[Any, Any], settings: Settings, state: State, batch: Tensors, assumed: float
) -> dict[str, list[Tensor]]:
    """Return the gradients of each optimiser at a copy of a state, with an assumed `rounding`."""
    probe = deepcopy(state)
    probe.rounding, probe.clip, probe.step = assumed, inf, -1  # at -1 every network takes a turn
    torch.manual_seed(settings.schedule.seed)
    weights = {
        name: [weight for group in optimiser.param_groups for weight in group["params"]]
        for name, optimiser in probe.optimisers.items()
    }
    for name, optimiser in probe.optimisers.items():
        for group in optimiser.param_groups:
            group["lr"] = 0.0
        for weight in weights[name]:
            if weight.ndim > 1 and not weight.any():
                torch.nn.init.normal_(weight, std=_STIR)
    for module in probe.modules.values():
        module.train()
    training.step(probe, batch, settings)
    return {
        name: [weight.grad for weight in group if weight.grad is not None]
        for name, group in weights.items()
    }
