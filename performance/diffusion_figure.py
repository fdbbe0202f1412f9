"""Quality against steps, realism and fidelity against the start, as a picture of two panels.

For `diffusion_curves.py`. Metrics have units of their own: distances are shown as parts of those
of the plain sketch, scores as parts of those of real images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from math import isfinite, log
from pathlib import Path
from statistics import fmean

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cytosuite.training.curves import COLOURS, draw_picture

DISTANCES = ("W1_by_std", "lateral_spectrum_distance", "patch_KID")
SCORES = ("label_AUC", "SEG")
WIDTH, HEIGHT, MARGIN, SPOT, LETTERS = 1040, 640, 110, 9, 26  # px
GREY, BLACK = "#999999", "#222222"

Values = Mapping[str, Sequence[float]]  # of each seed, by metric
Points = Mapping[int, Values]  # by steps or start


@dataclass(frozen=True)
class Panel:
    """Curves over steps or starts.

    Parameters
    ----------
    title, across : str
        Above, and below the axis.
    curves : mapping
        Values by the number on the axis.
    published : mapping
        Those of the published settings, hollow.
    even : bool
        Whether the axis is linear, else logarithmic.
    """

    title: str
    across: str
    curves: Points
    published: Points
    even: bool


def parts_of(values: Values, plain: Values, real: Values) -> dict[str, list[float]]:
    """Return distances as parts of the plain sketch's, scores as parts of those of real images.

    Metrics without a positive reference are left out, and values that are not finite.
    """
    found = {}
    for names, reference in ((DISTANCES, plain), (SCORES, real)):
        for name in names:
            known = [value for value in reference.get(name, ()) if isfinite(value)]
            base = fmean(known) if known else 0.0
            own = [value / base for value in values.get(name, ()) if isfinite(value) and base > 0]
            if own:
                found[name] = own
    return found


def draw_figure(panels: Sequence[Panel], path: Path) -> None:
    """Write panels side by side, with one scale upwards, as PNG."""
    values = [
        value
        for panel in panels
        for values in (*panel.curves.values(), *panel.published.values())
        for value in chain.from_iterable(values.values())
    ]
    low, high = min([0.0, *values]), max([1.1, *values])
    room = WIDTH + 2 * MARGIN
    sheet = Image.new("RGB", (len(panels) * room, HEIGHT + 3 * MARGIN), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(LETTERS)
    for number, panel in enumerate(panels):
        _draw_panel(pen, font, panel, (number * room + MARGIN, MARGIN), (low, high))
    at = float(MARGIN)
    for name in (*DISTANCES, *SCORES):
        _draw_spot(pen, name, (at, HEIGHT + 2.5 * MARGIN), hollow=False)
        unit = (
            "round: plain sketch = 1, low is good"
            if name in DISTANCES
            else "square: real = 1, high is good"
        )
        text = f"{name} ({unit})" if name in (DISTANCES[0], SCORES[0]) else name
        pen.text((at + 2 * SPOT, HEIGHT + 2.5 * MARGIN), text, BLACK, font, "lm")
        at += font.getlength(text) + 6 * SPOT
    pen.text((at, HEIGHT + 2.5 * MARGIN), "hollow: published settings", GREY, font, "lm")
    draw_picture(np.asarray(sheet), path)


def _draw_panel(
    pen: ImageDraw.ImageDraw,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    panel: Panel,
    corner: tuple[int, int],
    scale: tuple[float, float],
) -> None:
    """Draw the axes, the curves and the marks of a panel below and right of a corner."""
    ticks = sorted({*panel.curves, *panel.published})
    ends = [x if panel.even else log(x) for x in (ticks[0], ticks[-1])] if ticks else [0, 1]

    def place(x: float, y: float) -> tuple[float, float]:
        """Return the place of a point, px."""
        across = ((x if panel.even else log(x)) - ends[0]) / ((ends[1] - ends[0]) or 1)
        up = (y - scale[0]) / (scale[1] - scale[0])
        return corner[0] + across * WIDTH, corner[1] + HEIGHT * (1 - up)

    left, bottom = corner[0], corner[1] + HEIGHT
    pen.line([corner, (left, bottom), (left + WIDTH, bottom)], GREY, 2)
    pen.text((left, corner[1] - LETTERS), panel.title, BLACK, font, "ls")
    pen.text((left + WIDTH / 2, bottom + 2.5 * LETTERS), panel.across, BLACK, font, "mm")
    for y in sorted({scale[0], 0.0, 0.5, 1.0, scale[1]}):
        height = place(ticks[0] if ticks else 1, y)[1]
        pen.line([(left - SPOT, height), (left, height)], GREY, 2)
        pen.text((left - 2 * SPOT, height), f"{y:.2g}", BLACK, font, "rm")
        if y == 1:
            pen.line([(left, height), (left + WIDTH, height)], GREY, 1)
    for x in ticks:
        spot = place(x, scale[0])[0]
        pen.text((spot, bottom + LETTERS), str(x), BLACK, font, "mm")
    for name, colour in zip((*DISTANCES, *SCORES), COLOURS, strict=True):
        line = [(x, panel.curves[x][name]) for x in sorted(panel.curves) if name in panel.curves[x]]
        means = [place(x, fmean(values)) for x, values in line]
        for pair in pairwise(means):
            pen.line(pair, colour, 4)
        for x, values in line:
            pen.line([place(x, min(values)), place(x, max(values))], colour, 2)
        for spot_at in means:
            _draw_spot(pen, name, spot_at, hollow=False)
        for x, known in panel.published.items():
            if name in known:
                _draw_spot(pen, name, place(x, fmean(known[name])), hollow=True)


def _draw_spot(
    pen: ImageDraw.ImageDraw, name: str, place: tuple[float, float], *, hollow: bool
) -> None:
    """Draw the mark of a metric: round for distances, square for scores."""
    colour = COLOURS[(*DISTANCES, *SCORES).index(name)]
    x, y = place
    box = (x - SPOT, y - SPOT, x + SPOT, y + SPOT)
    shape = pen.ellipse if name in DISTANCES else pen.rectangle
    shape(box, "white" if hollow else colour, colour, 4)
