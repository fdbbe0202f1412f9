"""Case by case: all metrics of a single algorithm, or a table of all algorithms per metric."""

import math
from collections.abc import Callable

from markupsafe import Markup

from cytosuite.benchmark.report.figures import badge, cell, value
from cytosuite.benchmark.report.section import ReportSection
from cytosuite.benchmark.report.wording import decimals, duration, memory
from cytosuite.benchmark.results.results import Results

CELLS = 9000  # on the page; beyond them the other metrics are in the CSV file alone
COSTS: tuple[tuple[str, str, Callable[[float | None], str]], ...] = (  # fact of a record, text
    ("time", "seconds", duration),
    ("memory", "peak_memory", memory),
    ("GPU memory", "gpu_memory", memory),
    ("GPU use", "gpu_utilisation", lambda share: "-" if share is None else f"{share:.0f} %"),
)
Grid = tuple[str, list[str], dict[str, Markup]]  # title, names of the columns, cells by case


def view(results: Results) -> list[Grid] | None:
    """Return one table of all metrics for one algorithm, else one per metric."""
    names = [entry.algorithm for entry in results.ranked]
    if not names or not results.case_order:
        return None
    if len(names) == 1 or not results.by_case:
        return [_grid_of_one(results, name) for name in names]
    failed = {name: results.failed(name) for name in names}
    grids = []
    fit = max(CELLS // (len(names) * len(results.case_order)), len(results.board))
    for metric in sorted(results.by_case, key=lambda metric: metric not in results.board)[:fit]:
        axis = results.axes[metric.name]
        columns = [(results.values[name, metric.name], failed[name]) for name in names]
        digits = min(decimals(v for scores, _ in columns for v in scores.values()), 3)
        rows = {
            case: Markup("").join(
                value(metric, scores.get(case, math.nan), axis, digits, lost.get(case, ""))
                for scores, lost in columns
            )
            for case in results.case_order
        }
        grids.append((metric.name, names, rows))
    return grids


def _grid_of_one(results: Results, name: str) -> Grid:
    """Return all metrics and the measured costs of one algorithm, a row per case."""
    rows, records = {}, results.attempts[name]
    costs = [cost for cost in COSTS if any(getattr(record, cost[1]) for record in records.values())]
    for case in results.case_order:
        cells = [
            value(m, results.values[name, m.name].get(case, math.nan), results.axes[m.name])
            for m in results.by_case
        ]
        record = records.get(case)
        for _, fact, text in costs:
            amount = getattr(record, fact, None) or None
            cells.append(cell(text(amount), amount))
        if record is None:
            cells.append(cell("did not run", "did not run"))
        else:
            cells.append(cell("ok" if record.ok else badge(record.status), record.status))
        rows[case] = Markup("").join(cells)
    columns = [metric.name for metric in results.by_case]
    return name, [*columns, *(head for head, *_ in costs), "status"], rows


TEMPLATE = """
{% from "macros.html" import tabs %}
<p class="lead">{% if results.by_case %}Blue is good, orange is poor. {% endif %}Every value of every case: <a href="cases.csv">CSV</a>{% if view|length > 1 and view|length < results.by_case|length %} (too many for this page, which shows {{ view|length }} of {{ results.by_case|length }} measures){% endif %}. <span class="needs-script">Headings sort.</span></p>
{% set pictured = views.pictures.views|map(attribute="case")|list if views.pictures else [] %}
{{ tabs("grid", view|map("first")|list) }}
{% for title, columns, rows in view %}
<div class="scroll grid-table{% if view|length > 1 %} switched grid-{{ loop.index0 }}{% endif %}" tabindex="0" role="region" aria-label="{{ title }} per case">
<table class="heat sortable">
  <caption>{{ title }}</caption>
  <thead><tr><th scope="col" data-sort="text">case</th>{% for column in columns %}<th scope="col" data-sort="{{ 'text' if column == 'status' else 'number' }}">{{ column }}</th>{% endfor %}</tr></thead>
  <tbody>
  {% for case, cells in rows.items() %}
  {% set place = results.case_order[case] %}
  <tr data-case="{{ place }}"><th scope="row">{% if case in pictured %}<a class="long" href="#case-{{ place }}">{{ case }}</a>{% else %}<span class="long">{{ case }}</span>{% endif %}</th>{{ cells }}</tr>
  {% endfor %}
  </tbody>
</table></div>
{% endfor %}
"""  # noqa: E501 - HTML

SECTION = ReportSection(50, "Cases", "Case by case", view, TEMPLATE)
