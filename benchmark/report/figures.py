"""Small figures drawn as inline SVG: dot and whisker, strip of cases; and heat colours.

Positions are percentages of the width, so that a figure fills its cell without distortion.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from benchmark.report.content import MetricInfo
from benchmark.report.tables import finite
from benchmark.report.wording import number

LANES = 7
LANE_STEP = 5.0  # px between the lanes of a strip
DOT = 1.1  # % of the width a dot takes up


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear or logarithmic axis.

    Parameters
    ----------
    low, high : float
        The values at its left and right end.
    best : float or None
        The better end, or None when neither is.
    log : bool
        Whether equal ratios take equal lengths; `low` is positive then.
    """

    low: float
    high: float
    best: float | None = None
    log: bool = False

    def position(self, value: float) -> float:
        """Return where a value lies, 0 at the left end and 1 at the right, clipped to these.

        Examples
        --------
        >>> Scale(0.0, 2.0).position(0.5), Scale(1.0, 100.0, log=True).position(10.0)
        (0.25, 0.5)
        """
        low, high, at = self.low, self.high, value
        if self.log:
            low, high, at = math.log(low), math.log(high), math.log(max(value, low))
        return min(max((at - low) / (high - low), 0.0), 1.0) if high > low else 0.5

    def goodness(self, value: float) -> float | None:
        """Return 1 for a value at the best end, 0 at the other, None where neither is better."""
        if self.best is None:
            return None
        at = self.position(value)
        return at if self.best >= self.high else 1.0 - at

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


def scale_of(metric: MetricInfo, seen: Iterable[float]) -> Scale:
    """Return the axis of a metric: its own range, or that of the values where it is unbounded."""
    best, worst = finite(metric.best), finite(metric.worst)
    ends = [end for end in (best, worst) if end is not None]
    pool = ends if len(ends) == 2 else [*ends, *seen]
    low, high = (min(pool), max(pool)) if pool else (0.0, 1.0)
    if high <= low:
        low, high = low - 0.5, high + 0.5
    return Scale(low, high, best)


def scale_of_times(seen: Iterable[float]) -> Scale:
    """Return an axis for durations or sizes: from 0, or logarithmic when they differ 30-fold."""
    pool = [value for value in seen if value > 0]
    if not pool:
        return Scale(0.0, 1.0)
    if max(pool) > 30 * min(pool):
        return Scale(10 ** math.floor(math.log10(min(pool))), max(pool) * 1.1, log=True)
    return Scale(0.0, max(pool) * 1.05)


@dataclass(frozen=True, slots=True)
class Dot:
    """A case in a strip: its number, its name, its value, and whether it failed."""

    index: int
    case: str
    value: float
    failed: bool = False


def _svg(kind: str, height: float, label: str, parts: Iterable[Markup]) -> Markup:
    """Return an SVG element that fills its cell's width."""
    return Markup(
        '<svg class="fig {}" role="img" aria-label="{}" width="100%" height="{:g}">{}</svg>'
    ).format(kind, label, height, Markup("").join(parts))


def _percent(scale: Scale, value: float) -> str:
    """Return a value's place on the axis as a percentage."""
    return f"{100 * scale.position(value):.2f}%"


def _grid(scale: Scale, height: float) -> list[Markup]:
    """Return the faint lines of an axis."""
    line = Markup('<line class="grid" x1="{0}" x2="{0}" y1="0" y2="{1:g}"/>')
    return [line.format(_percent(scale, tick), height) for tick in scale.ticks()]


def axis(scale: Scale) -> Markup:
    """Return the numbers of an axis as a figure of its own, to stand over or under others."""
    text = Markup('<text x="{}" y="12" text-anchor="middle">{}</text>')
    parts = [text.format(_percent(scale, tick), f"{tick:.3g}") for tick in scale.ticks()]
    return Markup(
        '<svg class="fig axis" aria-hidden="true" width="100%" height="16">{}</svg>'
    ).format(Markup("").join(parts))


def whisker(
    scale: Scale, mean: object, low: object = None, high: object = None, pooled: object = None
) -> Markup:
    """Return a mean as a dot, its interval as a line and the pooled value as a diamond.

    Parameters
    ----------
    scale : Scale
        The axis of the metric.
    mean, low, high, pooled : float or None
        Values; what is None or not finite is not drawn.
    """
    middle, start, end, all_in_one = (finite(value) for value in (mean, low, high, pooled))
    parts = _grid(scale, 28)
    row = 14 if all_in_one is None else 10
    label = "not defined" if middle is None else f"mean {number(middle)}"
    if start is not None and end is not None:
        ends = _percent(scale, start), _percent(scale, end)
        parts.append(
            Markup('<line class="ci" x1="{0}" x2="{1}" y1="{2}" y2="{2}"/>').format(*ends, row)
        )
        cap = Markup('<line class="cap" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>')
        parts += [cap.format(at, row - 5, row + 5) for at in ends]
        label += f", 95 % interval {number(start)} to {number(end)}"
    if all_in_one is not None:
        diamond = Markup(
            '<svg x="{}" y="23" overflow="visible"><path class="pooled" d="{}"/></svg>'
        )
        parts.append(diamond.format(_percent(scale, all_in_one), "M-4 0L0-4L4 0L0 4Z"))
        label += f", pooled {number(all_in_one)}"
    if middle is not None:
        dot = Markup('<circle class="mean" cx="{}" cy="{}" r="5.5"/>')
        parts.append(dot.format(_percent(scale, middle), row))
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


def strip(scale: Scale, dots: Sequence[Dot], unit: str = "") -> Markup:
    """Return all cases as dots along the axis, a line at their median, crosses for failed ones.

    Parameters
    ----------
    scale : Scale
        The axis.
    dots : sequence of Dot
        The cases.
    unit : str
        What follows a value in its tooltip.
    """
    half = LANE_STEP * (LANES // 2) + 6
    parts = _grid(scale, 2 * half)
    if not dots:
        return _svg("strip", 2 * half, "no values", parts)
    ordered = sorted(dot.value for dot in dots)
    median = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    line = Markup('<line class="median" x1="{0}" x2="{0}" y1="2" y2="{1:g}"/>')
    parts.append(line.format(_percent(scale, median), 2 * half - 2))
    places = lanes([100 * scale.position(dot.value) for dot in dots])
    good = Markup('<circle cx="{}" cy="{:g}" r="4" data-case="{}"><title>{}</title></circle>')
    cross = Markup(
        '<svg x="{}" y="{:g}" overflow="visible" data-case="{}"><title>{}</title>'
        '<path class="bad" d="M-4-4L4 4M-4 4L4-4"/></svg>'
    )
    for dot, lane in zip(dots, places, strict=True):
        text = f"{dot.case}: {number(dot.value, 3)}{unit}{' (failed)' if dot.failed else ''}"
        shape = cross if dot.failed else good
        at = _percent(scale, dot.value)
        parts.append(shape.format(at, half + LANE_STEP * lane, dot.index, text))
    label = (
        f"{len(dots)} cases, median {number(median)}, {number(ordered[0])} to {number(ordered[-1])}"
    )
    return _svg("strip", 2 * half, label, parts)


def heat(goodness: float | None) -> str:
    """Return a CSS background for a value: orange below the middle of the range, blue above.

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
    ('color-mix(in srgb, var(--good) 55%, transparent)', '')
    """
    if goodness is None or abs(goodness - 0.5) < 0.01:
        return ""
    strength = round(110 * abs(goodness - 0.5))
    hue = "good" if goodness > 0.5 else "poor"
    return f"color-mix(in srgb, var(--{hue}) {strength}%, transparent)"
