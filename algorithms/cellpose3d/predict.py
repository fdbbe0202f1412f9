"""Entry point of Cellpose3D: one image in, its instance labels out."""

import json
from collections import Counter
from collections.abc import Sequence
from functools import partial
from math import ceil, exp, inf, log, prod
from typing import Literal, NamedTuple

import numpy as np

from cytosuite.algorithms.cellpose3d import blocks
from cytosuite.algorithms.cellpose3d.network import load, with_folded_norms
from cytosuite.algorithms.cellpose3d.parameters import Parameters
from cytosuite.algorithms.cellpose3d.quality import misfit
from cytosuite.algorithms.cellpose3d.segment import Found, Whole, measure, predict_fields, segment
from cytosuite.contract.choice_warnings import FAR
from cytosuite.contract.interface import image_of
from cytosuite.contract.manifest import parameters_of
from cytosuite.contract.progress import noted, part
from cytosuite.contract.spacing import text, warned
from cytosuite.contract.weights import Model
from cytosuite.errors import InputError
from cytosuite.files import Json
from cytosuite.networks.grid import in_pixels, working_shape
from cytosuite.networks.network import Forward, device, load_once, reused_memory
from cytosuite.networks.normalise import Background, background_of, normalise
from cytosuite.networks.scale import (
    ENLARGED,
    Scale,
    choose_scale,
    scale_of_objects,
    sizes_of,
    trained_of,
    width_of_objects,
)
from cytosuite.networks.tiling import Tile, sample, tile_within
from cytosuite.segmentation.assembly import Assembly, Labels, in_core, in_order, owned
from cytosuite.segmentation.foreground import calmed
from cytosuite.segmentation.outline.redraw import with_outline
from cytosuite.segmentation.specimen import in_field
from cytosuite.volume import Volume, Volumes
from cytosuite.volume.arrays import Array, Floats, Lengths, Shape, Sizes
from cytosuite.volume.memory import put, room
from cytosuite.volume.pieces import deep, extremes

_LOOK = 1024  # working voxels along each axis that suffice for the size of the nuclei
# Of volumes and planes: voxels that suffice for the size at which the fields fit best, and the
# objects that another size must find there for a reliable misfit.
_GLANCE = ((128, 3), (768, 8))
ROWS = 200  # of the table of removed objects that travel with the labels


class _Job(NamedTuple):
    """Facts and parameters that hold for all blocks of an image, and notes on these."""

    image_shape: Shape
    shape: Shape  # of the working grid
    spacing: Lengths  # µm per working voxel at the scale of the training
    scale: Scale
    parameters: Parameters
    network: Forward
    background: Background
    whole: Whole | None
    further: Sequence[blocks.Read]  # channels, normalised
    counts: Counter[str]  # of blocks, of tiles, and of pieces, see `Assembly.finish`
    removed: list[Json]  # objects, see `_removed`
    misfits: list[float]  # where a size is chosen by them


def predict(inputs: Volumes, model: Model) -> Volumes:
    """Return the ``instance-labels`` of one image; InputError or ModelError if unfit."""
    return {
        "instance-labels": in_field(
            image_of(inputs, axes="CZYX", offset=False), partial(_objects, model)
        )
    }


def _objects(model: Model, seen: Volume, corner: Sizes) -> Volume:
    """Return the objects of an image, or of a part of it that begins at a corner."""
    volume, *others = seen.channels
    parameters = parameters_of(model.card, Parameters)
    trained = parameters.trained or trained_of(model.card)
    foreign = parameters.foreign and not (
        volume.metadata.get("sample") == model.card.describes.get("sample")
        or abs(log(volume.spacing[-1] / trained.spacing[-1])) < FAR
    )
    if foreign:
        update = {"parameters": {**model.card.parameters, **parameters.foreign}}
        parameters = parameters_of(model.card.model_copy(update=update), Parameters)
    if len(others) + 1 != parameters.network.channels:
        raise InputError(
            f"the model {model.card.name} is for images of {parameters.network.channels} channels, "
            f"found {len(others) + 1}; --channel-index chooses"
        )
    flat = parameters.network.dimensions == 2
    sized = in_pixels(volume) if flat else volume
    network = with_folded_norms(load_once(model, parameters.network, load))
    image, *further = (deep(channel.array) for channel in (volume, *others))
    image, smoothing = calmed(image, parameters.clear)
    scale = choose_scale(image, sized, trained, parameters)
    channels = [image, *(normalise(a, background_of(a, parameters.quietest)) for a in further)]
    drawn = parameters.outline is not None
    with part(0, 2 if drawn else 1):  # both take as long in a large volume
        job, labels = _as_seen(channels, scale, parameters, network)
    scale = job.scale
    unit: Literal["px", "um"] = "px" if flat else "um"
    with part(1, 2):
        outlined = with_outline(
            volume.like(labels.reshape(volume.shape)),
            image.reshape(volume.shape),
            sized.spacing,
            model,
            parameters.outline,
        )
    facts = {
        **sizes_of(scale, unit),
        "working_shape": " x ".join(map(str, job.shape)),
        f"working_spacing_{unit}": " x ".join(f"{step * scale.ratio:.4g}" for step in job.spacing),
        "objects": int(extremes(outlined.array)[1]),
        **{name: job.counts[name] for name in ("blocks", "tiles", "tiles_skipped")},
        "removed": len(job.removed),
    }
    if job.whole:
        facts["li_threshold"] = round(
            job.whole.background + job.parameters.li_factor * job.whole.threshold, 4
        )
    if job.removed:  # places count from the corner
        rows = [{**row, "voxel": np.add(row["voxel"], corner).tolist()} for row in job.removed]
        facts["removed_table"] = json.dumps(rows[:ROWS])
    if smoothing:
        facts["smoothing_voxels"] = round(smoothing, 3)
    if foreign:
        facts["foreign"] = "other outlines, since voxels are far from the model's"
    if pieces := job.counts["pieces"]:
        facts["pieces"] = pieces
    return warned(noted(outlined, "cellpose3d", facts), *scale.warnings)


def _as_seen(
    channels: Sequence[Array],
    scale: Scale,
    parameters: Parameters,
    network: Forward,
) -> tuple[_Job, Labels]:
    """Return the objects of an image at the scale of its own objects or flow, as the card asks."""
    if parameters.diameter == "flow":
        if scale.choices:
            scale = _scale_by_flow(channels, scale, parameters, network)
        parameters = parameters.model_copy(update={"diameter": "trained"})  # needs no misfit
    if scale.settled or parameters.diameter != "network":
        return _segmented(channels, scale, parameters, network)
    middle = _middle(channels, scale, _LOOK)
    first = _segmented(middle, scale, parameters, network)
    refined = scale_of_objects(first[1], scale)
    if refined is scale and middle[0].shape == channels[0].shape:
        return first
    return _segmented(channels, refined, parameters, network)


def _middle(channels: Sequence[Array], scale: Scale, side: int) -> list[Array]:
    """Return the middle of an image, so many working voxels along each axis at most."""
    box = []
    for size, factor in zip(channels[0].shape, scale.factor, strict=True):
        part = min(size, ceil(side / factor))
        box.append(slice((size - part) // 2, (size + part) // 2))
    return [np.asarray(channel[tuple(box)]) for channel in channels]


def _scale_by_flow(
    channels: Sequence[Array],
    scale: Scale,
    parameters: Parameters,
    network: Forward,
) -> Scale:
    """Return the scale at which the fields fit the objects they make, and these are as wide.

    Too small, cells merge; too large, they fall into pieces, and in both the flow leads elsewhere
    (`misfit`); rings in place of cells are dim, too. Clusters taken for cells may fit as well, but
    then most of what is labelled is of another width than the one that was looked for.
    """
    flat = parameters.network.dimensions == 2
    side, fewest = _GLANCE[flat]
    best = scale.by_network(scale.ratio)
    fit = inf
    for ratio in dict.fromkeys((scale.ratio, *scale.choices)):  # of equal ones the first
        candidate = scale.by_network(ratio)
        if prod(candidate.factor) <= ENLARGED:
            job, labels = _segmented(
                _middle(channels, candidate, side), candidate, parameters, network
            )
            error = job.misfits[0]
            if flat:
                off = log(width_of_objects(labels) / scale.trained.diameter_um / ratio)
                error *= exp(abs(off) / 2)
            few = fewest if flat or ratio != scale.ratio else 1
            if labels.max() >= few and error < fit:
                best = candidate
                fit = error
    return best


def _segmented(
    channels: Sequence[Array],
    scale: Scale,
    parameters: Parameters,
    network: Forward,
) -> tuple[_Job, Labels]:
    """Return the objects of an image, predicted as a whole or in as few blocks as fit."""
    image = channels[0]
    trained = scale.trained
    flat = parameters.network.dimensions == 2
    reason = ""  # of the size of the working grid
    if max(scale.factor) != 1:
        times = " x ".join(f"{value:.3g}" for value in scale.factor)
        nuclei = f"nuclei of {scale.ratio * trained.diameter_um:.3g}"
        cause = f"for {nuclei} px, as the model's of {trained.diameter_um:.3g} px"
        if not flat:
            nuclei = f", {nuclei} µm" if scale.ratio != 1 else ""
            cause = (
                f"as its voxels are {text(scale.voxel)} µm{nuclei} and the model's "
                f"{text(trained.spacing)} µm: "
                "check the voxel size"
            )
        reason = f" (rescaled by {times}, {cause})"
    multiple = parameters.network.multiple
    tile = tile_within(parameters.tile, blocks.TILE_BYTES, parameters.halo, multiple)
    parameters = parameters.model_copy(update={"tile": tile})
    shape = working_shape(image.shape, scale.factor)
    if flat:  # an extended border would move the flow at it
        shape = tuple(
            max(1, round(n / step)) * step for n, step in zip(shape, multiple, strict=True)
        )
    factor = [new / old for new, old in zip(shape, image.shape, strict=True)]
    spacing = tuple(
        step * old / new for step, old, new in zip(scale.spacing, image.shape, shape, strict=True)
    )
    planned = blocks.plan_blocks(
        shape,
        image.shape,
        blocks.margin_of(spacing, trained.diameter_um, parameters),
        multiple=multiple,
        tile=parameters.tile,
        reason=reason,
    )
    read, *further = (blocks.reader(channel, factor, shape) for channel in channels)
    whole_image = len(planned) == 1
    seen = read(planned[0].input) if whole_image else sample(read, shape)
    whole = measure(seen, spacing, parameters) if parameters.li else None
    job = _Job(
        image.shape,
        shape,
        spacing,
        scale,
        parameters,
        network,
        background_of(seen, parameters.quietest),
        whole,
        further,
        Counter(blocks=len(planned)),
        [],
        [],
    )
    if whole_image:
        labels, margin = _segment_block(planned[0], seen, job)
        if shape == image.shape:
            labels, _ = in_order(labels)
    else:
        del seen
        labels, margin = _in_blocks(planned, read, job)
    if shape != image.shape:
        labels = blocks.to_image(labels, margin, image.shape)
    return job, labels


def _in_blocks(planned: Sequence[Tile], read: blocks.Read, job: _Job) -> tuple[Labels, Floats]:
    """Return the objects of all blocks, and their heights where the working grid is another."""
    assembly = Assembly(job.shape)
    margin = room(job.shape if job.shape != job.image_shape else (0,), np.float32)
    for number, block in enumerate(planned):
        with part(number, len(planned)):
            labels, height = _segment_block(block, read(block.input), job)
        assembly.add(labels, owned(labels, block, job.shape), block)
        if margin.size:
            put(margin, block.output, height[block.crop])
        del labels, height  # room for the next
    labels, _, job.counts["pieces"] = assembly.finish()
    return labels, margin


def _segment_block(block: Tile, working: Floats, job: _Job) -> tuple[Labels, Floats]:
    """Return labels of one block with heights above the thresholds; its fields leave the memory."""
    with reused_memory():
        seen = normalise(working, job.background)[None]
        if job.further:
            seen = np.concatenate([seen, *(read(block.input)[None] for read in job.further)])
        fields = predict_fields(seen, job.network, job.parameters, device())
        segmented = segment(fields, working, job.spacing, job.parameters, job.whole)
        if job.parameters.diameter == "flow":
            job.misfits.append(misfit(fields.flow, fields.level, segmented.labels))
    job.counts.update(tiles=fields.tiles, tiles_skipped=fields.skipped)
    job.removed.extend(_removed(segmented, block, job))
    return segmented.labels, segmented.margin


def _removed(segmented: Found, block: Tile, job: _Job) -> list[Json]:
    """Return reason, value, limit and place of the objects removed in the core of a block."""
    steps = [new / old for old, new in zip(job.shape, job.image_shape, strict=True)]
    corner = [span.start for span in block.input]
    here = in_core([row.centre for row in segmented.removed], block, job.shape)
    table = []
    for row, inside in zip(segmented.removed, here, strict=True):
        if inside:
            place = zip(row.centre, corner, steps, strict=True)
            voxel = [round((c + start + 0.5) * step - 0.5) for c, start, step in place]
            facts = {"reason": row.reason, "value": round(row.value, 4), "limit": row.limit}
            table.append({**facts, "voxel": voxel})
    return table
