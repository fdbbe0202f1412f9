"""The page: one file that carries its pictures, style and script, and asks the network nothing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from benchmark.report import wording
from benchmark.report.figures import axis_figure
from benchmark.report.index import Index
from benchmark.report.section import sections
from benchmark.report.verdict import verdict

FOLDER = Path(__file__).parent


def render(index: Index, views: Mapping[str, Any]) -> str:
    """Return the report as one HTML page.

    Parameters
    ----------
    index : Index
        The results.
    views : mapping of str to object
        View of each section by its name.

    Returns
    -------
    str
        Self-contained HTML: everything from outside (names, messages, logs) is escaped.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=wording.number, duration=wording.duration, doi=wording.doi_link
    )
    environment.globals.update(
        count=wording.count, axis_figure=axis_figure, index=index, views=views
    )
    shown = {
        name: (section, Markup(environment.from_string(section.template).render(view=views[name])))
        for name, section in sections().items()
        if views[name] is not None
    }
    return environment.get_template("template.html").render(
        results=index.results,
        verdict=verdict(index),
        sections=shown,
        style=Markup((FOLDER / "style.css").read_text(encoding="utf-8")),
        script=Markup((FOLDER / "script.js").read_text(encoding="utf-8")),
        failures=sum(not record.ok for record in index.results.records.values()),
    )
