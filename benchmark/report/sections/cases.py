"""Case by case: all metrics of a single algorithm, or a table of all algorithms per metric."""

from collections.abc import Callable, Mapping, Sequence

from cytosuite.benchmark.report.page import ReportSection
from cytosuite.benchmark.report.wording import decimals, duration, memory
from cytosuite.benchmark.runs.record import Record
from cytosuite.benchmark.scores.results import Results
from cytosuite.figures.svg import Axis
from cytosuite.files import FloatMap, Json, TextMap
from cytosuite.metrics import AnyMetric

CELLS = 12_000  # on the page; beyond them other metrics, and then cases, are in the CSV file alone
Cost = tuple[str, str, Callable[[float | None], str]]  # title, fact of a record, text
COSTS: tuple[Cost, ...] = (
    ("time", "seconds", duration),
    ("memory", "peak_memory", memory),
    ("GPU memory", "gpu_memory", memory),
    ("GPU use", "gpu_utilisation", lambda share: "-" if share is None else f"{share:.0f} %"),
)
Column = tuple[AnyMetric, Axis, int, FloatMap, TextMap]  # axis, decimals, values, failures
# Title, heads, columns of metrics, records by case, costs.
Grid = tuple[str, list[str], Sequence[Column], Mapping[str, Record] | None, Sequence[Cost]]


def view(results: Results) -> Json | None:
    """Return tables and their cases, of too many the hardest by the first algorithm."""
    names = [entry.algorithm for entry in results.ranked]
    if not names or not results.case_order:
        return None
    grids = _grids(results, names)
    rows = CELLS // sum(len(columns) for _, columns, *_ in grids)
    goodness = results.goodness(names[0])
    hardest = {*sorted(goodness, key=goodness.__getitem__)[:rows]}
    cases = {case: place for case, place in results.case_order.items() if case in hardest}
    return {"grids": grids, "cases": cases}


def _grids(results: Results, names: list[str]) -> list[Grid]:
    """Return one table of all metrics for one algorithm, else one per metric."""
    if len(names) == 1 or not results.by_case:
        return [_grid_of_one(results, name) for name in names]
    failed = {name: results.failed(name) for name in names}
    grids: list[Grid] = []
    fit = max(CELLS // (len(names) * len(results.case_order)), len(results.board))
    for metric in results.by_case[:fit]:
        scores = {name: results.values[name, metric.name] for name in names}
        digits = min(decimals(v for values in scores.values() for v in values.values()), 3)
        axis = results.axes[metric.name]
        columns = [(metric, axis, digits, values, failed[name]) for name, values in scores.items()]
        grids.append((metric.name, names, columns, None, ()))
    return grids


def _grid_of_one(results: Results, name: str) -> Grid:
    """Return all metrics and the measured costs of one algorithm, a row per case."""
    records = results.attempts[name]
    costs = [cost for cost in COSTS if any(getattr(record, cost[1]) for record in records.values())]
    columns: list[Column] = [
        (m, results.axes[m.name], 2, results.values[name, m.name], {}) for m in results.by_case
    ]
    heads = [m.name for m in results.by_case] + [head for head, *_ in costs] + ["status"]
    return name, heads, columns, records, costs


TEMPLATE = """
{% from "macros.html" import tabs %}
{% set grids, cases = view.grids, view.cases %}
<p class="lead">{% if results.by_case %}Blue is good, orange is poor. {% endif %}Every value of every case: <a href="cases.csv">CSV</a>{% if cases|length < results.case_order|length %} (too many for this page, which shows the {{ cases|length }} hardest cases of {{ results.ranked[0].algorithm }}){% elif grids|length > 1 and grids|length < results.by_case|length %} (too many for this page, which shows {{ grids|length }} of {{ results.by_case|length }} measures){% endif %}. <span class="needs-script">Headings sort.</span></p>
{% set pictured = views.pictures.views|map(attribute="case")|list if views.pictures else [] %}
{{ tabs("grid", grids|map("first")|list) }}
{% for title, heads, columns, records, costs in grids %}
<div class="scroll grid-table{% if grids|length > 1 %} switched grid-{{ loop.index0 }}{% endif %}" tabindex="0" role="region" aria-label="{{ title }} per case">
<table class="heat sortable">
  <caption>{{ title }}</caption>
  <thead><tr><th scope="col" data-sort="text">case</th>{% for head in heads %}<th scope="col" data-sort="{{ 'text' if head == 'status' else 'number' }}">{{ head }}</th>{% endfor %}</tr></thead>
  <tbody>
  {% for case, place in cases.items() %}
  <tr data-case="{{ place }}"><th scope="row">{% if case in pictured %}<a class="long" href="#case-{{ place }}">{{ case }}</a>{% else %}<span class="long">{{ case }}</span>{% endif %}</th>{% for metric, axis, digits, scores, failed in columns %}{{ value(metric, scores.get(case), axis, digits, failed.get(case, "")) }}{% endfor %}{% for _, fact, text in costs %}{% set amount = (records[case][fact] or none) if case in records else none %}{{ cell(text(amount), amount) }}{% endfor %}{% if records is not none %}{% if case in records %}{{ cell("ok" if records[case].ok else badge(records[case].status), records[case].status) }}{% else %}{{ cell("did not run", "did not run") }}{% endif %}{% endif %}</tr>
  {% endfor %}
  </tbody>
</table></div>
{% endfor %}
"""  # noqa: E501 - HTML

SECTION = ReportSection(50, "Cases", "Case by case", view, TEMPLATE)
