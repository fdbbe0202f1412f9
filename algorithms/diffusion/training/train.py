"""Training of the diffusion model: the parts that `cytosuite.training.loop` puts together."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy import ndimage
from torch import Tensor

from cytosuite.algorithms.diffusion.intensity import (
    Units,
    contrast_of,
    each_channel,
    target_of_images,
    typical_contrast,
)
from cytosuite.algorithms.diffusion.predict import Parameters, doubt_of, from_sketch
from cytosuite.algorithms.diffusion.training.pairs import (
    SketchedImage,
    draw_crops,
    given_of,
    load_pairs,
    stacks,
)
from cytosuite.contract.manifest import Described, parse
from cytosuite.denoising.network import DenoiserArguments
from cytosuite.denoising.network import build as build_denoiser
from cytosuite.denoising.noise import phase
from cytosuite.denoising.sampling import Process
from cytosuite.errors import InputError
from cytosuite.metrics.evidence import Facts
from cytosuite.networks.tiling import are_multiples
from cytosuite.training.augment import Augmentations
from cytosuite.training.images import facts_of_set, filled, find_images, joined, six_digits, views
from cytosuite.training.parts import Arrays, Cases, Parts, State, Tensors, Training, decaying
from cytosuite.training.settings import TrainingSettings
from cytosuite.volume import Volume

_ENDS = (0.01, 99.99)  # percentiles of an image between which values are expected
_SPARE = 0.25  # of the range beyond them
SHOWN = 3  # images in a picture
_SMOOTH = 1.0  # pixels, before the threshold that makes a sketch of an image


Size = Annotated[int, Field(ge=1)]


class NoisedCrops(Described):
    """Crops of a step, and of a validation."""

    shape: tuple[Size, Size, Size] = Field(
        (32, 64, 64), description="voxels along z, y, x; z is 1 for planes"
    )
    batch: int = Field(4, ge=1, description="crops per step, at evenly spread levels of noise")
    shown: tuple[Size, Size, Size] = Field(
        (32, 128, 128), description="middle of held-out images that a validation makes"
    )
    dropped: float = Field(
        0,
        ge=0,
        lt=1,
        description="share of crops whose sketch is hidden; process.guidance needs it",
    )
    augment: Augmentations = Augmentations()


class Settings(TrainingSettings):
    """All settings of a training."""

    network: DenoiserArguments = DenoiserArguments()
    process: Process = Field(
        Process(),
        description="its schedule is trained on, all of it goes to the card; contrast and range "
        "are measured",
    )
    names: tuple[str, ...] = Field(("*",), description="of images, without suffix, like emb_*")
    units: Units = Field(
        "background",
        description="of images for the network; contrast where there is no dark background, or "
        "one of few grey values",
    )
    crops: NoisedCrops = NoisedCrops()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        """Refuse crops that the network cannot take, and hidden sketches or guidance in vain."""
        multiple, shape = self.network.multiple, list(self.crops.shape)
        if not are_multiples(shape, multiple):
            raise ValueError(
                f"crops.shape must be multiples of {list(multiple)} for this network, found {shape}"
            )
        if self.network.dimensions == 2 and shape[0] != 1:
            raise ValueError(
                f"crops.shape must begin with 1 for a network of planes, found {shape}"
            )
        if self.crops.dropped and not self.network.conditioned:
            raise ValueError(
                f"crops.dropped must be 0 for a network that is given no sketch, found "
                f"{self.crops.dropped:g}"
            )
        if self.process.guidance > 1 and not self.crops.dropped:
            raise ValueError(
                f"process.guidance must be 1 where no sketch is hidden (crops.dropped is 0), found "
                f"{self.process.guidance:g}; 0.1 is a usual share"
            )
        return self


def load(folder: Path, role: str, settings: Settings) -> list[SketchedImage]:  # noqa: ARG001
    """Return the images of a folder, with sketches for a conditioned network."""
    network, crop = settings.network, settings.crops.shape
    found = load_pairs(
        folder,
        settings.names,
        crop,
        network.axes,
        units=settings.units,
        sketched=network.conditioned,
        position=network.position,
        files=settings.files,
    )
    for item in found:
        if len(item.image) != network.channels:
            raise InputError(
                f"{item.path}: expected {network.channels} channels, found {len(item.image)}; set "
                "network.channels"
            )
    return found


def build(settings: Settings) -> Parts:
    """Return the denoiser and its optimiser."""
    network = build_denoiser(settings.network)
    optimiser = torch.optim.AdamW(decaying([network], settings.schedule.weight_decay), lr=1.0)
    return {"network": network}, {"network": optimiser}


def batch(cases: Cases[SketchedImage], settings: Settings, step: int) -> Arrays:
    """Return crops, noise and the phases of their levels for a step."""
    crops, seed = settings.crops, settings.schedule.seed
    changes = crops.dropped, crops.augment, settings.network.noise_channel
    found = draw_crops(cases["images"], crops.shape, crops.batch, seed, step, *changes)
    signal = settings.process.schedule.signal()
    steps = np.minimum((found.pop("place") * signal.size).astype(int), signal.size - 1)
    return {**found, "phase": np.asarray(phase(signal[steps]), np.float32)}


def step(state: State, batch: Tensors, settings: Settings) -> Tensors:
    """Take a step towards the noise, or the velocity, of noised crops, and return the loss."""
    time = batch["phase"]
    angle = time[:, None, None, None, None]
    image, noise = batch["image"], batch["noise"]
    noised = angle.cos() * image + angle.sin() * noise
    wanted = noise
    if settings.network.predicts == "velocity":
        wanted = angle.cos() * noise - angle.sin() * image
    further = [batch[name] for name in ("sketch", "position", "channel") if name in batch]
    given = torch.cat([noised, *further], 1)
    with state.autocast():
        answer = state.modules["network"](given, time)
    loss: Tensor = (answer - wanted).square().mean()
    state.update("network", loss)
    return {"loss": loss.detach()}


def describe(cases: Cases[SketchedImage], settings: Settings) -> Mapping[str, Any]:
    """Return axes, the median voxel size, µm, of files that give one, and whether labels."""
    axes = settings.network.axes
    sizes = [item.spacing for item in cases["images"] if item.spacing is not None]
    spacing = {"spacing": np.median(sizes, 0).round(4).tolist()} if sizes else {}
    labels = given_of(cases["images"]) == "labels"
    return {"axes": axes, **spacing, **({"given": "labels"} if labels else {})}


def notes(cases: Cases[SketchedImage], settings: Settings) -> list[str]:
    """Return lines on small images, those without a voxel size, and a start that suits badly."""
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
    given = given_of(items)
    channels = zip(*(item.files.read(item.path).channels for item in items), strict=True)
    targets = [
        target_of_images([image.array for image in images], settings.units).model_dump()
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
    kind = {} if given is None else {"given": given, "dropped": settings.crops.dropped}
    target = six_digits(targets if several else targets[0])
    return {"process": process, "target": target, **kind}


def check(source: Path | Mapping[str, Any], role: str, settings: Settings) -> None:  # noqa: ARG001
    """Refuse a folder without images."""
    if isinstance(source, Path):
        find_images(source, settings.names, root=settings.files.root)


def validate(state: State, cases: Cases[SketchedImage], settings: Settings) -> Iterator[Facts]:
    """Yield facts about the middle of each image with labels, then about the set, by channel."""
    real, synthetic = [], []
    for item in cases["images"]:
        image, sketch, labels = middle(item, settings.crops.shown)
        made = made_from(image, sketch, state, settings)
        real.append(stacks(image))
        synthetic.append(stacks(made))
        if labels is not None:
            parts = {"prediction": made, "image": image.like(sketch), "labels": labels}
            # Labels without channels are those of the first one.
            for own in zip(*(volume.channels for volume in parts.values()), strict=False):
                known: dict[str, Any] = {
                    name: volume.array for name, volume in zip(parts, own, strict=True)
                }
                known["spacing"] = image.spacing
                yield Facts({name: partial(known.__getitem__, name) for name in known})
    for images, others in zip(zip(*real, strict=True), zip(*synthetic, strict=True), strict=True):
        yield facts_of_set(images, others)


def made_from(
    image: Volume, sketch: NDArray[np.float32], state: State, settings: Settings
) -> Volume:
    """Return an image made from a sketch by the average network, always with the same noise."""
    given: dict[str, Any] = dict(settings.card.parameters)
    given["network"] = settings.network.model_dump(mode="json")
    parameters = parse("card.parameters", given, Parameters)
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
        sketch = each_channel(_threshold, image)
    else:
        own = item.sketch[(slice(None), *map(slice, sides))].reshape(volume.shape)
        sketch = cut(volume.like(own)).array.astype(np.float32)
    return image, sketch, None if item.twin is None else cut(item.files.labels(item.twin))


def _threshold(image: NDArray[Any]) -> NDArray[np.float32]:
    """Return a sketch of an image alone: 1 above a threshold."""
    smooth = ndimage.gaussian_filter(image.astype(np.float32), _SMOOTH)
    found = contrast_of(smooth)
    return np.asarray(smooth > (found.dark + found.bright) / 2, np.float32)


def picture(state: State, cases: Cases[SketchedImage], settings: Settings) -> NDArray[np.uint8]:
    """Return held-out images: sketches, made images, real ones, one row each."""
    rows: list[list[NDArray[np.uint8]]] = [[], [], []]
    for item in cases["images"][:SHOWN]:
        image, sketch, _ = middle(item, settings.crops.shown)
        made = made_from(image, sketch, state, settings)
        for row, array in zip(rows, (sketch, made.array, image.array), strict=True):
            row += map(views, stacks(image.like(array)))
    return joined([joined(row, 1) for row in rows], 0)


TRAINING = Training(
    algorithm="diffusion",
    settings=Settings,
    load=load,
    build=build,
    batch=batch,
    step=step,
    describe=describe,
    validate=validate,
    check=check,
    measure=measure,
    notes=notes,
    picture=picture,
)
