"""Sections of a report: each computes a view of the results, and shows it as HTML and Markdown."""

import pkgutil
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Generic, TypeAlias, TypeVar

from cytosuite.benchmark.results.results import Results

V = TypeVar("V")
Cells: TypeAlias = list[list[object]]  # of a table, a list per row
Progress = Callable[[float, int, str], None]
SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~]|:(?=[\w+-]+:))")  # :name: is an emoji


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


def views(results: Results, progress: Progress = lambda *_: None) -> dict[str, Any]:
    """Return the view of each section by name, None without content."""
    by_name = {}
    for number, (name, section) in enumerate(sections().items()):
        progress(number, len(sections()), section.title)
        by_name[name] = section.view(results if section.whole else results.first)
    return by_name


def escape(text: object) -> str:
    """Return text as one line that Markdown shows as it is."""
    return SPECIAL.sub(r"\\\1", " ".join(str(text).split()))


def valued(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> tuple[list[str], Cells]:
    """Return heads and rows of a table without the columns, but the first, that have no value."""
    names, cells = list(heads), [list(row) for row in rows]
    columns = range(len(names))
    full = [n for n in columns if not (n and cells and all(row[n] in ("", "-") for row in cells))]
    return [names[n] for n in full], [[row[n] for n in full] for row in cells]


def table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> list[str]:
    """Return the lines of a Markdown table of the columns with values; its cells are escaped."""
    names, rows = valued(columns, rows)
    heads = [escape(name) for name in names]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    return lines + [f"| {' | '.join(escape(cell) for cell in row)} |" for row in rows]
