"""Scores by condition: a figure and a table for each condition and metric."""

import math
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from benchmark.report.curves import WIDE, Curve, curves
from benchmark.report.curves import key as mark_of
from benchmark.report.figures import Axis, heat
from benchmark.report.index import Index
from benchmark.report.section import ReportSection, escape, table
from benchmark.report.wording import count, interval, known, number
from benchmark.results.results import Condition, Group, Pooled
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


@dataclass(frozen=True, slots=True)
class GroupScore:
    """A score in a table: value and interval as text, and whether it leads its column."""

    text: str
    interval: str
    key: float | str
    style: str
    best: bool
    failed: int


@dataclass(frozen=True, slots=True)
class GroupLine:
    """The scores of one algorithm or control, a column per group; controls have no mark."""

    name: str
    control: bool
    place: int
    mark: Markup
    scores: list[GroupScore]


@dataclass(frozen=True, slots=True)
class Panel:
    """One condition and metric: figure, table and remarks."""

    title: str
    wide: bool
    heads: list[tuple[str, list[str]]]
    figure: Markup
    lines: list[GroupLine]
    remarks: list[str]


@dataclass(frozen=True, slots=True)
class Tab:
    """One metric over all conditions."""

    metric: Metric[Any]
    panels: list[Panel]


@dataclass(frozen=True, slots=True)
class Breakdown:
    """A tab per metric, and a sentence on how the values of a group are made."""

    lead: str
    tabs: list[Tab]


def view(index: Index) -> Breakdown | None:
    """Return a tab per score, None without conditions.

    Counts and other metrics without two ends are left to the table of values, unless algorithms
    are ranked by them.
    """
    metrics = scored(index)
    pooled = {metric.evidence.pool is not None for metric in metrics}
    lead = BOTH if len(pooled) == 2 else POOLED if True in pooled else MEANS
    return Breakdown(lead, [_tab(index, metric) for metric in metrics]) if metrics else None


def scored(index: Index) -> list[Metric[Any]]:
    """Return the metrics to show, those of the leaderboard first."""
    given = {
        metric
        for condition in index.results.conditions
        for group in condition.groups
        for _, metric in group.scores
    }
    first = [metric.name for metric in index.board]
    both = [
        metric
        for metric in index.by_case
        if metric.name in given
        and (None not in (metric.best, metric.worst) or metric.name in index.results.primary)
    ]
    return sorted(both, key=lambda metric: metric.name not in first)


def headings(condition: Condition) -> list[tuple[str, list[str]]]:
    """Return each group in words: its label, with the unit of a number, its cases and objects."""
    unit = f" {condition.unit}" if condition.unit and condition.ordered else ""
    return [
        (
            group.label + unit,
            [count(len(group.cases), "case")]
            + ([count(group.objects, "object")] if group.objects else []),
        )
        for group in condition.groups
    ]


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


def _tab(index: Index, metric: Metric[Any]) -> Tab:
    """Return one metric over all conditions, whose figures have one axis."""
    near = _near(index, metric)
    return Tab(metric, [_panel(index, c, metric, near) for c in index.results.conditions])


def _near(index: Index, metric: Metric[Any]) -> Axis:
    """Return the part of an axis, in tenths, with the algorithms' scores and intervals."""
    axis = index.axes[metric.name]
    names = [entry.algorithm for entry in index.ranked]
    ends = [
        end
        for condition in index.results.conditions
        for group in condition.groups
        for score in (_pooled(group, name, metric) for name in names)
        for end in (score.value, score.low, score.high)
        if known(end)
    ]
    tenth = (axis.high - axis.low) / 10
    first = math.floor((min(ends, default=axis.low) - axis.low) / tenth + 1e-9)
    last = math.ceil((max(ends, default=axis.high) - axis.low) / tenth - 1e-9)
    first = max(0, min(first, last - 2))
    return replace(axis, low=axis.low + first * tenth, high=axis.low + last * tenth)


def _pooled(group: Group, name: str, metric: Metric[Any]) -> Pooled:
    """Return one score of a group."""
    return group.scores.get((name, metric.name), UNKNOWN)


def _panel(index: Index, condition: Condition, metric: Metric[Any], near: Axis) -> Panel:
    """Return figure, upon the near axis, and table of one condition and metric."""
    names = [entry.algorithm for entry in index.ranked]
    better = min if metric.higher_is_better is False else max
    top = [
        better(
            (v for name in names if known(v := _pooled(group, name, metric).value)), default=None
        )
        for group in condition.groups
    ]
    lines: list[GroupLine] = []
    for place, entry in enumerate([*index.ranked, *index.controls]):
        found = [_pooled(group, entry.algorithm, metric) for group in condition.groups]
        failed = [group.failed.get(entry.algorithm, 0) for group in condition.groups]
        leads = len(names) > 1 and not entry.control and metric.higher_is_better is not None
        scores = [
            _score(index, metric, score, leads and score.value == best, lost, entry.control)
            for score, best, lost in zip(found, top, failed, strict=True)
        ]
        mark = Markup("") if entry.control else mark_of(place)
        lines.append(GroupLine(entry.algorithm, entry.control, place, mark, scores))
    drawn = [
        Curve(place, name, [_pooled(group, name, metric) for group in condition.groups])
        for place, name in enumerate(names)
    ]
    heads = headings(condition)
    figure = curves(near, [label for label, _ in heads], drawn, condition.ordered)
    wide = len(heads) >= WIDE
    return Panel(condition.name, wide, heads, figure, lines, remarks(condition))


def _score(
    index: Index, metric: Metric[Any], score: Pooled, best: bool, failed: int, control: bool
) -> GroupScore:
    """Return a score as a cell; a control has no colour and no interval."""
    reach = "" if control else interval(score.low, score.high)
    good = None if control else index.axes[metric.name].goodness(score.value)
    key = score.value if known(score.value) else ""
    return GroupScore(number(score.value), reach, key, heat(good), best, failed)


def markdown(index: Index, view: Breakdown) -> list[str]:
    """Return the leaderboard's metrics by condition, a table for each of both."""
    first = [metric.name for metric in index.board]
    lines = [f"{view.lead} In brackets 95 % intervals.", ""]
    for tab in (tab for tab in view.tabs if tab.metric.name in first):
        for panel in tab.panels:
            heads = [f"{label} ({', '.join(size)})" for label, size in panel.heads]
            rows = [
                [
                    f"{line.name} (control)" if line.control else line.name,
                    *(s.text + (f" ({s.interval})" if s.interval else "") for s in line.scores),
                ]
                for line in panel.lines
            ]
            lines += [f"### {escape(panel.title)}: {escape(tab.metric.name)}", ""]
            lines += [*table(["algorithm", *heads], rows), ""]
            lines += [f"{escape(remark)}\n" for remark in panel.remarks]
    return lines


TEMPLATE = """
<p class="lead">Where each algorithm does well and where it fails. {{ view.lead }} The lines at a mark and the small numbers are 95 % intervals: how far the value would vary with other cases of the group.{% if index.ranked|length > 1 %} Bold is the best of a group.{% endif %} <span class="needs-script">Point at a row to find its marks.</span></p>
{% if view.tabs|length > 1 %}
<fieldset class="tabs"><legend class="quiet">Show</legend>
{% for tab in view.tabs %}<label class="pick" title="{{ tab.metric.title }}"><input type="radio" name="condition" id="condition-{{ loop.index0 }}" {% if loop.first %}checked{% endif %}> {{ tab.metric.name }}</label>{% endfor %}
</fieldset>
<style>{% for tab in view.tabs %}.page:has(#condition-{{ loop.index0 }}:checked) .condition-{{ loop.index0 }} { display: block; }
{% endfor %}</style>
{% endif %}
{% for tab in view.tabs %}
<div class="condition{% if view.tabs|length > 1 %} switched condition-{{ loop.index0 }}{% endif %}{% if not loop.first %} further{% endif %}">
{% for panel in tab.panels %}
<article class="panel{% if panel.wide %} wide{% endif %}">
  <h3>{{ panel.title }} <span class="quiet">{{ tab.metric.name }}</span></h3>
  <div class="panel-figure">{{ panel.figure }}</div>
  <div class="scroll" tabindex="0" role="region" aria-label="{{ tab.metric.name }} by {{ panel.title }}">
  <table class="heat sortable groups">
    <caption>{{ tab.metric.name }} by {{ panel.title }}</caption>
    <thead><tr><th scope="col" data-sort="text">algorithm</th>{% for label, sizes in panel.heads %}<th scope="col" data-sort="number"><span class="group">{{ label }}{% for size in sizes %}<small>{{ size }}</small>{% endfor %}</span></th>{% endfor %}</tr></thead>
    <tbody>
    {% for line in panel.lines %}
    <tr{% if line.control %} class="control"{% else %} data-line="{{ line.place }}"{% endif %}><th scope="row">{{ line.mark }}<span class="long">{{ line.name }}</span></th>{% for score in line.scores %}<td data-key="{{ score.key }}" style="{{ score.style }}"><span{% if score.best %} class="lead-score"{% endif %}>{{ score.text }}</span>{% if score.interval %}<small>{{ score.interval }}</small>{% endif %}{% if score.failed %}<small><span class="badge">{{ score.failed }} failed</span></small>{% endif %}</td>{% endfor %}</tr>
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
