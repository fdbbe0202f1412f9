"""Coloured cells of tables, and small inline SVG figures with places in percent of the width."""

import math
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from itertools import accumulate
from statistics import median
from typing import Any

import numpy as np
from markupsafe import Markup, escape

from cytosuite.benchmark.report.wording import fixed, known, number
from cytosuite.figures.svg import Axis, group, line, percent
from cytosuite.files import FloatMap, IntMap, TextPair
from cytosuite.metrics import Metric
from cytosuite.volume.arrays import Interval

LANES = 7
LANE_STEP = 5.0  # px between the lanes of a strip
BLOB = 30.0  # px: height of a row of circles
FEWEST, STEPS = 8, 48  # values that a density needs, and its places
OUTLINE = f'<path class="violin" d="M{"L".join(["%.0f %.1f"] * 2 * STEPS)}Z"/>'
DOTS = 4000  # of the figures of a section: of the algorithms beyond, densities are drawn alone
DOT = 1.1  # % of the width a dot takes up
KEYS = {"None": "", "nan": "", "inf": "Infinity", "-inf": "-Infinity"}  # as scripts read them


def badge(text: str) -> Markup:
    """Return a word of warning in a frame."""
    return Markup(f'<span class="badge">{escape(text)}</span>')


def cell(
    text: str, key: float | str | None = None, style: str = "", below: Iterable[str] = ()
) -> Markup:
    """Return a table cell: text and small lines, its key for sorting and its CSS style."""
    small = "".join(f"<small>{escape(line)}</small>" for line in below if line)
    end = KEYS.get(str(key), key)
    end = f"{end:.7g}" if isinstance(end, float) else escape(end)
    look = f' style="{style}"' if style else ""
    return Markup(f'<td data-key="{end}"{look}>{escape(text)}{small}</td>')


def value(
    metric: Metric[Any], score: float | None, axis: Axis, digits: int = 2, failure: str = ""
) -> Markup:
    """Return a value as a cell with colour and fixed decimals, none of a count; NaN sorts last."""
    mark = badge(failure) + " " if failure else ""
    if score is None or math.isnan(score):
        return cell(mark or "-")
    whole = (metric.best is None or metric.worst is None) and score.is_integer()
    text = mark + (number(score, 0) if whole else fixed(score, digits))
    return cell(text, score, heat(axis.goodness(score)))


def heat(goodness: float | None) -> str:
    """Return the share of a colour, for a goodness of 0 to 1: blue above the middle, orange below.

    Okabe and Ito (2008, Color Universal Design): apart for all common kinds of colour blindness.
    """
    if goodness is None or abs(goodness - 0.5) < 0.01:
        return ""
    strength = round(110 * abs(goodness - 0.5))
    return f"--{'g' if goodness > 0.5 else 'p'}:{strength}%"


def svg(kind: str, height: float, label: str, parts: Iterable[str]) -> Markup:
    """Return an SVG element that fills its cell's width [px]; parts are safe, label is escaped."""
    return Markup(
        f'<svg class="fig {kind}" role="img" aria-label="{escape(label)}" width="100%" '
        f'height="{height:g}">{"".join(parts)}</svg>'
    )


def axis_figure(axis: Axis) -> Markup:
    """Return the numbers of an axis as a figure of its own, to stand over or under others."""
    return _numbers((_percent(axis, tick), f"{tick:.6g}") for tick in axis.ticks())


def whisker(axis: Axis, mean: float, low: float, high: float, pooled: float) -> Markup:
    """Return a mean as a dot, if on the axis, interval as a line, pooled value as a diamond."""
    parts = [_grid(axis, 28)]
    row = 10 if known(pooled) else 14
    label = f"mean {number(mean)}" if known(mean) else "not defined"
    if known(low) and known(high):
        ends = _percent(axis, low), _percent(axis, high)
        parts.append(line("ci", ends, (row, row)))
        parts += [line("cap", (at, at), (row - 5, row + 5)) for at in ends]
        label += f", 95 % interval {number(low)} to {number(high)}"
    if known(pooled):
        diamond = '<path class="pooled" d="M-4 0L0-4L4 0L0 4Z"/>'
        parts.append(group(_percent(axis, pooled), 23, diamond))
        label += f", pooled {number(pooled)}"
    if known(mean) and axis.low <= mean <= axis.high:  # controls may lie beyond
        parts.append(f'<circle class="mean" cx="{_percent(axis, mean)}" cy="{row}" r="5.5"/>')
    return svg("whisker", 28, label, parts)


def strip(
    axis: Axis,
    values: FloatMap,
    places: IntMap,
    failed: Collection[str] = (),
    unit: str = "",
    dots: bool = True,
) -> Markup:
    """Return cases as dots (`places`: their numbers) on their density; crosses for failed ones."""
    half = LANE_STEP * (LANES // 2) + 6
    parts = [_grid(axis, 2 * half)]
    scored = {case: value for case, value in values.items() if known(value)}
    if not scored:
        return svg("strip", 2 * half, "no values", parts)
    parts += violin(axis, list(scored.values()), half)
    centre = median(scored.values())
    x = _percent(axis, centre)
    parts.append(line("median", (x, x), (2, 2 * half - 2)))
    drawn = scored if dots else {}
    spots = [100 * axis.position(value) for value in drawn.values()]
    for (case, value), at, lane in zip(drawn.items(), spots, lanes(spots), strict=True):
        y = f"{half + LANE_STEP * lane:g}"
        lost = " (failed)" if case in failed else ""
        text = f"<title>{escape(case)}: {number(value, 3)}{unit}{lost}</title>"
        parts.append(
            f'<svg x="{at:.2f}%" y="{y}" overflow="visible" data-case="{places[case]}">{text}'
            '<path class="bad" d="M-4-4L4 4M-4 4L4-4"/></svg>'
            if lost
            else f'<circle cx="{at:.2f}%" cy="{y}" r="4" data-case="{places[case]}">{text}</circle>'
        )
    ends = f"{number(min(scored.values()))} to {number(max(scored.values()))}"
    return svg("strip", 2 * half, f"{len(scored)} cases, median {number(centre)}, {ends}", parts)


def violin(axis: Axis, values: Sequence[float], half: float) -> list[str]:
    """Return the outline of a density by Scott's rule, 2 `half` px high; none of few values.

    Scott, Multivariate density estimation (1992), doi:10.1002/9780470316849.
    """
    at = np.array([axis.position(value) for value in values])
    if at.size < FEWEST or at.std() < 1e-6:
        return []
    places = np.linspace(at.min(), at.max(), STEPS)
    apart = (places[:, None] - at) / (at.std(ddof=1) * at.size**-0.2)
    density = np.exp(-0.5 * apart**2).sum(axis=1)
    width, x = 10 * density / density.max(), 1000 * places
    around = np.concatenate([x, x[::-1]]), np.concatenate([10 - width, 10 + width[::-1]])
    path = OUTLINE % tuple(np.column_stack(around).ravel().tolist())
    box = f'y="0" width="100%" height="{2 * half:g}" viewBox="0 0 1000 20"'
    return [f'<svg x="0" {box} preserveAspectRatio="none">{path}</svg>']


def blobs(shares: Sequence[float], interval: Interval) -> Markup:
    """Return circles, their areas the shares of each place, its 95 % interval and its median."""
    half = (n for n, total in enumerate(accumulate(shares), 1) if total >= 0.5 - 1e-9)
    last = len(shares) + 1  # all places that follow, beyond the end of the figure
    middle = next(half, last)
    room = 100 / len(shares)
    ends = (min(place, last) for place in (*interval, middle))
    left, right, x = (percent(room * (place - 0.5)) for place in ends)
    places = [room * (n + 0.5) for n in range(len(shares))]
    parts = [upright(places, BLOB)]
    parts.append(line("ci", (left, right), (BLOB / 2, BLOB / 2)))
    for n, (at, share) in enumerate(zip(places, shares, strict=True), start=1):
        if share >= 0.002:
            size = f'cx="{at:.2f}%" cy="{BLOB / 2:g}" r="{(BLOB / 2 - 1) * math.sqrt(share):.2f}"'
            text = f"<title>place {n}: {100 * share:.0f} % of the resamples</title>"
            parts.append(f'<circle class="blob" {size}>{text}</circle>')
    parts.append(line("median", (x, x), (BLOB / 2 - 7, BLOB / 2 + 7)))
    low, high = (f"{end:g}" for end in interval)
    median_place = f"{middle}" if middle < last else f"beyond {last - 1}"
    return svg("blobs", BLOB, f"median place {median_place}, 95 % interval {low} to {high}", parts)


def places_figure(algorithms: int) -> Markup:
    """Return the places 1, 2, ... as a figure of its own, to stand over `blobs`."""
    room, step = 100 / algorithms, 1 if algorithms <= 12 else 5
    shown = [n for n in range(1, algorithms + 1) if n == 1 or n % step == 0]
    return _numbers((percent(room * (n - 0.5)), f"{n}") for n in shown)


def _numbers(texts: Iterable[TextPair]) -> Markup:
    """Return the numbers of an axis, each with its place, as a figure."""
    parts = "".join(f'<text x="{x}" y="12" text-anchor="middle">{text}</text>' for x, text in texts)
    return Markup(
        f'<svg class="fig axis" aria-hidden="true" width="100%" height="16">{parts}</svg>'
    )


def lanes(positions: Sequence[float]) -> list[int]:
    """Return a lane (0, 1, -1, ...) for each dot [%], in a lane `DOT` apart if possible."""
    order = [0, *(sign * n for n in range(1, LANES // 2 + 1) for sign in (1, -1))]
    last = dict.fromkeys(order, -math.inf)
    chosen = [0] * len(positions)
    for at, index in sorted(zip(positions, range(len(positions)), strict=True)):
        oldest = min(order, key=last.__getitem__)
        lane = next((lane for lane in order if at - last[lane] >= DOT), oldest)
        chosen[index], last[lane] = lane, at
    return chosen


def _percent(axis: Axis, value: float) -> str:
    """Return the place of a value on the axis as a percentage."""
    return percent(100 * axis.position(value))


@lru_cache(maxsize=100)
def _grid(axis: Axis, height: float) -> str:
    """Return the faint lines of an axis, which many figures share."""
    return upright([100 * axis.position(tick) for tick in axis.ticks()], height)


def upright(places: Iterable[float], height: float) -> str:
    """Return faint lines at places in % of the width, so many px high."""
    path = "".join(f"M{10 * at:.0f} 0V1" for at in places)
    box = f'width="100%" height="{height:g}" viewBox="0 0 1000 1" preserveAspectRatio="none"'
    return f'<svg {box} overflow="visible"><path class="grid" d="{path}"/></svg>'


def dotted(cases: int, figures: int) -> int:
    """Return how many algorithms, the first ones, get a mark for each case."""
    return DOTS // max(1, cases * figures)
