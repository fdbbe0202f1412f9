"""The report as text: one HTML file that asks the network nothing, and Markdown."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from cytosuite.benchmark.report import wording
from cytosuite.benchmark.report.curves import line_mark
from cytosuite.benchmark.report.figures import (
    axis_figure,
    blobs,
    places_figure,
    strip,
    value,
    whisker,
)
from cytosuite.benchmark.report.index import Index
from cytosuite.benchmark.report.paper import PaperFigure
from cytosuite.benchmark.report.section import escape, sections
from cytosuite.benchmark.report.verdict import readings, verdict

FOLDER = Path(__file__).parent
TOOLS = (
    *(axis_figure, blobs, line_mark, places_figure, strip, value, whisker),
    *(wording.count, wording.direction, wording.doi_link, wording.duration, wording.fixed),
    *(wording.formulas, wording.interval, wording.known, wording.memory, wording.number),
)


def html(index: Index, views: Mapping[str, Any], drawn: Sequence[PaperFigure] = ()) -> str:
    """Return the report as one HTML page with its pictures, style and script.

    Parameters
    ----------
    index, views
        The results, and the view of each section by its name.
    drawn : sequence of PaperFigure
        Files beside the page that it links.

    Returns
    -------
    str
        Everything from outside (names, messages, logs) is escaped.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update({tool.__name__: tool for tool in TOOLS})
    environment.globals.update(index=index, results=index.results, views=views)
    figures = {name: [f for f in drawn if f.section == name] for name in sections()}
    environment.globals["figures"] = figures
    environment.globals["long_names"] = {m.name: m.title for m in index.results.metrics}
    shown = {
        name: (section, Markup(environment.from_string(section.template).render(view=views[name])))
        for name, section in sections().items()
        if views[name] is not None
    }
    return environment.get_template("template.html").render(
        verdict=verdict(index),
        readings=readings(index),
        sections=shown,
        style=_together("style.css", "figures.css", "viewer.css", "print.css"),
        script=_together("script.js", "slices.js", "ink.js", "panels.js", "viewer.js"),
    )


def markdown(index: Index, views: Mapping[str, Any]) -> str:
    """Return the report as Markdown for a terminal or a pull request; see `html`."""
    results = index.results
    lines = [f"# {escape(results.title)}", "", f"**{escape(verdict(index))}**", ""]
    lines += [f"- {name}: {escape(text)}" for name, text in readings(index)] + [""]
    lines += [f"> {escape(sentence)}\n" for sentence in [*results.broken, *results.notes]]
    for name, section in sections().items():
        shown = [] if views[name] is None else section.markdown(index, views[name])
        lines += [f"## {section.title}", "", *shown, ""] if shown else []
    return "\n".join(lines)


def _together(*names: str) -> Markup:
    """Return style or script files of this folder in one text."""
    return Markup("\n").join(Markup((FOLDER / n).read_text(encoding="utf-8")) for n in names)
