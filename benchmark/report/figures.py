"""Coloured cells of tables, and the values of small inline SVG figures, drawn by `macros.html`."""

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from statistics import median

import numpy as np
from markupsafe import Markup, escape

from cytosuite.benchmark.report.wording import fixed, known, number
from cytosuite.figures.svg import Axis, percent
from cytosuite.files import FloatMap
from cytosuite.metrics import AnyMetric

LANES = 7
LANE_STEP = 5.0  # px between the lanes of a strip
STRIP = 2 * (LANE_STEP * (LANES // 2) + 6)  # px: height of one
FEWEST = 8  # values that a density needs
STEPS = 48  # its places
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
    metric: AnyMetric, score: float | None, axis: Axis, digits: int = 2, failure: str = ""
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
    return f"--{'g' if goodness > 0.5 else 'p'}:{round(110 * abs(goodness - 0.5))}%"


def svg(kind: str, height: float, label: str, parts: Iterable[str]) -> Markup:
    """Return an SVG element that fills its cell's width [px]; parts are safe, label is escaped."""
    return Markup(
        f'<svg class="fig {kind}" role="img" aria-label="{escape(label)}" width="100%" '
        f'height="{height:g}">{"".join(parts)}</svg>'
    )


def spread(
    axis: Axis, values: FloatMap, dots: bool = True
) -> tuple[FloatMap, float, list[tuple[str, str, str, str]]]:
    """Return finite values by case, their median, and case, text and place of each dot."""
    scored = {case: value for case, value in values.items() if known(value)}
    drawn = scored if dots else {}
    at = [100 * axis.position(value) for value in drawn.values()]
    spots = [
        (case, f"{case}: {number(value, 3)}", percent(x), f"{STRIP / 2 + LANE_STEP * lane:g}")
        for (case, value), x, lane in zip(drawn.items(), at, lanes(at), strict=True)
    ]
    return scored, median(scored.values()) if scored else math.nan, spots


def violin(axis: Axis, values: Iterable[float]) -> Markup:
    """Return the outline of a density by Scott's rule, `STRIP` px high; none of few values.

    Scott, Multivariate density estimation (1992), doi:10.1002/9780470316849.
    """
    at = np.array([axis.position(value) for value in values])
    if at.size < FEWEST or at.std() < 1e-6:
        return Markup()
    places = np.linspace(at.min(), at.max(), STEPS)
    apart = (places[:, None] - at) / (at.std(ddof=1) * at.size**-0.2)
    density = np.exp(-0.5 * apart**2).sum(axis=1)
    width = 10 * density / density.max()
    x = 1000 * places
    around = np.concatenate([x, x[::-1]]), np.concatenate([10 - width, 10 + width[::-1]])
    path = OUTLINE % tuple(np.column_stack(around).ravel().tolist())
    return Markup(
        f'<svg x="0" y="0" width="100%" height="{STRIP:g}" viewBox="0 0 1000 20" '
        f'preserveAspectRatio="none">{path}</svg>'
    )


def median_place(shares: Sequence[float]) -> int:
    """Return the place that half of the resamples reach; the next of all for one beyond."""
    return 1 + int(np.searchsorted(np.cumsum(shares), 0.5 - 1e-9))


def centre(place: float, places: int) -> float:
    """Return the middle [%] of a place among so many; those beyond stand behind the last."""
    return 100 / places * (min(place, places + 1) - 0.5)


def lanes(positions: Sequence[float]) -> list[int]:
    """Return a lane (0, 1, -1, ...) for each dot [%], in a lane `DOT` apart if possible."""
    order = [0, *(sign * n for n in range(1, LANES // 2 + 1) for sign in (1, -1))]
    last = dict.fromkeys(order, -math.inf)
    chosen = [0] * len(positions)
    for at, index in sorted(zip(positions, range(len(positions)), strict=True)):
        lane = next(
            (lane for lane in order if at - last[lane] >= DOT), min(order, key=last.__getitem__)
        )
        chosen[index] = lane
        last[lane] = at
    return chosen


def place(axis: Axis, value: float) -> str:
    """Return the place of a value on the axis as a percentage."""
    return percent(100 * axis.position(value))


@lru_cache(maxsize=100)
def grid(axis: Axis, height: float) -> Markup:
    """Return the faint lines of an axis, which many figures share."""
    return upright([100 * axis.position(tick) for tick in axis.ticks()], height)


def between(places: int, height: float) -> Markup:
    """Return the faint lines of so many places."""
    return upright((centre(place, places) for place in range(1, places + 1)), height)


def upright(places: Iterable[float], height: float) -> Markup:
    """Return faint lines at places in % of the width, so many px high."""
    path = "".join(f"M{10 * at:.0f} 0V1" for at in places)
    return Markup(
        f'<svg width="100%" height="{height:g}" viewBox="0 0 1000 1" preserveAspectRatio="none" '
        f'overflow="visible"><path class="grid" d="{path}"/></svg>'
    )


def dotted(cases: int, figures: int) -> int:
    """Return how many algorithms, the first ones, get a mark for each case."""
    return DOTS // max(1, cases * figures)
