"""The course of a training: losses, scores and images by step, as pictures and for the card."""

import csv
from collections.abc import Mapping, Sequence
from itertools import chain
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cytosuite.files import atomic

Curve = Mapping[int, float]  # value by step

WIDTH, HEIGHT, MARGIN = 640, 240, 48  # px of one plot, and of the space around it
COLOURS = ("#1f5fa8", "#c2571a", "#2f7d4f", "#7a4fa3", "#8a6d1f")
POINTS = 8  # of a curve in a card
_COSTS = ("rate", "seconds")  # columns of the log that are no loss


def read_curves(path: Path) -> dict[str, Curve]:
    """Return the curves in a log, by name; none where there is no file.

    Parameters
    ----------
    path : Path
        CSV file of `cytosuite.training.progress.Log`: a column of steps, then one per curve.
        Values that are not finite are left out.
    """
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

    Examples
    --------
    >>> thinned({step: step / 10 for step in range(1, 25)})
    {'3': 0.3, '6': 0.6, '9': 0.9, '12': 1.2, '15': 1.5, '18': 1.8, '21': 2.1, '24': 2.4}
    """
    points = list(curve.items())
    every = -(-len(points) // POINTS) or 1
    return {str(step): value for step, value in points[::-1][::every][::-1]}


def draw_curves(plots: Sequence[Mapping[str, Curve]], path: Path) -> None:
    """Write curves as an SVG picture.

    Parameters
    ----------
    plots : sequence of mapping
        The curves of each plot, by name; plots lie below each other, those without a point are
        left out. Every axis ends at its least and largest value.
    path : Path
        Written whole or not at all.
    """
    shown = [plot for plot in plots if any(plot.values())]
    height = len(shown) * (HEIGHT + 2 * MARGIN)
    parts = [
        f'<g transform="translate({MARGIN} {MARGIN + row * (HEIGHT + 2 * MARGIN)})">{_plot(p)}</g>'
        for row, p in enumerate(shown)
    ]
    with atomic(path) as temporary:
        temporary.write_text(
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH + 3 * MARGIN}" '
            f'height="{height}" font-family="sans-serif" font-size="12">'
            f'<rect width="100%" height="100%" fill="white"/>{"".join(parts)}</svg>\n',
            encoding="utf-8",
        )


def draw_picture(picture: NDArray[np.uint8], path: Path) -> None:
    """Write a picture as PNG.

    Parameters
    ----------
    picture : (H, W) or (H, W, 3) uint8 array
        Grey, or red, green and blue.
    path : Path
        Written whole or not at all.
    """
    with atomic(path) as temporary:
        Image.fromarray(np.ascontiguousarray(picture)).save(temporary, format="PNG")


def _plot(curves: Mapping[str, Curve]) -> str:
    """Return one plot with its axes and the name of each curve at its end."""
    steps = [*chain.from_iterable(curves.values())]
    values = [*chain.from_iterable(curve.values() for curve in curves.values())]
    left, right, low, high = min(steps), max(steps), min(values), max(values)

    def place(step: int, value: float) -> tuple[float, float]:
        """Return the place of a point, px."""
        across = (step - left) / ((right - left) or 1)
        return across * WIDTH, HEIGHT * (1 - (value - low) / ((high - low) or 1))

    found = [f'<path d="M0 0V{HEIGHT}H{WIDTH}" fill="none" stroke="#888"/>']
    for text, x, y, anchor in (
        (f"{high:.3g}", -6, 4, "end"),
        (f"{low:.3g}", -6, HEIGHT + 4, "end"),
        (f"step {left}", 0, HEIGHT + 18, "start"),
        (f"{right}", WIDTH, HEIGHT + 18, "end"),
    ):
        found.append(f'<text x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>')
    for number, (name, curve) in enumerate(curves.items()):
        if not curve:
            continue
        colour = COLOURS[number % len(COLOURS)]
        points = [place(step, value) for step, value in curve.items()]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        found.append(
            f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
            f'<circle cx="{points[-1][0]:.1f}" cy="{points[-1][1]:.1f}" r="2.5" fill="{colour}"/>'
            f'<text x="{points[-1][0] + 6:.1f}" y="{points[-1][1] + 4:.1f}" fill="{colour}">'
            f"{name}</text>"
        )
    return "".join(found)
