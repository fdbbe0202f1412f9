"""Summaries and ratios that may be undefined: NaN."""

from collections.abc import Callable
from math import nan
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cytosuite.errors import InputError
from cytosuite.volume.arrays import Doubles


def known(values: ArrayLike, summary: Callable[..., Any] = np.mean) -> float:
    """Return a summary of the values (N,) that are not NaN; NaN of none."""
    numbers = np.asarray(values, np.float64)
    defined = numbers[~np.isnan(numbers)]
    return float(summary(defined)) if defined.size else nan


def ratio(part: float, whole: float) -> float:
    """Return a ratio, NaN of nothing."""
    return part / whole if whole else nan


def voxel_size(spacing: ArrayLike, axes: int) -> Doubles:
    """Return µm along each axis, an `InputError` unless they are positive and suit z y x or y x."""
    step = np.asarray(spacing, np.float64)
    if axes not in (2, 3) or step.shape != (axes,) or not (np.isfinite(step) & (step > 0)).all():
        raise InputError(
            "spacing must be a positive number in µm for each axis (z y x, or y x), found "
            f"{step.ravel().tolist()} for an image of {axes} axes"
        )
    return step
