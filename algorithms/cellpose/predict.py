"""Entry point of Cellpose: one image in, its instance labels out."""

from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from cellpose.models import CellposeModel
from cellpose.version import version
from pydantic import Field
from safetensors.torch import load_file

from cytosuite.contract.interface import image_of
from cytosuite.contract.manifest import Described, parameters_of
from cytosuite.contract.progress import network, state
from cytosuite.contract.weights import Model, weights_of
from cytosuite.files import Json
from cytosuite.networks.scale import stated_diameter
from cytosuite.volume import Volume, Volumes

TOOL = f"cellpose {version}"


class Parameters(Described):
    """Parameters of a card."""

    tool: str  # that made the weights
    diameter_um: float | None = None  # of the training's objects; None: by pixels, in the weights
    evaluation: Json = Field({})  # keywords of `CellposeModel.eval`


def predict(inputs: Volumes, model: Model) -> Volumes:
    """Return the ``instance-labels`` of one image, as `CellposeModel.eval` gives them."""
    image = image_of(inputs, offset=False)
    parameters = parameters_of(model.card, Parameters)
    tool = _loaded(weights_of(model), str(model.card.sha256))
    diameter, size = _diameter(image, parameters, float(tool.diam_labels))
    state(tool=TOOL, size=size)
    options = {"channels": [0, 0], "diameter": diameter, **parameters.evaluation}
    array = np.asarray(image.array)
    if array.ndim == 3 and len(array) > 1:
        anisotropy = image.spacing[0] / image.spacing[-1]
        options = {"do_3D": True, "z_axis": 0, "anisotropy": anisotropy, **options}
    elif array.ndim == 3:  # one slice
        array = array[0]
    labels = np.asarray(tool.eval(array, **options)[0])
    return {"instance-labels": image.like(labels.reshape(image.shape).astype(np.uint32))}


def _diameter(image: Volume, parameters: Parameters, trained: float) -> tuple[float, str]:
    """Return the diameter of the objects [px] and its source for the record."""
    diameter_um = stated_diameter(image)
    if diameter_um is None and not image.spacing_is_assumed:
        diameter_um = parameters.diameter_um
    if diameter_um is None:
        return trained, f"given: {trained:.4g} px, mean of its training"
    pixels = diameter_um / image.spacing[-1]
    return pixels, f"given: {pixels:.4g} px, for objects of {diameter_um:.4g} µm"


@lru_cache(maxsize=2)
def _loaded(weights: Path, sha256: str) -> Any:  # noqa: ANN401 - of the tool
    """Return the tool with its weights; its network's time is counted."""
    del sha256  # altered weights under the same name are another model
    with TemporaryDirectory() as folder:
        file = Path(folder) / "model"
        torch.save(load_file(weights), file)
        tool = CellposeModel(
            gpu=torch.cuda.is_available(), pretrained_model=str(file), mkldnn=False
        )
    tool.net.forward = network()(tool.net.forward)
    return tool
