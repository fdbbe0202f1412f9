"""Pack networks for the BioImage Model Zoo: ``python -m cytosuite.training.bioimageio CARD...``."""

import io
import json
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cytosuite.contract.manifest import ModelCard, read_algorithm, read_card
from cytosuite.contract.weights import open_model
from cytosuite.errors import InputError, ModelError
from cytosuite.errors.ending import end
from cytosuite.files.archive import write_zip
from cytosuite.networks.normalise import (
    HIGH,
    HIGH_Z,
    LOW,
    LOW_Z,
    NOISE_UNITS,
    background_of,
    normalise,
)
from cytosuite.networks.tiling import smallest_tile
from cytosuite.training.bundle import NetworkFormat, formatter, main, purpose, scores
from cytosuite.training.publish import ALGORITHMS

TORCH = version("torch").partition("+")[0]
# Percentiles as 0 and 1, then background and noise as `normalise` has them, but for its asinh.
_GAIN = (HIGH_Z - LOW_Z) / NOISE_UNITS
GREY: list[Mapping[str, Any]] = [
    {"id": "scale_range", "kwargs": {"min_percentile": LOW, "max_percentile": HIGH}},
    {"id": "scale_linear", "kwargs": {"gain": _GAIN, "offset": LOW_Z / NOISE_UNITS}},
]


class Compressed(nn.Module):
    """A network behind the nonlinear part of `normalise`, which no step of a description does."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Return the answer for distances to the background in three of its deviations."""
        answer: Tensor = self.network(0.5 * torch.asinh(image))
        return answer


def write_model(card: Path, out: Path) -> Path:
    """Write ``<algorithm>-<model>.bioimageio.zip`` for a card, and return its path."""
    found = read_card(card)
    given, weights = formatter(found.algorithm)(found), open_model(card.parent, found).weights
    if given.others or not given.patches:
        raise InputError(
            f"{card}: expected a network that answers tiles of an image in one pass, found one of "
            f"{found.algorithm} that does not; give it as a MONAI bundle"
        )
    if weights is None:
        raise ModelError(f"{card}: expected weights, found none; name another model")
    module = import_module(f"cytosuite.algorithms.{found.algorithm}.network")
    network: nn.Module = module.load(given.arguments.model_dump(mode="json"), weights)
    least = smallest_tile(given.halo, given.multiple)
    image = np.random.default_rng(0).normal(size=(1, len(given.inputs), *least)).astype(np.float32)
    units = normalise(image, background_of(image)) if given.background else image
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sides that are counted in Python
        whole = Compressed(network) if given.background else network
        traced = cast(Any, torch.jit).trace(whole, torch.from_numpy(image), check_trace=False)
        torch.jit.save(traced, stream := io.BytesIO())
        answer = network(torch.from_numpy(units)).numpy()
    name = f"{found.algorithm}-{found.name}"
    shown = "\n".join(("# " + name, purpose(found), "## Validation", "", *scores(found)))
    files = {
        "rdf.yaml": json.dumps(description(found, given), indent=2).encode(),
        "README.md": shown.encode(),
        "weights.pt": stream.getvalue(),
        "image.npy": _npy(image),
        "pred.npy": _npy(answer),
    }
    return write_zip(out / f"{name}.bioimageio.zip", files)


def _npy(values: NDArray[Any]) -> bytes:
    """Return an array as a file of numpy."""
    np.save(stream := io.BytesIO(), values)
    return stream.getvalue()


def description(card: ModelCard, network: NetworkFormat) -> dict[str, Any]:
    """Return ``rdf.yaml``, see bioimage.io/docs, as JSON, which is YAML."""
    algorithm = read_algorithm(ALGORITHMS / card.algorithm / "algorithm.toml")
    least = smallest_tile(network.halo, network.multiple)
    inputs, outputs = [], []
    for axis, low, step, halo in zip("zyx", least, network.multiple, network.halo, strict=True):
        space = {"type": "space", "id": axis}
        inputs.append({**space, "size": {"min": low, "step": step}})
        same = {**space, "size": {"tensor_id": "image", "axis_id": axis}}
        outputs.append(same | ({"halo": halo} if halo else {}))
    image = _tensor("image", network.inputs, inputs)
    return {
        "type": "model",
        "format_version": "0.5.4",
        "name": f"{algorithm.title} ({card.name})",
        "description": card.description,
        "version": card.version,
        "authors": [{"name": card.authors}],
        "license": card.license,
        "documentation": "README.md",
        "cite": [{"text": algorithm.title, "doi": doi} for doi in algorithm.references],
        "tags": ["cytosuite", card.algorithm, card.task],
        "timestamp": "1980-01-01T00:00:00",  # the same each time
        "inputs": [image | ({"preprocessing": GREY} if network.background else {})],
        "outputs": [_tensor("pred", network.outputs, outputs)],
        "weights": {"torchscript": {"source": "weights.pt", "pytorch_version": TORCH}},
    }


def _tensor(name: str, channels: Sequence[str], axes: Sequence[object]) -> dict[str, Any]:
    """Return the description of a tensor, which may have 128 letters on its channels."""
    names = [f"{name}_{number}" for number in range(len(channels))]
    return {
        "id": name,
        "description": "; ".join(channels)[:128],
        "axes": [{"type": "batch"}, {"type": "channel", "channel_names": names}, *axes],
        "data": {"type": "float32", "unit": "arbitrary unit"},
        "test_tensor": {"source": f"{name}.npy"},
    }


if __name__ == "__main__":
    end(partial(main, write=write_model))
