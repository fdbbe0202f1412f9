"""Weights that torch has saved, as safetensors: ``python -m cytosuite.training.convert``."""

import hashlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors.torch import save

from cytosuite.ending import end
from cytosuite.errors import InputError, last_line
from cytosuite.files import atomic, read_json, write_json
from cytosuite.manifest import read_card

NESTED = ("state_dict", "model_state_dict")  # where checkpoints keep the weights


def convert(file: Path, card: Path, say: Callable[[str], None] = print) -> Path:
    """Write the weights in a file of torch beside a card, name them in it, and return their path.

    An `InputError` refuses a card that is none, and a file with more than named tensors.
    """
    read_card(card)
    content, path = _packed(file, say), card.with_suffix(".safetensors")
    with atomic(path) as temporary:
        temporary.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    entries = {"weights": path.name, "sha256": digest, "bytes": len(content)}
    write_json(card, {**read_json(card), **entries})
    say(f"written: {path}, {len(content) / 1e6:.3g} MB, named in {card}")
    return path


def main() -> None:
    """Convert the weights of the first argument for the card of the second."""
    file, card = map(Path, sys.argv[1:])
    convert(file, card)


def _packed(file: Path, say: Callable[[str], None]) -> bytes:
    """Return the tensors of a file of torch as safetensors; nothing in it is executed."""
    try:
        found: Any = torch.load(file, map_location="cpu", weights_only=True)
    except UnpicklingError:
        raise InputError(
            f"{file}: holds Python objects, which could run code, not weights alone; save them by "
            "torch.save(network.state_dict(), file)"
        ) from None
    except (OSError, EOFError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{file}: cannot be read as weights ({last_line(error)})") from None
    if isinstance(found, Mapping) and (nested := [key for key in NESTED if key in found]):
        say(f"{file}: a checkpoint, its {nested[0]} is taken")
        found = found[nested[0]]
    if not isinstance(found, Mapping) or not found:
        raise InputError(f"{file}: expected tensors by name, found {type(found).__name__}")
    for name, value in found.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise InputError(
                f"{file}: expected tensors by name, found {type(value).__name__} as {name!r}; save "
                "them by torch.save(network.state_dict(), file)"
            )
    try:  # copies: safetensors refuses weights that share memory
        return save({name: value.detach().clone().contiguous() for name, value in found.items()})
    except (RuntimeError, ValueError, KeyError) as error:
        raise InputError(f"{file}: cannot be safetensors ({last_line(error)})") from None


if __name__ == "__main__":
    end(main)
