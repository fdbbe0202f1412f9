"""Weights of the published programs, ``models.pth``, as our models: Bruch et al. (2023, 2025)."""

from collections.abc import Mapping
from pathlib import Path

import torch

from cytosuite.algorithms.cyclegan3d.network import Architecture, build
from cytosuite.algorithms.cyclegan3d.training.published import generator
from cytosuite.contract.manifest import parse
from cytosuite.errors import InputError
from cytosuite.training.convert import PublishedModel, opened, state

ENDS = {"netG_B_state_dict": "", "netG_A_state_dict": "-back"}  # B is simulated, A real
_FIRST = ("1", "4", "7")  # places of convolutions
_LATER = (10, 13, 17)  # after the blocks


def published(file: Path) -> Mapping[str, PublishedModel]:
    """Return both generators of a file, or the only one, by the ends of the models' names."""
    keys = {key: end for key, end in ENDS.items() if key in opened(file)} or {"": ""}
    return {end: _model(file, key) for key, end in keys.items()}


def _model(file: Path, key: str) -> PublishedModel:
    """Return one generator under the names of our network; InputError for another layout."""
    theirs = state(file, [key], ["module.", "model."])
    blocks = sum(name.endswith("conv_block.1.weight") for name in theirs)
    head = theirs.get("1.weight", torch.empty(0))
    if head.ndim not in (4, 5) or not blocks:
        raise InputError(
            f"{file}: expected a generator of the published CycleGAN (1.weight, 10.conv_block.1."
            f"weight, ...), found {', '.join(list(theirs)[:3])}; give its models.pth"
        )
    width, channels, *kernel = head.shape
    sizes = {"widths": (width, 2 * width, 4 * width), "blocks": blocks, "kernel": kernel[-1]}
    network = parse(file, {**generator(head.ndim - 2), **sizes, "channels": channels}, Architecture)
    with torch.device("meta"):
        parameters = dict(build(network).named_parameters())
    inner = [f"{10 + number}.conv_block.{place}" for number in range(blocks) for place in (1, 5)]
    layers = [*_FIRST, *inner, *(str(place + blocks) for place in _LATER)]
    names = [f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")]
    pairs = dict(zip(parameters, names, strict=True))  # both in the order of the layers
    shapes = {name: tuple(parameters[mine].shape) for mine, name in pairs.items()}
    stored = {name: tuple(value.shape) for name, value in theirs.items()}
    if odd := [name for name in shapes | stored if shapes.get(name) != stored.get(name)]:
        raise InputError(
            f"{file}: this generator of {blocks} blocks and width {width} differs from the "
            f"published one in {odd[0]}, found {stored.get(odd[0], 'none')}; give its models.pth"
        )
    way = "real to simulated" if ENDS.get(key) else "simulated to real"
    entries = {
        "description": f"The published CycleGAN, {way}, from {file.name}.",
        "describes": {"axes": network.axes},
        "parameters": {
            "network": network.model_dump(mode="json"),
            "scale": "dtype",
            "target": {"mean": 0.0, "sd": 1.0, "dtype": "uint16"},
            "guard": "off",
        },
    }
    return PublishedModel(entries, {mine: theirs[name].float() for mine, name in pairs.items()})
