"""Shapes of a case's objects, fitted once, and batches that gather them by their rows."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cytosuite.algorithms.harmonicnet.network import SPHERE
from cytosuite.bodies import Fitted, fit
from cytosuite.bodies.harmonics import basis, fibonacci_sphere
from cytosuite.training.nuclei.cases import SHARE_UNIT, TrainingCase
from cytosuite.training.nuclei.patches import DrawnPatch, Turn

Floats = NDArray[np.float32]
Labels = NDArray[np.uint16]

HEAT_WIDTH = 0.5  # standard deviation of the centre's heat, in mean radii


@dataclass(frozen=True, slots=True)
class ShapedCase(TrainingCase):
    """A case with its shapes; `shares` hold the heat of their centres."""

    coefficients: Floats  # (N + 1, C) µm, by label


def shaped(case: TrainingCase, order: int, smoothing: float, tau: float) -> ShapedCase:
    """Return a case with the shapes of its objects where their level is at least `tau`."""
    labels = outlined(case, tau)
    fitted = fit(labels[tuple(map(slice, case.unpadded))], case.spacing, order, smoothing)
    table = np.zeros((int(labels.max(initial=0)) + 1, (order + 1) ** 2), np.float32)
    table[fitted.ids] = fitted.coefficients
    heat = np.rint(SHARE_UNIT * centre_heat(labels, case.spacing, fitted)).astype(np.uint8)
    own = {field.name: getattr(case, field.name) for field in fields(TrainingCase)}
    return ShapedCase(**own | {"labels": labels, "shares": heat[None]}, coefficients=table)


def outlined(case: TrainingCase, tau: float) -> Labels:
    """Return the labels of a case where the level is at least `tau`."""
    return np.where(case.level >= tau * SHARE_UNIT, case.labels, 0).astype(np.uint16)


def centre_heat(labels: Labels, spacing: Sequence[float], fitted: Fitted) -> Floats:
    """Return ``exp(-d² / (2 (R / 2)²))`` by the distance d to the own centre, R the mean radius.

    The peak is where the radii are measured from; that of the published distance to the border is
    elsewhere in objects that are not round.
    """
    heat, voxels = np.zeros(labels.shape, np.float32), np.nonzero(labels)
    row = np.searchsorted(fitted.ids, labels[voxels])
    away = np.zeros(row.size, np.float32)
    for axis, step in enumerate(spacing):
        away += (voxels[axis] * np.float32(step) - fitted.centres[row, axis]) ** 2
    width = HEAT_WIDTH * fitted.coefficients[:, 0] / SPHERE
    heat[voxels] = np.exp(-away / (2 * width[row] ** 2))
    return heat


def batch_of(drawn: Sequence[DrawnPatch], radius_um: float) -> dict[str, NDArray[np.generic]]:
    """Return images (N, 1, Z, Y, X), and at half resolution heat and rows (N, z, y, x) of a table.

    The table (N, M, C) holds turned coefficients in units of the mean radius; row 0 is of none.
    """
    heats, rows, tables = [], [], []
    for patch in drawn:
        assert isinstance(patch.case, ShapedCase)
        heat, labels = (_blocks(patch.target[channel]) for channel in (1, 2))
        # The maximum is a label, no mean of two, and has heat wherever a voxel of the block has.
        names, row = np.unique(labels.max((1, 3, 5)), return_inverse=True)
        names, row = np.append(0, names[names > 0]), row + (names[0] > 0)
        own = patch.case.coefficients[names.astype(int)] / np.float32(radius_um)
        heats.append(heat.mean((1, 3, 5)))
        rows.append(row.reshape(heats[-1].shape))
        tables.append(own @ turning(patch.turn, own.shape[1]).T)
    longest = max(map(len, tables))
    return {
        "image": np.stack([patch.image for patch in drawn])[:, None],
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
    order, directions = round(count**0.5) - 1, fibonacci_sphere(4 * count)
    before = directions[[0, 2, 1]] if turn.swap else directions
    before = before * np.where(turn.flips, -1, 1)[:, None]
    found, *_ = np.linalg.lstsq(basis(order, directions), basis(order, before), rcond=None)
    turned: Floats = np.rint(found).astype(np.float32)
    return turned
