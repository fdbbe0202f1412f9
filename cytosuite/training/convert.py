"""Weights that torch has saved, as safetensors."""

from collections.abc import Callable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors.torch import save

from cytosuite.errors import InputError, last_line

NESTED = ("state_dict", "model_state_dict")  # where checkpoints keep the weights


def packed(file: Path, say: Callable[[str], None]) -> bytes:
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
