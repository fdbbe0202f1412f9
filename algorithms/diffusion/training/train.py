"""Training of the diffusion model: the parts that `cytosuite.training.loop` puts together."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytosuite.algorithms.diffusion.intensity import (
    each_channel,
    target_of_images,
    typical_contrast,
)
from cytosuite.algorithms.diffusion.predict import Parameters, doubt_of, from_sketch
from cytosuite.algorithms.diffusion.training.pairs import (
    Drawn,
    SketchedImage,
    draw_crops,
    given_of,
    load_pairs,
    stacks,
    threshold_sketch,
)
from cytosuite.algorithms.diffusion.training.settings import Settings
from cytosuite.algorithms.diffusion.training.steps import parts, step
from cytosuite.contract.manifest import parse
from cytosuite.errors import InputError
from cytosuite.metrics.evidence import Facts
from cytosuite.training.denoise import FURTHER, phases
from cytosuite.training.images import facts_of_set, filled, find_images, joined, six_digits, views
from cytosuite.training.parts import Arrays, Cases, State, Training
from cytosuite.volume import Volume

_ENDS = (0.01, 99.99)  # percentiles of an image between which values are expected
_SPARE = 0.25  # of the range beyond them
SKETCHES = "sketches"  # role of further label images or sketches
SHOWN = 3  # images in a picture


def load(folder: Path, role: str, settings: Settings) -> list[SketchedImage]:
    """Return the images of a folder, with sketches for a conditioned network, or sketches alone."""
    network, crop = settings.network, settings.crops.shape
    images: Drawn = "threshold" if settings.adversary.unpaired else "file"
    pairs = load_pairs(
        folder,
        settings.names,
        crop,
        network.axes,
        units=settings.camera or settings.units,
        sketched=network.conditioned,
        position=network.position,
        files=settings.files,
        drawn="labels" if role == SKETCHES else images,
    )
    for item in pairs:
        if len(item.image) != network.channels:
            raise InputError(
                f"{item.path}: expected {network.channels} channels, found {len(item.image)}; set "
                "network.channels"
            )
    return pairs


def batch(cases: Cases[SketchedImage], settings: Settings, step: int) -> Arrays:
    """Return crops, noise and the phases of their levels for a step."""
    crops, seed = settings.crops, settings.schedule.seed
    changes = crops.dropped, crops.augment, settings.network.noise_channel
    draw = partial(draw_crops, light=settings.camera is not None)
    drawn = draw(cases["images"], crops.shape, crops.batch, seed, step, *changes)
    if settings.adversary.unpaired:
        others = draw(cases[SKETCHES], crops.shape, crops.batch, seed + 1, step, *changes)
        drawn |= {f"asked_{name}": others[name] for name in FURTHER if name in others}
    return {**drawn, "phase": phases(drawn.pop("place"), settings.process.schedule)}


def describe(cases: Cases[SketchedImage], settings: Settings) -> Mapping[str, Any]:
    """Return axes, the median voxel size, µm, of files that give one, and whether labels."""
    axes = settings.network.axes
    sizes = [item.spacing for item in cases["images"] if item.spacing is not None]
    spacing = {"spacing": np.median(sizes, 0).round(4).tolist()} if sizes else {}
    labels = given_of(cases.get(SKETCHES) or cases["images"]) == "labels"
    return {"axes": axes, **spacing, **({"given": "labels"} if labels else {})}


def notes(cases: Cases[SketchedImage], settings: Settings) -> list[str]:
    """Return lines on small images, those without a voxel size, and a start that suits badly."""
    if settings.loss == "distillation" and "process" not in settings.card.parameters:
        raise InputError("loss distillation: the teacher is the model to start from; give --from")
    if settings.adversary.unpaired is not bool(cases.get(SKETCHES)):
        raise InputError(
            f"adversary.unpaired is {str(settings.adversary.unpaired).lower()}: expected "
            f"{'label images or' if settings.adversary.unpaired else 'no'} sketches of other images"
            f", as {SKETCHES}=folder"
        )
    doubt = doubt_of(settings.network, settings.process)
    lines = filled([item.shape for item in cases["images"]], settings.crops.shape)
    lines += [doubt] if doubt else []
    unknown = sum(item.spacing is None for item in cases["images"])
    if not unknown or "spacing" in settings.card.describes:
        return lines
    images = f"{unknown} of {len(cases['images'])} images give no voxel size"
    size = f"{images}: they do not count in the card's (card.describes.spacing, µm, sets it)"
    return [*lines, size]


def measure(cases: Cases[SketchedImage], settings: Settings) -> Mapping[str, Any]:
    """Return grey values of the real images, the way to them, and the input of the network."""
    items = cases["images"]
    source = given_of(cases.get(SKETCHES) or items)
    channels = zip(*(item.files.read(item.path).channels for item in items), strict=True)
    camera = settings.camera
    light = {} if camera is None else camera.units._asdict()
    targets = [
        target_of_images([image.array for image in images], settings.units).model_dump() | light
        for images in channels
    ]
    stored = zip(*(np.asarray(item.image) for item in items), strict=True)
    contrasts = [typical_contrast(images) for images in stored]
    ends = [np.percentile(np.asarray(item.image, np.float32), _ENDS) for item in items]
    low, high = float(min(end[0] for end in ends)), float(max(end[1] for end in ends))
    spare = max(_SPARE * (high - low), 1e-3)
    several = settings.network.channels > 1
    process = settings.process.model_dump(mode="json") | {
        "contrast": six_digits(contrasts if several else contrasts[0]),
        "range": six_digits([low - spare, high + spare]),
    }
    kind = {} if source is None else {"given": source, "dropped": settings.crops.dropped}
    target = six_digits(targets if several else targets[0])
    seen = {} if camera is None else {"camera": camera.model_dump()}
    return {"process": process, "target": target, **kind, **seen}


def check(source: Path | Mapping[str, Any], role: str, settings: Settings) -> None:  # noqa: ARG001
    """Refuse a folder without images."""
    if isinstance(source, Path):
        find_images(source, settings.names, settings.files)


def validate(state: State, cases: Cases[SketchedImage], settings: Settings) -> Iterator[Facts]:
    """Yield facts about the middle of each image with labels, then about the set, by channel."""
    real, synthetic = [], []
    for item in cases["images"]:
        image, sketch, labels = middle(item, settings.crops.shown)
        prediction = made_from(image, sketch, state, settings)
        real.append(stacks(image))
        synthetic.append(stacks(prediction))
        if labels is not None:
            parts = {"prediction": prediction, "image": image.like(sketch), "labels": labels}
            # Labels without channels belong to the first one.
            for channels in zip(*(volume.channels for volume in parts.values()), strict=False):
                arrays = {name: volume.array for name, volume in zip(parts, channels, strict=True)}
                arrays["spacing"] = image.spacing
                yield Facts({name: partial(arrays.__getitem__, name) for name in arrays})
    for images, others in zip(zip(*real, strict=True), zip(*synthetic, strict=True), strict=True):
        yield facts_of_set(images, others)


def made_from(
    image: Volume, sketch: NDArray[np.float32], state: State, settings: Settings
) -> Volume:
    """Return an image made from a sketch by the average network, always with the same noise."""
    entries = dict(settings.card.parameters)
    entries["network"] = settings.network.model_dump(mode="json")
    parameters = parse("card.parameters", entries, Parameters)
    return from_sketch(image, sketch, parameters, state.average, 0, state.device)


def middle(
    item: SketchedImage, shape: Sequence[int]
) -> tuple[Volume, NDArray[np.float32], Volume | None]:
    """Return the middle of an image with sketch, its own or by a threshold, and labels."""
    volume = item.files.read(item.path)
    sides = stacks(volume)[0].shape
    starts = [(max(0, n - most) // 2, most) for n, most in zip(sides, shape, strict=True)]
    z, y, x = (slice(low, low + most) for low, most in starts)

    def cut(whole: Volume) -> Volume:
        """Return the middle of an image."""
        part = whole.array[..., y, x]
        return replace(whole, array=part[..., z, :, :] if "Z" in whole.axes else part)

    image = cut(volume)
    if item.sketch is None:
        sketch = each_channel(threshold_sketch, image)
    else:
        channels = item.sketch[(slice(None), *map(slice, sides))].reshape(volume.shape)
        sketch = cut(volume.like(channels)).array.astype(np.float32)
    return image, sketch, None if item.twin is None else cut(item.files.labels(item.twin))


def picture(state: State, cases: Cases[SketchedImage], settings: Settings) -> NDArray[np.uint8]:
    """Return held-out images: sketches, made images, real ones, one row each."""
    rows: list[list[NDArray[np.uint8]]] = [[], [], []]
    for item in cases["images"][:SHOWN]:
        image, sketch, _ = middle(item, settings.crops.shown)
        prediction = made_from(image, sketch, state, settings)
        for row, array in zip(rows, (sketch, prediction.array, image.array), strict=True):
            row += map(views, stacks(image.like(array)))
    return joined([joined(row, 1) for row in rows], 0)


TRAINING = Training(
    algorithm="diffusion",
    settings=Settings,
    load=load,
    build=parts,
    batch=batch,
    step=step,
    describe=describe,
    validate=validate,
    check=check,
    measure=measure,
    notes=notes,
    picture=picture,
    roles=("images", SKETCHES),
    spare=(SKETCHES,),
)
