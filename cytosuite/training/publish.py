"""A trained network as a model: weights in safetensors and a card with their digest."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as packed
from torch import Tensor

from cytosuite.files import atomic, write_json
from cytosuite.manifest import ModelCard, parse, read_algorithm
from cytosuite.network import tensors_of
from cytosuite.training.parts import Case, Cases, State, Training, precision
from cytosuite.training.settings import Settings

ALGORITHMS = Path(__file__).parents[2] / "algorithms"


def publish(
    training: Training[Settings, Case],
    settings: Settings,
    state: State,
    cases: Cases[Case],
    path: Path,
    facts: Mapping[str, Any],
) -> Path:
    """Write the weights and the card of a model, and return the card's path.

    Parameters
    ----------
    training, settings, state
        The weights of the best validation are published or, without one, the average.
    cases : mapping of str to sequence
        Cases trained on, by role.
    path : Path
        ``<name>.json``; the weights lie next to it as ``<name>.safetensors``.
    facts : mapping
        Further entries of ``trained``, like the origin.
    """
    best, weights = state.best, path.with_suffix(".safetensors")
    kept = tensors_of(state.average) if best is None else best.weights
    content = packed({name: _small(v) for name, v in kept.items() if v.is_floating_point()})
    with atomic(weights) as temporary:
        temporary.write_bytes(content)
    given = settings.card.model_dump(mode="json")
    card = {
        **given,
        "name": path.stem,
        "algorithm": training.algorithm,
        "task": read_algorithm(ALGORITHMS / training.algorithm / "algorithm.toml").task,
        "describes": {**training.describe(cases, settings), **given["describes"]},
        "parameters": {"network": settings.network.model_dump(mode="json"), **given["parameters"]},
        "weights": weights.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "scores": {"held-out cases": {settings.validation.metric: best.score}} if best else {},
        "trained": {
            **facts,
            "cases": {role: len(found) for role, found in cases.items()},
            "steps": best.step if best else state.step,
            "seed": settings.schedule.seed,
            "seconds": round(state.seconds, 1),
            "device": f"{state.device}, {precision(state.device)}",
            "torch": str(torch.__version__),
        },
    }
    write_json(path, parse(path, card, ModelCard).model_dump(mode="json"))
    return path


def _small(value: Tensor) -> Tensor:
    """Return weights as float16; norms stay float32, as their variances may be too small."""
    return value.cpu().to(torch.float16 if value.ndim > 1 else value.dtype).contiguous()
