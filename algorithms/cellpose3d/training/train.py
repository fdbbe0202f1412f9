"""Training of Cellpose3D: the parts that `cytosuite.training.loop` puts together."""

from collections.abc import Iterator, Mapping, Sequence
from math import nan
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import Field, model_validator

from cytosuite.algorithms.cellpose3d.network import Network
from cytosuite.algorithms.cellpose3d.network import build as build_network
from cytosuite.algorithms.cellpose3d.parameters import Parameters
from cytosuite.algorithms.cellpose3d.segment import predict_fields, segment
from cytosuite.algorithms.cellpose3d.training.cases import (
    SHARE_UNIT,
    Channel,
    TrainingCase,
    check_recipe,
    corrupted,
    find_cases,
    load_case,
)
from cytosuite.algorithms.cellpose3d.training.losses import LossWeights, draw_thresholds, losses
from cytosuite.algorithms.cellpose3d.training.patches import Patches, draw_batch, draw_image
from cytosuite.contract.manifest import parse
from cytosuite.metrics.evidence import Facts
from cytosuite.networks.normalise import background_of, normalise
from cytosuite.networks.tiling import are_multiples
from cytosuite.training.images import filled
from cytosuite.training.parts import Arrays, Cases, Parts, State, Tensors, Training, optimiser_of
from cytosuite.training.settings import TrainingSettings


class Settings(TrainingSettings):
    """All settings of a training."""

    channel: Channel = Field("nucleus", description="images show nuclei, or cells' membranes")
    network: Network = Network(widths=(16, 32, 64, 96))
    patches: Patches = Patches()
    loss: LossWeights = LossWeights()

    @model_validator(mode="after")
    def _patches_fit_the_network(self) -> Self:
        multiple = self.network.multiple
        if not are_multiples(self.patches.shape, multiple):
            raise ValueError(
                f"patches.shape must be multiples of {list(multiple)} for this network, "
                f"found {list(self.patches.shape)}"
            )
        if (self.network.dimensions == 2) != (self.patches.shape[0] == 1):
            raise ValueError(
                f"patches.shape: a network of {self.network.dimensions} dimensions takes patches "
                f"of {'one plane' if self.network.dimensions == 2 else 'several planes'}, found "
                f"{list(self.patches.shape)}"
            )
        if self.patches.shape[1] != self.patches.shape[2]:
            raise ValueError("patches.shape must be as long in y as in x, which are exchanged")
        return self


def load(folder: Path, role: str, settings: Settings) -> list[TrainingCase]:  # noqa: ARG001 - one role
    """Return the volumes in a folder with their targets, see `find_cases`."""
    shape, stray = settings.patches.shape, settings.patches.stray
    found = find_cases(folder, settings.channel, settings.files.root, settings.files.group)
    quietest = _parameters(settings).quietest
    return [load_case(files, shape, stray, quietest) for files in found]


def _parameters(settings: Settings) -> Parameters:
    given = {**settings.card.parameters, "network": settings.network.model_dump()}
    return parse("card.parameters", given, Parameters)


def notes(cases: Cases[TrainingCase], settings: Settings) -> list[str]:
    """Return a line on volumes smaller than a patch."""
    return filled([case.unpadded for case in cases["images"]], settings.patches.shape)


def prepare_cases(cases: Cases[TrainingCase], settings: Settings) -> Cases[TrainingCase]:
    """Return the cases to train on with bad annotation, where the settings ask for it."""
    share = settings.patches.augment.corrupt_prob
    if not share:
        return cases
    return {role: [corrupted(case, share) for case in own] for role, own in cases.items()}


def check(source: Path | Mapping[str, Any], role: str, settings: Settings) -> None:  # noqa: ARG001
    """Refuse a folder without volumes, or a simulation that keeps nothing to learn from."""
    if isinstance(source, Path):
        find_cases(source, settings.channel, settings.files.root)
    else:
        check_recipe(source, settings.channel)


def build(settings: Settings) -> Parts:
    """Return a network with random weights, and its optimiser."""
    network = build_network(settings.network)
    return {"network": network}, {"adam": optimiser_of([network], settings.schedule)}


def batch(cases: Cases[TrainingCase], settings: Settings, step: int) -> Arrays:
    """Return images (N, 1, Z, Y, X) and targets (N, 5, Z, Y, X) of a step, see `draw_batch`."""
    return draw_batch(cases["images"], settings.patches, settings.schedule.seed, step)


def step(state: State, batch: Tensors, settings: Settings) -> Tensors:
    """Take a step against the loss of a batch, and return the loss and its parts."""
    thresholds = draw_thresholds(settings.loss).to(state.device)
    with state.autocast():
        prediction = state.modules["network"](batch["image"])
    found = losses(prediction, batch["target"], thresholds, settings.loss)
    state.update("adam", found["total"])
    return found


def describe(cases: Cases[TrainingCase], settings: Settings) -> Mapping[str, Any]:
    """Return axes, channel, typical lateral diameter and, of volumes, voxel size, all in µm."""
    diameters = np.concatenate([case.diameters_um for case in cases["images"]])
    # A card with a stain is not taken for images that do not say their channel.
    stain = {} if settings.channel == "nucleus" else {"stain": settings.channel}
    typical = settings.patches.diameter or (np.median(diameters) if diameters.size else nan)
    voxel = np.median([case.spacing for case in cases["images"]], 0).round(4).tolist()
    flat = settings.network.dimensions == 2
    return {
        "axes": "YX" if flat else "ZYX",
        "channel": settings.channel,
        **stain,
        **({} if flat else {"spacing": voxel}),
        "diameter_um": round(float(typical), 2),
    }


def validate(state: State, cases: Cases[TrainingCase], settings: Settings) -> Iterator[Facts]:
    """Yield true and predicted labels of held-out cases, cut at the card's `tau`."""
    parameters = _parameters(settings)
    for number, case in enumerate(cases["images"]):
        image, labels = draw_image(np.random.default_rng(number), case, settings.patches)
        if settings.channel == "nucleus" and not case.is_plane:
            labels = np.where(case.level > parameters.tau * SHARE_UNIT, labels, 0)
        values = normalise(image, background_of(image, parameters.quietest))
        fields = predict_fields(values, state.average, parameters, state.device)
        found = segment(fields, image, case.spacing, parameters).labels
        yield _facts(labels, found, case.spacing)


def _facts(truth: np.ndarray, found: np.ndarray, spacing: Sequence[float]) -> Facts:
    return Facts({"truth": lambda: truth, "prediction": lambda: found, "spacing": lambda: spacing})


TRAINING = Training(
    algorithm="cellpose3d",
    settings=Settings,
    load=load,
    build=build,
    batch=batch,
    step=step,
    describe=describe,
    validate=validate,
    check=check,
    notes=notes,
    prepare_cases=prepare_cases,
    default="embryo.toml",
)
