"""A figure of points in two dimensions: scores against a condition, a time or a memory."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from markupsafe import Markup, escape

from cytosuite.benchmark.report.axis import Axis
from cytosuite.benchmark.report.curves import colour, mark
from cytosuite.benchmark.report.figures import svg

HEIGHT, TOP, BOTTOM = 250.0, 12.0, 40.0  # px
LEFT, RIGHT = 9.0, 3.0  # % of the width beside the frame
WIDTHS = (440.0, 290.0)  # px for which labels are placed: narrowest column, and phone
LETTER, LINE = 6.3, 13.0  # px that a letter and a line of a label take up
GAP = 9  # px between a point and its label
MANY = 300  # points above which they are small and have no tooltip
Side: TypeAlias = tuple[int, int, str]
Box: TypeAlias = tuple[float, float, float, float]
# Shift of a label in px, its anchor, and the share of it that lies left of that.
SIDES = (
    (0, -GAP, "middle", 0.5),
    (GAP, 4, "start", 0.0),
    (-GAP, 4, "end", 1.0),
    (0, GAP + 9, "middle", 0.5),
)


@dataclass(frozen=True, slots=True)
class Spot:
    """A point of a figure.

    Parameters
    ----------
    x, y : float
        In units of the axes.
    place : int
        Place of its algorithm in the leaderboard, from 0, for colour and shape.
    text : str
        In the tooltip.
    label : str
        Beside the point where there is room.
    case : int or None
        Number of its case on the page.
    """

    x: float
    y: float
    place: int
    text: str
    label: str = ""
    case: int | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line from one point to another, in units of the axes, with its CSS class."""

    start: tuple[float, float]
    end: tuple[float, float]
    style: str


def points(
    axes: tuple[Axis, Axis],
    titles: tuple[str, str],
    spots: Sequence[Spot],
    lines: Iterable[Line] = (),
    words: str = "",
) -> Markup:
    """Return a figure of points, the best algorithms in front.

    Parameters
    ----------
    axes, titles : pair of Axis, pair of str
        Of the horizontal and of the vertical direction.
    spots : sequence of Spot
        Points; a lower place lies in front.
    lines : iterable of Line
        Behind the points.
    words : str
        The figure in words.
    """
    across, up = axes

    def x(value: float) -> float:
        """Return the place of a value in % of the width."""
        return LEFT + (100 - LEFT - RIGHT) * across.position(value)

    def y(value: float) -> float:
        """Return the place of a value in px from the top."""
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - up.position(value))

    parts = list(_frame(axes, titles[0], x, y))
    for line in lines:
        (a, b), (c, d) = line.start, line.end
        ends = f'x1="{x(a):.2f}%" y1="{y(b):.1f}" x2="{x(c):.2f}%" y2="{y(d):.1f}"'
        parts.append(f'<line class="{escape(line.style)}" {ends}/>')
    for spot in sorted(spots, key=lambda spot: -spot.place):
        if len(spots) > MANY:  # small, so that none hides the others and the page stays light
            at = f'cx="{x(spot.x):.1f}%" cy="{y(spot.y):.0f}" r="2"'
            parts.append(f'<circle class="spot {colour(spot.place)}" {at}/>')
            continue
        case = "" if spot.case is None else f' data-case="{spot.case}"'
        at = f'x="{x(spot.x):.2f}%" y="{y(spot.y):.1f}" overflow="visible"'
        inside = f"{mark(spot.place)}<title>{escape(spot.text)}</title>"
        group = f'<g class="{colour(spot.place)}"{case}>{inside}</g>'
        parts.append(f"<svg {at}>{group}</svg>")
    named = sorted((spot for spot in spots if spot.label), key=lambda spot: spot.place)
    middles = [(x(spot.x), y(spot.y)) for spot in named]
    spaces = [place_labels(middles, [s.label for s in named], width) for width in WIDTHS]
    for spot, (at, down), wide, narrow in zip(named, middles, *spaces, strict=True):
        for side, style in ((wide, "wide-label"), (narrow, "narrow-label")):
            both = side == wide == narrow
            if side is None or (both and style == "narrow-label"):
                continue
            dx, dy, anchor = side
            text = f'x="{dx:g}" y="{dy:g}" text-anchor="{anchor}"'
            inside = f'<text class="label" {text}>{escape(spot.label)}</text>'
            group = inside if both else f'<g class="{style}">{inside}</g>'
            parts.append(f'<svg x="{at:.2f}%" y="{down:.1f}" overflow="visible">{group}</svg>')
    return svg("points", HEIGHT, words or f"{titles[1]} against {titles[0]}", parts)


def place_labels(
    middles: Sequence[tuple[float, float]], labels: Sequence[str], width: float
) -> list[Side | None]:
    """Return the shift of each label from its point and its anchor, None where there is no room.

    Parameters
    ----------
    middles : sequence of (float, float)
        Points, in % of the width and in px from the top.
    labels : sequence of str
        Their names, the most important first.
    width : float
        Of the figure in px; labels that part here part in any wider figure, too.

    Examples
    --------
    >>> place_labels([(20.0, 50.0), (21.0, 50.0)], ["a", "b"], 400.0)
    [(0, -9, 'middle'), (9, 4, 'start')]
    """
    at = [(across * width / 100, down) for across, down in middles]
    taken: list[Box] = [(x - 5, y - 5, x + 5, y + 5) for x, y in at]
    found: list[Side | None] = []
    for own, ((x, y), label) in enumerate(zip(at, labels, strict=True)):
        wide, choice = len(label) * LETTER, None
        for dx, dy, anchor, share in SIDES:
            start = x + dx - share * wide
            box = (start, y + dy - LINE + 3, start + wide, y + dy + 3)
            inside = box[0] >= LEFT * width / 100 and box[2] <= width and box[1] >= 0
            others = taken[:own] + taken[own + 1 :]
            if inside and not any(_overlap(box, other) for other in others):
                choice = (dx, dy, anchor)
                taken.append(box)
                break
        found.append(choice)
    return found


def _overlap(one: Box, other: Box) -> bool:
    """Return whether two boxes (left, top, right, bottom) share any area."""
    apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
    return not apart


def _frame(
    axes: tuple[Axis, Axis], title: str, x: Callable[[float], float], y: Callable[[float], float]
) -> Iterable[str]:
    """Return the faint lines and numbers of both axes, and the title of the horizontal one."""
    across, up = axes
    for tick in across.ticks():
        at = f"{x(tick):.2f}%"
        ends = f'x1="{at}" x2="{at}" y1="{TOP:g}" y2="{HEIGHT - BOTTOM:g}"'
        text = f'x="{at}" y="{HEIGHT - BOTTOM + 15:g}" text-anchor="middle"'
        yield f'<line class="grid" {ends}/><text class="tick" {text}>{tick:.4g}</text>'
    for tick in up.ticks():
        ends = f'x1="{LEFT:g}%" x2="{100 - RIGHT:g}%" y1="{y(tick):.1f}" y2="{y(tick):.1f}"'
        text = f'x="{LEFT - 1.5:g}%" y="{y(tick) + 4:.1f}" text-anchor="end"'
        yield f'<line class="grid" {ends}/><text class="tick" {text}>{tick:.3g}</text>'
    at = f'x="{(LEFT + 100 - RIGHT) / 2:g}%" y="{HEIGHT - 8:g}" text-anchor="middle"'
    yield f'<text class="title" {at}>{escape(title)}</text>'
