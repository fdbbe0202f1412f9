"""Training of the diffusion model: the parts that `cytosuite.training.loop` puts together."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cytosuite.algorithms.diffusion.intensity import contrast_of, target_of_images
from cytosuite.algorithms.diffusion.network import build as build_denoiser
from cytosuite.algorithms.diffusion.schedule import phase
from cytosuite.algorithms.diffusion.training.pairs import (
    SketchedImage,
    draw_crops,
    given_of,
    load_pairs,
)
from cytosuite.algorithms.diffusion.training.settings import Settings
from cytosuite.algorithms.diffusion.training.validate import picture, validate
from cytosuite.formats import read
from cytosuite.training.images import find_images
from cytosuite.training.parts import Arrays, Cases, Parts, State, Tensors, Training, decaying

_ENDS = (0.01, 99.99)  # percentiles of an image between which values are expected
_SPARE = 0.25  # of the range beyond them


def load(folder: Path, role: str, settings: Settings) -> list[SketchedImage]:  # noqa: ARG001
    """Return the images of a folder, with sketches for a conditioned network."""
    network = settings.network
    axes = "ZYX" if network.dimensions == 3 else "YX"
    crop = settings.crops.shape
    return load_pairs(
        folder, settings.names, crop, axes, units=settings.units, sketched=network.conditioned
    )


def build(settings: Settings) -> Parts:
    """Return the denoiser and its optimiser."""
    network = build_denoiser(settings.network)
    optimiser = torch.optim.AdamW(decaying([network], settings.schedule.weight_decay), lr=1.0)
    return {"network": network}, {"network": optimiser}


def batch(cases: Cases[SketchedImage], settings: Settings, step: int) -> Arrays:
    """Return crops, noise and the phases of their levels for a step."""
    crops = settings.crops
    seed = settings.schedule.seed
    found = draw_crops(cases["images"], crops.shape, crops.batch, seed, step, crops.dropped)
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
    given = torch.cat([noised, batch["sketch"]], 1) if settings.network.conditioned else noised
    with state.autocast():
        answer = state.modules["network"](given, time)
    loss: Tensor = (answer - wanted).square().mean()
    state.update("network", loss)
    return {"loss": loss.detach()}


def describe(cases: Cases[SketchedImage], settings: Settings) -> Mapping[str, Any]:
    """Return axes, the median voxel size, µm, of files that give one, and whether labels."""
    axes = "ZYX" if settings.network.dimensions == 3 else "YX"
    sizes = [item.spacing for item in cases["images"] if item.spacing is not None]
    spacing = {"spacing": np.median(sizes, 0).round(4).tolist()} if sizes else {}
    labels = given_of(cases["images"]) == "labels"
    return {"axes": axes, **spacing, **({"given": "labels"} if labels else {})}


def remark(cases: Cases[SketchedImage], settings: Settings) -> list[str]:
    """Return a line on images without a voxel size."""
    unknown = sum(item.spacing is None for item in cases["images"])
    if not unknown or "spacing" in settings.card.describes:
        return []
    images = f"{unknown} of {len(cases['images'])} images give no voxel size"
    return [f"{images}: they do not count in the card's (card.describes.spacing, µm, sets it)"]


def measure(cases: Cases[SketchedImage], settings: Settings) -> Mapping[str, Any]:
    """Return grey values of the real images, the way to them, and the input of the network."""
    items = cases["images"]
    given = given_of(items)
    target = target_of_images([read(item.path).array for item in items], settings.units)
    levels = [contrast_of(np.asarray(item.image)) for item in items]
    ends = [np.percentile(np.asarray(item.image, np.float32), _ENDS) for item in items]
    low, high = float(min(end[0] for end in ends)), float(max(end[1] for end in ends))
    spare = max(_SPARE * (high - low), 1e-3)
    process = settings.process.model_dump(mode="json") | {
        "contrast": {
            "dark": _rounded(np.median([level.dark for level in levels])),
            "bright": _rounded(np.median([level.bright for level in levels])),
        },
        "range": [_rounded(low - spare), _rounded(high + spare)],
    }
    grey = {
        key: _rounded(value) if isinstance(value, float) else value
        for key, value in target.model_dump().items()
    }
    kind = {} if given is None else {"given": given, "dropped": settings.crops.dropped}
    return {"process": process, "target": grey, **kind}


def check(source: Path | Mapping[str, Any], role: str, settings: Settings) -> None:  # noqa: ARG001
    """Refuse a folder without images."""
    if isinstance(source, Path):
        find_images(source, settings.names)


def _rounded(value: float) -> float:
    """Return a number of six digits, more than was measured."""
    return float(f"{value:.6g}")


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
    remark=remark,
    picture=picture,
)
