"""Training of HarmonicNet: the parts that `cytosuite.training.loop` puts together."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from math import inf, isnan
from typing import Self

import numpy as np
from pydantic import model_validator
from torch import Tensor
from torch.nn import functional

from cytosuite.algorithms.harmonicnet.network import SPHERE, Network, in_eights
from cytosuite.algorithms.harmonicnet.predict import candidates, scale_of
from cytosuite.algorithms.harmonicnet.suppression import kept
from cytosuite.bodies import Fitted, fit
from cytosuite.bodies.grid import Grid
from cytosuite.bodies.harmonics import basis, fibonacci_sphere
from cytosuite.bodies.stars import label, stars_from
from cytosuite.contract.manifest import Described, NotNegative, OpenShare
from cytosuite.errors import InputError
from cytosuite.files import Entries
from cytosuite.metrics.evidence import Facts
from cytosuite.networks.network import using
from cytosuite.networks.normalise import QUIETEST
from cytosuite.training.augment import GEOMETRY
from cytosuite.training.images import Turn
from cytosuite.training.nuclei.cases import SHARE_UNIT, TrainingCase
from cytosuite.training.nuclei.parts import (
    ALIKE,
    NucleiCases,
    NucleiSettings,
    NucleiTraining,
    voxel_of,
)
from cytosuite.training.nuclei.patches import DrawnPatch, draw_patches
from cytosuite.training.parts import Arrays, State, Tensors
from cytosuite.training.validate import score, wanted_metrics
from cytosuite.volume.arrays import Array, Floats, Shorts, Spacing

Labels = Shorts

HEAT_WIDTH = 0.5  # standard deviation of the centre's heat, in mean radii


def shaped(case: TrainingCase, order: int, smoothing: float, tau: float) -> TrainingCase:
    """Return a case with the shapes of its objects where their level is at least `tau`.

    Its `shares` hold the heat of their centres.
    """
    labels = outlined(case, tau)
    fitted = fit(labels[tuple(map(slice, case.unpadded))], case.spacing, order, smoothing)
    table = np.zeros((int(labels.max(initial=0)) + 1, (order + 1) ** 2), np.float32)
    table[fitted.ids] = fitted.coefficients
    heat = np.rint(SHARE_UNIT * centre_heat(labels, case.spacing, fitted)).astype(np.uint8)
    return replace(case, labels=labels, shares=heat[None], coefficients=table)


def outlined(case: TrainingCase, tau: float) -> Labels:
    """Return the labels of a case where the level is at least `tau`."""
    return np.where(case.level >= tau * SHARE_UNIT, case.labels, 0).astype(np.uint16)


def centre_heat(labels: Labels, spacing: Spacing, fitted: Fitted) -> Floats:
    """Return ``exp(-d² / (2 (R / 2)²))`` by the distance d to the own centre, R the mean radius.

    The peak is where the radii are measured from; that of the published distance to the border is
    elsewhere in objects that are not round.
    """
    heat = np.zeros(labels.shape, np.float32)
    voxels = np.nonzero(labels)
    row = np.searchsorted(fitted.ids, labels[voxels])
    away = np.zeros(row.size, np.float32)
    for axis, step in enumerate(spacing):
        away += (voxels[axis] * np.float32(step) - fitted.centres[row, axis]) ** 2
    width = HEAT_WIDTH * fitted.coefficients[:, 0] / SPHERE
    heat[voxels] = np.exp(-away / (2 * width[row] ** 2))
    return heat


def batch_of(drawn: Sequence[DrawnPatch], radius_um: float) -> dict[str, Array]:
    """Return images `in_eights` (N, 8, z, y, x), heat and rows (N, z, y, x) of a table.

    The table (N, M, C) holds turned coefficients in units of the mean radius; row 0 is of none.
    """
    heats, rows, tables = [], [], []
    for patch in drawn:
        assert patch.case.coefficients is not None  # see shaped
        heat, labels = (_blocks(patch.target[channel]) for channel in (1, 2))
        # The maximum is a label, no mean of two, and has heat wherever a voxel of the block has.
        names, row = np.unique(labels.max((1, 3, 5)), return_inverse=True)
        row = row + (names[0] > 0)
        names = np.append(0, names[names > 0])
        coefficients = patch.case.coefficients[names.astype(int)] / np.float32(radius_um)
        heats.append(heat.mean((1, 3, 5)))
        rows.append(row.reshape(heats[-1].shape))
        tables.append(coefficients @ turning(patch.turn, coefficients.shape[1]).T)
    longest = max(map(len, tables))
    return {
        "image": np.stack([in_eights(patch.image[0]) for patch in drawn]),
        "heat": np.stack(heats),
        "rows": np.stack(rows),
        "table": np.stack([np.pad(t, ((0, longest - len(t)), (0, 0))) for t in tables]),
    }


def _blocks(image: Floats) -> Floats:
    """Return an image (2 z, 2 y, 2 x) as blocks (z, 2, y, 2, x, 2)."""
    z, y, x = image.shape
    return image.reshape(z // 2, 2, y // 2, 2, x // 2, 2)


@lru_cache
def turning(turn: Turn, count: int) -> Floats:
    """Return the matrix (C, C) that turns coefficients with an image: signs and exchanges."""
    order = round(count**0.5) - 1
    directions = fibonacci_sphere(4 * count)
    before = directions[[0, 2, 1]] if turn.swap else directions
    before = before * np.where(turn.flips, -1, 1)[:, None]
    solved, *_ = np.linalg.lstsq(basis(order, directions), basis(order, before), rcond=None)
    return np.asarray(np.rint(solved), np.float32)


class LossWeights(Described):
    """Weights of the parts of the loss."""

    shape: NotNegative = 25.0  # weight of the shapes; the heat has 1


def heat_loss(logit: Tensor, heat: Tensor) -> Tensor:
    """Return the cross entropy of the heat; objects and ground have half of the weight each."""
    entropy = functional.binary_cross_entropy_with_logits(logit, heat, reduction="none")
    inside = heat > 0
    parts = [(entropy * side).sum() / side.sum().clamp(min=1) for side in (inside, ~inside)]
    return (parts[0] + parts[1]) / 2


def shape_loss(coefficients: Tensor, heat: Tensor, rows: Tensor, table: Tensor) -> Tensor:
    """Return the mean squared error of the radius over all directions, weighted with the heat.

    Harmonics are orthonormal: the squared errors of all coefficients sum up to 4 pi times the mean
    squared error over the sphere (Parseval). The mean absolute error of coefficients weighs large
    and small ones alike; a network learned hardly any shape by it.
    """
    where = (heat > 0).nonzero(as_tuple=True)
    goal = table[where[0], rows[where]]
    weight = heat[where]
    error = (coefficients.movedim(1, -1)[where] - goal).square().sum(1) / SPHERE**2
    return (error * weight).sum() / weight.sum().clamp(min=1)


THRESHOLDS = [n / 20 for n in range(2, 19)]  # of the heat, that are tried
LEAST = 24  # voxels of a patch: of two at the lowest level oneDNN's gradients in bfloat16 are wrong


class Settings(NucleiSettings):
    """All settings of a training."""

    network: Network = Network()
    tau: OpenShare = 0.38  # nuclei end where the level is below this
    smoothing: NotNegative = 0.006  # weight of l² (l + 1)² in the fit of shapes
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


class ShapeTraining(NucleiTraining[Settings]):
    """The parts of the training."""

    algorithm = "harmonicnet"
    settings = Settings

    def measure(self, cases: NucleiCases, settings: Settings) -> Entries:
        """Return the voxel size, µm, and the mean radius of the objects."""
        voxel = voxel_of(cases)
        radii = [np.empty(0)]
        for case in cases["images"]:
            if not np.allclose(case.spacing, voxel, rtol=ALIKE):
                raise InputError(
                    f"{case.path}: expected voxels of about {voxel} µm, as most have, found "
                    f"{list(case.spacing)}; give volumes of one voxel size"
                )
            volumes = np.bincount(outlined(case, settings.outline).ravel())[1:] * np.prod(
                case.spacing
            )
            radii.append(np.cbrt(volumes[volumes > 0] * 3 / (4 * np.pi)))
        if not (sizes := np.concatenate(radii)).size:
            raise InputError("expected objects to learn from, found none; give labels with objects")
        return {"spacing_um": voxel, "radius_um": round(float(sizes.mean()), 4)}

    def prepare_cases(self, cases: NucleiCases, settings: Settings) -> NucleiCases:
        """Return the cases to train on with the shapes of their objects."""
        order, smoothing, tau = settings.network.order, settings.smoothing, settings.outline
        prepared = super().prepare_cases(cases, settings)
        return {
            role: [shaped(case, order, smoothing, tau) for case in items]
            for role, items in prepared.items()
        }

    def batch(self, cases: NucleiCases, settings: Settings, step: int) -> Arrays:
        """Return images, heat and the coefficients of their objects for a step, see `batch_of`."""
        drawn = draw_patches(cases["images"], settings.patches, settings.schedule.seed, step)
        return batch_of(drawn, settings.card.parameters["radius_um"])

    def losses(self, prediction: Tensor, batch: Tensors, settings: Settings) -> Tensors:
        """Return the loss of (N, 1 + C, z, y, x), ``total``, and its parts heat and shape."""
        heat = heat_loss(prediction[:, 0], batch["heat"])
        shape = shape_loss(prediction[:, 1:], batch["heat"], batch["rows"], batch["table"])
        return {"total": heat + settings.loss.shape * shape, "heat": heat, "shape": shape}

    def validate(self, state: State, cases: NucleiCases, settings: Settings) -> Iterator[Facts]:
        """Yield true and found labels of held-out cases, at the threshold that scores best."""
        yield from self._judged(state, cases, settings)[1]

    def tune(self, state: State, cases: NucleiCases, settings: Settings) -> Entries:
        """Return the threshold that scores best on held-out cases."""
        return {"threshold": self._judged(state, cases, settings)[0]}

    def _judged(
        self, state: State, cases: NucleiCases, settings: Settings
    ) -> tuple[float, list[Facts]]:
        """Return the threshold, the card's or the one that scores best, and the facts with it."""
        entries = settings.card.parameters
        tried = [entries["threshold"]] if "threshold" in entries else THRESHOLDS
        parameters = self.parameters(
            settings.with_card(parameters={**entries, "threshold": min(tried)})
        )
        scenes = []
        for number, case in enumerate(cases["images"]):
            scene = self.held_out(case, number, settings)
            scale = scale_of(scene.image, parameters)
            with using(state.average):
                proposed = candidates(scene.image, scale, parameters, state.average)
            smallest = parameters.smallest_um3 * scale.ratio**3
            scenes.append((scene, proposed, kept(proposed, parameters.overlap, smallest)))
        metric = wanted_metrics(settings.validation)[0]
        best = (-inf, tried[0], list[Facts]())
        for threshold in tried:
            facts = list[Facts]()
            for scene, proposed, chosen in scenes:
                # The most certain come first and none depends on a later one.
                certain = chosen[proposed.certainty[chosen] > threshold]
                image = scene.image
                labels = label(
                    stars_from(proposed.coefficients[certain]),
                    proposed.centres_um[certain],
                    Grid(image.shape, image.spacing),
                )
                facts += scene.facts(image.like(labels))
            value = score([metric], facts)[metric.name] * (1 if metric.higher_is_better else -1)
            if not isnan(value) and value > best[0]:
                best = (value, threshold, facts)
        return best[1], best[2] or facts

    def quietest(self, settings: Settings) -> float:
        """Return the noise that networks of nuclei assume: cases are read before it is measured."""
        return QUIETEST

    def tau(self, settings: Settings) -> float:
        """Return the level at which objects end."""
        return settings.tau


TRAINING = ShapeTraining()
