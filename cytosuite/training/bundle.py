"""Pack models as MONAI bundles: ``python -m cytosuite.training.bundle CARD... --out DIR``."""

import argparse
import io
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from importlib import import_module
from importlib.metadata import PackageNotFoundError, files, version
from pathlib import Path
from typing import Any

import torch

from cytosuite import __version__
from cytosuite.contract.manifest import AlgorithmManifest, ModelCard, read_algorithm, read_card
from cytosuite.contract.tasks import TASKS
from cytosuite.contract.weights import module_of, open_model
from cytosuite.errors import ModelError
from cytosuite.errors.ending import end
from cytosuite.files import Entries, Json, TextSeq, frozen
from cytosuite.files.archive import write_zip
from cytosuite.networks.tiling import reach_of
from cytosuite.training.publish import ALGORITHMS
from cytosuite.volume.arrays import Interval

SCHEMA = (
    "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/"
    "meta_schema_20240725.json"
)
OWN_LICENSE = "Apache-2.0"
ALONE = (
    "The voxels are those of the algorithm's container with this model. The network alone takes "
    "normalised tiles, see `configs/metadata.json`:"
)
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
    module = import_module(network.module)
    loaded = module.load(network.arguments.model_dump(mode="json"), model.weights)
    torch.save(dict(loaded.state_dict()), stream := io.BytesIO())
    return {
        "configs/metadata.json": _json(metadata(card, algorithm, network)),
        "configs/inference.json": _json(inference(card, network)),
        "configs/train.json": _json(training(card)),
        "models/model.pt": stream.getvalue(),
        f"models/{card.name}.json": (folder / f"{card.name}.json").read_bytes(),
        f"models/{model.weights.name}": model.weights.read_bytes(),
        "docs/README.md": readme(name, card, algorithm).encode(),
        "docs/license.txt": license_text(card).encode(),
    }


def _json(value: object) -> bytes:
    """Return a value as JSON in ASCII, for readers of any locale."""
    return json.dumps(value, indent=2, allow_nan=False).encode() + b"\n"


def metadata(card: ModelCard, algorithm: AlgorithmManifest, network: NetworkFormat) -> Json:
    """Return ``configs/metadata.json``, see docs.monai.io/en/stable/mb_specification.html."""
    sides = f"Sides z, y, x are multiples of {' x '.join(map(str, network.arguments.multiple))}"
    return {
        "schema": SCHEMA,
        "version": card.version,
        "name": f"{algorithm.title}, {card.name}",
        "monai_version": version("monai"),
        "pytorch_version": version("torch"),
        "numpy_version": version("numpy"),
        "required_packages_version": {
            "cytosuite": __version__,
            "pytorch-ignite": "0.4.11",
            "safetensors": version("safetensors"),
        },
        "optional_packages_version": {},
        "task": TASKS[card.task].title,
        "description": f"{card.description} {algorithm.description}",
        "authors": card.authors,
        "copyright": f"Copyright (c) {card.authors}; licence {card.license}",
        "intended_use": purpose(card),
        "data_source": data_source(card.trained),
        "data_type": "TIFF, MetaImage",
        "image_classes": f"{'; '.join(network.inputs)}. {sides}; n may differ from side to side.",
        "pred_classes": "; ".join(network.outputs),
        "eval_metrics": card.scores,
        "references": [f"https://doi.org/{doi}" for doi in algorithm.references],
        "network_data_format": {
            "inputs": {
                "image": network.tensor(network.inputs, network.input_range),
                **network.others,
            },
            "outputs": {"pred": network.tensor(network.outputs, network.output_range)},
        },
    }


def inference(card: ModelCard, network: NetworkFormat) -> Json:
    """Return ``configs/inference.json``: the algorithm on the images of a folder, or on one."""
    folder = "Path(@dataset_dir)"
    package = "cytosuite.monai"
    reader = _call(f"{package}.VolumeReader", stack=any(s.axes for s in TASKS[card.task].inputs))
    load = _call("LoadImaged", keys="image", reader=reader, ensure_channel_first=True)
    save = _call("Lambdad", keys="pred", func="$partial(save_volume, folder=@output_dir)")
    weights = "$str(Path(@bundle_root, 'models', 'model.pt'))"
    kind = type(network.arguments)
    arguments = network.arguments.model_dump(mode="json")
    return {
        **_head(card, "output"),
        "socket": network.socket,
        "images": f"$[{folder}] if {folder}.is_file() else image_files({folder})",
        "data": "$[{'image': str(path)} for path in @images]",
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "network_def": _call(
            f"{network.module}.build",
            arguments=_call(f"{network.module}.{kind.__qualname__}", **arguments),
            **network.options,
        ),
        "network": "$@network_def.to(@device)",
        "preprocessing": _call("Compose", transforms=[load]),
        "dataset": _call("Dataset", data="@data", transform="@preprocessing"),
        "dataloader": _call("DataLoader", dataset="@dataset", batch_size=1),
        "inferer": _call(f"{package}.AlgorithmInferer", card="@card", socket="@socket"),
        # Of the network alone, for normalised images.
        "tiles": _call(
            f"{package}.TileInferer",
            tile=network.parameters.tile,
            multiple=network.arguments.multiple,
            halo=reach_of(network.parameters) if network.patches else None,  # None: the whole image
        ),
        "postprocessing": _call("Compose", transforms=[save]),
        "handlers": [
            _call("CheckpointLoader", load_path=weights, load_dict={"model": "@network"})
            | {"map_location": "@device"}
        ],
        "evaluator": _call(
            "SupervisedEvaluator",
            device="@device",
            val_data_loader="@dataloader",
            network="@network",
            inferer="@inferer",
            postprocessing="@postprocessing",
            val_handlers="@handlers",
        ),
        "run": ["$@evaluator.run()"],
    }


def training(card: ModelCard) -> Json:
    """Return ``configs/train.json``: this library's training, from the weights of the bundle on."""
    words = f"'{card.algorithm}', '--data', @dataset_dir, '--name', @name, '--out', @output_dir"
    run = f"$main([{words}, '--from', @card, *map(str, @options)])"
    return {**_head(card, "trained"), "name": "mine", "options": [], "run": [run]}


def _call(target: str, **arguments: object) -> dict[str, object]:
    """Return a call as MONAI's ``ConfigParser`` takes it."""
    return {"_target_": target, **arguments}


def _head(card: ModelCard, output: str) -> Json:
    """Return the items of all configurations; MONAI puts a bundle on the path without its name."""
    look = f"next((p for p in sys.path if Path(p, 'models', '{card.name}.json').is_file()), '.')"
    return {
        "imports": [
            "$import sys",
            "$import torch",
            "$from functools import partial",
            "$from pathlib import Path",
            "$from cytosuite.formats.imagefiles import image_files",
            "$from cytosuite.monai import save_volume",
            "$from cytosuite.training.command import main",
        ],
        "bundle_root": f"${look}",
        "card": f"$str(Path(@bundle_root, 'models', '{card.name}.json'))",
        "dataset_dir": ".",
        "output_dir": output,
    }


def readme(name: str, card: ModelCard, algorithm: AlgorithmManifest) -> str:
    """Return ``docs/README.md``: purpose, use, scores and references of a model."""
    use = (
        "pip install '<checkout or wheel of cytosuite>[networks]' fire pytorch-ignite\n"
        f"unzip {name}.zip\n"
        f"python -m monai.bundle run --config_file {name}/configs/inference.json "
        "--dataset_dir images --output_dir made"
    )
    load = (
        f'network = monai.bundle.load("{name}", bundle_dir=".", workflow_type="inference").eval()'
    )
    parts = [
        f"# {algorithm.title}: {card.name} {card.version}",
        card.description,
        algorithm.description,
        purpose(card),
        f"## Use\n\n```\n{use}\n```",
        f"{ALONE}\n\n```python\nimport monai\n\n{load}\n```",
        "\n".join(("## Scores", "", *scores(card))),
        f"## Training\n\n{data_source(card.trained)} All settings: `models/{card.name}.json`.",
        "\n* https://doi.org/".join(("## References\n", *algorithm.references)),
        f"{card.authors}, {card.license}",
    ]
    return "\n\n".join(parts) + "\n"


def scores(card: ModelCard) -> Iterator[str]:
    """Yield a line per data set, and per simpler method."""
    if not card.scores:
        yield "None were measured."
    for data, values in card.scores.items():
        yield f"* {data}: {_listed(values)}"
    for method, values in card.baselines.items():
        yield f"* simpler method `{method}`: {_listed(values)}"


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
