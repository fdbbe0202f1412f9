"""Pack models as MONAI bundles: ``python -m cytosuite.training.bundle CARD... --out DIR``."""

import argparse
import io
import json
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path

import torch
from torch import Tensor

from cytosuite.ending import end
from cytosuite.errors import InputError, ModelError
from cytosuite.files import atomic
from cytosuite.manifest import ModelCard, read_algorithm, read_card
from cytosuite.training.bundle_files import inference, license_text, metadata, readme
from cytosuite.training.network_format import NetworkFormat
from cytosuite.training.publish import ALGORITHMS
from cytosuite.weights import open_model

Formatter = Callable[[ModelCard], NetworkFormat]
DATE = (1980, 1, 1, 0, 0, 0)  # of all members: the earliest that a zip file can hold


def write_bundle(card: Path, out: Path) -> Path:
    """Write the bundle of a model, and return its path.

    Parameters
    ----------
    card : Path
        Its weights lie in the same folder.
    out : Path
        Folder for ``<algorithm>-<model>.zip``, which is made if it is missing.

    Returns
    -------
    Path
        The same bytes for the same model and versions of the packages.

    Raises
    ------
    InputError
        If the card is not valid, or its algorithm has no network that could be bundled.
    ModelError
        If the card has no weights, or these are missing or altered.
    """
    found = read_card(card)
    name = f"{found.algorithm}-{found.name}"
    contents = bundle_files(name, card.parent, found)
    path = out / f"{name}.zip"
    with atomic(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for member in sorted(contents):
            info = zipfile.ZipInfo(f"{name}/{member}", DATE)
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o100644 << 16
            archive.writestr(info, contents[member])
    return path


def bundle_files(name: str, folder: Path, card: ModelCard) -> dict[str, bytes]:
    """Return the files of a bundle by their paths in it.

    Parameters
    ----------
    name : str
        Of the bundle.
    folder : Path
        Holds card and weights.
    card : ModelCard
    """
    model = open_model(folder, card)
    if model.weights is None:
        raise ModelError(
            f"{folder / card.name}.json: a bundle holds a network, but this card has no weights; "
            "name another model"
        )
    network = formatter(card.algorithm)(card)
    algorithm = read_algorithm(ALGORITHMS / card.algorithm / "algorithm.toml")
    return {
        "configs/metadata.json": _json(metadata(card, algorithm, network)),
        "configs/inference.json": _json(inference(card, network)),
        "models/model.pt": _packed(_state(card, network, model.weights)),
        f"models/{card.name}.json": (folder / f"{card.name}.json").read_bytes(),
        f"models/{model.weights.name}": model.weights.read_bytes(),
        "docs/README.md": readme(name, card, algorithm).encode(),
        "docs/license.txt": license_text(card).encode(),
    }


def formatter(algorithm: str) -> Formatter:
    """Return the function ``network_format`` in an algorithm's ``training/bundle.py``.

    Raises
    ------
    InputError
        If there is none: no network, or one that nobody described.
    """
    name = f"cytosuite.algorithms.{algorithm}.training.bundle"
    try:
        found: Formatter = import_module(name).network_format
    except ModuleNotFoundError as error:
        if not name.startswith(str(error.name)):
            raise
        raise InputError(
            f"algorithms/{algorithm}: expected training/bundle.py, which says what its network "
            "takes and gives, found none; write one like algorithms/view_fusion/training/bundle.py"
        ) from None
    return found


def _state(card: ModelCard, network: NetworkFormat, weights: Path) -> Mapping[str, Tensor]:
    """Return weights and buffers of the network as the algorithm loads it, by name."""
    module = import_module(f"cytosuite.algorithms.{card.algorithm}.network")
    loaded: torch.nn.Module = module.load(network.arguments.model_dump(mode="json"), weights)
    return dict(loaded.state_dict())


def _packed(state: Mapping[str, Tensor]) -> bytes:
    """Return a state dictionary as a file of torch that depends on its tensors alone."""
    stream = io.BytesIO()
    torch.save(state, stream)
    return stream.getvalue()


def _json(value: object) -> bytes:
    """Return a value as JSON in ASCII, for readers of any locale."""
    return json.dumps(value, indent=2, allow_nan=False).encode() + b"\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a bundle for each card, and return 0."""
    parser = argparse.ArgumentParser(prog="cytosuite.training.bundle", description=__doc__)
    parser.add_argument("cards", type=Path, nargs="+", help="<model>.json beside its weights")
    parser.add_argument("--out", type=Path, default=Path("dist"), help="folder for the bundles")
    given = parser.parse_args(arguments)
    for card in given.cards:
        sys.stdout.write(f"written: {write_bundle(card, given.out)}\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    end(main)
