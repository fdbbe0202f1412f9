"""The course of a training: losses, scores and images by step, as pictures and for the card."""

import csv
from collections.abc import Mapping, Sequence
from itertools import chain
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cytosuite.figures.svg import COLOURS, Axis, document, label, line
from cytosuite.files import atomic

Curve = Mapping[int, float]  # value by step

WIDTH, HEIGHT, MARGIN = 640, 240, 48  # px of one plot, and of the space around it
STYLE = "text { font: 12px sans-serif } .grid { stroke: #ddd } .tick { fill: #444 }"
POINTS = 8  # of a curve in a card
_COSTS = ("rate", "seconds")  # columns of the log that are no loss


def read_curves(path: Path) -> dict[str, Curve]:
    """Return the finite values in a `progress.Log` by curve; none where there is no file."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    names = [name for name in (rows[0] if rows else ()) if name not in ("step", *_COSTS)]
    return {
        name: {int(r["step"]): float(r[name]) for r in rows if isfinite(float(r[name]))}
        for name in names
    }


def thinned(curve: Curve) -> dict[str, float]:
    """Return a few points of a curve, evenly over its steps, the last among them.

    >>> thinned({step: step / 10 for step in range(1, 25)})
    {'3': 0.3, '6': 0.6, '9': 0.9, '12': 1.2, '15': 1.5, '18': 1.8, '21': 2.1, '24': 2.4}
    """
    points = list(curve.items())
    every = -(-len(points) // POINTS) or 1
    return {str(step): value for step, value in points[::-1][::every][::-1]}


def draw_curves(plots: Sequence[Mapping[str, Curve]], path: Path) -> None:
    """Write plots of named curves below each other as SVG; axes end at the extreme values."""
    shown = [plot for plot in plots if any(plot.values())]
    width, height = WIDTH + 3 * MARGIN, len(shown) * (HEIGHT + 2 * MARGIN)
    parts = [
        f'<g transform="translate({MARGIN} {MARGIN + row * (HEIGHT + 2 * MARGIN)})">{_plot(p)}</g>'
        for row, p in enumerate(shown)
    ]
    with atomic(path) as temporary:
        text = document(parts, (str(width), str(height)), (width, height), STYLE)
        temporary.write_text(text, encoding="utf-8")


def draw_picture(picture: NDArray[np.uint8], path: Path) -> None:
    """Write a (H, W) or (H, W, 3) picture as PNG."""
    with atomic(path) as temporary:
        Image.fromarray(np.ascontiguousarray(picture)).save(temporary, format="PNG")


def _plot(curves: Mapping[str, Curve]) -> str:
    steps = [*chain.from_iterable(curves.values())]
    values = [*chain.from_iterable(curve.values() for curve in curves.values())]
    across, up = Axis(min(steps), max(steps)), Axis(min(values), max(values))
    shapes = []
    for tick in up.ticks():
        y = HEIGHT * (1 - up.position(tick))
        shapes.append(line("grid", ("0", f"{WIDTH}"), (f"{y:.1f}", f"{y:.1f}")))
        shapes.append(label("tick", "-6", f"{y + 4:.1f}", f"{tick:.3g}", "end"))
    for text, x, anchor in ((f"step {min(steps)}", 0, "start"), (f"{max(steps)}", WIDTH, "end")):
        shapes.append(label("tick", f"{x}", f"{HEIGHT + 18}", text, anchor))
    for number, (name, curve) in enumerate(curves.items()):
        if not curve:
            continue
        colour = COLOURS[number % len(COLOURS)]
        points = [
            (across.position(n) * WIDTH, HEIGHT * (1 - up.position(v))) for n, v in curve.items()
        ]
        end, height = points[-1]
        shapes.append(
            f'<polyline points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in points)}" fill="none" '
            f'stroke="{colour}" stroke-width="1.5"/>'
            f'<circle cx="{end:.1f}" cy="{height:.1f}" r="2.5" fill="{colour}"/>'
            f'<text x="{end + 6:.1f}" y="{height + 4:.1f}" fill="{colour}">{name}</text>'
        )
    return "".join(shapes)
