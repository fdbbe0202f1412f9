"""Figures of the report as SVG files for papers: fixed size and colours, no other file needed."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from cytosuite.benchmark.report.figures import axis_figure, blobs, places_figure, strip, whisker
from cytosuite.benchmark.report.index import Index
from cytosuite.benchmark.report.plots import line_mark
from cytosuite.benchmark.results.standings import Standing
from cytosuite.figures.svg import COLOURS, SHAPES, document

DOUBLE, SINGLE = 174.0, 120.0  # mm: across two columns of a journal, and a smaller one
PX = 96 / 25.4  # per mm
NAMES, MARGIN = 170.0, 12.0  # px for the names beside rows, and around all
LETTERS = 27  # of a name that has room there
ROWS = 40  # algorithms of a figure
SHARE = re.compile(r"[\d.]+%")
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
STYLE = """
text { font: 11px Helvetica, Arial, sans-serif; fill: #000 }
.head { font-weight: bold; font-size: 12px } .tick, .axis text { fill: #444 } .title { fill: #222 }
.label { paint-order: stroke; stroke: #fff; stroke-width: 3px; stroke-linejoin: round }
.grid { stroke: #ddd } .ci { stroke: #7fb8d8; stroke-width: 3 } .cap { stroke: #4d9cc9; stroke-width: 1.5 }
.mean, .blob, .strip circle { fill: #0072b2 } .strip circle { fill-opacity: .6 } .blob { fill-opacity: .85 }
.pooled { fill: #fff; stroke: #000; stroke-width: 1.3 } .median { stroke: #000; stroke-width: 2 }
.violin { fill: #dde8ef } .bad { stroke: #b04300; stroke-width: 2.4; fill: none }
.real { stroke: #000; stroke-width: 2; stroke-dasharray: 6 3 }
.front { stroke: #888; stroke-width: 1.5; stroke-dasharray: 4 3 } .trend { stroke-width: 2 }
.spot { stroke: #fff; stroke-width: .8 } .c-rest .spot, .c-rest.spot { fill: #999 }
"""  # noqa: E501 - CSS
STYLE += "".join(
    f".c{n} .spot, .c{n}.spot {{ fill: {c} }} .trend.c{n} {{ stroke: {c} }}\n"
    f".c{n} .box {{ fill: {c}; fill-opacity: .45 }} .c{n} .box, .c{n} .reach {{ stroke: {c} }}\n"
    for n, c in enumerate(COLOURS)
)


@dataclass(frozen=True, slots=True)
class PaperFigure:
    """A figure as a file."""

    section: str  # the section of the report that it belongs to
    title: str  # in words, below the folder of the report, and the SVG itself
    path: str
    text: str


def paper_figures(index: Index, views: Mapping[str, Any]) -> list[PaperFigure]:
    """Return the figures of leaderboard, ranks, conditions, costs, depth, models and spread."""
    ranks, conditions, cost, spread, depth = (
        views.get(name) for name in ("ranks", "conditions", "cost", "spread", "depth")
    )
    names = [entry.algorithm for entry in index.ranked]
    drawn = [("leaderboard", "leaderboard", _leaderboard(index, index.ranked))] if names else []
    for title, (contest, *_) in ranks["tabs"].items() if ranks else ():
        if contest.shares:
            own = contest.algorithms[:ROWS]
            rows = [(name, blobs(contest.shares[name], contest.interval[name])) for name in own]
            places = ("", places_figure(len(contest.algorithms)))
            plot = _rows([(f"Place: {title}", [*rows, places])])
            drawn.append(("ranks", f"ranks {title}", plot))
    for metric, panels in conditions["tabs"].items() if conditions else ():
        for panel in (panel for panel in panels if panel["plot"]):
            plot = _plot(panel["plot"], metric, names[: len(SHAPES)])
            drawn.append(("conditions", f"{panel['title']} {metric}", plot))
    for metric, plots in cost["prices"].items() if cost else ():
        for title, plot in plots:
            drawn.append(("cost", f"{title.split(' in ')[0]} {metric}", _plot(plot, metric, ())))
    for own in depth["figures"] if depth else ():
        text = _plot(own["plot"], own["title"], depth["names"] if depth else ())
        drawn.append(("depth", own["title"], text))
    for program, arms in (views.get("arms") or {}).items():
        drawn.append(("arms", f"models of {program}", _leaderboard(index, arms.entries)))
    for metric in spread["first"] if spread else ():
        figure = _spread(index, metric.title, metric.name)
        drawn.append(("spread", f"spread {metric.name}", figure))
    figures: dict[str, PaperFigure] = {}
    for section, title, text in drawn:
        plain = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60] or section
        name = plain if plain not in figures else f"{plain}-{len(figures)}"
        figures[name] = PaperFigure(section, title, f"figures/{name}.svg", text)
    return list(figures.values())


def _leaderboard(index: Index, entries: Sequence[Standing]) -> str:
    """Return the means and intervals of the primary metrics, a row per algorithm."""
    blocks = []
    for metric in index.board:
        axis = index.reach(metric, entries)
        rows = []
        for entry in entries[:ROWS]:
            found = index.summary(entry, metric)
            figure = whisker(axis, found.mean, found.low, found.high, found.pooled)
            rows.append((entry.algorithm, figure))
        blocks.append((metric.name, [*rows, ("", axis_figure(axis))]))
    return _rows(blocks)


def _spread(index: Index, title: str, metric: str) -> str:
    """Return every case of every algorithm as a dot."""
    axis = index.axes[metric]
    names = [entry.algorithm for entry in index.ranked[:ROWS]]
    rows = [
        (name, strip(axis, index.values[name, metric], index.cases, index.failed(name)))
        for name in names
    ]
    return _rows([(title, [*rows, ("", axis_figure(axis))])])


def _rows(blocks: Iterable[tuple[str, Sequence[tuple[str, str]]]]) -> str:
    """Return figures one below the other, with their names and a heading over each block."""
    width, y = DOUBLE * PX, MARGIN
    parts = []
    for heading, rows in blocks:
        y += 14
        parts.append(_text(MARGIN, y, heading, "head"))
        y += 8
        for name, figure in rows:
            shape, height = _absolute(figure, width - NAMES - 2 * MARGIN)
            short = name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…"
            parts.append(_text(MARGIN, y + height / 2 + 4, short))
            shape.set("transform", f"translate({NAMES + MARGIN:g} {y:g})")
            parts.append(shape)
            y += height + 2
        y += 8
    return _document(parts, DOUBLE, y + MARGIN)


def _plot(figure: str, title: str, names: Sequence[str]) -> str:
    """Return a figure of points with a heading, and the marks of its algorithms below."""
    width, y = SINGLE * PX, MARGIN + 12
    parts = [_text(MARGIN, y, title, "head")]
    shape, height = _absolute(figure, width - 2 * MARGIN)
    shape.set("transform", f"translate({MARGIN:g} {y + 6:g})")
    parts.append(shape)
    y += height + 18
    for place, name in enumerate(names):
        mark, _ = _absolute(line_mark(place), 0)
        mark.set("transform", f"translate({MARGIN + 8:g} {y - 4:g})")
        parts += [mark, _text(MARGIN + 22, y, name)]
        y += 16
    return _document(parts, SINGLE, y)


def _absolute(figure: str, width: float) -> tuple[ElementTree.Element, float]:
    """Return a figure of the page as a group with places in px, and its height."""
    root = ElementTree.fromstring(NOT_XML.sub("", figure))
    height = float(root.get("height", 0))
    group = _resolved(root, width)
    group.attrib.pop("transform", None)
    return group, height


def _resolved(element: ElementTree.Element, width: float) -> ElementTree.Element:
    """Return a copy of an element with shares of a width [px] as numbers, pictures as groups."""
    values = {
        key: f"{float(value[:-1]) / 100 * width:.2f}"
        if value.endswith("%") and SHARE.fullmatch(value)
        else value
        for key, value in element.attrib.items()
        if not key.startswith(("aria-", "data-")) and key != "role"
    }
    if element.tag != "svg":
        copy = ElementTree.Element(element.tag, values)
    else:
        shift = f"translate({values.get('x', '0')} {values.get('y', '0')})"
        if "preserveAspectRatio" in values:
            box = [float(number) for number in values["viewBox"].split()]
            across, down = float(values["width"]) / box[2], float(values["height"]) / box[3]
            shift += f" scale({across:.5f} {down:.5f})"
        kept = {"class": values["class"]} if "class" in values else {}
        copy = ElementTree.Element("g", {**kept, "transform": shift})
    copy.text = element.text
    copy.extend(
        _resolved(child, width) for child in element if child.get("class") != "narrow-label"
    )
    return copy


def _text(x: float, y: float, text: str, style: str = "") -> ElementTree.Element:
    """Return a text element."""
    place = {"x": f"{x:g}", "y": f"{y:g}"}
    element = ElementTree.Element("text", {**place, **({"class": style} if style else {})})
    element.text = NOT_XML.sub("", text)
    return element


def _document(parts: Sequence[ElementTree.Element], width_mm: float, height: float) -> str:
    """Return elements as a file, `width_mm` wide and `height` px high."""
    size = (f"{width_mm:g}mm", f"{height / PX:.2f}mm")
    together = ElementTree.Element("g")
    together.extend(parts)
    text = ElementTree.tostring(together, "unicode").removeprefix("<g>").removesuffix("</g>")
    return document([text], size, (width_mm * PX, height), STYLE)
