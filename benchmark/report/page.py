"""Sections of a report, and all of them as text: one HTML file that needs no network, Markdown."""

import pkgutil
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any, Generic, TypeVar

import jinja2
from markupsafe import Markup

from cytosuite.benchmark.report import figures, wording
from cytosuite.benchmark.report.verdict import readings, verdict
from cytosuite.benchmark.runs.store.documents import escape, rendered
from cytosuite.benchmark.scores.results import Results
from cytosuite.benchmark.scores.score import Progress
from cytosuite.errors import count
from cytosuite.figures import svg
from cytosuite.files import Entries, Json, TextSeq

V = TypeVar("V")
FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class ReportSection(Generic[V]):
    """A section of the report, the constant ``SECTION`` of a module in ``sections``."""

    order: int  # its place: sections stand by ascending numbers
    link: str  # its name in the navigation, and its heading
    title: str
    view: Callable[[Results], V | None]  # None where there is nothing to show
    template: str  # Jinja, knows `view`, `results`, `views` (of all sections by name)
    markdown: Callable[[Results, V], list[str]] = lambda *_: []  # lines
    badge: Callable[[V], str] = lambda _: ""  # returns a short text for the navigation
    whole: bool = False  # whether it sees all algorithms in place of the first of many


@cache
def sections() -> dict[str, ReportSection[Any]]:
    """Return all sections by the name of their module, in their order."""
    package = import_module("cytosuite.benchmark.report.sections")
    names = [module.name for module in pkgutil.iter_modules(package.__path__)]
    by_name = {name: import_module(f"{package.__name__}.{name}").SECTION for name in names}
    return dict(sorted(by_name.items(), key=lambda pair: (pair[1].order, pair[0])))


def views(results: Results, progress: Progress = lambda *_: None) -> Json:
    """Return the view of each section by name, None without content."""
    by_name = {}
    for number, (name, section) in enumerate(sections().items()):
        progress(number, len(sections()), section.title)
        by_name[name] = section.view(results if section.whole else results.first)
    return by_name


def tools() -> jinja2.Environment:
    """Return the environment for templates of this folder, with figures, plots and words."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        optimized=False,  # each template renders once
    )
    parts = (vars(figures) | vars(wording)).items()
    environment.globals |= {name: tool for name, tool in parts if not name.startswith("_")}
    return environment


def html(results: Results, views: Entries) -> str:
    """Return the report as one HTML page with its pictures, style and script, escaped."""
    environment = tools()
    sheets = _together("style.css", "figures.css", "viewer.css", "print.css")
    styles = [Markup("\n").join([Markup(svg.style()), sheets])]
    script = _together(
        "script.js", "slices.js", "ink.js", "panels.js", "viewer.js", "weigh.js", "search.js"
    )

    def sealed(style: Markup) -> Markup:
        """Return a style sheet of a section, which the policy then allows."""
        styles.append(style)
        return style

    environment.globals.update(
        count=count,
        sealed=sealed,
        results=results.first,
        views=views,
        long_names={metric.name: metric.title for metric in results.metrics},
    )
    shown = {
        name: (section, Markup(environment.from_string(section.template).render(view=views[name])))
        for name, section in sections().items()
        if views[name] is not None
    }
    return environment.get_template("template.html").render(
        verdict=verdict(results),
        readings=readings(results),
        sections=shown,
        algorithms=len(results.ranked),
        failures=sum(not record.ok for record in results.records.values()),
        style=styles[0],
        script=script,
        policy=_policy([script], styles),
    )


def markdown(results: Results, views: Entries) -> str:
    """Return the report as Markdown for a terminal or a pull request; see `html`."""
    shown = {
        section.title: section.markdown(results.first, views[name])
        for name, section in sections().items()
        if views[name] is not None
    }
    return rendered(
        FOLDER / "report.template",
        results=results,
        verdict=verdict(results),
        readings=readings(results),
        notes=[*results.broken, *results.first.notes],
        sections=[(title, lines) for title, lines in shown.items() if lines],
        escape=escape,
    ).removesuffix("\n")


def _policy(scripts: TextSeq, styles: TextSeq) -> Markup:
    """Return the content policy: a browser runs and applies these texts, and style attributes."""
    script_hashes, style_hashes = (
        " ".join(
            f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
            for text in dict.fromkeys(texts)
        )
        for texts in (scripts, styles)
    )
    return Markup(
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
        f"script-src {script_hashes}; style-src 'unsafe-inline'; style-src-elem {style_hashes}"
    )


def _together(*names: str) -> Markup:
    """Return style or script files of this folder in one text."""
    return Markup("\n").join(Markup((FOLDER / n).read_text(encoding="utf-8")) for n in names)
