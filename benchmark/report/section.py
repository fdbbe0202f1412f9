"""Sections of a report: each computes a view of the results, and shows it as HTML and Markdown."""

import pkgutil
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Generic, TypeVar

from cytosuite.benchmark.report.index import Index

V = TypeVar("V")
Progress = Callable[[float, int, str], None]
SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~]|:(?=[\w+-]+:))")  # :name: is an emoji


@dataclass(frozen=True)
class ReportSection(Generic[V]):
    """A section of the report, the constant ``SECTION`` of a module in ``sections``."""

    order: int  # its place: sections stand by ascending numbers
    link: str  # its name in the navigation, and its heading
    title: str
    view: Callable[[Index], V | None]  # None where there is nothing to show
    template: str  # Jinja, knows `view`, `index`, `views` (of all sections by name)
    markdown: Callable[[Index, V], list[str]] = lambda *_: []  # lines
    badge: Callable[[V], str] = lambda _: ""  # returns a short text for the navigation


@cache
def sections() -> dict[str, ReportSection[Any]]:
    """Return all sections by the name of their module, in their order."""
    package = import_module("cytosuite.benchmark.report.sections")
    names = [module.name for module in pkgutil.iter_modules(package.__path__)]
    found = {name: import_module(f"{package.__name__}.{name}").SECTION for name in names}
    return dict(sorted(found.items(), key=lambda pair: (pair[1].order, pair[0])))


def views(index: Index, progress: Progress = lambda *_: None) -> dict[str, Any]:
    """Return the view of each section by name, None without content."""
    found = {}
    for number, (name, section) in enumerate(sections().items()):
        progress(number, len(sections()), section.title)
        found[name] = section.view(index)
    return found


def escape(text: object) -> str:
    """Return text as one line that Markdown shows as it is."""
    return SPECIAL.sub(r"\\\1", " ".join(str(text).split()))


def table(columns: Iterable[object], rows: Iterable[Iterable[object]]) -> list[str]:
    """Return the lines of a Markdown table; its cells are escaped."""
    heads = [escape(column) for column in columns]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    return lines + [f"| {' | '.join(escape(cell) for cell in row)} |" for row in rows]
