"""Scores by condition: a figure and a table for each condition and metric."""

import numpy as np
import pandas as pd

from cytosuite.benchmark.report.figures import Line, PointPlot, Spot, curves
from cytosuite.benchmark.report.page import ReportSection
from cytosuite.benchmark.report.wording import estimate, known, number, span_of
from cytosuite.benchmark.runs.store.documents import escape, table
from cytosuite.benchmark.scores.results import Condition, Group, Results
from cytosuite.benchmark.scores.standings import Standing, Summary
from cytosuite.errors import count
from cytosuite.figures.svg import SHAPES, Axis, axis_around, colour, part
from cytosuite.files import FloatPair, Json
from cytosuite.metrics import AnyMetric
from cytosuite.volume.arrays import Doubles

FIRST = 4  # conditions that are open
POINTS = 5  # cases with different numbers that a trend needs
TREND = 500  # cases of a trend line: of more, some of them, evenly along the condition
CELLS = 2500  # of all tables; beyond them only the leaderboard's metrics are on the page
POOLED = (
    "All objects of a group count alike, whichever case they lie in; "
    "a failed case is an empty answer."
)
MEANS = "Values are means over the cases of a group."
BOTH = (
    "Where values can be pooled, the cases of a group are taken as one; "
    "other values are means over its cases."
)


def view(results: Results) -> Json | None:
    """Return a lead, and the panels of each metric with two ends or to rank by; None without."""
    groups = [group for condition in results.conditions for group in condition.groups]
    scored = {name for group in groups for _, name in group.scores}
    metrics = [
        metric
        for metric in results.by_case
        if metric.name in scored
        and (None not in (metric.best, metric.worst) or metric.name in results.primary)
    ]
    room = CELLS // max(len(groups) * len(results.standings), 1)
    metrics = metrics[: max(room, len(results.board))]
    pooled = {metric.evidence.pool is not None for metric in metrics}
    lead = BOTH if len(pooled) == 2 else POOLED if True in pooled else MEANS
    tabs = {metric.name: _panels(results, metric) for metric in metrics}
    return {"lead": lead, "tabs": tabs, "first": FIRST} if tabs else None


def headings(condition: Condition) -> list[tuple[str, list[str]]]:
    """Return each group in words: its label, with the unit of a number, its cases and objects."""
    heads = []
    for label, group in zip(condition.labels, condition.groups, strict=True):
        sizes = [count(len(group.cases), "case"), count(group.objects, "object")]
        heads.append((label, sizes if group.objects else sizes[:1]))
    return heads


def remarks(condition: Condition) -> list[str]:
    """Return the sentences without which the groups could be misread."""
    sentences = []
    if condition.unknown:
        sentences.append(f"Not known of {count(condition.unknown, 'case')}, which are left out.")
    if condition.goes_with:
        others = " and ".join(
            f"{name} (rank correlation {value:.2f})" for name, value in condition.goes_with.items()
        )
        sentences.append(f"In these cases it is tied to {others}: one may stand for the other.")
    return sentences


def _score(group: Group, entry: Standing, metric: AnyMetric) -> Summary:
    """Return a score of a group as it is shown."""
    return entry.shown(group.scores.get((entry.algorithm, metric.name)))


def _near(results: Results, metric: AnyMetric) -> Axis:
    """Return the part of an axis, in tenths, with the algorithms' scores and intervals."""
    ends = (
        end
        for condition in results.conditions
        for group in condition.groups
        for entry in results.ranked
        for end in _score(group, entry, metric)[:3]
    )
    return part(results.axes[metric.name], [*filter(known, ends)])


def difficulty(
    results: Results, condition: Condition, metric: AnyMetric
) -> tuple[PointPlot, str] | None:
    """Return scores by case with lines of Theil and Sen, and Spearman's correlation in words."""
    cases = condition.values
    if len(set(cases.values())) < POINTS:
        return None
    across = axis_around(cases.values())
    spots, lines, words, sizes = [], [], [], []
    for place, entry in enumerate(results.ranked[: len(SHAPES)]):
        by_case = results.values[entry.algorithm, metric.name]
        scores = {case: by_case[case] for case in cases if known(by_case.get(case))}
        for case, score in scores.items():
            text = (
                f"{entry.algorithm}, {case}: {number(score, 3)} at {condition.name} "
                f"{cases[case]:.3g}"
            )
            spots.append(Spot(cases[case], score, place, text, case=results.case_order[case]))
        table = pd.DataFrame({"at": cases, "score": scores}).dropna()
        near = table.sort_values(["at", "score"]).iloc[:: 1 + len(table) // TREND]
        if len(table) < POINTS or (near.nunique() < 2).any():
            continue
        slope, offset = theil_sen(*near.to_numpy().T)  # of all pairs
        ends = [(at, offset + slope * at) for at in _span(table, slope, offset)]
        lines.append(Line(ends[0], ends[1], f"trend {colour(place)}"))
        words.append(f"{entry.algorithm} {table.corr('spearman').to_numpy()[0, 1]:.2f}")
        sizes.append(len(table))
    values = [spot.y for spot in spots]
    values += [end[1] for line in lines for end in (line.start, line.end)]
    titles = (condition.title, metric.name)
    figure = PointPlot((across, part(results.axes[metric.name], values)), titles, spots, lines)
    if not words:
        return figure, ""
    return (
        figure,
        f"Rank correlation with {condition.name} (n = {span_of(sizes)} cases): {', '.join(words)}.",
    )


def _span(table: pd.DataFrame, slope: float, offset: float) -> list[float]:
    """Return where a trend begins and ends: at the first and last case that it has scores for."""
    at = table["at"].agg(["min", "max"])
    reached = (table["score"].agg(["min", "max"]) - offset) / slope if slope else at
    ends: list[float] = at.clip(reached.min(), reached.max()).tolist()
    return ends


def theil_sen(at: Doubles, scores: Doubles) -> FloatPair:
    """Return slope and offset of the line of Theil and Sen through places and scores, (cases,)."""
    runs = np.subtract.outer(at, at)
    slope = np.median(np.subtract.outer(scores, scores)[runs > 0] / runs[runs > 0])
    return float(slope), float(np.median(scores) - slope * np.median(at))


def _panels(results: Results, metric: AnyMetric) -> list[Json]:
    """Return a panel by condition: title, figure, groups with their best score, remarks."""
    near = _near(results, metric)
    panels = []
    for condition in results.conditions:
        lines = {
            entry.algorithm: [_score(group, entry, metric) for group in condition.groups]
            for entry in results.ranked
        }
        best = [_best(results, group, metric) for group in condition.groups]
        shown = difficulty(results, condition, metric) if metric in results.board else None
        plot, trend = shown or (None, "")
        panels.append(
            {
                "title": condition.name,
                "plot": plot,
                "trend": trend,
                "heads": headings(condition),
                "figure": curves(
                    near,
                    condition.labels,
                    lines,
                    condition.ordered,
                    [len(group.cases) for group in condition.groups],
                ),
                "groups": list(zip(condition.groups, best, strict=True)),
                "remarks": remarks(condition),
            }
        )
    return panels


def _best(results: Results, group: Group, metric: AnyMetric) -> float | None:
    """Return the best score of a group; None of one algorithm, and of a metric without a better."""
    values = [_score(group, entry, metric).mean for entry in results.ranked]
    better = max if metric.higher_is_better else min
    contest = len(values) > 1 and metric.higher_is_better is not None
    return better(filter(known, values), default=None) if contest else None


def markdown(results: Results, view: Json) -> list[str]:
    """Return the leaderboard's metrics by condition, a table for each of both."""
    lines = [f"{view['lead']} In brackets 95 % intervals.", ""]
    for metric in (metric for metric in results.board if metric.name in view["tabs"]):
        for condition in results.conditions:
            heads = [f"{label} ({', '.join(sizes)})" for label, sizes in headings(condition)]
            rows = []
            for entry in results.standings:
                scores = [_score(group, entry, metric) for group in condition.groups]
                name = f"{entry.algorithm} (control)" if entry.control else entry.algorithm
                rows.append([name, *map(estimate, scores)])
            lines += [f"### {escape(condition.name)}: {escape(metric.name)}", ""]
            lines += [*table(["algorithm", *heads], rows), ""]
            lines += [f"{escape(remark)}\n" for remark in remarks(condition)]
    return lines


TEMPLATE = """
{% from "macros.html" import tabs %}
{% from "plots.html" import draw %}
{% macro scored(entry, metric, group, best) %}
{% set score, lost = entry.shown(group.scores.get((entry.algorithm, metric))), group.failed.get(entry.algorithm) %}
{% set text %}{% if score.mean == best and not entry.control %}<b>{{ number(score.mean) }}</b>{% else %}{{ number(score.mean) }}{% endif %}{% endset %}
{{ cell(text, score.mean, "" if entry.control else heat(results.axes[metric].goodness(score.mean)), [interval(score.low, score.high), badge(lost ~ " failed") if lost else ""]) }}
{%- endmacro %}
{% macro grouped(panel, metric) %}
  <div class="scroll" tabindex="0" role="region" aria-label="{{ metric }} by {{ panel.title }}">
  <table class="heat sortable groups">
    <caption>{{ metric }} by {{ panel.title }}</caption>
    <thead><tr><th scope="col" data-sort="text">algorithm</th>{% for label, sizes in panel.heads %}<th scope="col" data-sort="number"><span class="group">{{ label }}{% for size in sizes %}<small>{{ size }}</small>{% endfor %}</span></th>{% endfor %}</tr></thead>
    <tbody>
    {% for entry in results.standings %}
    <tr{% if entry.control %} class="control"{% else %} data-line="{{ loop.index0 }}"{% endif %}><th scope="row">{% if not entry.control %}{{ line_mark(loop.index0) }}{% endif %}<span class="long" title="{{ entry.algorithm }}">{{ entry.algorithm }}</span></th>{% for group, best in panel.groups %}{{ scored(entry, metric, group, best) }}{% endfor %}</tr>
    {% endfor %}
    </tbody>
  </table></div>
{% endmacro %}
{% macro panel_of(panel, metric) %}
<article class="panel">
  <h3>{{ panel.title }} <span class="quiet">{{ metric }}</span></h3>
  {% if panel.plot %}<div class="panel-figure">{{ draw(panel.plot) }}</div>{% if panel.trend %}<p class="quiet remark">{{ panel.trend }}</p>{% endif %}{% else %}<div class="panel-figure">{{ draw(panel.figure) }}</div>{% endif %}
  {% for remark in panel.remarks %}<p class="quiet remark">{{ remark }}</p>{% endfor %}
  <details class="more long-print"><summary>In {{ panel.heads|length }} groups, with intervals</summary>
  {% if panel.plot %}<div class="panel-figure">{{ draw(panel.figure) }}</div>{% endif %}
  {{ grouped(panel, metric) }}
  </details>
</article>
{% endmacro %}
<p class="lead">Where each algorithm does well and where it fails. Points are cases, lines their trend, n is the number of cases. {{ view.lead }} The lines at a mark and the small numbers are 95 % intervals: how far the value would vary with other cases of the group.{% if results.ranked|length > 1 %} Bold is the best of a group.{% endif %} <span class="needs-script">Point at a row, or tap it, to find its marks.</span></p>
<p class="legend">{% for entry in results.ranked[:6] %}<span>{{ line_mark(loop.index0) }}<span class="name">{{ entry.algorithm }}</span></span>{% endfor %}{% if results.ranked[6:] %}<span>{{ line_mark(6) }}{{ results.ranked|length - 6 }} others</span>{% endif %}</p>
{{ tabs("condition", view.tabs|list) }}
{% for metric, panels in view.tabs.items() %}
<div class="condition{% if view.tabs|length > 1 %} switched condition-{{ loop.index0 }}{% endif %}{% if not loop.first %} further{% endif %}">
<div class="panels">
{% for panel in panels[:view.first] %}{{ panel_of(panel, metric) }}{% endfor %}
</div>
{% if panels[view.first:] %}<details class="more long-print"><summary>{{ count(panels|length - view.first, "more condition") }}</summary><div class="panels">
{% for panel in panels[view.first:] %}{{ panel_of(panel, metric) }}{% endfor %}
</div></details>{% endif %}
</div>
{% endfor %}
<p class="quiet files">Every measure in every group: <a href="by_condition.csv">CSV</a>.</p>
"""  # noqa: E501 - HTML

SECTION = ReportSection(30, "Difficulty", "Score against difficulty", view, TEMPLATE, markdown)
