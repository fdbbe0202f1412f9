"""Training of Cellpose3D: the parts that `cytosuite.training.loop` puts together."""

from collections.abc import Iterator
from pathlib import Path

from cytosuite.algorithms.cellpose3d.network import Network, build
from cytosuite.algorithms.cellpose3d.parameters import Parameters
from cytosuite.algorithms.cellpose3d.segment import predict_fields, segment
from cytosuite.algorithms.cellpose3d.training.losses import LossWeights, draw_thresholds, losses
from cytosuite.algorithms.cellpose3d.training.targets import targets_of
from cytosuite.metrics.evidence import Facts
from cytosuite.networks.normalise import background_of, normalise
from cytosuite.training.nuclei import parts
from cytosuite.training.nuclei.cases import TrainingCase
from cytosuite.training.nuclei.patches import draw_batch
from cytosuite.training.parts import Arrays, Cases, State, Tensors


class Settings(parts.NucleiSettings):
    """All settings of a training."""

    network: Network = Network(widths=(16, 32, 64, 96))
    loss: LossWeights = LossWeights()


def load(folder: Path, role: str, settings: Settings) -> list[TrainingCase]:  # noqa: ARG001 - one role
    """Return the volumes in a folder with their targets, see `find_cases`."""
    quietest = parts.parameters_of(settings, Parameters).quietest
    return parts.load_cases(folder, settings, targets_of, quietest)


def batch(cases: Cases[TrainingCase], settings: Settings, step: int) -> Arrays:
    """Return images (N, 1, Z, Y, X) and targets (N, 6, Z, Y, X) of a step, see `draw_batch`."""
    return draw_batch(cases["images"], settings.patches, settings.schedule.seed, step)


def step(state: State, batch: Tensors, settings: Settings) -> Tensors:
    """Take a step against the loss of a batch, and return the loss and its parts."""
    thresholds = draw_thresholds(settings.loss).to(state.device)
    with state.autocast():
        prediction = state.modules["network"](batch["image"])
    found = losses(prediction, batch["target"], thresholds, settings.loss)
    state.update("adam", found["total"])
    return found


def validate(state: State, cases: Cases[TrainingCase], settings: Settings) -> Iterator[Facts]:
    """Yield true and predicted labels of held-out cases, cut at the card's `tau`."""
    parameters = parts.parameters_of(settings, Parameters)
    for image, truth, spacing in parts.held_out(cases, settings, parameters.tau):
        values = normalise(image, background_of(image, parameters.quietest))
        fields = predict_fields(values, state.average, parameters, state.device)
        found = segment(fields, image, spacing, parameters).labels
        yield parts.facts_of(truth, found, spacing)


TRAINING = parts.training(
    "cellpose3d",
    Settings,
    build,
    light=True,
    load=load,
    batch=batch,
    step=step,
    validate=validate,
    default="embryo.toml",
)
