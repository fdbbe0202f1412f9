"""Curves over whole numbers, steps of a training or commits, as plots below each other."""

from collections.abc import Iterable, Mapping
from itertools import chain

from cytosuite.figures.svg import COLOURS, Axis, document, label, line

Curve = Mapping[int, float]  # value by step

WIDTH, HEIGHT, MARGIN = 640, 240, 48  # px of one plot, and of the space around it
STYLE = "text { font: 12px sans-serif } .grid { stroke: #ddd } .tick { fill: #444 }"


def plots(parts: Iterable[tuple[str, Mapping[str, Curve]]], unit: str) -> str:
    """Return plots of named curves as SVG, each with its title, those without a value left out."""
    shown = [(title, curves) for title, curves in parts if any(curves.values())]
    width, height = WIDTH + 3 * MARGIN, len(shown) * (HEIGHT + 2 * MARGIN)
    placed = (
        f'<g transform="translate({MARGIN} {MARGIN + row * (HEIGHT + 2 * MARGIN)})">'
        f"{label('tick', 0, -12, title, 'start') if title else ''}{_plot(curves, unit)}</g>"
        for row, (title, curves) in enumerate(shown)
    )
    return document(placed, (str(width), str(height)), (width, height), STYLE)


def _plot(curves: Mapping[str, Curve], unit: str) -> str:
    """Return the axes and curves of a plot; the axes end at the extreme values."""
    steps = [*chain.from_iterable(curves.values())]
    values = [*chain.from_iterable(curve.values() for curve in curves.values())]
    across, up = Axis(min(steps), max(steps)), Axis(min(values), max(values))
    shapes = []
    for tick in up.ticks():
        y = HEIGHT * (1 - up.position(tick))
        shapes.append(line("grid", (0, WIDTH), (y, y)))
        shapes.append(label("tick", -6, y + 4, f"{tick:.3g}", "end"))
    for text, x, anchor in ((f"{unit} {min(steps)}", 0, "start"), (f"{max(steps)}", WIDTH, "end")):
        shapes.append(label("tick", x, HEIGHT + 18, text, anchor))
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
