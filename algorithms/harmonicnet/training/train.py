"""Training of HarmonicNet: the parts that `cytosuite.training.loop` puts together."""

from collections.abc import Iterator, Mapping
from math import inf, isnan
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import Field, model_validator

from cytosuite.algorithms.harmonicnet.network import Network, build
from cytosuite.algorithms.harmonicnet.parameters import Parameters
from cytosuite.algorithms.harmonicnet.predict import candidates, scale_of
from cytosuite.algorithms.harmonicnet.suppression import kept
from cytosuite.algorithms.harmonicnet.training.losses import LossWeights, losses
from cytosuite.algorithms.harmonicnet.training.shapes import batch_of, outlined, shaped
from cytosuite.bodies.grid import Grid
from cytosuite.bodies.stars import label, stars_from
from cytosuite.errors import InputError
from cytosuite.metrics.evidence import Facts
from cytosuite.networks.network import using
from cytosuite.training.augment import GEOMETRY
from cytosuite.training.nuclei import parts
from cytosuite.training.nuclei.cases import TrainingCase
from cytosuite.training.nuclei.patches import draw_patches
from cytosuite.training.parts import Arrays, Cases, State, Tensors
from cytosuite.training.validate import score, wanted_metrics
from cytosuite.volume import Volume

ALIKE = 0.1  # relative difference of voxel sizes that count as one
THRESHOLDS = [n / 20 for n in range(2, 19)]  # of the heat, that are tried
LEAST = 24  # voxels of a patch: of two at the lowest level oneDNN's gradients in bfloat16 are wrong


class Settings(parts.NucleiSettings):
    """All settings of a training."""

    network: Network = Network()
    tau: float = Field(0.38, ge=0, lt=1, description="nuclei end where the level is below this")
    smoothing: float = Field(0.006, ge=0, description="weight of l² (l + 1)² in the fit of shapes")
    loss: LossWeights = LossWeights()

    @property
    def outline(self) -> float:
        """Level at which objects end; cells end at their labels."""
        return self.tau if self.channel == "nucleus" else 0.0

    @model_validator(mode="after")
    def _shapes_stay_true(self) -> Self:
        patches = self.patches
        if patches.cut or patches.augment.permute_dim or {*GEOMETRY} & {*patches.augment.queue}:
            raise ValueError(
                "patches: cut, permute_dim and a queue with anisotropy, stretch or shrink change "
                "the shapes of objects, which are fitted once; leave them out"
            )
        if min(patches.shape) < LEAST:
            raise ValueError(f"patches.shape: expected {LEAST} or more, found {patches.shape}")
        return self


def load(folder: Path, role: str, settings: Settings) -> list[TrainingCase]:  # noqa: ARG001 - one role
    """Return the volumes in a folder, see `find_cases`."""
    return parts.load_cases(folder, settings)


def measure(cases: Cases[TrainingCase], settings: Settings) -> Mapping[str, Any]:
    """Return the voxel size, µm, and the mean radius of the objects."""
    voxel, radii = parts.voxel_of(cases), [np.empty(0)]
    for case in cases["images"]:
        if not np.allclose(case.spacing, voxel, rtol=ALIKE):
            raise InputError(
                f"{case.path}: expected voxels of about {voxel} µm, as most have, found "
                f"{list(case.spacing)}; give volumes of one voxel size"
            )
        volumes = np.bincount(outlined(case, settings.outline).ravel())[1:] * np.prod(case.spacing)
        radii.append(np.cbrt(volumes[volumes > 0] * 3 / (4 * np.pi)))
    if not (found := np.concatenate(radii)).size:
        raise InputError("expected objects to learn from, found none; give labels with objects")
    return {"spacing_um": voxel, "radius_um": round(float(found.mean()), 4)}


def prepare_cases(cases: Cases[TrainingCase], settings: Settings) -> Cases[TrainingCase]:
    """Return the cases to train on with the shapes of their objects."""
    order, smoothing, tau = settings.network.order, settings.smoothing, settings.outline
    kept = parts.prepare_cases(cases, settings)
    return {
        role: [shaped(case, order, smoothing, tau) for case in own] for role, own in kept.items()
    }


def batch(cases: Cases[TrainingCase], settings: Settings, step: int) -> Arrays:
    """Return images, heat and the coefficients of their objects for a step, see `batch_of`."""
    drawn = draw_patches(cases["images"], settings.patches, settings.schedule.seed, step)
    return batch_of(drawn, settings.card.parameters["radius_um"])


def step(state: State, batch: Tensors, settings: Settings) -> Tensors:
    """Take a step against the loss of a batch, and return the loss and its parts."""
    with state.autocast():
        prediction = state.modules["network"](batch["image"])
    found = losses(prediction, batch, settings.loss)
    state.update("adam", found["total"])
    return found


def validate(state: State, cases: Cases[TrainingCase], settings: Settings) -> Iterator[Facts]:
    """Yield true and found labels of held-out cases, at the threshold that scores best."""
    yield from _judged(state, cases, settings)[1]


def tune(state: State, cases: Cases[TrainingCase], settings: Settings) -> Mapping[str, Any]:
    """Return the threshold that scores best on held-out cases."""
    return {"threshold": _judged(state, cases, settings)[0]}


def _judged(
    state: State, cases: Cases[TrainingCase], settings: Settings
) -> tuple[float, list[Facts]]:
    """Return the threshold, the card's or the one that scores best, and the facts with it."""
    given = settings.card.parameters
    tried = [given["threshold"]] if "threshold" in given else THRESHOLDS
    lowest = settings.with_card(parameters={**given, "threshold": min(tried)})
    parameters = parts.parameters_of(lowest, Parameters)
    scenes = []
    for image, truth, spacing in parts.held_out(cases, settings, settings.tau):
        volume = Volume(image, spacing)
        with using(state.average):
            found = candidates(volume, scale_of(volume, parameters), parameters, state.average)
        scenes.append(
            (truth, spacing, found, kept(found, parameters.overlap, parameters.smallest_um3))
        )
    metric, best = wanted_metrics(settings.validation)[0], (-inf, tried[0], list[Facts]())
    for threshold in tried:
        facts = []
        for truth, spacing, found, chosen in scenes:
            # The most certain come first and none depends on a later one.
            own = chosen[found.certainty[chosen] > threshold]
            stars, grid = stars_from(found.coefficients[own]), Grid(truth.shape, spacing)
            facts.append(parts.facts_of(truth, label(stars, found.centres_um[own], grid), spacing))
        value = score([metric], facts)[metric.name] * (1 if metric.higher_is_better else -1)
        if not isnan(value) and value > best[0]:
            best = (value, threshold, facts)
    return best[1], best[2] or facts


TRAINING = parts.training(
    "harmonicnet",
    Settings,
    build,
    load=load,
    batch=batch,
    step=step,
    validate=validate,
    tune=tune,
    measure=measure,
    prepare_cases=prepare_cases,
)
