"""Training of view fusion: the parts that `cytosuite.training.loop` puts together."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cytosuite.algorithms.view_fusion.network import build as build_restorer
from cytosuite.algorithms.view_fusion.training.crops import draw_crops
from cytosuite.algorithms.view_fusion.training.losses import fusion_loss
from cytosuite.algorithms.view_fusion.training.pairs import ViewPair, find_pairs, load_pairs
from cytosuite.algorithms.view_fusion.training.settings import Settings
from cytosuite.algorithms.view_fusion.training.validate import baselines, picture, validate
from cytosuite.training.parts import Arrays, Cases, Parts, State, Tensors, Training, decaying


def load(folder: Path, role: str, settings: Settings) -> list[ViewPair]:  # noqa: ARG001
    """Return the views in a folder with their fused images."""
    spacing = settings.card.describes.get("spacing")
    return load_pairs(
        folder,
        settings.names,
        settings.crops.shape,
        settings.network.inputs,
        spacing if isinstance(spacing, tuple) else None,
    )


def build(settings: Settings) -> Parts:
    """Return the restorer and its optimiser."""
    network = build_restorer(settings.network)
    optimiser = torch.optim.AdamW(decaying([network], settings.schedule.weight_decay), lr=1.0)
    return {"network": network}, {"network": optimiser}


def batch(cases: Cases[ViewPair], settings: Settings, step: int) -> Arrays:
    """Return the crops of a step."""
    return draw_crops(cases["pairs"], settings.crops, settings.schedule.seed, step)


def step(state: State, batch: Tensors, settings: Settings) -> Tensors:
    """Take a step of the restorer towards the fused image, and return the losses before it."""
    with state.autocast():
        answer = state.modules["network"](batch["image"])
    losses = fusion_loss(answer, batch["target"], batch["image"][:, :1], settings.loss)
    state.update("network", losses["total"])
    return {name: loss.detach() for name, loss in losses.items()}


def describe(cases: Cases[ViewPair], settings: Settings) -> Mapping[str, Any]:  # noqa: ARG001
    """Return axes, median shape and voxel size [µm], and channel and study where all agree."""
    items = cases["pairs"]
    found: dict[str, Any] = {
        "axes": "ZYX",
        "shape": np.median([item.shape for item in items], 0).round().tolist(),
    }
    if sizes := [item.spacing for item in items if item.spacing is not None]:
        found["spacing"] = np.median(sizes, 0).round(4).tolist()
    for name in ("channel", "study"):
        values = {getattr(item, name) for item in items}
        if len(values) == 1 and None not in values:
            found[name] = values.pop()
    return found


def measure(cases: Cases[ViewPair], settings: Settings) -> Mapping[str, Any]:  # noqa: ARG001
    """Return the method of the card."""
    return {"method": "network"}


def remark(cases: Cases[ViewPair], settings: Settings) -> list[str]:
    """Return lines on voxel sizes and channels that views do not give."""
    items, given = cases["pairs"], settings.card.describes
    lines = []
    for name, title in (("spacing", "voxel size [µm]"), ("channel", "channel")):
        unknown = sum(getattr(item, name) is None for item in items)
        if unknown and name not in given:
            lines.append(
                f"{unknown} of {len(items)} views give no {title}: card.describes.{name} sets it"
            )
    return lines


def check(source: Path | Mapping[str, Any], role: str, settings: Settings) -> None:  # noqa: ARG001
    """Refuse a folder without views, or with one that has no fused image."""
    if isinstance(source, Path):
        find_pairs(source, settings.names)


TRAINING = Training(
    algorithm="view_fusion",
    settings=Settings,
    load=load,
    build=build,
    batch=batch,
    step=step,
    describe=describe,
    validate=validate,
    baselines=baselines,
    check=check,
    measure=measure,
    remark=remark,
    picture=picture,
    roles=("pairs",),
)
