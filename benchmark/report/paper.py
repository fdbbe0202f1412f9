"""Figures of the report as SVG files for papers: white ground, fixed size, no other file needed.

They are the figures of the page, with places in px instead of shares of the width, and with colours
instead of CSS variables.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from cytosuite.benchmark.ranking.ranking import Contest
from cytosuite.benchmark.report.axis import Axis
from cytosuite.benchmark.report.curves import SHAPES, line_mark
from cytosuite.benchmark.report.figures import axis_figure, blobs, places_figure, strip, whisker
from cytosuite.benchmark.report.index import Index

DOUBLE, SINGLE = 174.0, 120.0  # mm: across two columns of a journal, and a smaller one
PX = 96 / 25.4  # per mm
NAMES, MARGIN = 170.0, 12.0  # px for the names beside rows, and around all
LETTERS = 27  # of a name that has room there
ROWS = 40  # algorithms of a figure
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9")
STYLE = """
text { font: 11px Helvetica, Arial, sans-serif; fill: #000 }
.head { font-weight: bold; font-size: 12px } .tick, .axis text { fill: #444 } .title { fill: #222 }
.label { paint-order: stroke; stroke: #fff; stroke-width: 3px; stroke-linejoin: round }
.grid { stroke: #ddd } .ci { stroke: #7fb8d8; stroke-width: 3 } .cap { stroke: #4d9cc9; stroke-width: 1.5 }
.mean, .blob, .strip circle { fill: #0072b2 } .strip circle { fill-opacity: .6 } .blob { fill-opacity: .85 }
.pooled { fill: #fff; stroke: #000; stroke-width: 1.3 } .median { stroke: #000; stroke-width: 2 }
.violin { fill: #dde8ef } .bad { stroke: #b04300; stroke-width: 2.4; fill: none }
.front { stroke: #888; stroke-width: 1.5; stroke-dasharray: 4 3 } .trend { stroke-width: 2 }
.spot { stroke: #fff; stroke-width: .8 } .c-rest .spot, .c-rest.spot { fill: #999 }
"""  # noqa: E501 - CSS


@dataclass(frozen=True, slots=True)
class PaperFigure:
    """A figure as a file.

    Parameters
    ----------
    section : str
        The section of the report that it belongs to.
    title, path, text : str
        In words, below the folder of the report, and the SVG itself.
    """

    section: str
    title: str
    path: str
    text: str


def paper_figures(index: Index, views: Mapping[str, Any]) -> list[PaperFigure]:
    """Return the figures of the leaderboard, ranks, conditions, costs and spread.

    Parameters
    ----------
    index, views
        The results, and the view of each section by its name; sections without a view have none.
    """
    drawn = [("leaderboard", "leaderboard", _leaderboard(index))] if index.ranked else []
    if found := views.get("ranks"):
        drawn += [
            ("ranks", f"ranks {title}", _ranks(title, contest))
            for title, (contest, *_) in found["tabs"].items()
            if contest.shares
        ]
    if found := views.get("conditions"):
        names = [entry.algorithm for entry in index.ranked][: len(SHAPES)]
        drawn += [
            ("conditions", f"{panel['title']} {metric}", _plot(panel["plot"], metric, names))
            for metric, panels in found["tabs"].items()
            for panel in panels
            if panel["plot"]
        ]
    if found := views.get("cost"):
        drawn += [
            ("cost", f"{title.split(' in ')[0]} {metric}", _plot(plot, metric, ()))
            for metric, plots in found["prices"].items()
            for title, plot in plots
        ]
    if found := views.get("spread"):
        drawn += [
            ("spread", f"spread {metric.name}", _spread(index, metric.title, metric.name))
            for metric in found["first"]
        ]
    figures: dict[str, PaperFigure] = {}
    for section, title, text in drawn:
        plain = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60] or section
        name = plain if plain not in figures else f"{plain}-{len(figures)}"
        figures[name] = PaperFigure(section, title, f"figures/{name}.svg", text)
    return list(figures.values())


def _leaderboard(index: Index) -> str:
    """Return the means and intervals of the primary metrics, a row per algorithm."""
    blocks = []
    for metric in index.board:
        axis = index.axes[metric.name]
        rows = []
        for entry in index.ranked[:ROWS]:
            found = index.summary(entry, metric)
            figure = whisker(axis, found.mean, found.low, found.high, found.pooled)
            rows.append((entry.algorithm, figure))
        blocks.append((metric.name, [*rows, ("", axis_figure(axis))]))
    return _rows(blocks)


def _ranks(title: str, contest: Contest) -> str:
    """Return how often each algorithm has each place."""
    names = contest.algorithms[:ROWS]
    rows = [(name, blobs(contest.shares[name], contest.interval[name])) for name in names]
    return _rows([(f"Place: {title}", [*rows, ("", places_figure(len(contest.algorithms)))])])


def _spread(index: Index, title: str, metric: str) -> str:
    """Return every case of every algorithm as a dot."""
    axis: Axis = index.axes[metric]
    rows = []
    for entry in index.ranked[:ROWS]:
        name = entry.algorithm
        figure = strip(axis, index.values[name, metric], index.cases, index.failed(name))
        rows.append((name, figure))
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
        key: f"{float(value[:-1]) / 100 * width:.2f}" if re.fullmatch(r"[\d.]+%", value) else value
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
    size = {"width": f"{width_mm:g}mm", "height": f"{height / PX:.2f}mm"}
    box = f"0 0 {width_mm * PX:.2f} {height:.2f}"
    name = {"xmlns": "http://www.w3.org/2000/svg"}
    root = ElementTree.Element("svg", {**name, **size, "viewBox": box})
    style = ElementTree.SubElement(root, "style")
    own = (
        f".c{n} .spot, .c{n}.spot {{ fill: {c} }} .trend.c{n} {{ stroke: {c} }}"
        for n, c in enumerate(COLOURS)
    )
    style.text = STYLE + "\n".join(own) + "\n"
    ElementTree.SubElement(root, "rect", {"width": "100%", "height": "100%", "fill": "#fff"})
    root.extend(parts)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, "unicode")}\n'
