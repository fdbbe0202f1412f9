"""Figures with two axes as values: scores over the groups of a condition, points of any kind.

`plots.html` draws them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from cytosuite.benchmark.report.wording import known, number, span_of
from cytosuite.benchmark.scores.standings import Summary
from cytosuite.figures.svg import SHAPES, Axis, colour, mark, percent
from cytosuite.files import TextPair, Texts, TextSeq
from cytosuite.volume.arrays import Doubles

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
                ways = (x, x - 0.4 * wide, x + 0.4 * wide, 0.8 * wide)
                at, left, right, width = map(percent, ways)
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
