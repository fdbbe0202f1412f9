"""A figure of scores over the groups of a condition: a line per algorithm, inline SVG."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from markupsafe import Markup, escape

from cytosuite.benchmark.report.axis import Axis
from cytosuite.benchmark.report.figures import svg
from cytosuite.benchmark.report.wording import known, number
from cytosuite.benchmark.results.results import Pooled

LOW, HIGH = 210.0, 320.0  # px: height with few algorithms, and with more than have colours
TOP, BOTTOM = 10.0, 26.0  # px above the best and below the worst value
LEFT = 9.0  # % of the width for the numbers of the axis
STEP = 1.7  # % between algorithms, so that their intervals do not cover each other
WIDE = 5  # groups from which a figure has the width of the page
LETTERS, LETTERS_WIDE = 62, 130  # of all labels below the axis together
# Distinct by shape as well as by colour.
SHAPES = (
    "M-4.5 0A4.5 4.5 0 1 0 4.5 0A4.5 4.5 0 1 0-4.5 0Z",
    "M-4-4H4V4H-4Z",
    "M0-5.5L5 4H-5Z",
    "M0-5.5L5.5 0L0 5.5L-5.5 0Z",
    "M0 5.5L5-4H-5Z",
    "M-1.7-5H1.7V-1.7H5V1.7H1.7V5H-1.7V1.7H-5V-1.7H-1.7Z",
)


def colour(place: int) -> str:
    """Return the class of an algorithm's marks: the first few have a colour, the rest are grey.

    Examples
    --------
    >>> colour(0), colour(17)
    ('c0', 'c-rest')
    """
    return f"c{place}" if place < len(SHAPES) else "c-rest"


def line_mark(place: int) -> Markup:
    """Return the mark of an algorithm by itself, to stand before its name."""
    return Markup(
        f'<svg class="fig key-mark {colour(place)}" aria-hidden="true" width="14" height="14" '
        f'viewBox="-7 -7 14 14">{mark(place)}</svg>'
    )


def curves(
    axis: Axis, labels: Sequence[str], lines: Mapping[str, Sequence[Pooled]], joined: bool
) -> Markup:
    """Return the scores over the groups, the best algorithms in front.

    Parameters
    ----------
    axis : Axis
        The axis of the metric, upwards.
    labels : sequence of str
        The groups, from left to right.
    lines : mapping of str to sequence of Pooled
        Scores of each algorithm, the best first; undefined ones are left out. Only the first few
        algorithms are coloured and have their intervals drawn.
    joined : bool
        Whether the groups follow each other, so that a line may lead from one to the next.
    """
    height = LOW if len(lines) <= len(SHAPES) else HIGH
    room = (100 - LEFT) / max(len(labels), 1)
    front = min(len(lines), len(SHAPES))
    step = min(STEP, 0.6 * room / max(front, 1))

    def y(value: float) -> float:
        """Return the height of a value in px from the top."""
        return TOP + (height - TOP - BOTTOM) * (1 - axis.position(value))

    parts = list(_labels(labels, height, room))
    for tick in axis.ticks():
        line = f'x1="{LEFT:g}%" x2="100%" y1="{y(tick):.1f}" y2="{y(tick):.1f}"'
        text = f'x="{LEFT - 1.5:g}%" y="{y(tick) + 4:.1f}" text-anchor="end"'
        parts += [f'<line class="grid" {line}/>', f'<text class="tick" {text}>{tick:.3g}</text>']
    for place, (name, scores) in reversed(list(enumerate(lines.items()))):
        coloured = place < len(SHAPES)
        shift = step * (place - (front - 1) / 2) if coloured else 0.0
        points = [
            (f"{LEFT + room * (n + 0.5) + shift:.2f}%", f"{y(score.value):.1f}", label, score)
            for n, (label, score) in enumerate(zip(labels, scores, strict=True))
            if known(score.value)
        ]
        parts.append(f'<g class="{colour(place)}" data-line="{place}">')
        for a, b in pairwise(points) if joined else ():
            parts.append(f'<line class="way" x1="{a[0]}" y1="{a[1]}" x2="{b[0]}" y2="{b[1]}"/>')
        for x, down, label, score in points:
            if coloured and known(score.low) and known(score.high):
                ends = f'y1="{y(score.low):.1f}" y2="{y(score.high):.1f}"'
                parts.append(f'<line class="reach" x1="{x}" x2="{x}" {ends}/>')
            text = escape(f"{name}, {label}: {number(score.value, 3)}")
            spot = f"{mark(place)}<title>{text}</title>"
            parts.append(f'<svg x="{x}" y="{down}" overflow="visible">{spot}</svg>')
        parts.append("</g>")
    return svg("curves", height, _words(labels, lines), parts)


def _words(labels: Sequence[str], lines: Mapping[str, Sequence[Pooled]]) -> str:
    """Return the scores of the first algorithms in words."""
    shown = [
        f"{name}: " + ", ".join(f"{a} {number(b.value)}" for a, b in zip(labels, of, strict=True))
        for name, of in lines.items()
    ]
    return "; ".join(shown[: len(SHAPES)])


def _labels(labels: Sequence[str], height: float, room: float) -> Iterable[str]:
    """Return the names of the groups below their places, cut where there is no room."""
    longest = (LETTERS if len(labels) < WIDE else LETTERS_WIDE) // max(len(labels), 1)
    for n, label in enumerate(labels):
        text = escape(label)
        if len(label) > longest:
            text = escape(label[: longest - 1] + "…") + Markup("<title>{}</title>").format(label)
        place = f'x="{LEFT + room * (n + 0.5):.2f}%" y="{height - 6:g}"'
        yield f'<text class="tick" {place} text-anchor="middle">{text}</text>'


def mark(place: int) -> str:
    """Return the mark of an algorithm around its place."""
    if place < len(SHAPES):
        return f'<path class="spot" d="{SHAPES[place]}"/>'
    return '<circle class="spot" r="2.6"/>'
