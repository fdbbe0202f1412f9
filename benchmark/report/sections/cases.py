"""Case by case: all metrics of a single algorithm, or a table of all algorithms per metric."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup

from benchmark.report.cells import cell, value
from benchmark.report.index import Index
from benchmark.report.section import ReportSection, table
from benchmark.report.wording import duration, memory, number

LISTED = 12  # cases at most in the Markdown


@dataclass(frozen=True, slots=True)
class CaseTable:
    """A table with a row per case: title, names of the columns, rows of place, case and cells."""

    title: str
    columns: list[str]
    rows: list[tuple[int, str, Markup]]


def view(index: Index) -> list[CaseTable] | None:
    """Return one table of all metrics for one algorithm, else one per metric."""
    names = [entry.algorithm for entry in index.ranked]
    if not names or not index.cases:
        return None
    if len(names) == 1 or not index.by_case:
        return [_grid_of_one(index, name) for name in names]
    badges = {name: {case: index.status(name, case) for case in index.cases} for name in names}
    grids = []
    for metric in index.by_case:
        axis = index.axes[metric.name]
        columns = [(index.values.get((name, metric.name), {}), badges[name]) for name in names]
        rows = [
            (
                place,
                case,
                _joined(value(metric, of.get(case), axis, badge[case]) for of, badge in columns),
            )
            for case, place in index.cases.items()
        ]
        grids.append(CaseTable(metric.name, names, rows))
    return grids


def _grid_of_one(index: Index, name: str) -> CaseTable:
    """Return all metrics, time and memory of one algorithm, a row per case."""
    rows = []
    for case, place in index.cases.items():
        badge = index.status(name, case)
        record = index.records.get(name, {}).get(case)
        found = ((m, index.values.get((name, m.name), {}).get(case)) for m in index.by_case)
        cells = [value(metric, own, index.axes[metric.name]) for metric, own in found]
        if record is None:
            cells += [cell("-"), cell("-"), cell("did not run", "did not run")]
        else:
            size = record.peak_memory
            cells.append(cell(duration(record.seconds), record.seconds))
            cells.append(cell(memory(size), "" if size is None else size))
            cells.append(cell("" if badge else "ok", badge or "ok", badge=badge))
        rows.append((place, case, _joined(cells)))
    columns = [metric.name for metric in index.by_case]
    return CaseTable(name, [*columns, "time", "memory", "status"], rows)


def _joined(cells: Iterable[Markup]) -> Markup:
    """Return the cells of a row."""
    return Markup("").join(cells)


def markdown(index: Index, _: list[CaseTable]) -> list[str]:
    """Return the leaderboard's metrics of the cases in which the best algorithm did worst."""
    metrics = [metric for metric in index.board if metric.scope == "case"]
    if not metrics:
        return []
    best = index.ranked[0].algorithm
    goodness = index.goodness(best)
    order = sorted(goodness, key=lambda case: -math.inf if (g := goodness[case]) is None else g)
    lines = []
    if len(order) > LISTED:
        lines += [f"The {LISTED} cases in which {best} did worst; all are in scores.csv.", ""]
    heads = [f"{entry.algorithm} {metric.name}" for entry in index.ranked for metric in metrics]
    rows = []
    for case in order[:LISTED]:
        row = [case]
        for entry in index.ranked:
            for metric in metrics:
                found = index.values.get((entry.algorithm, metric.name), {}).get(case)
                failed = index.status(entry.algorithm, case)
                row.append(failed or number(found))
        rows.append(row)
    return lines + table(["case", *heads], rows)


TEMPLATE = """
<p class="lead">{% if index.by_case %}Blue is good, orange is poor. {% endif %}<span class="needs-script">Sort by a click on a heading.</span></p>
{% set places = views.pictures.places if views.pictures else {} %}
{% if view|length > 1 %}
<fieldset class="tabs"><legend class="quiet">Show</legend>
{% for grid in view %}<label class="pick"><input type="radio" name="grid" id="grid-{{ loop.index0 }}" {% if loop.first %}checked{% endif %}> {{ grid.title }}</label>{% endfor %}
</fieldset>
<style>{% for grid in view %}.page:has(#grid-{{ loop.index0 }}:checked) .grid-{{ loop.index0 }} { display: block; }
{% endfor %}</style>
{% endif %}
{% for grid in view %}
<div class="scroll grid-table{% if view|length > 1 %} switched grid-{{ loop.index0 }}{% endif %}" tabindex="0" role="region" aria-label="{{ grid.title }} per case">
<table class="heat sortable">
  <caption>{{ grid.title }}</caption>
  <thead><tr><th scope="col" data-sort="text">case</th>{% for column in grid.columns %}<th scope="col" data-sort="{{ 'text' if column == 'status' else 'number' }}">{{ column }}</th>{% endfor %}</tr></thead>
  <tbody>
  {% for place, case, cells in grid.rows %}
  <tr data-case="{{ place }}"><th scope="row">{% if case in places %}<a class="long" href="#case-{{ place }}">{{ case }}</a>{% else %}<span class="long">{{ case }}</span>{% endif %}</th>{{ cells }}</tr>
  {% endfor %}
  </tbody>
</table></div>
{% endfor %}
"""  # noqa: E501 - HTML

SECTION = ReportSection(50, "Cases", "Case by case", view, TEMPLATE, markdown)
