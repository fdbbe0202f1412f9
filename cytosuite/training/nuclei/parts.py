"""Settings and parts of a training that all networks of nuclei share."""

from collections.abc import Callable, Iterator, Mapping
from math import nan
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, model_validator
from torch import nn

from cytosuite.contract.manifest import parse
from cytosuite.metrics.evidence import Facts
from cytosuite.networks.normalise import QUIETEST
from cytosuite.networks.tiling import are_multiples
from cytosuite.training.images import filled
from cytosuite.training.nuclei.cases import (
    SHARE_UNIT,
    Channel,
    MakeTargets,
    TrainingCase,
    check_recipe,
    corrupted,
    find_cases,
    labels_alone,
    load_case,
)
from cytosuite.training.nuclei.patches import Patches, draw_image
from cytosuite.training.parts import Cases, Parts, Training, optimiser_of
from cytosuite.training.settings import TrainingSettings


class HeldOut(NamedTuple):
    """A held-out case as an image."""

    image: NDArray[np.float32]  # (Z, Y, X), not normalised
    truth: NDArray[np.uint16]
    spacing: tuple[float, ...]  # µm z y x, in planes 1


class _Fitting(Protocol):
    """Arguments of a network that patches must fit."""

    dimensions: int

    @property
    def multiple(self) -> tuple[int, int, int]:
        """Sides of a patch are multiples of these."""


class NucleiSettings(TrainingSettings):
    """Settings of a training on patches; the network's arguments have dimensions and multiple."""

    channel: Channel = Field("nucleus", description="images show nuclei, or cells' membranes")
    patches: Patches = Patches()

    @model_validator(mode="after")
    def _patches_fit_the_network(self) -> Self:
        network, shape = cast(_Fitting, self.network), self.patches.shape
        if not are_multiples(shape, network.multiple):
            raise ValueError(
                f"patches.shape must be multiples of {list(network.multiple)} for this network, "
                f"found {list(shape)}"
            )
        if (network.dimensions == 2) != (shape[0] == 1):
            raise ValueError(
                f"patches.shape: a network of {network.dimensions} dimensions takes patches "
                f"of {'one plane' if network.dimensions == 2 else 'several planes'}, found "
                f"{list(shape)}"
            )
        if shape[1] != shape[2]:
            raise ValueError("patches.shape must be as long in y as in x, which are exchanged")
        return self


Given = TypeVar("Given", bound=NucleiSettings)
Model = TypeVar("Model", bound=BaseModel)


def load_cases(
    folder: Path,
    settings: NucleiSettings,
    make_targets: MakeTargets = labels_alone,
    quietest: float = QUIETEST,
) -> list[TrainingCase]:
    """Return the volumes in a folder; targets beyond labels need a simulation's light."""
    shape, stray = settings.patches.shape, settings.patches.stray
    return [
        load_case(files, shape, make_targets, stray, quietest)
        for files in find_cases(
            folder, settings.channel, settings.files, light=make_targets is not labels_alone
        )
    ]


def notes(cases: Cases[TrainingCase], settings: NucleiSettings) -> list[str]:
    """Return a line on volumes smaller than a patch, and one on volumes without a camera."""
    images = cases["images"]
    finished = sum(not case.simulated and not case.is_plane for case in images)
    camera = f"{finished} of {len(images)} images as they are: no camera is drawn for them"
    lines = filled([case.unpadded for case in images], settings.patches.shape)
    return lines + [camera] * bool(finished)


def prepare_cases(cases: Cases[TrainingCase], settings: NucleiSettings) -> Cases[TrainingCase]:
    """Return the cases to train on with bad annotation, where the settings ask for it."""
    share = settings.patches.augment.corrupt_prob
    if not share:
        return cases
    return {
        role: [corrupted(case, share) for case in role_cases] for role, role_cases in cases.items()
    }


def training(
    algorithm: str,
    settings: type[Given],
    build: Callable[[Any], nn.Module],
    *,
    light: bool = False,
    **parts: Any,  # noqa: ANN401 - as the parts of a training
) -> Training[Given, TrainingCase]:
    """Return a training with the shared parts of nuclei; with `light` labels do not suffice."""

    def built(settings: Given) -> Parts:
        """Return a network with random weights, and its optimiser."""
        network = build(settings.network)
        return {"network": network}, {"adam": optimiser_of([network], settings.schedule)}

    def check(source: Path | Mapping[str, Any], role: str, settings: Given) -> None:  # noqa: ARG001
        """Refuse a folder without volumes, or a simulation that keeps nothing to learn from."""
        if isinstance(source, Path):
            find_cases(source, settings.channel, settings.files, light=light)
        elif light:
            check_recipe(source, settings.channel)

    shared = {"describe": describe, "notes": notes, "prepare_cases": prepare_cases}
    return Training(algorithm, settings, build=built, check=check, **{**shared, **parts})


def parameters_of(settings: NucleiSettings, model: type[Model]) -> Model:
    """Return the parameters of the inference by the network of a training."""
    parameters = {**settings.card.parameters, "network": settings.network.model_dump()}
    return parse("card.parameters", parameters, model)


def describe(cases: Cases[TrainingCase], settings: NucleiSettings) -> Mapping[str, Any]:
    """Return axes, channel, typical lateral diameter and, of volumes, voxel size, all in µm."""
    diameters = np.concatenate([case.diameters_um for case in cases["images"]])
    # A card with a stain is not taken for images that do not say their channel.
    stain = {} if settings.channel == "nucleus" else {"stain": settings.channel}
    typical = settings.patches.diameter or (np.median(diameters) if diameters.size else nan)
    flat = settings.patches.shape[0] == 1
    return {
        "axes": "YX" if flat else "ZYX",
        "channel": settings.channel,
        **stain,
        **({} if flat else {"spacing": voxel_of(cases)}),
        "diameter_um": round(float(typical), 2),
    }


def voxel_of(cases: Cases[TrainingCase]) -> list[float]:
    """Return the median voxel size z, y, x in µm."""
    size: list[float] = np.median([case.spacing for case in cases["images"]], 0).round(4).tolist()
    return size


def held_out(cases: Cases[TrainingCase], settings: NucleiSettings, tau: float) -> Iterator[HeldOut]:
    """Yield images and true labels of held-out cases; nuclei in volumes are cut at the level."""
    for number, case in enumerate(cases["images"]):
        image, labels = draw_image(np.random.default_rng(number), case, settings.patches)
        if settings.channel == "nucleus" and not case.is_plane:
            labels = np.where(case.level > tau * SHARE_UNIT, labels, 0)
        yield HeldOut(image, labels, case.spacing)


def facts_of(truth: NDArray[Any], prediction: NDArray[Any], spacing: tuple[float, ...]) -> Facts:
    """Return the facts by which labels are judged."""
    return Facts(
        {"truth": lambda: truth, "prediction": lambda: prediction, "spacing": lambda: spacing}
    )
