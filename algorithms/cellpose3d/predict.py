"""Entry point of Cellpose3D: one image in, its instance labels out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from algorithms.cellpose3d import warm
from algorithms.cellpose3d.fields import Fields, predict_fields
from algorithms.cellpose3d.network import load, multiple_of
from algorithms.cellpose3d.normalise import normalise, statistics_of
from algorithms.cellpose3d.parameters import Parameters, parameters_of, trained_size
from algorithms.cellpose3d.rescale import Scale, choose_scale, to_working
from algorithms.cellpose3d.segment import Found, on_image, segment
from cytosuite.errors import InputError, ModelError
from cytosuite.volume import SPATIAL, Scalar, Volume

if TYPE_CHECKING:
    from pathlib import Path

    from cytosuite.weights import Model

Network = Callable[[torch.Tensor], torch.Tensor]
ROWS = 200  # of the table of removed objects that travel with the labels


def predict(inputs: Mapping[str, Volume], model: Model) -> Mapping[str, Volume]:
    """Return the instance labels of the nuclei of one image.

    Parameters
    ----------
    inputs : mapping of str to Volume
        ``microscopy-image``: axes ZYX or YX; its metadata may give ``diameter_um``, the typical
        lateral diameter of the nuclei.
    model : Model
        Card (`Parameters`, ``describes.spacing``, ``describes.diameter_um``) and weights.

    Returns
    -------
    mapping of str to Volume
        ``instance-labels``: of the same shape, spacing and axes, 0 = background, uint16, or
        uint32 from 65536 nuclei on. Its metadata say what was chosen and what was removed, in
        keys that begin with ``cellpose3d_``.

    Raises
    ------
    InputError
        If the image is missing, has time or channel axes, holds values that are not finite or is
        too large for the memory; or a parameter of the card is unknown or out of bounds.
    ModelError
        If the model has no weights.
    """
    volume = _image(inputs)
    parameters, trained = parameters_of(model.card), trained_size(model.card)
    if model.weights is None:
        raise ModelError(f"card {model.card.name}: it names no weights; train the model first")
    network = _network(
        model.weights, str(model.card.sha256), json.dumps(parameters.network, sort_keys=True)
    )
    image = volume.array.astype(np.float32)
    image = image[None] if image.ndim == 2 else image
    scale = _scale(image, volume, trained, parameters)
    working = to_working(image, scale.factor)
    spacing = tuple(
        step * old / new
        for step, old, new in zip(scale.spacing, image.shape, working.shape, strict=True)
    )
    fields = _fields(working, network, parameters)
    found = segment(fields, working, spacing, parameters)
    labels = on_image(found, image.shape).reshape(volume.shape)
    small = int(labels.max(initial=0)) <= np.iinfo(np.uint16).max
    result = volume.like(labels.astype(np.uint16 if small else np.uint32))
    notes = {
        "diameter_um": round(scale.ratio * trained[1], 3),
        "diameter_source": scale.source,
        "working_shape": " x ".join(map(str, working.shape)),
        "working_spacing_um": " x ".join(f"{step * scale.ratio:.4g}" for step in spacing),
        "tiles": fields.tiles,
        "tiles_skipped": fields.skipped,
        **_objects(found, image.shape, int(labels.max(initial=0))),
    }
    said = {f"cellpose3d_{key}": value for key, value in notes.items()}
    return {"instance-labels": replace(result, metadata={**volume.metadata, **said})}


def _image(inputs: Mapping[str, Volume]) -> Volume:
    """Return the input image, or say why it cannot be segmented."""
    if "microscopy-image" not in inputs:
        raise InputError(f"expected the input microscopy-image, found {sorted(inputs)}")
    volume = inputs["microscopy-image"]
    if any(axis not in SPATIAL for axis in volume.axes):
        raise InputError(
            f"microscopy-image must have the axes ZYX or YX, found {volume.axes}: "
            "give one frame and one channel at a time"
        )
    if volume.array.size == 0:
        raise InputError(f"microscopy-image must not be empty, found shape {volume.shape}")
    if volume.array.dtype.kind == "f" and not np.isfinite(volume.array).all():
        raise InputError("microscopy-image must be finite, found NaN or infinity")
    return volume


@lru_cache(maxsize=4)
def _network(path: Path, sha256: str, arguments: str) -> Network:
    """Return a network with its weights, on the GPU where there is one; loaded once."""
    del sha256  # altered weights under the same name are another network
    warm.use()
    network = load(json.loads(arguments), path)
    return network.cuda() if torch.cuda.is_available() else network


def _scale(
    image: NDArray[np.float32],
    volume: Volume,
    trained: tuple[tuple[float, float, float], float],
    parameters: Parameters,
) -> Scale:
    """Return the grid to work on."""
    return choose_scale(
        normalise(image, statistics_of(image)),
        volume,
        trained,
        estimate=parameters.diameter == "estimated",
        diameter_tolerance=parameters.diameter_tolerance,
        rescale_tolerance=parameters.rescale_tolerance,
    )


def _fields(working: NDArray[np.float32], network: Network, parameters: Parameters) -> Fields:
    """Return level and flow on the working grid."""
    return predict_fields(
        normalise(working, statistics_of(working)),
        network,
        multiple=multiple_of(parameters.network),
        tile=parameters.tile,
        halo=parameters.halo,
        device="cuda" if torch.cuda.is_available() else "cpu",
    )


def _objects(found: Found, shape: tuple[int, ...], kept: int) -> dict[str, Scalar]:
    """Return how many objects there are, and which were removed, where and why."""
    steps = [new / old for old, new in zip(found.labels.shape, shape, strict=True)]
    table: list[dict[str, Any]] = [
        {
            "reason": row.reason,
            "value": round(row.value, 4),
            "limit": row.limit,
            "voxel": [round((c + 0.5) * s - 0.5) for c, s in zip(centre, steps, strict=True)],
        }
        for row, centre in zip(found.removed, found.centres, strict=True)
    ]
    notes: dict[str, Scalar] = {"objects": kept, "removed": len(table)}
    if found.li is not None:
        notes["li_threshold"] = round(found.li, 4)
    if table:
        notes["removed_table"] = json.dumps(table[:ROWS])
    return notes
