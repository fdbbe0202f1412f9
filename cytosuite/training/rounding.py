"""How far the gradient in the fast precision of a processor is off that in float32."""

from copy import deepcopy
from math import inf

import torch
from torch import Tensor

from cytosuite.training.parts import Case, DivergedError, State, Tensors, Training
from cytosuite.training.settings import Settings

_FAINT = 1e-3  # of an optimiser's gradient: the part of a weight below it may be all rounding
_STIR = 0.05  # deviation of weights that are 0 at first: no gradient passes them


def rounding(
    training: Training[Settings, Case], settings: Settings, state: State, batch: Tensors
) -> float:
    """Return the largest relative error of a weight's gradient; inf or NaN where it is not finite.

    On CPUs (torch 2.13) the gradient of a convolution of two planes is wrong in bfloat16, as
    oneDNN takes memory into it that was never written: of one layer among sound ones.
    """
    try:
        exact = _gradients(training, settings, state, batch, inf)
    except DivergedError:
        return 0.0  # which the step itself explains
    try:
        fast = _gradients(training, settings, state, batch, 0.0)
    except DivergedError:
        return inf
    errors = [torch.zeros(())]
    for name, wanted in exact.items():
        least = _FAINT * torch.stack([each.norm() for each in wanted]).norm()
        # Gains, shifts and biases before a norm over an image have gradients near 0.
        errors += [
            (found - each).norm() / each.norm().maximum(least)
            for each, found in zip(wanted, fast[name], strict=True)
            if each.ndim > 1 and each.any()
        ]
    return float(torch.stack(errors).max())


def _gradients(
    training: Training[Settings, Case],
    settings: Settings,
    state: State,
    batch: Tensors,
    assumed: float,
) -> dict[str, list[Tensor]]:
    """Return the gradients of each optimiser at a copy of a state, with an assumed `rounding`."""
    probe = deepcopy(state)
    probe.rounding, probe.clip, probe.step = assumed, inf, -1  # the judges' turn, whatever it is
    torch.manual_seed(settings.schedule.seed)
    for optimiser in probe.optimisers.values():
        for group in optimiser.param_groups:
            group["lr"] = 0.0
            for weight in group["params"]:
                if weight.ndim > 1 and not weight.any():
                    torch.nn.init.normal_(weight, std=_STIR)
    for module in probe.modules.values():
        module.train()
    training.step(probe, batch, settings)
    return {
        name: [
            weight.grad
            for group in optimiser.param_groups
            for weight in group["params"]
            if weight.grad is not None
        ]
        for name, optimiser in probe.optimisers.items()
    }
