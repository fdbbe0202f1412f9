"""Values of figures drawn by macros.html: cells of tables, small inline SVG, and two axes.

`plots.html` draws them.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from statistics import median
from typing import NamedTuple

import numpy as np
from markupsafe import Markup, escape

from cytosuite.benchmark.report.wording import fixed, known, number, span_of
from cytosuite.benchmark.scores.standings import Summary
from cytosuite.figures.svg import SHAPES, Axis, colour, mark, percent
from cytosuite.files import FloatMap, TextPair, Texts, TextSeq
from cytosuite.metrics import AnyMetric
from cytosuite.volume.arrays import Doubles

LANES = 7
LANE_STEP = 5.0  # px between the lanes of a strip
STRIP = 2 * (LANE_STEP * (LANES // 2) + 6)  # px: height of one
FEWEST = 8  # values that a density needs
STEPS = 48  # its places
OUTLINE = f'<path class="violin" d="M{"L".join(["%.0f %.1f"] * 2 * STEPS)}Z"/>'
DOTS = 4000  # of the figures of a section: of the algorithms beyond, densities are drawn alone
DOT = 1.1  # % of the width a dot takes up
KEYS = {"None": "", "nan": "", "inf": "Infinity", "-inf": "-Infinity"}  # as scripts read them
LEFT = 9.0  # % of the width for the numbers of the axis
RIGHT = 3.0  # % of the width right of points
HEIGHT, TOP, BOTTOM = 250.0, 12.0, 40.0  # px of a figure of points, above and below its frame
LOW = 210.0  # px: height of curves of few algorithms
HIGH = 320.0  # px: height of curves of more algorithms than there are colours
STEP = 1.7  # % between algorithms, so that their intervals do not cover each other
WIDEST = 8.0  # % of a box and the gap to the next
WIDE = 5  # groups from which a figure has the width of the page
LETTERS = 62  # of all labels below the axis together
LETTERS_WIDE = 130  # the same in a figure of the width of the page
WIDTHS = (440.0, 290.0)  # px for which labels are placed: narrowest column, and phone
LETTER = 6.3  # px that a letter of a label takes up
LINE = 13.0  # px that a line of a label takes up
GAP = 9  # px between a point and its label
MANY = 300  # points above which they are small and have no tooltip
Point = tuple[float, float]  # across and up, in units of the axes
Side = tuple[int, int, str]
# Shift of a label in px, its anchor, and the share of it that lies left of that.
SIDES = (
    (0, -GAP, "middle", 0.5),
    (GAP, 4, "start", 0.0),
    (-GAP, 4, "end", 1.0),
    (0, GAP + 9, "middle", 0.5),
)


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


class Spot(NamedTuple):
    """A point of a figure."""

    x: float  # in units of the axes
    y: float
    place: int  # of its algorithm in the leaderboard, from 0, for colour and shape
    text: str  # in the tooltip
    label: str = ""  # next to the point where there is room
    case: int | None = None  # number of its case on the page


class Line(NamedTuple):
    """A straight line from one point to another, in units of the axes, with its CSS class."""

    start: Point
    end: Point
    style: str


class Upwards(NamedTuple):
    """The vertical axis of a figure."""

    axis: Axis
    height: float  # px, of the figure
    top: float = TOP
    bottom: float = BOTTOM
    right: float = RIGHT
    left: float = LEFT

    def y(self, value: float) -> float:
        """Return the place of a value in px from the top."""
        return self.top + (self.height - self.top - self.bottom) * (1 - self.axis.position(value))

    def at(self, value: float) -> str:
        """Return the place of a value as text."""
        return px(self.y(value))


class Mark(NamedTuple):
    """The score of an algorithm in a group."""

    x: str
    y: str
    reach: Texts  # places of the ends of its interval; none without
    text: str


class Box(NamedTuple):
    """The middle half of values, with their median and the ends of 5 to 95 %."""

    x: str
    left: str
    right: str
    wide: str
    ends: list[float]  # px of 95, 75, 50, 25 and 5 %
    text: str


class GroupPlot(NamedTuple):
    """Marks or boxes of each algorithm, the best in front, over the groups of a condition."""

    up: Upwards
    heads: Sequence[Texts]  # place, size, name, and the whole name where it is cut, of each group
    parts: Sequence[tuple[int, Sequence[Mark]]]
    boxes: Sequence[tuple[int, Sequence[Box]]]
    joined: bool
    words: str  # to be read aloud


def line_mark(place: int) -> Markup:
    """Return the mark of an algorithm by itself, to stand before its name."""
    return Markup(
        f'<svg class="fig key-mark {colour(place)}" aria-hidden="true" width="14" height="14" '
        f'viewBox="-7 -7 14 14">{mark(place)}</svg>'
    )


def shape(place: int) -> Markup:
    """Return the mark of an algorithm around the origin."""
    return Markup(mark(place))


def px(value: float) -> str:
    """Return a place in px as text."""
    return f"{value:.1f}"


def curves(
    axis: Axis,
    labels: TextSeq,
    lines: Mapping[str, Sequence[Summary]],
    joined: bool,
    sizes: Sequence[object],
) -> GroupPlot:
    """Return scores over groups, joined if these are ordered: best in front, with intervals."""
    room = (100 - LEFT) / max(len(labels), 1)
    front = min(len(lines), len(SHAPES))
    step = min(STEP, 0.6 * room / max(front, 1))
    up = Upwards(axis, LOW if len(lines) <= len(SHAPES) else HIGH, 10.0, 26.0 + LINE, 0.0)
    parts = []
    for place, (name, scores) in reversed(list(enumerate(lines.items()))):
        coloured = place < len(SHAPES)
        shift = step * (place - (front - 1) / 2) if coloured else 0.0
        marks = []
        for n, (text, score) in enumerate(zip(labels, scores, strict=True)):
            if known(score.mean):
                ends = (score.low, score.high) if coloured else ()
                reach = tuple(map(up.at, ends)) if all(map(known, ends)) else ()
                at = percent(LEFT + room * (n + 0.5) + shift)
                words = f"{name}, {text}: {number(score.mean, 3)}"
                marks.append(Mark(at, up.at(score.mean), reach, words))
        parts.append((place, marks))
    spoken = [
        f"{name}: " + ", ".join(f"{a} {number(b.mean)}" for a, b in zip(labels, of, strict=True))
        for name, of in lines.items()
    ]
    words = "; ".join(spoken[: len(SHAPES)])
    return GroupPlot(up, _heads(labels, room, sizes), parts, (), joined, words)


def _heads(labels: TextSeq, room: float, sizes: Sequence[object]) -> list[Texts]:
    """Return places, sizes and names of groups, which are cut where there is no room."""
    longest = (LETTERS if len(labels) < WIDE else LETTERS_WIDE) // max(len(labels), 1)
    heads = list[Texts]()
    for n, (text, size) in enumerate(zip(labels, sizes, strict=True)):
        cut = len(text) > longest
        shown = f"{text[: longest - 1]}…" if cut else text
        heads.append((percent(LEFT + room * (n + 0.5)), f"n = {size}", shown, text if cut else ""))
    return heads


def boxes(axis: Axis, labels: TextSeq, values: Mapping[str, Sequence[Doubles]]) -> GroupPlot:
    """Return quartiles, median, 5 and 95 % of values: a group per label, a box per answer."""
    up = Upwards(axis, HEIGHT, TOP, 26.0 + LINE, 0.0)
    room = (100 - LEFT) / len(labels)
    wide = min(0.8 * room / max(len(values), 1), WIDEST)
    parts = []
    for place, (name, groups) in enumerate(values.items()):
        drawn = []
        for n, (text, planes) in enumerate(zip(labels, groups, strict=True)):
            if len(planes):
                ends = np.quantile(planes, (0.95, 0.75, 0.5, 0.25, 0.05)).tolist()
                x = LEFT + room * (n + 0.5) + wide * (place - (len(values) - 1) / 2)
                at, left, right, width = map(
                    percent, (x, x - 0.4 * wide, x + 0.4 * wide, 0.8 * wide)
                )
                words = f"{name}, {text}: median {number(ends[2], 3)}, {len(planes)} planes"
                drawn.append(Box(at, left, right, width, list(map(up.y, ends)), words))
        parts.append((place, drawn))
    sizes = [span_of(map(len, groups)) for groups in zip(*values.values(), strict=True)]
    words = "; ".join(box.text for _, drawn in parts for box in drawn)
    return GroupPlot(up, _heads(labels, room, sizes), (), parts, False, words)


class PointPlot(NamedTuple):
    """Points over lines, the best in front."""

    axes: tuple[Axis, Axis]  # across and up
    titles: TextPair
    spots: Sequence[Spot]
    lines: Sequence[Line] = ()
    words: str = ""  # to be read aloud, in place of the titles

    @property
    def up(self) -> Upwards:
        """The axis up."""
        return Upwards(self.axes[1], HEIGHT)

    @property
    def small(self) -> bool:
        """Whether marks are small, so that none hides the others and the page stays light."""
        return len(self.spots) > MANY

    def x(self, value: float) -> float:
        """Return the place of a value in % from the left."""
        return LEFT + (100 - LEFT - RIGHT) * self.axes[0].position(value)

    def names(self) -> Iterable[tuple[str, float, float, Side, str]]:
        """Yield names, points and sides; where wide and narrow pages differ, one for each."""
        named = sorted((spot for spot in self.spots if spot.label), key=lambda spot: spot.place)
        middles = [(self.x(spot.x), self.up.y(spot.y)) for spot in named]
        labels = [spot.label for spot in named]
        spaces = [place_labels(middles, labels, width) for width in WIDTHS]
        for text, at, *sides in zip(labels, middles, *spaces, strict=True):
            same = sides[0] == sides[1]
            for side, style in zip(sides, ("wide-label", "narrow-label")[: 2 - same], strict=False):
                if side is not None:
                    yield text, *at, side, "" if same else style


def place_labels(middles: Sequence[Point], labels: TextSeq, width: float) -> list[Side | None]:
    """Return shift and anchor of labels of points [%, px], the first first; None without room."""
    at = [(across * width / 100, down) for across, down in middles]
    taken = [(x - 5, y - 5, x + 5, y + 5) for x, y in at]
    sides = []
    for n, ((x, y), text) in enumerate(zip(at, labels, strict=True)):
        wide = len(text) * LETTER
        choice = None
        for dx, dy, anchor, share in SIDES:
            start = x + dx - share * wide
            box = (start, y + dy - LINE + 3, start + wide, y + dy + 3)
            inside = box[0] >= LEFT * width / 100 and box[2] <= width and box[1] >= 0
            free = all(
                box[2] <= obstacle[0]
                or obstacle[2] <= box[0]
                or box[3] <= obstacle[1]
                or obstacle[3] <= box[1]
                for obstacle in taken[:n] + taken[n + 1 :]
            )
            if inside and free:
                choice = (dx, dy, anchor)
                taken.append(box)
                break
        sides.append(choice)
    return sides
