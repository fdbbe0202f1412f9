"""The report as Markdown, for a terminal, a pull request or a wiki."""

from collections.abc import Mapping
from typing import Any

from benchmark.report.index import Index
from benchmark.report.section import escape, sections
from benchmark.report.verdict import verdict


def render(index: Index, views: Mapping[str, Any]) -> str:
    """Return the report as Markdown: the verdict, the notes, and every section.

    Parameters
    ----------
    index : Index
        The results.
    views : mapping of str to object
        View of each section by its name.
    """
    results = index.results
    lines = [f"# {escape(results.title)}", "", f"**{escape(verdict(index))}**", ""]
    lines += [f"> {escape(sentence)}\n" for sentence in [*results.broken, *results.notes]]
    for name, section in sections().items():
        shown = [] if views[name] is None else section.markdown(index, views[name])
        lines += [f"## {section.title}", "", *shown, ""] if shown else []
    return "\n".join(lines)
