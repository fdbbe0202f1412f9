"""Errors of links: what went wrong with the tracks of each algorithm, by kind."""

from collections import Counter

from cytosuite.benchmark.report.page import ReportSection
from cytosuite.benchmark.runs.store.documents import table
from cytosuite.benchmark.scores.matches import read_links
from cytosuite.benchmark.scores.results import Results
from cytosuite.files import Json
from cytosuite.metrics.tracks.tracking import LINK_ERRORS


def view(results: Results) -> Json | None:
    """Return the kinds of wrong links, and their numbers by algorithm; None without tables."""
    counts: dict[str, Counter[str]] = {}
    for (name, _), path in results.links.items():
        counts.setdefault(name, Counter()).update(error.kind for error in read_links(path))
    ranked = [entry.algorithm for entry in results.ranked if entry.algorithm in counts]
    rows = [(name, [counts[name][kind] for kind in LINK_ERRORS]) for name in ranked]
    return {"meanings": LINK_ERRORS, "rows": rows} if rows else None


def markdown(_: Results, view: Json) -> list[str]:
    """Return the numbers as a table."""
    return table(["algorithm", *LINK_ERRORS], ([name, *counts] for name, counts in view["rows"]))


TEMPLATE = """
<p class="lead">Wrong links between cells of neighbouring frames, over all cases, each cause once: <a href="link_errors.csv">link_errors.csv</a> has frame and label of each; the pictures above lead to them.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Wrong links by kind">
<table class="heat sortable">
  <caption>Wrong links by kind</caption>
  <thead><tr><th scope="col" data-sort="text">algorithm</th>{% for kind, meaning in view.meanings.items() %}<th scope="col" data-sort="number"><abbr title="{{ meaning }}">{{ kind }}</abbr></th>{% endfor %}</tr></thead>
  <tbody>{% for name, numbers in view.rows %}<tr><th scope="row"><span class="long">{{ name }}</span></th>{% for number in numbers %}<td data-key="{{ number }}">{{ number }}</td>{% endfor %}</tr>{% endfor %}</tbody>
</table></div>
<details class="more"><summary>What the kinds mean</summary><dl>{% for kind, meaning in view.meanings.items() %}<dt>{{ kind }}</dt><dd>{{ meaning }}</dd>{% endfor %}</dl></details>
"""  # noqa: E501 - HTML

SECTION = ReportSection(36, "Links", "Errors of links", view, TEMPLATE, markdown)
