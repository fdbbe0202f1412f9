"""Realism by depth: strength of edges, and grey values of objects, of gaps and of the outside."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from cytosuite.benchmark.report.figures import Line, PointPlot, Spot, boxes
from cytosuite.benchmark.report.page import ReportSection
from cytosuite.benchmark.report.wording import number
from cytosuite.benchmark.runs.store.documents import table
from cytosuite.benchmark.scores.results import Results
from cytosuite.figures.svg import SHAPES, axis_around, colour
from cytosuite.files import Entries, Json, TextSeq
from cytosuite.metrics.realism.edges import EDGES, EdgeCurves
from cytosuite.metrics.realism.regions import REGION_SCORES, REGIONS, RegionScores
from cytosuite.volume.arrays import Doubles

SIDES = {"identity": "the input as it is", "real": "half of the real images"}
THIRDS = ("upper third", "middle third", "lower third")
WORDS = dict(zip(REGIONS, ("inside objects", "between objects", "outside"), strict=True))
POINTS = 48  # of a curve
LEAST = -1.0  # similarities below are drawn as this; black images have 0
EMPTY = np.zeros(0)


class Panel(NamedTuple):
    """A quantity by depth: a curve and the planes of each third per answer."""

    title: str
    across: str  # unit of depth
    curves: Mapping[str, tuple[Doubles, Doubles]]  # depth and value
    real: tuple[Doubles, Doubles]  # curve of the real images
    spread: str  # title of the thirds
    thirds: Mapping[str, Sequence[Doubles]]


def view(results: Results) -> Json | None:
    """Return panels and figures of as many answers as have colours, algorithms first."""
    sets = results.sets
    sides = [name for name in SIDES if name in sets]
    ranked = [entry.algorithm for entry in results.ranked if entry.algorithm in sets]
    names = [*ranked[: len(SHAPES) - len(sides)], *sides]
    panels = [_edges(names, sets), *(_region(names, sets, region) for region in REGIONS)]
    panels = [panel for panel in panels if any(y.size for _, y in panel.curves.values())]
    figures: list[Json] = []
    for panel in panels:
        pool = [value for thirds in panel.thirds.values() for third in thirds for value in third]
        figures += [{"title": panel.title, "plot": _lines(panel, names)}]
        figures += [{"title": panel.spread, "plot": boxes(axis_around(pool), THIRDS, panel.thirds)}]
    left = len(ranked) + len(sides) - len(names)
    shown = {"panels": panels, "figures": figures, "names": names, "sides": SIDES, "left": left}
    return shown if panels else None


def _edges(names: TextSeq, sets: Entries) -> Panel:
    """Return the strength of edges, and its difference from the real images."""
    none = EdgeCurves(EMPTY, EMPTY, EMPTY)
    curves = {name: sets[name].get(EDGES, none) for name in names}
    longest = max(curves.values(), key=lambda curve: curve.depth_um.size, default=none)
    return Panel(
        "Strength of edges",
        "depth below the sharpest plane in µm",
        {name: (curve.depth_um, curve.synthetic) for name, curve in curves.items()},
        (longest.depth_um, longest.real),
        "Strength of edges, difference from real images",
        {name: [curve.difference(third) for third in range(3)] for name, curve in curves.items()},
    )


def _region(names: TextSeq, sets: Entries, region: str) -> Panel:
    """Return the similarity of the grey values in a region, plane by plane."""
    curves, thirds, none = {}, {}, RegionScores(EMPTY, {region: EMPTY})
    for name in names:
        scores = sets[name].get(REGION_SCORES, none)
        depth, similarity = scores.profile(region, POINTS)
        curves[name] = (100 * depth, np.maximum(similarity, LEAST))
        thirds[name] = [np.maximum(scores.third(region, n), LEAST) for n in range(3)]
    title = f"Similarity of intensities {WORDS[region]}"
    return Panel(title, "depth in %", curves, (EMPTY, EMPTY), f"{title}, by third", thirds)


def _lines(panel: Panel, names: TextSeq) -> PointPlot:
    """Return the curves of a panel, marked at both ends, the real images dashed."""
    lines = []
    spots = []
    every = [*panel.curves.items(), ("real images", panel.real)]
    for place, (name, (depth, value)) in enumerate(every):
        if not depth.size:
            continue
        chosen = np.unique(np.linspace(0, depth.size - 1, POINTS).astype(int))
        way = list(zip(depth[chosen].tolist(), value[chosen].tolist(), strict=True))
        real = place == len(names)
        style = "real" if real else f"trend {colour(place)}"
        lines += [Line(a, b, style) for a, b in pairwise(way)]
        ends = [way[0]] if real else [way[0], way[len(way) // 2], way[-1]]
        shape, label = (len(SHAPES), name) if real else (place, "")
        text = f"{name}: {panel.title.lower()} {number(float(value.mean()), 3)} in the mean"
        spots += [Spot(x, y, shape, text, label) for x, y in ends]
    axes = [axis_around(values) for values in zip(*(line.start for line in lines), strict=True)]
    return PointPlot((axes[0], axes[1]), (panel.across, panel.title), spots, lines)


def markdown(_: Results, view: Json) -> list[str]:
    """Return the median of each third, a table per quantity."""
    lines = []
    for panel in view["panels"]:
        rows = [
            [
                name,
                *(
                    number(float(np.median(planes)) if planes.size else None, 3)
                    for planes in thirds
                ),
            ]
            for name, thirds in panel.thirds.items()
        ]
        lines += [f"### {panel.spread}", "", *table(["median", *THIRDS], rows), ""]
    return lines


TEMPLATE = """
{% from "plots.html" import draw %}
<p class="lead">Where in the stack images differ from real ones. The strength of edges falls with depth as in the real images (dashed) or not; similarity compares the grey values of a plane with those of real planes at its depth: 1 the same, 0 as far off as black. Boxes hold the middle half of the planes, their lines 5 to 95 %.</p>
<p class="legend">{% for name in view.names %}<span>{{ line_mark(loop.index0) }}<span class="name">{{ name }}</span>{% if name in view.sides %} <span class="quiet">{{ view.sides[name] }}</span>{% endif %}</span>{% endfor %}</p>
{% if view.left %}<p class="quiet">The first {{ view.names|length }}; {{ view.left }} more in by_depth.csv.</p>{% endif %}
<div class="columns">
{% for figure in view.figures %}<figure class="plot"><figcaption><strong>{{ figure.title }}</strong></figcaption>{{ draw(figure.plot) }}</figure>{% endfor %}
</div>
<p class="quiet files">Every curve: <a href="by_depth.csv">CSV</a>.</p>
"""  # noqa: E501 - HTML

SECTION = ReportSection(25, "Depth", "Realism by depth", view, TEMPLATE, markdown)
