"""Quality control: objects beyond a limit are removed, with the reason."""

from collections.abc import Mapping, Sequence
from math import inf
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cytosuite.algorithms.cellpose3d.flows import flow_targets
from cytosuite.errors import InputError

LIMITS = (
    "min_volume_um3",
    "max_volume_um3",
    "min_level",
    "min_contrast",
    "max_flow_error",
    "max_elongation",
)


class Removal(NamedTuple):
    """An object that was removed: its number before, the limit it broke, its value."""

    label: int
    reason: str
    value: float
    limit: float


def control(
    labels: NDArray[np.uint32],
    spacing: Sequence[float],
    limits: Mapping[str, float],
    *,
    flow: NDArray[np.float32] | None = None,
    level: NDArray[np.float32] | None = None,
    contrast: NDArray[np.float32] | None = None,
) -> tuple[NDArray[np.uint32], list[Removal]]:
    """Return the objects that keep to the limits, and the removed ones with the reason.

    Parameters
    ----------
    labels : (Z, Y, X) uint32 array
        Objects, 0 = background; numbers may have gaps.
    spacing : sequence of float
        µm per voxel along z, y, x.
    limits : mapping of str to float
        By name, of `LIMITS`: volumes in µm³; means over the voxels of level and contrast; the
        mean absolute difference, over voxels and axes, between the predicted flow and that of the
        object as it was found; the ratio of the longest to the shortest axis. Those left out, and
        inf or 0, remove nothing.
    flow : (3, Z, Y, X) float32 array, optional
        Needed for ``max_flow_error``.
    level, contrast : (Z, Y, X) float32 arrays, optional
        Needed for ``min_level`` and ``min_contrast``.

    Returns
    -------
    labels : (Z, Y, X) uint32 array
        1..n without gaps, in the order of the numbers before.
    removed : list of Removal
        One per removed object, by number; of several broken limits the first one given.

    Raises
    ------
    InputError
        If a limit is set and its field is missing, or a shape differs.
    """
    inside = np.flatnonzero(labels)
    names, number = np.unique(labels.ravel()[inside], return_inverse=True)
    count = np.bincount(number).astype(np.float64)
    volume = count * float(np.prod(spacing))
    measured = {"min_volume_um3": volume, "max_volume_um3": volume}
    for name, field in {
        "min_level": level,
        "min_contrast": contrast,
        "max_flow_error": flow,
    }.items():
        if 0 < limits.get(name, 0) < inf:
            values = _field(name, field, labels).ravel()[inside].astype(np.float64)
            measured[name] = np.bincount(number, values, minlength=count.size) / count
    if 0 < limits.get("max_elongation", 0) < inf:
        voxels = np.unravel_index(inside, labels.shape)
        measured["max_elongation"] = _elongation(number, voxels, spacing)
    removed = _broken(names, measured, limits)
    gone = np.isin(names, [row.label for row in removed])
    result = np.zeros(labels.shape, np.uint32)
    result.ravel()[inside] = np.where(gone, 0, np.cumsum(~gone))[number]
    return result, removed


def _field(
    name: str, field: NDArray[np.float32] | None, labels: NDArray[np.uint32]
) -> NDArray[np.float32]:
    """Return the values that a limit is compared with: the field, or the error of the flow."""
    if field is None or field.shape[-3:] != labels.shape:
        found = "none" if field is None else str(field.shape)
        raise InputError(f"{name} needs a field of shape {labels.shape}, found {found}")
    if name != "max_flow_error":
        return field
    error = flow_targets(labels)
    error -= field
    return np.asarray(np.abs(error, out=error).mean(axis=0), np.float32)


def _elongation(
    number: NDArray[np.int64], voxels: Sequence[NDArray[np.int64]], spacing: Sequence[float]
) -> NDArray[np.float64]:
    """Return the ratio (n,) of the longest to the shortest axis of each object, at least 1.

    The extent of a voxel itself counts, so that a flat object has an axis of its thickness; where
    all voxels lie in one slice, only y and x are compared.
    """
    flat = voxels[0].size == 0 or voxels[0].min() == voxels[0].max()
    axes = [1, 2] if flat else [0, 1, 2]
    count = np.bincount(number)
    # The second moment of a cuboid of length `step` about its middle is step^2 / 12.
    offsets = [voxels[axis] * spacing[axis] for axis in axes]
    offsets = [x - (np.bincount(number, x) / count)[number] for x in offsets]
    moments = np.empty((count.size, len(axes), len(axes)))
    for row, a in enumerate(offsets):
        for column, b in enumerate(offsets[: row + 1]):
            moments[:, row, column] = np.bincount(number, a * b) / count
            moments[:, column, row] = moments[:, row, column]
        moments[:, row, row] += spacing[axes[row]] ** 2 / 12
    squares = np.linalg.eigvalsh(moments)
    return np.asarray(np.sqrt(squares[:, -1] / squares[:, 0]), np.float64)


def _broken(
    names: NDArray[np.uint32], measured: dict[str, NDArray[np.float64]], limits: Mapping[str, float]
) -> list[Removal]:
    """Return a row for each object that breaks a limit, the first one it breaks."""
    rows: dict[int, Removal] = {}
    for reason, limit in limits.items():
        values = measured.get(reason)
        if values is None:
            continue
        broken = values < limit if reason.startswith("min_") else values > limit
        for index in np.flatnonzero(broken):
            row = Removal(int(names[index]), reason, float(values[index]), float(limit))
            rows.setdefault(int(index), row)
    return [rows[index] for index in sorted(rows)]
