"""Axes: the place of a value between two ends, and how good it is."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from cytosuite.benchmark.report.wording import known
from cytosuite.metrics import Metric


@dataclass(frozen=True, slots=True)
class Axis:
    """A linear or logarithmic axis.

    Parameters
    ----------
    low, high : float
        The values at its left and right end.
    rising : bool or None
        Whether larger values are better; None when neither end is.
    log : bool
        Whether equal ratios take equal lengths; `low` is positive then.
    """

    low: float
    high: float
    rising: bool | None = None
    log: bool = False

    def position(self, value: float) -> float:
        """Return where a value lies, 0 at the left end and 1 at the right, clipped to these.

        Examples
        --------
        >>> Axis(0.0, 2.0).position(0.5), Axis(1.0, 100.0, log=True).position(10.0)
        (0.25, 0.5)
        """
        low, high, at = self.low, self.high, value
        if self.log:
            low, high, at = math.log(low), math.log(high), math.log(max(value, low))
        return min(max((at - low) / (high - low), 0.0), 1.0) if high > low else 0.5

    def goodness(self, value: float) -> float | None:
        """Return 1 for a value at the better end, 0 at the other, None without one or for NaN."""
        if self.rising is None or math.isnan(value):
            return None
        at = self.position(value)
        return at if self.rising else 1.0 - at

    def ticks(self) -> list[float]:
        """Return round values along the axis, the ends among them when they are round."""
        if self.log:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            powers = range(first, last + 1)
            steps = (1, 2, 5) if last - first <= 2 else (1,)
            ticks = [float(f"{step}e{power}") for power in powers for step in steps]
            near = 1 - 1e-9, 1 + 1e-9
            return [t for t in ticks if self.low * near[0] <= t <= self.high * near[1]]
        span = self.high - self.low
        if span <= 0:
            return [self.low]
        step = 10 ** math.floor(math.log10(span))
        step = next(s for s in (step / 4, step / 2, step, 2 * step) if span / s <= 5)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [n * step for n in range(first, last + 1)]


def axis_of(metric: Metric[Any], seen: Iterable[float]) -> Axis:
    """Return the axis of a metric: its own range, or that of the values where it is unbounded."""
    ends = [end for end in (metric.best, metric.worst) if known(end)]
    pool = ends if len(ends) == 2 else [*ends, *filter(known, seen)]
    low, high = (min(pool), max(pool)) if pool else (0.0, 1.0)
    if high <= low:
        low, high = low - 0.5, high + 0.5
    return Axis(low, high, metric.higher_is_better)


def axis_of_times(seen: Iterable[float]) -> Axis:
    """Return an axis for durations or sizes: from 0, or logarithmic when they differ 30-fold."""
    pool = [value for value in seen if value > 0]
    if not pool:
        return Axis(0.0, 1.0)
    if max(pool) > 30 * min(pool):
        return Axis(10 ** math.floor(math.log10(min(pool))), max(pool) * 1.1, log=True)
    return Axis(0.0, max(pool) * 1.05)


def axis_of_ratios(seen: Iterable[float]) -> Axis:
    """Return a logarithmic axis around positive numbers; its ends are 1, 2 or 5 x a power of 10."""
    pool = [value for value in seen if value > 0 and known(value)]
    if not pool:
        return Axis(0.1, 10.0, log=True)
    low, high = min(pool) / 1.15, max(pool) * 1.15
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ends = [float(f"{step}e{power}") for power in powers for step in (1, 2, 5)]
    first = max(end for end in ends if end <= low)
    return Axis(first, min(end for end in ends if end >= high), log=True)


def part(axis: Axis, values: Iterable[float]) -> Axis:
    """Return the part of a linear axis, in tenths, that holds some values, a fifth at least."""
    ends = [value for value in values if known(value)]
    tenth = (axis.high - axis.low) / 10
    first = math.floor((min(ends, default=axis.low) - axis.low) / tenth + 1e-9)
    last = math.ceil((max(ends, default=axis.high) - axis.low) / tenth - 1e-9)
    first = max(0, min(first, last - 2))
    return replace(axis, low=axis.low + first * tenth, high=axis.low + last * tenth)


def axis_around(seen: Iterable[float]) -> Axis:
    """Return a linear axis around numbers, with a margin of a twentieth on both sides."""
    pool = [value for value in seen if known(value)] or [0.0]
    margin = (max(pool) - min(pool)) / 20 or abs(pool[0]) / 20 or 0.5
    return Axis(min(pool) - margin, max(pool) + margin)
