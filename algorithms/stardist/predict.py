"""Entry point of StarDist: one image in, its instance labels out."""

from functools import lru_cache
from math import ceil, prod
from pathlib import Path
from typing import Any

import numpy as np
from csbdeep.utils import normalize
from keras import __version__ as keras
from safetensors.numpy import load_file
from stardist.models import Config2D, Config3D, StarDist2D, StarDist3D
from stardist.version import __version__

from cytosuite.contract.interface import image_of
from cytosuite.contract.manifest import Described, ModelCard, parameters_of
from cytosuite.contract.progress import network, state
from cytosuite.contract.spacing import text
from cytosuite.contract.weights import Model, weights_of
from cytosuite.errors import InputError
from cytosuite.files import FloatDict, Json
from cytosuite.volume import Volume, Volumes
from cytosuite.volume.arrays import Lengths

TOOL = f"stardist {__version__}, Keras {keras}"
KINDS = {"YXC": (StarDist2D, Config2D), "ZYXC": (StarDist3D, Config3D)}
PERCENTILES = (1, 99.8)  # that become 0 and 1, as in the tool's examples
TILES = {2: 1024, 3: 128}  # voxels along an axis that the network takes at once
NEAR = 0.01  # voxel sizes that are taken as equal
ENLARGED = 40.0  # most new voxels per voxel


class Parameters(Described):
    """Parameters of a card."""

    tool: str  # that made the weights
    config: Json  # its config.json
    thresholds: FloatDict  # its thresholds.json
    spacing: Lengths | None = None  # µm per voxel of the training, if known


def predict(inputs: Volumes, model: Model) -> Volumes:
    """Return the ``instance-labels`` of one image, as `predict_instances` gives them."""
    image = image_of(inputs, offset=False)
    parameters = parameters_of(model.card, Parameters)
    tool = _loaded(weights_of(model), model.card.model_dump_json())
    if tool.config.n_dim != image.array.ndim:
        shown = f"found {image.axes} of {text(image.shape)} voxels"
        raise InputError(f"{model.card.name} is a model of {tool.config.n_dim} dimensions, {shown}")
    factors = scale_to(image, parameters.spacing)
    scaled = f"given: voxels of another size, scaled by {text(factors)}" if factors else "not used"
    state(tool=TOOL, size=scaled)
    shape = [n * f for n, f in zip(image.shape, factors or [1.0] * image.array.ndim, strict=True)]
    shown, _ = tool.predict_instances(
        normalize(np.asarray(image.array), *PERCENTILES),
        scale=factors,
        n_tiles=[ceil(n / TILES[image.array.ndim]) for n in shape],
        show_tile_progress=False,
    )
    return {"instance-labels": image.like(shown.astype(np.uint32))}


def scale_to(image: Volume, spacing: Lengths | None) -> Lengths | None:
    """Return factors to a voxel size, None where it is the same or unknown; else InputError."""
    if spacing is None or image.spacing_is_assumed:
        return None
    factors = tuple(step / to for step, to in zip(image.spacing, spacing, strict=True))
    shape = [n * f for n, f in zip(image.shape, factors, strict=True)]
    if prod(factors) > ENLARGED or min(shape) < 1:
        raise InputError(
            f"the model is for voxels of {text(spacing)} µm, found {text(image.spacing)} µm: "
            "check the voxel size (--spacing)"
        )
    return None if all(abs(f - 1) < NEAR for f in factors) else factors


@lru_cache(maxsize=2)
def _loaded(weights: Path, card: str) -> Any:  # noqa: ANN401 - of the tool
    """Return the tool with its weights; its network's time is counted."""
    parameters = parameters_of(ModelCard.model_validate_json(card), Parameters)
    kind, configured = KINDS[parameters.config["axes"]]
    tool = kind(configured(**parameters.config), name="model", basedir=None)
    tool.thresholds = parameters.thresholds
    tool.keras_model.set_weights([array for _, array in sorted(load_file(weights).items())])
    tool.keras_model.predict = network()(tool.keras_model.predict)
    return tool
