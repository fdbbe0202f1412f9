"""Training of view fusion: the parts that `cytosuite.training.loop` puts together."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor

from cytosuite.algorithms.view_fusion.classical import smooth
from cytosuite.algorithms.view_fusion.intensity import Units, to_counts
from cytosuite.algorithms.view_fusion.network import RestorerArguments
from cytosuite.algorithms.view_fusion.network import build as build_restorer
from cytosuite.algorithms.view_fusion.predict import Parameters
from cytosuite.algorithms.view_fusion.training.pairs import (
    ViewCrops,
    ViewPair,
    draw_crops,
    find_pairs,
    load_pairs,
)
from cytosuite.contract.manifest import Described, parse
from cytosuite.metrics.evidence import Facts
from cytosuite.metrics.images.ssim_compare import K1, K2, gaussian_window
from cytosuite.networks.network import Image, predict_tiles
from cytosuite.networks.tiling import Box, are_multiples
from cytosuite.training.images import filled, joined, views
from cytosuite.training.parts import Arrays, Cases, Parts, State, Tensors, Training, decaying
from cytosuite.training.settings import TrainingSettings
from cytosuite.volume import Volume


class FusionLoss(Described):
    """Parts of the loss and their weights."""

    kind: Literal["ssim", "n_ssim"] = Field(
        "ssim",
        description="similarity lost in the answer; n_ssim: relative to that lost in the view",
    )
    similarity: float = Field(
        100, ge=0, description="weight of the lost similarity; published: 100 (ssim), 1 (n_ssim)"
    )
    difference: float = Field(1, ge=0, description="weight of the mean absolute difference")
    over: Literal["crop", "batch"] = Field(
        "batch", description="n_ssim: one ratio per crop, as published, or of sums over the batch"
    )
    floor: float = Field(
        0.05, gt=0, description="n_ssim: least similarity lost in a view that is divided by"
    )


def fusion_loss(
    answer: Tensor, target: Tensor, view: Tensor, weights: FusionLoss
) -> dict[str, Tensor]:
    """Return the loss of a batch, ``total``, and its parts ``similarity``, ``difference``; scalars.

    With S the similarity to the target, ``ssim`` is the mean of ``1 - S(answer)``; ``n_ssim`` is
    ``(1 - S(answer)) / max(1 - S(view), floor)``, 1 minus the challenge's score, of each crop or of
    the sums over the batch: without floor a crop of background outweighs a hundred others.
    """
    answer, target, view = (part.float() for part in (answer, target, view))
    lost = 1 - similarity(answer, target)
    if weights.kind == "n_ssim":
        before = 1 - similarity(view, target)
        if weights.over == "batch":
            lost, before = lost.mean(), before.mean()
        lost = lost / before.clamp_min(weights.floor)
    parts = {"similarity": lost.mean(), "difference": (answer - target).abs().mean()}
    total = weights.similarity * parts["similarity"] + weights.difference * parts["difference"]
    return {"total": total, **parts}


def similarity(first: Tensor, second: Tensor) -> Tensor:
    """Return `mean_ssim` (Wang et al. 2004) of (N, 1, Z, Y, X) batches, (N,), data range 1."""
    # A middle near the values keeps small variances exact.
    middle = second.detach().mean((-3, -2, -1))
    first, second = (part - middle[..., None, None, None] for part in (first, second))
    maps = torch.cat([first, second, first * first, second * second, first * second], 1)
    window = gaussian_window(tuple(first.shape[-3:]), shrink=True)
    for axis, half in zip((-3, -2, -1), window.weights, strict=True):
        if half.size > 1:
            rows = _rows(first.shape[axis], tuple(half.tolist())).to(first)
            maps = torch.movedim(torch.movedim(maps, axis, -1) @ rows, -1, axis)
    one, two, ones, twos, both = maps.flatten(2).unbind(1)
    common, spread = both - one * two, ones - one * one + twos - two * two
    one, two = one + middle, two + middle
    c1, c2 = K1**2, K2**2
    level = (2 * one * two + c1) / (one * one + two * two + c1)
    return (level * (2 * common + c2) / (spread + c2)).mean(1)


@lru_cache(maxsize=16)
def _rows(length: int, half: tuple[float, ...]) -> Tensor:
    """Return the windows within an axis as columns of a matrix: fast at any width."""
    weights = torch.tensor([*half[:0:-1], *half])
    columns = torch.zeros(length, length - len(weights) + 1)
    for place in range(columns.shape[1]):
        columns[place : place + len(weights), place] = weights
    return columns


SHOWN = 3  # volumes in a picture
# Voxels; from the entry of a participant of the challenge (Cyril-Meyer/FuseMyCells).
SIGMA = {"nucleus": 0.442, "membrane": 0.5}

Method = Callable[[ViewPair, Box], Image]


class Settings(TrainingSettings):
    """All settings of a training."""

    network: RestorerArguments = RestorerArguments()
    names: tuple[str, ...] = Field(
        ("*",), description="of views, without suffix, like image_*_membrane_angle"
    )
    crops: ViewCrops = ViewCrops()
    loss: FusionLoss = FusionLoss()

    @model_validator(mode="after")
    def _crops_fit_the_network(self) -> Self:
        """Refuse crops that the network cannot halve as often as it has to."""
        multiple = self.network.multiple
        if not are_multiples(self.crops.shape, multiple):
            raise ValueError(
                f"crops.shape must be multiples of {list(multiple)} for this network, found "
                f"{list(self.crops.shape)}"
            )
        return self


def load(folder: Path, role: str, settings: Settings) -> list[ViewPair]:  # noqa: ARG001
    """Return the views in a folder with their fused images."""
    spacing = settings.card.describes.get("spacing")
    return load_pairs(
        folder,
        settings.names,
        settings.crops.shape,
        settings.network.inputs,
        spacing if isinstance(spacing, tuple) else None,
        settings.files,
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
    entries = {
        "axes": "ZYX",
        "shape": np.median([item.shape for item in items], 0).round().tolist(),
    }
    if sizes := [item.spacing for item in items if item.spacing is not None]:
        entries["spacing"] = np.median(sizes, 0).round(4).tolist()
    for name in ("channel", "study"):
        values = {getattr(item, name) for item in items}
        if len(values) == 1 and None not in values:
            entries[name] = values.pop()
    return entries


def measure(cases: Cases[ViewPair], settings: Settings) -> Mapping[str, Any]:  # noqa: ARG001
    """Return the method of the card."""
    return {"method": "network"}


def notes(cases: Cases[ViewPair], settings: Settings) -> list[str]:
    """Return lines on small views, voxel sizes and channels not given, and maps not read."""
    items, describes = cases["pairs"], settings.card.describes
    lines = filled([item.shape for item in items], settings.crops.shape)
    for name, title in (("spacing", "voxel size [µm]"), ("channel", "channel")):
        unknown = sum(getattr(item, name) is None for item in items)
        if unknown and name not in describes:
            lines.append(
                f"{unknown} of {len(items)} views give no {title}: card.describes.{name} sets it"
            )
    unread = Counter(line for item in items for line in item.warnings if "not read" in line)
    return lines + [f"{count} of {len(items)} views: {line}" for line, count in unread.items()]


def check(source: Path | Mapping[str, Any], role: str, settings: Settings) -> None:  # noqa: ARG001
    """Refuse a folder without views, or with one that has no fused image."""
    if isinstance(source, Path):
        find_pairs(source, settings.names, settings.files)


def validate(state: State, cases: Cases[ViewPair], settings: Settings) -> Iterator[Facts]:
    """Yield the facts about the middle of each held-out view, restored by the average network."""
    return _judged(partial(restored, state, settings), cases, settings)


def baselines(cases: Cases[ViewPair], settings: Settings) -> Iterator[tuple[str, Iterator[Facts]]]:
    """Yield the facts of `validate` for the view itself and for one smoothed by a Gaussian."""
    methods = {"identity": _view, "gaussian": _smoothed}
    for name, method in methods.items():
        yield name, _judged(method, cases, settings)


def restored(state: State, settings: Settings, item: ViewPair, box: Box) -> Image:
    """Return a part of a view, in its units, as the card would restore it."""
    entries = {"method": "network", **settings.card.parameters}
    entries["network"] = settings.network.model_dump(mode="json")
    parameters = parse("card.parameters", entries, Parameters)
    network = settings.network
    prediction = predict_tiles(
        item.channels(box),
        state.average,
        channels=1,
        multiple=network.multiple,
        tile=parameters.tile,
        halo=network.halo,
        device=state.device,
    )
    return _linear(prediction.values[0])


def picture(state: State, cases: Cases[ViewPair], settings: Settings) -> NDArray[np.uint8]:
    """Return planes of held-out images, one row each: views, restored ones, fused ones."""
    rows: list[list[NDArray[np.uint8]]] = [[], [], []]
    for item in cases["pairs"][:SHOWN]:
        box = middle(item, settings)
        fused = _linear(item.fused[box])
        for row, array in zip(
            rows, (_view(item, box), restored(state, settings, item, box), fused), strict=True
        ):
            row.append(views(Volume(array, (1.0, 1.0, 1.0))))
    return joined([joined(row, 1) for row in rows], 0)


def middle(item: ViewPair, settings: Settings) -> Box:
    """Return the voxels of a held-out image that a validation looks at, see `ViewCrops.shown`."""
    sides = [min(n, most) for n, most in zip(item.shape, settings.crops.shown, strict=True)]
    starts = [(n - side) // 2 for n, side in zip(item.shape, sides, strict=True)]
    return tuple(slice(low, low + n) for low, n in zip(starts, sides, strict=True))


def _judged(method: Method, cases: Cases[ViewPair], settings: Settings) -> Iterator[Facts]:
    """Yield the facts about each held-out case for a method, in units of the whole images."""
    for item in cases["pairs"]:
        box = middle(item, settings)
        yield Facts(
            {
                "truth": partial(_linear, item.fused[box]),
                "prediction": partial(method, item, box),
                "image": partial(_view, item, box),
                "data_range": partial(float, 1),
            }
        )


def _view(item: ViewPair, box: Box) -> Image:
    """Return a part of a view as it is."""
    return _linear(item.view[box])


def _smoothed(item: ViewPair, box: Box) -> Image:
    """Return a part of a view, smoothed by the Gaussian for its channel."""
    sigma = SIGMA.get(str(item.channel), SIGMA["nucleus"])
    image = _view(item, box)
    return smooth(image, sigma, tile=image.shape)


def _linear(values: NDArray[np.floating]) -> Image:
    """Return values in units of the network without the compression of outliers."""
    return to_counts(values, Units(0.0, 1.0), np.float32)


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
    notes=notes,
    picture=picture,
    roles=("pairs",),
)
