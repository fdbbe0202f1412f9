"""Summaries and ratios that may be undefined: NaN."""

from collections.abc import Callable
from math import nan
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def known(values: ArrayLike, summary: Callable[..., Any] = np.mean) -> float:
    """Return a summary of the values (N,) that are not NaN; NaN of none."""
    numbers = np.asarray(values, np.float64)
    defined = numbers[~np.isnan(numbers)]
    return float(summary(defined)) if defined.size else nan


def ratio(part: float, whole: float) -> float:
    """Return a ratio, NaN of nothing."""
    return part / whole if whole else nan
