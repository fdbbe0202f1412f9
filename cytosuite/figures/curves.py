"""Curves over whole numbers, steps of a training or commits, as plots below each other."""

from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path

from cytosuite.figures.svg import COLOURS, Axis
from cytosuite.files import Json

Curve = Mapping[int, float]  # value by step

WIDTH, HEIGHT, MARGIN = 640, 240, 48  # px of one plot, and of the space around it
TEMPLATE = Path(__file__).with_name("curves.template")


def plots(parts: Iterable[tuple[str, Mapping[str, Curve]]], unit: str) -> str:
    """Return plots of named curves as SVG, each with its title, those without a value left out."""
    from jinja2 import Template  # a training without curves needs none

    template = Template(
        TEMPLATE.read_text("utf-8"), trim_blocks=True, keep_trailing_newline=True, autoescape=True
    )
    shown = [_plot(title, curves) for title, curves in parts if any(curves.values())]
    sizes = {"width": WIDTH, "height": HEIGHT, "margin": MARGIN}
    return str(template.render(plots=shown, unit=unit, **sizes))


def _plot(title: str, curves: Mapping[str, Curve]) -> Json:
    """Return the axes and curves of a plot in px; the axes end at the extreme values."""
    steps = [*chain.from_iterable(curves.values())]
    values = [*chain.from_iterable(curve.values() for curve in curves.values())]
    across = Axis(min(steps), max(steps))
    up = Axis(min(values), max(values))

    def y(value: float) -> float:
        """Return the place of a value from the top."""
        return HEIGHT * (1 - up.position(value))

    return {
        "title": title,
        "first": min(steps),
        "last": max(steps),
        "ticks": [(y(tick), f"{tick:.3g}") for tick in up.ticks()],
        "lines": [
            (
                name,
                COLOURS[number % len(COLOURS)],
                [(across.position(n) * WIDTH, y(v)) for n, v in curve.items()],
            )
            for number, (name, curve) in enumerate(curves.items())
            if curve
        ],
    }
