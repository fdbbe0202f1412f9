"""Quality control: objects beyond a limit are removed, with the reason."""

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

import numpy as np

from cytosuite.algorithms.cellpose3d.flows import directions, numbered
from cytosuite.files import FloatMap
from cytosuite.volume.arrays import Doubles, Floats, Lengths, Longs, Spacing, Words

Labels = Words

LIMITS = (
    *("min_volume_um3", "max_volume_um3", "min_level"),
    *("min_contrast", "max_flow_error", "max_elongation"),
)


class Removal(NamedTuple):
    """An object that was removed: its number before, the limit it broke, its value, its place."""

    label: int
    reason: str
    value: float
    limit: float
    centre: Lengths = ()  # mean of its voxels, z y x


def control(
    labels: Labels,
    spacing: Spacing,
    limits: FloatMap,
    *,
    flow: Floats | None = None,
    level: Floats | None = None,
    contrast: Floats | None = None,
) -> tuple[Labels, list[Removal]]:
    """Return the objects within the limits of the fields that are given, and the removed."""
    inside, names, number = numbered(labels)
    count = np.bincount(number).astype(np.float64)
    volume = count * float(np.prod(spacing))
    measured = {"min_volume_um3": volume, "max_volume_um3": volume}
    fields = {"min_level": level, "min_contrast": contrast, "max_flow_error": flow}
    for name, field in fields.items():
        if field is not None and 0 < limits.get(name, 0) < inf:
            if name == "max_flow_error":
                values = _flow_error(field, labels, inside, number)
            else:
                values = field.ravel()[inside]
            measured[name] = np.bincount(number, values, minlength=count.size) / count
    if 0 < limits.get("max_elongation", 0) < inf:
        measured["max_elongation"] = _elongation(
            number, np.unravel_index(inside, labels.shape), spacing
        )
    rows: dict[int, Removal] = {}  # the first limit that each object breaks
    for reason, limit in limits.items():
        if (of_object := measured.get(reason)) is None:
            continue
        broken = of_object < limit if reason.startswith("min_") else of_object > limit
        for index in map(int, np.flatnonzero(broken)):
            rows.setdefault(
                index, Removal(int(names[index]), reason, float(of_object[index]), float(limit))
            )
    gone = np.isin(np.arange(count.size), [*rows])
    chosen = gone[number]
    places = np.unravel_index(inside[chosen], labels.shape)
    sums = [np.bincount(number[chosen], place, count.size) for place in places]
    centres = np.divide(sums, count).T.tolist()
    removed = [rows[index]._replace(centre=tuple(centres[index])) for index in sorted(rows)]
    result = np.zeros(labels.shape, np.uint32)
    result.ravel()[inside] = np.where(gone, 0, np.cumsum(~gone))[number]
    return result, removed


def misfit(flow: Floats, level: Floats, labels: Labels) -> float:
    """Return the mean flow error of all objects over their mean level; inf where there is none."""
    inside, _, number = numbered(labels)
    if not inside.size:
        return inf
    error = _flow_error(flow, labels, inside, number)
    return float(error.mean() / level.ravel()[inside].mean())


def _flow_error(flow: Floats, labels: Labels, inside: Longs, number: Longs) -> Floats:
    """Return the mean absolute difference (N,) from the flow of the objects' own shapes."""
    error = np.zeros(inside.size, np.float32)
    axes = 0
    for axis, difference in directions(labels, inside, number):
        difference -= flow[axis].ravel()[inside]
        error += np.abs(difference, out=difference)
        axes += 1
    return error / np.float32(max(axes, 1))


def _elongation(number: Longs, voxels: Sequence[Longs], spacing: Spacing) -> Doubles:
    """Return the ratio (n,) of the longest to the shortest axis; within one slice of y and x."""
    axes = [1, 2] if voxels[0].size == 0 or voxels[0].min() == voxels[0].max() else [0, 1, 2]
    count = np.bincount(number)
    # The second moment of a cuboid of length `step` about its middle is step^2 / 12.
    offsets = [voxels[axis] * spacing[axis] for axis in axes]
    offsets = [x - (np.bincount(number, x) / count)[number] for x in offsets]
    moments = np.empty((count.size, len(axes), len(axes)))
    for row, a in enumerate(offsets):
        for column, b in enumerate(offsets[: row + 1]):  # `eigvalsh` reads the lower triangle
            moments[:, row, column] = np.bincount(number, a * b) / count
        moments[:, row, row] += spacing[axes[row]] ** 2 / 12
    squares = np.linalg.eigvalsh(moments)
    return np.asarray(np.sqrt(squares[:, -1] / squares[:, 0]), np.float64)
