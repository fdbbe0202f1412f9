"""The state of a training: how it begins, what it depends on, how it is put down and taken up."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from algorithms.cellpose3d.network import FlowNet, build, load_weights
from algorithms.cellpose3d.training.settings import Settings
from cytosuite.errors import InputError
from cytosuite.files import digest, read_json
from cytosuite.manifest import read_card
from cytosuite.training.tools import (
    optimiser_tensors,
    put_tensors,
    read_checkpoint,
    restore_optimiser,
    save_checkpoint,
    tensors_of,
)
from cytosuite.weights import open_model

Origin = dict[str, Any]

HERE = Path(__file__).parent
_BINDING = ("dataset", "settings", "parent")  # another source may still finish a training


@dataclass(slots=True)
class State:
    """Everything that a step changes.

    Parameters
    ----------
    network : FlowNet
        Being trained.
    average : FlowNet
        Its moving average, which is what will be published.
    optimiser : AdamW
    step : int
        Steps taken.
    seconds : float
        Time they took, interruptions not counted.
    """

    network: FlowNet
    average: FlowNet
    optimiser: torch.optim.AdamW
    step: int = 0
    seconds: float = 0.0


def begin(settings: Settings, parent: Path | None, device: str) -> State:
    """Return a new network, or one with a parent's weights, and its optimiser.

    Parameters
    ----------
    settings : Settings
    parent : Path or None
        Card of the model to start from; its network must be that of the settings.
    device : {"cpu", "cuda"}

    Raises
    ------
    InputError
        If there is no GPU, or the parent does not fit.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device cuda: no GPU was found here; use the device cpu")
    arguments = settings.network.arguments()
    torch.manual_seed(settings.schedule.seed)
    network, average = build(arguments), build(arguments)
    if parent is not None:
        card = read_card(parent)
        found = card.parameters.get("network")
        if found != arguments:
            raise InputError(
                f"{parent}: expected the network {arguments}, found {found}; change [network] in "
                "the settings"
            )
        weights = open_model(parent.parent, card).weights
        if weights is None:
            raise InputError(f"{parent}: this model has no weights to start from")
        load_weights(network, weights)
    average.load_state_dict(network.state_dict())
    network.to(device)
    average.to(device)
    decay = settings.schedule.weight_decay
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=decay, fused=True)
    return State(network, average, optimiser)


def origin(data: Path, settings: Settings, parent: Path | None) -> Origin:
    """Return what the result depends on.

    Parameters
    ----------
    data : Path
        Training volumes; the fingerprint in ``dataset.json`` or, without it, a digest of all.
    settings : Settings
    parent : Path or None
        Card of the model to start from.

    Returns
    -------
    dict
        ``dataset``, ``settings``, ``source`` (digest of the code), and ``parent`` (name, sha256)
        where there is one.
    """
    facts = data / "dataset.json"
    fingerprint = read_json(facts)["fingerprint"] if facts.is_file() else digest([data], data)
    found: Origin = {
        "dataset": fingerprint,
        "settings": settings.model_dump(mode="json", exclude={"card"}),
        "source": digest(list(HERE.glob("*.py")), HERE),
    }
    if parent is not None:
        found["parent"] = {"name": parent.stem, "sha256": read_card(parent).sha256}
    return found


def save(state: State, path: Path, made_from: Origin) -> None:
    """Write a checkpoint, whole or not at all.

    Parameters
    ----------
    state : State
    path : Path
        ``*.safetensors``.
    made_from : dict
        From `origin`.
    """
    tensors: dict[str, Tensor] = {}
    tensors |= {f"network.{name}": value for name, value in tensors_of(state.network).items()}
    tensors |= {f"average.{name}": value for name, value in tensors_of(state.average).items()}
    tensors |= {f"adam.{name}": value for name, value in optimiser_tensors(state.optimiser).items()}
    facts = {"step": state.step, "seconds": state.seconds, "origin": made_from}
    save_checkpoint(path, tensors, facts)


def restore(state: State, path: Path, made_from: Origin) -> None:
    """Put a checkpoint into a state, which then goes on as if it had never stopped.

    Parameters
    ----------
    state : State
        Changed in place.
    path : Path
        From `save`.
    made_from : dict
        From `origin`.

    Raises
    ------
    InputError
        If the file is no checkpoint, or one of another training.
    """
    tensors, facts = read_checkpoint(path)
    old = facts.get("origin", {})
    differs = [key for key in _BINDING if old.get(key) != made_from.get(key)]
    if differs:
        raise InputError(
            f"{path}: this checkpoint was made with another {' and '.join(differs)}; give the "
            "same, or --restart to begin anew"
        )
    parts: dict[str, dict[str, Tensor]] = {"network": {}, "average": {}, "adam": {}}
    for name, value in tensors.items():
        part, rest = name.split(".", 1)
        parts[part][rest] = value
    put_tensors(state.network, parts["network"], path)
    put_tensors(state.average, parts["average"], path)
    restore_optimiser(state.optimiser, parts["adam"])
    state.step, state.seconds = facts["step"], facts["seconds"]
