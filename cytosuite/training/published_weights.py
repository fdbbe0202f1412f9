"""Weights by name out of files of torch or safetensors, of any program; nothing in them is run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from zipfile import is_zipfile

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from cytosuite.contract.weights import SAFE
from cytosuite.errors import InputError, last_line
from cytosuite.files import Entries, open_regular
from cytosuite.files.archive import ZipReader

NESTED = ("state_dict", "model_state_dict", "model")  # where checkpoints keep the weights
WRAPPERS = ("module.", "network.", "model.")  # prefixes of all names, by the class around a network

BROKEN = (SafetensorError, OSError, EOFError, RuntimeError, LookupError, TypeError, ValueError)
MEMBERS = 2**17  # of a file of torch, an archive with one for each tensor


def state(
    path: Path, keys: Sequence[str] = NESTED, prefixes: Sequence[str] = WRAPPERS
) -> dict[str, Tensor]:
    """Return the tensors of a file, or of its first key there is; a prefix of all names is left."""
    content = opened(path)
    content = next((content[key] for key in keys if isinstance(content.get(key), Mapping)), content)
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
        with open_regular(path) as stream:
            if path.suffix != SAFE and is_zipfile(stream):
                ZipReader(path, stream, MEMBERS)  # refuses members that would fill the memory
        if path.suffix == SAFE:
            return load_file(path)
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
