"""A figure of scores over the groups of a condition: a line per algorithm, inline SVG."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from benchmark.report.figures import Axis
from benchmark.report.wording import known, number
from benchmark.results.results import Pooled

LOW, HIGH = 210.0, 320.0  # px: height with few algorithms, and with more than have colours
TOP, BOTTOM = 10.0, 26.0  # px above the best and below the worst value
LEFT = 9.0  # % of the width for the numbers of the axis
STEP = 1.7  # % between algorithms whose intervals would cover each other
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


@dataclass(frozen=True, slots=True)
class Curve:
    """The scores of one algorithm, one per group; `place` counts from 0 for the best."""

    place: int
    name: str
    scores: Sequence[Pooled]


def colour(place: int) -> str:
    """Return the class of an algorithm's marks: the first few have a colour, the rest are grey.

    Examples
    --------
    >>> colour(0), colour(17)
    ('c0', 'c-rest')
    """
    return f"c{place}" if place < len(SHAPES) else "c-rest"


def key(place: int) -> Markup:
    """Return the mark of an algorithm by itself, to stand before its name."""
    return Markup(
        '<svg class="fig key-mark {}" aria-hidden="true" width="14" height="14" '
        'viewBox="-7 -7 14 14">{}</svg>'
    ).format(colour(place), _mark(place))


def curves(axis: Axis, labels: Sequence[str], lines: Sequence[Curve], joined: bool) -> Markup:
    """Return the scores over the groups, the best algorithms in front.

    Parameters
    ----------
    axis : Axis
        The axis of the metric, upwards.
    labels : sequence of str
        The groups, from left to right.
    lines : sequence of Curve
        The algorithms. Only the first few are coloured and have their intervals drawn.
    joined : bool
        Whether the groups follow each other, so that a line may lead from one to the next.
    """
    height = LOW if len(lines) <= len(SHAPES) else HIGH
    parts = [*_axis(axis, height), *_labels(labels, height)]
    front = sum(line.place < len(SHAPES) for line in lines)
    room = (100 - LEFT) / max(len(labels), 1)
    step = min(STEP, 0.6 * room / max(front, 1))
    for line in sorted(lines, key=lambda line: -line.place):
        shift = step * (line.place - (front - 1) / 2) if line.place < len(SHAPES) else 0.0
        places = [LEFT + room * (n + 0.5) + shift for n in range(len(labels))]
        parts.append(
            _curve(axis, height, line, list(zip(places, labels, line.scores, strict=True)), joined)
        )
    words = "; ".join(_words(line, labels) for line in lines[: len(SHAPES)])
    return Markup(
        '<svg class="fig curves" role="img" aria-label="{}" width="100%" height="{:g}">{}</svg>'
    ).format(words, height, Markup("").join(parts))


def _words(line: Curve, labels: Sequence[str]) -> str:
    """Return the scores of an algorithm in words."""
    pairs = zip(labels, line.scores, strict=True)
    return f"{line.name}: " + ", ".join(f"{label} {number(at.value)}" for label, at in pairs)


def _y(axis: Axis, height: float, value: float) -> float:
    """Return how many px below the top a value stands; larger ones stand higher."""
    return TOP + (height - TOP - BOTTOM) * (1 - axis.position(value))


def _axis(axis: Axis, height: float) -> Iterable[Markup]:
    """Return faint lines and their numbers."""
    line = Markup('<line class="grid" x1="{0:g}%" x2="100%" y1="{1:.1f}" y2="{1:.1f}"/>')
    text = Markup('<text class="tick" x="{:g}%" y="{:.1f}" text-anchor="end">{}</text>')
    for tick in axis.ticks():
        at = _y(axis, height, tick)
        yield line.format(LEFT, at)
        yield text.format(LEFT - 1.5, at + 4, f"{tick:.3g}")


def _labels(labels: Sequence[str], height: float) -> Iterable[Markup]:
    """Return the names of the groups below their places, cut where there is no room."""
    text = Markup('<text class="tick" x="{:.2f}%" y="{:g}" text-anchor="middle">{}{}</text>')
    room = (100 - LEFT) / max(len(labels), 1)
    longest = (LETTERS if len(labels) < WIDE else LETTERS_WIDE) // max(len(labels), 1)
    for n, label in enumerate(labels):
        short = label if len(label) <= longest else label[: longest - 1] + "…"
        whole = Markup("<title>{}</title>").format(label) if short != label else ""
        yield text.format(LEFT + room * (n + 0.5), height - 6, short, whole)


def _curve(
    axis: Axis,
    height: float,
    line: Curve,
    scores: Sequence[tuple[float, str, Pooled]],
    joined: bool,
) -> Markup:
    """Return line, intervals and marks of one algorithm; undefined scores are left out."""
    points = [
        (at, _y(axis, height, score.value), label, score)
        for at, label, score in scores
        if known(score.value)
    ]
    parts = []
    if joined:
        way = Markup('<line class="way" x1="{:.2f}%" y1="{:.1f}" x2="{:.2f}%" y2="{:.1f}"/>')
        parts += [way.format(a[0], a[1], b[0], b[1]) for a, b in pairwise(points)]
    for at, down, label, score in points:
        if line.place < len(SHAPES) and known(score.low) and known(score.high):
            reach = Markup(
                '<line class="reach" x1="{0:.2f}%" x2="{0:.2f}%" y1="{1:.1f}" y2="{2:.1f}"/>'
            )
            parts.append(
                reach.format(at, _y(axis, height, score.low), _y(axis, height, score.high))
            )
        spot = Markup('<svg x="{:.2f}%" y="{:.1f}" overflow="visible">{}<title>{}</title></svg>')
        text = f"{line.name}, {label}: {number(score.value, 3)}"
        parts.append(spot.format(at, down, _mark(line.place), text))
    return Markup('<g class="{}" data-line="{}">{}</g>').format(
        colour(line.place), line.place, Markup("").join(parts)
    )


def _mark(place: int) -> Markup:
    """Return the mark of an algorithm around its place."""
    if place < len(SHAPES):
        return Markup('<path class="spot" d="{}"/>').format(SHAPES[place])
    return Markup('<circle class="spot" r="2.6"/>')
