"""Figures with two axes, inline SVG: scores over the groups of a condition, points of any kind."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from markupsafe import Markup, escape

from cytosuite.benchmark.report.figures import svg
from cytosuite.benchmark.report.wording import known, number, span_of
from cytosuite.benchmark.scores.standings import Summary
from cytosuite.figures.svg import SHAPES, Axis, colour, group, label, line, mark, percent
from cytosuite.volume.arrays import Doubles

LEFT, RIGHT = 9.0, 3.0  # % of the width for the numbers of the axis, and right of points
HEIGHT, TOP, BOTTOM = 250.0, 12.0, 40.0  # px of a figure of points, above and below its frame
LOW, HIGH = 210.0, 320.0  # px: height of curves of few algorithms, of more than have colours
STEP = 1.7  # % between algorithms, so that their intervals do not cover each other
WIDEST = 8.0  # % of a box and the gap to the next
WIDE = 5  # groups from which a figure has the width of the page
LETTERS, LETTERS_WIDE = 62, 130  # of all labels below the axis together
WIDTHS = (440.0, 290.0)  # px for which labels are placed: narrowest column, and phone
LETTER, LINE = 6.3, 13.0  # px that a letter and a line of a label take up
GAP = 9  # px between a point and its label
MANY = 300  # points above which they are small and have no tooltip
Point = tuple[float, float]  # across and up, in units of the axes
Side = tuple[int, int, str]
Box = tuple[float, float, float, float]  # left, top, right, bottom
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


class _Upwards(NamedTuple):
    """The vertical axis of a figure."""

    axis: Axis
    height: float  # px, of the figure
    top: float = TOP
    bottom: float = BOTTOM
    right: float = RIGHT

    def y(self, value: float) -> float:
        """Return the place of a value in px from the top."""
        return self.top + (self.height - self.top - self.bottom) * (1 - self.axis.position(value))

    def grid(self) -> Iterable[str]:
        """Return the faint lines and numbers of the axis."""
        for tick in self.axis.ticks():
            y = self.y(tick)
            yield line("grid", (percent(LEFT), percent(100 - self.right)), (y, y))
            yield label("tick", percent(LEFT - 1.5), y + 4, f"{tick:.3g}", "end")


def line_mark(place: int) -> Markup:
    """Return the mark of an algorithm by itself, to stand before its name."""
    return Markup(
        f'<svg class="fig key-mark {colour(place)}" aria-hidden="true" width="14" height="14" '
        f'viewBox="-7 -7 14 14">{mark(place)}</svg>'
    )


def curves(
    axis: Axis,
    labels: Sequence[str],
    lines: Mapping[str, Sequence[Summary]],
    joined: bool,
    sizes: Sequence[object],
) -> Markup:
    """Return scores over groups, joined if these are ordered: best in front, with intervals."""
    height = LOW if len(lines) <= len(SHAPES) else HIGH
    room = (100 - LEFT) / max(len(labels), 1)
    front = min(len(lines), len(SHAPES))
    step = min(STEP, 0.6 * room / max(front, 1))
    up = _Upwards(axis, height, 10.0, 26.0 + LINE, 0.0)
    parts = [*_labels(labels, height, room, sizes), *up.grid()]
    for place, (name, scores) in reversed(list(enumerate(lines.items()))):
        coloured = place < len(SHAPES)
        shift = step * (place - (front - 1) / 2) if coloured else 0.0
        points = [
            (percent(LEFT + room * (n + 0.5) + shift), up.y(score.mean), text, score)
            for n, (text, score) in enumerate(zip(labels, scores, strict=True))
            if known(score.mean)
        ]
        parts.append(f'<g class="{colour(place)}" data-line="{place}">')
        for a, b in pairwise(points) if joined else ():
            parts.append(line("way", (a[0], b[0]), (a[1], b[1])))
        for x, down, text, score in points:
            if coloured and known(score.low) and known(score.high):
                parts.append(line("reach", (x, x), (up.y(score.low), up.y(score.high))))
            title = escape(f"{name}, {text}: {number(score.mean, 3)}")
            parts.append(group(x, down, f"{mark(place)}<title>{title}</title>"))
        parts.append("</g>")
    words = [
        f"{name}: " + ", ".join(f"{a} {number(b.mean)}" for a, b in zip(labels, of, strict=True))
        for name, of in lines.items()
    ]
    return svg("curves", height, "; ".join(words[: len(SHAPES)]), parts)


def _labels(
    labels: Sequence[str], height: float, room: float, sizes: Sequence[object]
) -> Iterable[str]:
    """Return the names and sizes of the groups below their places, cut where there is no room."""
    longest = (LETTERS if len(labels) < WIDE else LETTERS_WIDE) // max(len(labels), 1)
    for n, text in enumerate(labels):
        shown = escape(text)
        if len(text) > longest:
            shown = escape(text[: longest - 1] + "…") + Markup("<title>{}</title>").format(text)
        at, low = percent(LEFT + room * (n + 0.5)), height - 6
        yield label("tick", at, low, escape(f"n = {sizes[n]}"))
        yield label("tick", at, low - LINE, shown)


def boxes(axis: Axis, labels: Sequence[str], values: Mapping[str, Sequence[Doubles]]) -> Markup:
    """Return quartiles, median, 5 and 95 % of values: a group per label, a box per answer."""
    up, room = _Upwards(axis, HEIGHT, TOP, 26.0 + LINE, 0.0), (100 - LEFT) / len(labels)
    wide = min(0.8 * room / max(len(values), 1), WIDEST)
    sizes = [span_of(map(len, groups)) for groups in zip(*values.values(), strict=True)]
    parts, words = [*_labels(labels, HEIGHT, room, sizes), *up.grid()], []
    for place, (name, groups) in enumerate(values.items()):
        parts.append(f'<g class="{colour(place)}">')
        for n, (text, planes) in enumerate(zip(labels, groups, strict=True)):
            if not len(planes):
                continue
            ends = np.quantile(planes, (0.95, 0.75, 0.5, 0.25, 0.05))
            top, high, middle, low, bottom = (up.y(value) for value in ends)
            x = LEFT + room * (n + 0.5) + wide * (place - (len(values) - 1) / 2)
            left, right = percent(x - 0.4 * wide), percent(x + 0.4 * wide)
            title = f"{name}, {text}: median {number(ends[2], 3)}, {len(planes)} planes"
            box = (
                f'x="{left}" y="{high:.1f}" width="{percent(0.8 * wide)}" height="{low - high:.1f}"'
            )
            for a, b in ((top, high), (low, bottom)):
                parts.append(line("reach", (percent(x), percent(x)), (a, b)))
            parts.append(f'<rect class="box" {box}><title>{escape(title)}</title></rect>')
            parts.append(line("median", (left, right), (middle, middle)))
            words.append(title)
        parts.append("</g>")
    return svg("boxes", HEIGHT, "; ".join(words), parts)


def points(
    axes: tuple[Axis, Axis],
    titles: tuple[str, str],
    spots: Sequence[Spot],
    lines: Iterable[Line] = (),
    words: str = "",
) -> Markup:
    """Return points over lines, the best in front; axes across and up, words to be read aloud."""
    across, up = axes[0], _Upwards(axes[1], HEIGHT)

    def x(value: float) -> float:
        """Return the place of a value in % from the left."""
        return LEFT + (100 - LEFT - RIGHT) * across.position(value)

    parts = []
    for tick in across.ticks():
        at = percent(x(tick))
        parts.append(line("grid", (at, at), (TOP, HEIGHT - BOTTOM)))
        parts.append(label("tick", at, HEIGHT - BOTTOM + 15, f"{tick:.4g}"))
    middle = percent((LEFT + 100 - RIGHT) / 2)
    parts += [*up.grid(), label("title", middle, HEIGHT - 8, escape(titles[0]))]
    for stroke in lines:
        (a, b), (c, d) = stroke.start, stroke.end
        ends = percent(x(a)), percent(x(c))
        parts.append(line(escape(stroke.style), ends, (up.y(b), up.y(d))))
    for spot in sorted(spots, key=lambda spot: -spot.place):
        if len(spots) > MANY:  # small, so that none hides the others and the page stays light
            at = f'cx="{x(spot.x):.1f}%" cy="{up.y(spot.y):.0f}" r="2"'
            parts.append(f'<circle class="spot {colour(spot.place)}" {at}/>')
            continue
        case = "" if spot.case is None else f' data-case="{spot.case}"'
        inside = f"{mark(spot.place)}<title>{escape(spot.text)}</title>"
        inside = f'<g class="{colour(spot.place)}"{case}>{inside}</g>'
        parts.append(group(percent(x(spot.x)), up.y(spot.y), inside))
    named = sorted((spot for spot in spots if spot.label), key=lambda spot: spot.place)
    middles = [(x(spot.x), up.y(spot.y)) for spot in named]
    parts += _names([spot.label for spot in named], middles)
    return svg("points", HEIGHT, words or f"{titles[1]} against {titles[0]}", parts)


def _names(labels: Sequence[str], middles: Sequence[Point]) -> Iterable[str]:
    """Return the names next to points; where wide and narrow pages differ, one for each."""
    spaces = [place_labels(middles, labels, width) for width in WIDTHS]
    for text, (at, down), wide, narrow in zip(labels, middles, *spaces, strict=True):
        for side, style in ((wide, "wide-label"), (narrow, "narrow-label")):
            both = side == wide == narrow
            if side is None or (both and style == "narrow-label"):
                continue
            dx, dy, anchor = side
            inside = label("label", dx, dy, escape(text), anchor)
            inside = inside if both else f'<g class="{style}">{inside}</g>'
            yield group(percent(at), down, inside)


def place_labels(
    middles: Sequence[Point], labels: Sequence[str], width: float
) -> list[Side | None]:
    """Return shift and anchor of labels of points [%, px], the first first; None without room."""
    at = [(across * width / 100, down) for across, down in middles]
    taken = [(x - 5, y - 5, x + 5, y + 5) for x, y in at]
    sides: list[Side | None] = []
    for n, ((x, y), text) in enumerate(zip(at, labels, strict=True)):
        wide, choice = len(text) * LETTER, None
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
