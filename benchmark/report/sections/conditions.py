"""Scores by condition: a figure and a table for each condition and metric."""

import math
from dataclasses import astuple, replace
from typing import Any

from markupsafe import Markup

from cytosuite.benchmark.report.axis import Axis
from cytosuite.benchmark.report.curves import WIDE, curves
from cytosuite.benchmark.report.figures import badge, cell, heat
from cytosuite.benchmark.report.index import Index
from cytosuite.benchmark.report.section import ReportSection, escape, table
from cytosuite.benchmark.report.wording import count, estimate, interval, known, number
from cytosuite.benchmark.results.results import Condition, Group, Pooled
from cytosuite.benchmark.results.standings import Standing
from cytosuite.metrics import Metric

UNKNOWN = Pooled(math.nan, math.nan, math.nan)
POOLED = (
    "All objects of a group count alike, whichever case they lie in; "
    "a failed case is an empty answer."
)
MEANS = "Values are means over the cases of a group."
BOTH = (
    "Where values can be pooled, the cases of a group are taken as one; "
    "other values are means over its cases."
)


def view(index: Index) -> dict[str, Any] | None:
    """Return a lead, and the panels of each metric by its name; None without conditions.

    The leaderboard's metrics come first.
    Counts and other metrics without two ends are left to the table of values, unless algorithms
    are ranked by them.
    """
    groups = [group for condition in index.results.conditions for group in condition.groups]
    given = {name for group in groups for _, name in group.scores}
    metrics = [
        metric
        for metric in sorted(index.by_case, key=lambda metric: metric not in index.board)
        if metric.name in given
        and (None not in (metric.best, metric.worst) or metric.name in index.results.primary)
    ]
    pooled = {metric.evidence.pool is not None for metric in metrics}
    lead = BOTH if len(pooled) == 2 else POOLED if True in pooled else MEANS
    tabs = {metric.name: _panels(index, metric) for metric in metrics}
    return {"lead": lead, "tabs": tabs} if tabs else None


def headings(condition: Condition) -> list[tuple[str, list[str]]]:
    """Return each group in words: its label, with the unit of a number, its cases and objects."""
    unit = f" {condition.unit}" if condition.unit and condition.ordered else ""
    heads = []
    for group in condition.groups:
        sizes = [count(len(group.cases), "case"), count(group.objects, "object")]
        heads.append((group.label + unit, sizes if group.objects else sizes[:1]))
    return heads


def remarks(condition: Condition) -> list[str]:
    """Return the sentences without which the groups could be misread."""
    found = []
    if condition.unknown:
        found.append(f"Not known of {count(condition.unknown, 'case')}, which are left out.")
    if condition.goes_with:
        others = " and ".join(
            f"{name} (rank correlation {value:.2f})" for name, value in condition.goes_with.items()
        )
        found.append(f"In these cases it is tied to {others}: one may stand for the other.")
    return found


def _score(group: Group, entry: Standing, metric: Metric[Any]) -> Pooled:
    """Return a score of a group, NaN where there is none: a control has no interval."""
    found = group.scores.get((entry.algorithm, metric.name), UNKNOWN)
    return replace(found, low=math.nan, high=math.nan) if entry.control else found


def _near(index: Index, metric: Metric[Any]) -> Axis:
    """Return the part of an axis, in tenths, with the algorithms' scores and intervals."""
    axis = index.axes[metric.name]
    ends = [
        end
        for condition in index.results.conditions
        for group in condition.groups
        for entry in index.ranked
        for end in astuple(_score(group, entry, metric))
        if known(end)
    ]
    tenth = (axis.high - axis.low) / 10
    first = math.floor((min(ends, default=axis.low) - axis.low) / tenth + 1e-9)
    last = math.ceil((max(ends, default=axis.high) - axis.low) / tenth - 1e-9)
    first = max(0, min(first, last - 2))
    return replace(axis, low=axis.low + first * tenth, high=axis.low + last * tenth)


def _panels(index: Index, metric: Metric[Any]) -> list[dict[str, Any]]:
    """Return a panel by condition: title, groups, figure, cells of each standing, remarks."""
    near, panels = _near(index, metric), []
    for condition in index.results.conditions:
        lines = {
            entry.algorithm: [_score(group, entry, metric) for group in condition.groups]
            for entry in index.ranked
        }
        heads = headings(condition)
        columns = [_column(index, group, metric) for group in condition.groups]
        panels.append(
            {
                "title": condition.name,
                "wide": len(heads) >= WIDE,
                "heads": heads,
                "figure": curves(near, [label for label, _ in heads], lines, condition.ordered),
                "rows": list(zip(*columns, strict=True)),
                "remarks": remarks(condition),
            }
        )
    return panels


def _column(index: Index, group: Group, metric: Metric[Any]) -> list[Markup]:
    """Return the scores of a group as cells, the best in bold; a control has no colour."""
    values = [_score(group, entry, metric).value for entry in index.ranked]
    contest = len(values) > 1 and metric.higher_is_better is not None
    better = max if metric.higher_is_better else min
    best = better(filter(known, values), default=None) if contest else None
    cells = []
    for entry in index.standings:
        score, lost = _score(group, entry, metric), group.failed.get(entry.algorithm, 0)
        bold = score.value == best and not entry.control
        text = Markup("<b>{}</b>" if bold else "{}").format(number(score.value))
        style = "" if entry.control else heat(index.axes[metric.name].goodness(score.value))
        below = [interval(score.low, score.high), badge(f"{lost} failed") if lost else ""]
        cells.append(cell(text, score.value, style, below))
    return cells


def markdown(index: Index, found: dict[str, Any]) -> list[str]:
    """Return the leaderboard's metrics by condition, a table for each of both."""
    lines = [f"{found['lead']} In brackets 95 % intervals.", ""]
    for metric in (metric for metric in index.board if metric.name in found["tabs"]):
        for condition in index.results.conditions:
            heads = [f"{label} ({', '.join(sizes)})" for label, sizes in headings(condition)]
            rows = []
            for entry in index.standings:
                scores = [_score(group, entry, metric) for group in condition.groups]
                name = f"{entry.algorithm} (control)" if entry.control else entry.algorithm
                rows.append([name, *(estimate(s.value, s.low, s.high) for s in scores)])
            lines += [f"### {escape(condition.name)}: {escape(metric.name)}", ""]
            lines += [*table(["algorithm", *heads], rows), ""]
            lines += [f"{escape(remark)}\n" for remark in remarks(condition)]
    return lines


TEMPLATE = """
{% from "macros.html" import tabs %}
<p class="lead">Where each algorithm does well and where it fails. {{ view.lead }} The lines at a mark and the small numbers are 95 % intervals: how far the value would vary with other cases of the group.{% if index.ranked|length > 1 %} Bold is the best of a group.{% endif %} <span class="needs-script">Point at a row to find its marks.</span></p>
{{ tabs("condition", view.tabs|list) }}
{% for metric, panels in view.tabs.items() %}
<div class="condition{% if view.tabs|length > 1 %} switched condition-{{ loop.index0 }}{% endif %}{% if not loop.first %} further{% endif %}">
{% for panel in panels %}
<article class="panel{% if panel.wide %} wide{% endif %}">
  <h3>{{ panel.title }} <span class="quiet">{{ metric }}</span></h3>
  <div class="panel-figure">{{ panel.figure }}</div>
  <div class="scroll" tabindex="0" role="region" aria-label="{{ metric }} by {{ panel.title }}">
  <table class="heat sortable groups">
    <caption>{{ metric }} by {{ panel.title }}</caption>
    <thead><tr><th scope="col" data-sort="text">algorithm</th>{% for label, sizes in panel.heads %}<th scope="col" data-sort="number"><span class="group">{{ label }}{% for size in sizes %}<small>{{ size }}</small>{% endfor %}</span></th>{% endfor %}</tr></thead>
    <tbody>
    {% for cells in panel.rows %}
    {% set entry = index.standings[loop.index0] %}
    <tr{% if entry.control %} class="control"{% else %} data-line="{{ loop.index0 }}"{% endif %}><th scope="row">{% if not entry.control %}{{ line_mark(loop.index0) }}{% endif %}<span class="long">{{ entry.algorithm }}</span></th>{{ cells|join }}</tr>
    {% endfor %}
    </tbody>
  </table></div>
  {% for remark in panel.remarks %}<p class="quiet remark">{{ remark }}</p>{% endfor %}
</article>
{% endfor %}
</div>
{% endfor %}
"""  # noqa: E501 - HTML

SECTION = ReportSection(30, "By condition", "By condition", view, TEMPLATE, markdown)
