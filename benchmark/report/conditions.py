"""Scores apart by condition, worked out for the page, the Markdown and the table of values."""

import math
from dataclasses import dataclass, replace

import pandas as pd
from markupsafe import Markup

from benchmark.report import curves, views
from benchmark.report.content import Condition, Group, MetricInfo, Pooled, ReportContent
from benchmark.report.curves import Curve
from benchmark.report.figures import Scale, heat
from benchmark.report.tables import finite
from benchmark.report.wording import count, number

COLUMNS = (
    "condition",
    "unit",
    "group",
    "cases",
    "objects",
    "algorithm",
    "failed",
    "metric",
    "pooled",
    "low",
    "high",
)
UNKNOWN = Pooled(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True, slots=True)
class Score:
    """A pooled score in a table: value and interval in words; whether it leads its column."""

    text: str
    interval: str
    key: float | str
    style: str
    best: bool
    failed: int


@dataclass(frozen=True, slots=True)
class Line:
    """The scores of one algorithm or control, a column per group; controls have no mark."""

    name: str
    control: bool
    place: int
    mark: Markup
    scores: list[Score]


@dataclass(frozen=True, slots=True)
class Panel:
    """One condition and metric: figure and table, and what a reader should know of them."""

    title: str
    wide: bool
    heads: list[tuple[str, str, str]]
    figure: Markup
    lines: list[Line]
    remarks: list[str]


@dataclass(frozen=True, slots=True)
class Tab:
    """One metric over all conditions."""

    metric: MetricInfo
    panels: list[Panel]


def tabs(content: ReportContent) -> list[Tab]:
    """Return what the page shows of the conditions, a tab per score.

    Parameters
    ----------
    content : ReportContent
        Counts and other metrics without two ends are left to the table of values.
    """
    if not content.conditions:
        return []
    axes = views.scales(content)
    return [_tab(content, metric, axes[metric.name]) for metric in scored(content)]


def _tab(content: ReportContent, metric: MetricInfo, scale: Scale) -> Tab:
    """Return one metric over all conditions, whose figures have one axis."""
    near = _near(content, metric, scale)
    return Tab(metric, [_panel(content, c, metric, scale, near) for c in content.conditions])


def _near(content: ReportContent, metric: MetricInfo, scale: Scale) -> Scale:
    """Return the part of an axis where the algorithms' scores and intervals lie, in tenths."""
    names = [entry.algorithm for entry in content.ranked()]
    ends = [
        real
        for condition in content.conditions
        for group in condition.groups
        for name in names
        if (score := group.scores.get((name, metric.name))) is not None
        for end in (score.value, score.low, score.high)
        if (real := finite(end)) is not None
    ]
    tenth = (scale.high - scale.low) / 10
    first = math.floor((min(ends, default=scale.low) - scale.low) / tenth + 1e-9)
    last = math.ceil((max(ends, default=scale.high) - scale.low) / tenth - 1e-9)
    first = max(0, min(first, last - 2))
    return replace(scale, low=scale.low + first * tenth, high=scale.low + last * tenth)


def scored(content: ReportContent) -> list[MetricInfo]:
    """Return the metrics with a best and a worst value, those of the leaderboard first."""
    first = [metric.name for metric in content.primary()]
    both = [m for m in content.metrics if None not in (m.best, m.worst)]
    return sorted(both, key=lambda metric: metric.name not in first)


def headings(condition: Condition) -> list[tuple[str, str, str]]:
    """Return each group in words: its label, with the unit of a number, its cases and objects."""
    unit = f" {condition.unit}" if condition.unit and condition.ordered else ""
    return [
        (group.label + unit, count(len(group.cases), "case"), count(group.objects, "object"))
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


def _panel(
    content: ReportContent, condition: Condition, metric: MetricInfo, scale: Scale, near: Scale
) -> Panel:
    """Return figure, upon the near axis, and table of one condition and metric."""
    names = [entry.algorithm for entry in content.ranked()]
    best = [_best(group, names, metric) for group in condition.groups]
    lines: list[Line] = []
    for entry in [*content.ranked(), *content.controls()]:
        place = len(lines)
        found = [
            group.scores.get((entry.algorithm, metric.name), UNKNOWN) for group in condition.groups
        ]
        scores = [
            _score(
                score,
                None if entry.control else scale,
                not entry.control and len(names) > 1 and score.value == top,
                group.failed.get(entry.algorithm, 0),
            )
            for score, top, group in zip(found, best, condition.groups, strict=True)
        ]
        mark = Markup("") if entry.control else curves.key(place)
        lines.append(Line(entry.algorithm, entry.control, place, mark, scores))
    drawn = [
        Curve(
            place,
            name,
            [group.scores.get((name, metric.name), UNKNOWN) for group in condition.groups],
        )
        for place, name in enumerate(names)
    ]
    heads = headings(condition)
    figure = curves.curves(near, [label for label, *_ in heads], drawn, condition.ordered)
    wide = len(heads) >= curves.WIDE
    return Panel(condition.name, wide, heads, figure, lines, remarks(condition))


def _best(group: Group, names: list[str], metric: MetricInfo) -> float | None:
    """Return the best value that an algorithm reaches in a group."""
    values = [
        score.value
        for name in names
        if (score := group.scores.get((name, metric.name))) is not None
        and finite(score.value) is not None
    ]
    rising = (metric.best or 0.0) > (metric.worst or 0.0)
    return (max if rising else min)(values, default=None)


def _score(score: Pooled, scale: Scale | None, best: bool, failed: int) -> Score:
    """Return a pooled score as a cell, coloured where there is a scale."""
    value, low, high = finite(score.value), finite(score.low), finite(score.high)
    interval = (
        "" if low is None or high is None or low == high else f"{number(low)} to {number(high)}"
    )
    if value is None:
        return Score("-", "", "", "", False, failed)
    background = "" if scale is None else heat(scale.goodness(value))
    style = f"background:{background}" if background else ""
    return Score(number(value), interval, value, style, best, failed)


def table(content: ReportContent) -> pd.DataFrame:
    """Return every pooled value by condition, group, algorithm and metric, with `COLUMNS`.

    ``low`` and ``high`` are the ends of the 95 % interval, NaN where there is none.
    """
    rows = [
        (
            condition.name,
            condition.unit,
            group.label,
            len(group.cases),
            group.objects,
            algorithm,
            group.failed.get(algorithm, 0),
            metric,
            score.value,
            score.low,
            score.high,
        )
        for condition in content.conditions
        for group in condition.groups
        for (algorithm, metric), score in group.scores.items()
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))
