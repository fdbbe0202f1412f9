"""Entry point of Cellpose3D: one image in, its instance labels out."""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cytosuite.algorithms.cellpose3d import blocks
from cytosuite.algorithms.cellpose3d.assembly import Assembly
from cytosuite.algorithms.cellpose3d.extent import Whole, measure
from cytosuite.algorithms.cellpose3d.fields import predict_fields
from cytosuite.algorithms.cellpose3d.network import load
from cytosuite.algorithms.cellpose3d.parameters import (
    Parameters,
    Trained,
    trained_of,
)
from cytosuite.algorithms.cellpose3d.rescale import to_working, working_shape
from cytosuite.algorithms.cellpose3d.scale import Scale, choose_scale
from cytosuite.algorithms.cellpose3d.segment import Found, segment
from cytosuite.interface import image_of
from cytosuite.manifest import parameters_of
from cytosuite.network import Forward, device, load_once
from cytosuite.normalise import Background, background_of, normalise
from cytosuite.progress import part
from cytosuite.spacing import text, warned
from cytosuite.tiling import Tile
from cytosuite.volume import Scalar, Volume
from cytosuite.weights import Model

ROWS = 200  # of the table of removed objects that travel with the labels


class _Job(NamedTuple):
    """Facts and parameters that hold for all blocks of an image."""

    image_shape: tuple[int, ...]
    shape: tuple[int, ...]  # of the working grid
    spacing: tuple[float, ...]  # µm per working voxel at the scale of the training
    parameters: Parameters
    network: Forward
    background: Background
    whole: Whole | None


class _Notes(NamedTuple):
    """Facts about one block for the metadata of the labels."""

    tiles: int
    skipped: int
    li: float | None
    removed: list[dict[str, Any]]


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
        uint32 from 65536 nuclei on. Metadata keys that begin with ``cellpose3d_`` give the choices
        that were made and the objects that were removed.

    Raises
    ------
    InputError
        If the image is one that `image_of` refuses, or is too large for the memory; or a
        parameter of the card is unknown or out of bounds.
    ModelError
        If the model has no weights.
    """
    volume = image_of(inputs)
    parameters, trained = parameters_of(model.card, Parameters), trained_of(model.card)
    network = load_once(model, parameters.network.model_dump(mode="json"), load)
    image = volume.array if volume.array.ndim == 3 else volume.array[None]
    scale = choose_scale(image, volume, trained, parameters)
    reason = "" if max(scale.factor) == 1 else _reason(volume, scale, trained)
    job, assembly, notes = _segmented(image, scale, trained, parameters, network, reason)
    labels, objects, pieces = assembly.finish()
    facts: dict[str, Scalar] = {
        "diameter_um": round(scale.ratio * trained.diameter_um, 3),
        "diameter_source": scale.source,
        "working_shape": " x ".join(map(str, job.shape)),
        "working_spacing_um": " x ".join(f"{step * scale.ratio:.4g}" for step in job.spacing),
        "objects": objects,
        **_together(notes),
    }
    if pieces:
        facts["pieces"] = pieces
    own = {f"cellpose3d_{key}": value for key, value in facts.items()}
    result = replace(volume.like(labels.reshape(volume.shape)), metadata={**volume.metadata, **own})
    return {"instance-labels": warned(result, *scale.warnings)}


def _reason(volume: Volume, scale: Scale, trained: Trained) -> str:
    """Return the reason of the size of the working grid, for a message."""
    factor = " x ".join(f"{value:.3g}" for value in scale.factor)
    nuclei = f", nuclei of {scale.ratio * trained.diameter_um:.3g} µm" if scale.ratio != 1 else ""
    return (
        f" (rescaled by {factor}, as its voxels are {text(volume.spacing)} µm{nuclei} and the "
        f"model's {text(trained.spacing)} µm: check the voxel size)"
    )


def _segmented(
    image: NDArray[Any],
    scale: Scale,
    trained: Trained,
    parameters: Parameters,
    network: Forward,
    reason: str,
) -> tuple[_Job, Assembly, list[_Notes]]:
    """Return the objects of an image, predicted as a whole or in as few blocks as fit."""
    tile = blocks.tile_within(parameters.tile)
    parameters = parameters.model_copy(update={"tile": tile})
    shape = working_shape(image.shape, scale.factor)
    spacing = tuple(
        step * old / new for step, old, new in zip(scale.spacing, image.shape, shape, strict=True)
    )
    planned = blocks.plan_blocks(
        shape,
        image.shape,
        blocks.margin_of(spacing, trained.diameter_um, parameters),
        multiple=parameters.network.multiple,
        tile=parameters.tile,
        reason=reason,
    )
    read = partial(to_working, image, scale.factor)
    one = len(planned) == 1
    seen = read(planned[0].input) if one else blocks.sample(read, shape)
    whole = measure(seen, spacing, parameters) if parameters.li else None
    job = _Job(image.shape, shape, spacing, parameters, network, background_of(seen), whole)
    assembly = Assembly(image.shape)
    notes = []
    for number, block in enumerate(planned):
        with part(number, len(planned)):
            notes.append(_add(assembly, block, seen if one else read(block.input), job))
    return job, assembly, notes


def _add(assembly: Assembly, block: Tile, working: NDArray[np.float32], job: _Job) -> _Notes:
    """Add the objects of one block; its fields leave the memory on return."""
    fields = predict_fields(
        normalise(working, job.background), job.network, job.parameters, device()
    )
    found = segment(fields, working, job.spacing, job.parameters, job.whole)
    owned = blocks.owned(found.labels, block, job.shape)
    part, box, core = blocks.to_image(found.labels, found.margin, block, job.shape, job.image_shape)
    assembly.add(part, owned, box, core)
    return _Notes(fields.tiles, fields.skipped, found.li, _removed(found, block, job))


def _removed(found: Found, block: Tile, job: _Job) -> list[dict[str, Any]]:
    """Return reason, value, limit and place of the objects removed in the core of a block."""
    steps = [new / old for old, new in zip(job.shape, job.image_shape, strict=True)]
    corner = [span.start for span in block.input]
    here = blocks.in_core(found.centres, block, job.shape)
    table = []
    for row, centre, inside in zip(found.removed, found.centres, here, strict=True):
        if inside:
            place = zip(centre, corner, steps, strict=True)
            voxel = [round((c + start + 0.5) * step - 0.5) for c, start, step in place]
            facts = {"reason": row.reason, "value": round(row.value, 4), "limit": row.limit}
            table.append({**facts, "voxel": voxel})
    return table


def _together(notes: list[_Notes]) -> dict[str, Scalar]:
    """Return the facts about all blocks together."""
    removed = [row for block in notes for row in block.removed]
    facts: dict[str, Scalar] = {
        "blocks": len(notes),
        "tiles": sum(block.tiles for block in notes),
        "tiles_skipped": sum(block.skipped for block in notes),
        "removed": len(removed),
    }
    if notes[0].li is not None:
        facts["li_threshold"] = round(notes[0].li, 4)
    if removed:
        facts["removed_table"] = json.dumps(removed[:ROWS])
    return facts
