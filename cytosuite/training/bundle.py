"""Pack models as MONAI bundles: ``python -m cytosuite.training.bundle CARD... --out DIR``."""

import argparse
import io
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import field
from importlib import import_module
from importlib.metadata import PackageNotFoundError, files, version
from pathlib import Path
from typing import Any

import torch
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cytosuite import __version__
from cytosuite.contract.manifest import ModelCard, read_algorithm, read_card
from cytosuite.contract.tasks import TASKS
from cytosuite.contract.weights import module_of, open_model
from cytosuite.errors import ModelError
from cytosuite.errors.ending import end
from cytosuite.files import Entries, Json, TextSeq, frozen
from cytosuite.files.archive import write_zip
from cytosuite.networks.tiling import reach_of
from cytosuite.training.publish import ALGORITHMS
from cytosuite.volume.arrays import Interval

OWN_LICENSE = "Apache-2.0"
COURSE = ("settings", "curves", "data")  # of a training: too long, or named on their own

_LACK = (
    "expected training/bundle.py, which says what its network takes and gives, found none; write "
    "one like algorithms/view_fusion/training/bundle.py"
)


@frozen
class NetworkFormat:
    """A network as other programs see it; ``network_format`` in ``training/bundle.py`` gives it."""

    parameters: Any  # of a card: the arguments of the network, its tile, perhaps its halo
    inputs: TextSeq  # channels of the image and of the answer
    outputs: TextSeq
    input_range: Interval | None = None  # bounds of their values; None where there are none
    output_range: Interval | None = None
    patches: bool = True  # the answer for a part of an image is that for the whole, inside
    options: Entries = field(default_factory=dict)  # further arguments of ``build``
    others: Mapping[str, Entries] = field(default_factory=dict)  # further inputs
    socket: str | None = None  # slug of the model's input, where it is not the task's main one

    @property
    def arguments(self) -> Any:  # noqa: ANN401 - of any network
        """The arguments of ``build`` in the algorithm's ``network.py``."""
        return self.parameters.network

    @property
    def module(self) -> str:
        """The module of the arguments, which has ``build`` and ``load``, too."""
        return type(self.arguments).__module__

    def tensor(self, channels: TextSeq, bounds: Interval | None) -> Json:
        """Return the format of images of the network.

        Sides are written as MONAI writes multiples: ``16*n``, ``*``; n may differ between sides.
        """
        shape = ["*" if step == 1 else f"{step}*n" for step in self.arguments.multiple]
        return tensor(channels, shape, bounds, patches=self.patches)


def tensor(
    channels: TextSeq,
    shape: Sequence[str | int],
    bounds: Interval | None,
    *,
    patches: bool,
) -> Json:
    """Return the format of a float32 tensor; a side is a number, or a text for its multiples."""
    return {
        "type": "image",
        "format": "magnitude",
        "modality": "fluorescence microscopy",
        "num_channels": len(channels),
        "spatial_shape": list(shape),
        "dtype": "float32",
        "value_range": list(bounds or ()),
        "is_patch_data": patches,
        "channel_def": {str(number): text for number, text in enumerate(channels)},
    }


def write_bundle(card: Path, out: Path) -> Path:
    """Write ``<algorithm>-<model>.zip`` for a card, the same bytes each time; return its path."""
    read = read_card(card)
    name = f"{read.algorithm}-{read.name}"
    contents = bundle_files(name, card.parent, read)
    return write_zip(
        out / f"{name}.zip", {f"{name}/{path}": text for path, text in contents.items()}
    )


def bundle_files(name: str, folder: Path, card: ModelCard) -> dict[str, bytes]:
    """Return the files of a bundle by their paths in it; `folder` holds card and weights."""
    model = open_model(folder, card)
    if not model.weights:
        raise ModelError(
            f"{folder / card.name}.json: a bundle holds a network, but this card has no weights; "
            "name another model"
        )
    described = module_of(card.algorithm, "training.bundle", _LACK)
    network: NetworkFormat = described.network_format(card)
    algorithm = read_algorithm(ALGORITHMS / card.algorithm / "algorithm.toml")
    loaded = import_module(network.module).load(
        network.arguments.model_dump(mode="json"), model.weights
    )
    torch.save(dict(loaded.state_dict()), stream := io.BytesIO())
    task = TASKS[card.task]
    kind = type(network.arguments)
    definition = {
        "_target_": f"{network.module}.build",
        "arguments": {
            "_target_": f"{network.module}.{kind.__qualname__}",
            **network.arguments.model_dump(mode="json"),
        },
        **network.options,
    }
    facts = {
        "name": name,
        "card": card,
        "algorithm": algorithm,
        "network": network,
        "definition": definition,
        "halo": reach_of(network.parameters) if network.patches else None,
        "stack": any(socket.axes for socket in task.inputs),
        "task": task.title,
        "purpose": purpose(card),
        "source": data_source(card.trained),
        "own_version": __version__,
        "version": version,
        "listed": _listed,
    }
    configs = {
        f"configs/{part}.json": _config(_filled(part, facts))
        for part in ("metadata", "inference", "train")
    }
    return {
        **configs,
        "models/model.pt": stream.getvalue(),
        f"models/{card.name}.json": (folder / f"{card.name}.json").read_bytes(),
        f"models/{model.weights.name}": model.weights.read_bytes(),
        "docs/README.md": _filled("readme", facts).encode(),
        "docs/license.txt": license_text(card).encode(),
    }


def _filled(part: str, facts: Entries) -> str:
    """Return a template of this folder with facts in place."""
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    templates.policies["json.dumps_kwargs"] = {}  # in the order of the facts
    return templates.get_template(f"bundle_{part}.template").render(facts)


def _config(text: str) -> bytes:
    """Return JSON in ASCII, for readers of any locale."""
    return json.dumps(json.loads(text), indent=2, allow_nan=False).encode() + b"\n"


def purpose(card: ModelCard) -> str:
    """Return a sentence about the images that a model was made for."""
    return f"Research on images with {_listed(card.describes)}; not for diagnosis."


def data_source(trained: Entries) -> str:
    """Return a sentence about the data and the course of a training, without its settings."""
    data = trained.get("data") or {
        key: trained[key] for key in ("dataset", "datasets") if key in trained
    }
    course = {key: value for key, value in trained.items() if key not in (*COURSE, *data)}
    return f"SHA-256 of the data: {_listed(data) or 'unknown'}. Training: {_listed(course)}."


def _listed(values: Entries) -> str:
    """Return names and values as a text: lists with spaces, mappings in brackets."""

    def text(value: object) -> str:
        """Return a value as a text."""
        if isinstance(value, Mapping):
            return f"({_listed(value)})"
        if isinstance(value, list | tuple):
            return " ".join(map(text, value))
        return f"{value:g}" if isinstance(value, float) else str(value)

    return ", ".join(f"{key} {text(value)}" for key, value in values.items())


def license_text(card: ModelCard) -> str:
    """Return the name of a card's licence, with the text of this library's own."""
    head = f"{card.name}: {card.authors}\nSPDX-License-Identifier: {card.license}\n"
    if card.license != OWN_LICENSE:
        return f"{head}https://spdx.org/licenses/{card.license}.html\n"
    path = Path(__file__).resolve().parents[2] / "LICENSE"  # of a checkout
    if path.is_file():
        return f"{head}\n{path.read_text(encoding='utf-8')}"
    installed = [file for file in files("cytosuite") or () if file.name == "LICENSE"]
    if not installed:
        raise PackageNotFoundError("cytosuite")  # a broken installation: the wheel holds it
    return f"{head}\n{installed[0].read_text(encoding='utf-8')}"


def main(arguments: TextSeq | None = None) -> int:
    """Write a bundle for each card, and return 0."""
    parser = argparse.ArgumentParser(prog="cytosuite.training.bundle", description=__doc__)
    parser.add_argument("cards", type=Path, nargs="+", help="<model>.json with its weights")
    parser.add_argument("--out", type=Path, default=Path("dist"), help="folder for the bundles")
    options = parser.parse_args(arguments)
    for card in options.cards:
        sys.stdout.write(f"written: {write_bundle(card, options.out)}\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    end(main)
