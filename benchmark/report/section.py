"""Sections of a report: each computes a view of the results, and shows it as HTML and Markdown."""

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Generic, TypeVar

from cytosuite.benchmark.scores.results import Results
from cytosuite.benchmark.scores.score import Progress
from cytosuite.files import Json

V = TypeVar("V")


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
