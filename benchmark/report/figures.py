"""Small figures drawn as inline SVG: dot and whisker, strip of cases; and heat colours.

Positions are percentages of the width, so that a figure fills its cell without distortion.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from benchmark.report.wording import known, number
from cytosuite.metrics import Metric

LANES = 7
LANE_STEP = 5.0  # px between the lanes of a strip
DOT = 1.1  # % of the width a dot takes up


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
            first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
            return [10.0**power for power in range(first, last + 1)]
        span = self.high - self.low
        if span <= 0:
            return [self.low]
        step = 10 ** math.floor(math.log10(span))
        step = next(s for s in (step / 4, step / 2, step, 2 * step) if span / s <= 5)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [n * step for n in range(first, last + 1)]


def axis_of(metric: Metric[Any], seen: Iterable[float]) -> Axis:
    """Return the axis of a metric: its own range, or that of the values where it is unbounded."""
    ends = [end for end in (metric.best, metric.worst) if end is not None and known(end)]
    pool = ends if len(ends) == 2 else [*ends, *(value for value in seen if known(value))]
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


@dataclass(frozen=True, slots=True)
class Dot:
    """A case in a strip: its place, its escaped name, its value, and whether it failed."""

    place: int
    name: Markup
    value: float
    failed: bool = False


def _svg(kind: str, height: float, label: str, parts: Iterable[str]) -> Markup:
    """Return an SVG element that fills its cell's width; parts are safe, the label is escaped."""
    return Markup(
        f'<svg class="fig {kind}" role="img" aria-label="{escape(label)}" width="100%" '
        f'height="{height:g}">{"".join(parts)}</svg>'
    )


def _percent(axis: Axis, value: float) -> str:
    """Return the place of a value on the axis as a percentage."""
    return f"{100 * axis.position(value):.2f}%"


def _grid(axis: Axis, height: float) -> list[str]:
    """Return the faint lines of an axis."""
    places = [_percent(axis, tick) for tick in axis.ticks()]
    return [f'<line class="grid" x1="{x}" x2="{x}" y1="0" y2="{height:g}"/>' for x in places]


def axis_figure(axis: Axis) -> Markup:
    """Return the numbers of an axis as a figure of its own, to stand over or under others."""
    parts = [
        f'<text x="{_percent(axis, tick)}" y="12" text-anchor="middle">{tick:.3g}</text>'
        for tick in axis.ticks()
    ]
    return Markup(
        f'<svg class="fig axis" aria-hidden="true" width="100%" height="16">{"".join(parts)}</svg>'
    )


def whisker(
    axis: Axis,
    mean: float,
    low: float = math.nan,
    high: float = math.nan,
    pooled: float = math.nan,
) -> Markup:
    """Return a mean as a dot, its interval as a line and the pooled value as a diamond.

    Parameters
    ----------
    axis : Axis
        The axis of the metric.
    mean, low, high, pooled : float
        Values; those that are not finite are not drawn.
    """
    parts = _grid(axis, 28)
    row = 10 if known(pooled) else 14
    label = f"mean {number(mean)}" if known(mean) else "not defined"
    if known(low) and known(high):
        ends = _percent(axis, low), _percent(axis, high)
        parts.append(f'<line class="ci" x1="{ends[0]}" x2="{ends[1]}" y1="{row}" y2="{row}"/>')
        cap = '<line class="cap" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>'
        parts += [cap.format(at, row - 5, row + 5) for at in ends]
        label += f", 95 % interval {number(low)} to {number(high)}"
    if known(pooled):
        parts.append(
            f'<svg x="{_percent(axis, pooled)}" y="23" overflow="visible">'
            '<path class="pooled" d="M-4 0L0-4L4 0L0 4Z"/></svg>'
        )
        label += f", pooled {number(pooled)}"
    if known(mean):
        parts.append(f'<circle class="mean" cx="{_percent(axis, mean)}" cy="{row}" r="5.5"/>')
    return _svg("whisker", 28, label, parts)


def lanes(positions: Sequence[float], width: float = DOT) -> list[int]:
    """Return a lane for each dot so that dots of one lane lie at least `width` apart, if possible.

    Parameters
    ----------
    positions : sequence of float
        Places on the axis in %.
    width : float
        The least distance in %.

    Returns
    -------
    list of int
        Lanes around 0: 0, 1, -1, 2, -2, ... up to `LANES` of them; the fullest wrap around.

    Examples
    --------
    >>> lanes([50.0, 50.2, 80.0])
    [0, 1, 0]
    """
    order = [0, *(sign * n for n in range(1, LANES // 2 + 1) for sign in (1, -1))]
    last = dict.fromkeys(order, -math.inf)
    chosen = [0] * len(positions)
    for index in sorted(range(len(positions)), key=lambda i: positions[i]):
        at = positions[index]
        free = [lane for lane in order if at - last[lane] >= width]
        lane = free[0] if free else min(order, key=lambda name: last[name])
        chosen[index], last[lane] = lane, at
    return chosen


def strip(axis: Axis, dots: Sequence[Dot], unit: str = "") -> Markup:
    """Return all cases as dots along the axis, a line at their median, crosses for failed ones.

    Parameters
    ----------
    axis : Axis
        The axis.
    dots : sequence of Dot
        The cases, with finite values.
    unit : str
        Unit of the values, for the tooltip.
    """
    half = LANE_STEP * (LANES // 2) + 6
    parts = _grid(axis, 2 * half)
    if not dots:
        return _svg("strip", 2 * half, "no values", parts)
    ordered = sorted(dot.value for dot in dots)
    median = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    middle = _percent(axis, median)
    parts.append(f'<line class="median" x1="{middle}" x2="{middle}" y1="2" y2="{2 * half - 2:g}"/>')
    places = [100 * axis.position(dot.value) for dot in dots]
    for dot, at, lane in zip(dots, places, lanes(places), strict=True):
        y = f"{half + LANE_STEP * lane:g}"
        failed = " (failed)" if dot.failed else ""
        text = f"<title>{dot.name}: {number(dot.value, 3)}{unit}{failed}</title>"
        parts.append(
            f'<svg x="{at:.2f}%" y="{y}" overflow="visible" data-case="{dot.place}">{text}'
            '<path class="bad" d="M-4-4L4 4M-4 4L4-4"/></svg>'
            if dot.failed
            else f'<circle cx="{at:.2f}%" cy="{y}" r="4" data-case="{dot.place}">{text}</circle>'
        )
    label = (
        f"{len(dots)} cases, median {number(median)}, {number(ordered[0])} to {number(ordered[-1])}"
    )
    return _svg("strip", 2 * half, label, parts)


def heat(goodness: float | None) -> str:
    """Return a CSS style for a value: orange below the middle of the range, blue above.

    Parameters
    ----------
    goodness : float or None
        0 (worst) to 1 (best); None gives no colour.

    Notes
    -----
    Orange and blue of Okabe and Ito (2008, Color Universal Design) stay apart for all common
    kinds of colour blindness; the text keeps its colour as at most 55 % of the hue is mixed in.

    Examples
    --------
    >>> heat(1.0), heat(0.5)
    ('background:color-mix(in srgb, var(--good) 55%, transparent)', '')
    """
    if goodness is None or abs(goodness - 0.5) < 0.01:
        return ""
    strength = round(110 * abs(goodness - 0.5))
    hue = "good" if goodness > 0.5 else "poor"
    return f"background:color-mix(in srgb, var(--{hue}) {strength}%, transparent)"
