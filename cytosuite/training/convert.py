"""Weights that torch has saved, as safetensors: ``python -m cytosuite.training.convert``.

Nothing in a file of weights is run.
"""

import sys
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from pickle import UnpicklingError
from typing import NamedTuple, cast
from zipfile import is_zipfile

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from cytosuite.contract.manifest import read_algorithm, read_card
from cytosuite.contract.weights import SAFE, write_model
from cytosuite.contract.words import Say
from cytosuite.errors import InputError, last_line
from cytosuite.errors.ending import end
from cytosuite.files import Entries, TextSeq, file_digest, open_regular, read_json
from cytosuite.files.archive import ZipReader
from cytosuite.networks.network import refuse_nan
from cytosuite.training.parts import Tensors
from cytosuite.training.publish import ALGORITHMS

NESTED = ("state_dict", "model_state_dict", "model")  # in checkpoints; mappings alone
WRAPPERS = ("module.", "_orig_mod.")  # of networks on several GPUs, and of compiled ones
BROKEN = (SafetensorError, OSError, EOFError, RuntimeError, LookupError, TypeError, ValueError)
MEMBERS = 2**17  # of a file of torch, an archive with one for each tensor


class PublishedModel(NamedTuple):
    """A model in a published file; ``training/weights.py`` of an algorithm has ``published``."""

    entries: Entries  # of the card: description, describes, parameters
    tensors: Tensors  # under the names of our network


def convert(file: Path, card: Path, say: Say = print) -> Path:
    """Write weights of a torch file next to their card, of a published file with new cards."""
    if not card.exists() and (find := _published(card.parent.name)):
        models = {
            card.with_name(f"{card.stem}{end}.json"): content for end, content in find(file).items()
        }
        for path in models:
            if path.exists():
                raise InputError(f"{path}: a model of this name exists; give another name")
        home = read_algorithm(ALGORITHMS / card.parent.name / "algorithm.toml")
        facts = {
            "algorithm": home.name,
            "task": home.task,
            "version": home.version,
            "authors": "unknown",
            "license": "NOASSERTION",
            "trained": {"file": file.name, "sha256": file_digest(file)},
        }
        for path, (described, tensors) in models.items():
            _write(path, {"name": path.stem, **facts, **described}, _packed(file, tensors), say)
        return card.with_suffix(".safetensors")
    read_card(card)
    if key := _nested(opened(file), NESTED):
        say(f"{file}: a checkpoint, its {key} is taken")
    return _write(card, read_json(card), _packed(file, state(file, NESTED, WRAPPERS)), say)


def _published(algorithm: str) -> Callable[[Path], Mapping[str, PublishedModel]] | None:
    """Return the reader of an algorithm's published files, by the suffix of a model's name."""
    if not (ALGORITHMS / algorithm / "training/weights.py").is_file():
        return None
    module = import_module(f"cytosuite.algorithms.{algorithm}.training.weights")
    return cast(Callable[[Path], Mapping[str, PublishedModel]], module.published)


def _write(card: Path, content: Entries, packed: bytes, say: Say) -> Path:
    """Write packed weights and the card that names them, and return the weights' path."""
    path = card.with_suffix(".safetensors")
    write_model(card, content, packed)
    say(f"written: {path}, {len(packed) / 1e6:.3g} MB, named in {card}")
    return path


def _packed(file: Path, tensors: Tensors) -> bytes:
    """Return tensors as safetensors; InputError for NaN and for types that it does not hold."""
    try:  # copies: safetensors refuses weights that share memory
        packed = save({n: value.detach().clone().contiguous() for n, value in tensors.items()})
    except BROKEN as error:
        raise InputError(f"{file}: cannot be safetensors ({last_line(error)})") from None
    refuse_nan(tensors, file)
    return packed


def _nested(content: Entries, keys: TextSeq) -> str:
    """Return the first of some keys that holds a mapping, none where no one does."""
    return next((key for key in keys if isinstance(content.get(key), Mapping)), "")


def state(path: Path, keys: TextSeq, prefixes: TextSeq) -> dict[str, Tensor]:
    """Return the tensors of a file, or of its first key there is; a prefix of all names is left."""
    content = opened(path)
    if key := _nested(content, keys):
        content = content[key]
    if not content:
        raise InputError(f"{path}: expected tensors by name, found none")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise InputError(
                f"{path}: expected tensors by name, found {type(value).__name__} as {name!r}; save "
                "them by torch.save(network.state_dict(), file)"
            )
    tensors = dict(content)
    for prefix in prefixes:
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return tensors


def opened(path: Path) -> Entries:
    """Return the mapping that a file of weights holds; InputError for code or anything else."""
    try:
        with open_regular(path) as stream, warnings.catch_warnings(action="ignore"):
            if path.suffix == SAFE:
                return load_file(path)
            if is_zipfile(stream):
                ZipReader(path, stream, MEMBERS)  # refuses members that would fill the memory
            content = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError:
        raise InputError(
            f"{path}: holds Python objects, which could run code, not weights alone; save them by "
            "torch.save(network.state_dict(), file)"
        ) from None
    except BROKEN as error:
        raise InputError(
            f"{path}: cannot be read as weights that torch saved ({last_line(error)})"
        ) from None
    if not isinstance(content, Mapping):
        raise InputError(f"{path}: expected tensors by name, found {type(content).__name__}")
    return content


def main() -> None:
    """Convert the weights of the first argument for the card of the second."""
    file, card = map(Path, sys.argv[1:])
    convert(file, card)


if __name__ == "__main__":
    end(main)
