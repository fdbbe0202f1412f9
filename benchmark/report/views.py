"""What the page shows, worked out from the content so that the template only places it."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup

from benchmark.results.ranking import Standing
from benchmark.report import figures
from benchmark.report.content import MetricInfo, ReportContent
from benchmark.report.figures import Dot, Scale
from benchmark.report.tables import attempts, case_names, finite, tidy, values
from benchmark.report.wording import duration, memory, number


@dataclass(frozen=True, slots=True)
class Cell:
    """A value in a table: its text, sort key, background, and a badge where a case failed."""

    text: str
    key: float | str
    style: str = ""
    badge: str = ""


@dataclass(frozen=True, slots=True)
class BoardCell:
    """A metric of one standing: its figure, and its numbers in words."""

    metric: str
    figure: Markup
    mean: str
    interval: str
    pooled: str


@dataclass(frozen=True, slots=True)
class BoardRow:
    """A line of the leaderboard; `place` is empty for controls and the unranked."""

    place: str
    name: str
    title: str
    control: bool
    cells: list[BoardCell]
    cases: int
    failed: int
    seconds: str
    memory: str


@dataclass(frozen=True, slots=True)
class Grid:
    """A table with a row per case: heading, column names with their sort type, rows of cells."""

    title: str
    columns: list[str]
    rows: list[tuple[int, str, list[Cell]]]


@dataclass(frozen=True, slots=True)
class Strips:
    """The distribution of one quantity: a strip of cases per algorithm over one axis."""

    name: str
    title: str
    rows: list[tuple[str, Markup]]
    axis: Markup
    hint: str


def scales(content: ReportContent) -> dict[str, Scale]:
    """Return the axis of each metric, wide enough for all algorithms and intervals."""
    table = tidy(content.scores)
    result = {}
    for metric in content.metrics:
        seen = list(table.loc[table["metric"] == metric.name, "value"])
        for standing in content.standings:
            if (summary := standing.summaries.get(metric.name)) is not None:
                seen += [summary.mean, summary.low, summary.high]
        known = [value for value in map(finite, seen) if value is not None]
        result[metric.name] = figures.scale_of(metric, known)
    return result


def board(content: ReportContent) -> list[BoardRow]:
    """Return the leaderboard: the oracle on top, the algorithms by rank, other controls below."""
    axes = scales(content)
    top = [entry for entry in content.controls() if entry.algorithm == "oracle"]
    low = [entry for entry in content.controls() if entry.algorithm != "oracle"]
    titles = {info.name: info.title for info in content.algorithms}
    ranks = [entry.rank for entry in content.ranked() if entry.rank is not None]
    rows = []
    for entry in [*top, *content.ranked(), *low]:
        ranked = entry.rank is not None and not entry.control
        place = str(1 + sum(rank < (entry.rank or 0) for rank in ranks)) if ranked else ""
        title = "control" if entry.control else titles.get(entry.algorithm, "")
        cells = [_board_cell(entry, metric, axes[metric.name]) for metric in content.primary()]
        seconds, size = duration(entry.median_seconds), memory(entry.peak_memory)
        rows.append(
            BoardRow(
                place,
                entry.algorithm,
                title,
                entry.control,
                cells,
                entry.cases,
                entry.failed,
                seconds,
                size,
            )
        )
    return rows


def _board_cell(entry: Standing, metric: MetricInfo, scale: Scale) -> BoardCell:
    """Return one metric of one standing."""
    summary = entry.summaries.get(metric.name)
    if summary is None:
        return BoardCell(metric.name, figures.whisker(scale, None), "-", "", "")
    low, high = finite(summary.low), finite(summary.high)
    interval = "" if low is None or high is None else f"{number(low)} to {number(high)}"
    pooled = "" if finite(summary.pooled) is None else number(summary.pooled)
    if entry.control:
        figure = figures.whisker(scale, summary.mean)
    else:
        figure = figures.whisker(scale, summary.mean, low, high, summary.pooled)
    return BoardCell(metric.name, figure, number(summary.mean), interval, pooled)


def means(content: ReportContent) -> list[tuple[str, bool, list[Cell]]]:
    """Return the mean of every metric for each algorithm and control."""
    axes = scales(content)
    rows = []
    for entry in [*content.ranked(), *content.controls()]:
        cells = []
        for metric in content.metrics:
            summary = entry.summaries.get(metric.name)
            cells.append(
                _cell(metric, None if summary is None else summary.mean, axes[metric.name])
            )
        rows.append((entry.algorithm, entry.control, cells))
    return rows


def _cell(metric: MetricInfo, value: object, scale: Scale, badge: str = "") -> Cell:
    """Return a value with its colour; without one it sorts last; a count shows no decimals."""
    real = finite(value)
    if real is None:
        return Cell("" if badge else "-", "", "", badge)
    background = figures.heat(scale.goodness(real))
    style = f"background:{background}" if background else ""
    counts = metric.best is None or metric.worst is None
    text = number(real, 0 if counts and real.is_integer() else 2)
    return Cell(text, real, style, badge)


def grids(content: ReportContent) -> list[Grid]:
    """Return the tables per case: one of all metrics for one algorithm, else one per metric."""
    names = [entry.algorithm for entry in content.ranked()]
    cases, axes, tried = case_names(content), scales(content), attempts(content)
    status = _status(tried)
    if not names or not cases:
        return []
    if len(names) == 1 or not content.metrics:
        return [_grid_of_one(content, name, axes, status, tried) for name in names]
    tables = []
    for metric in content.metrics:
        scale = axes[metric.name]
        columns = {name: values(content, name, metric.name) for name in names}
        rows = [
            (
                index,
                case,
                [
                    _cell(metric, columns[name].get(case), scale, status.get((name, case), ""))
                    for name in names
                ],
            )
            for index, case in enumerate(cases)
        ]
        tables.append(Grid(metric.name, names, rows))
    return tables


def _grid_of_one(
    content: ReportContent,
    name: str,
    axes: dict[str, Scale],
    status: dict[tuple[str, str], str],
    tried: pd.DataFrame,
) -> Grid:
    """Return all metrics, time and memory of one algorithm, a row per case."""
    metrics = content.metrics
    columns = {metric.name: values(content, name, metric.name) for metric in metrics}
    cost = {
        str(case): (finite(row["seconds"]), finite(row["peak_memory"]))
        for (who, case), row in zip(tried.index, tried.to_dict("records"), strict=True)
        if who == name
    }
    rows = []
    for index, case in enumerate(case_names(content)):
        cells = [_cell(m, columns[m.name].get(case), axes[m.name]) for m in metrics]
        seconds, size = cost.get(case, (None, None))
        cells.append(Cell(duration(seconds), "" if seconds is None else seconds))
        cells.append(Cell(memory(size), "" if size is None else size))
        badge = status.get((name, case), "")
        cells.append(Cell("" if badge else "ok", badge or "ok", "", badge))
        rows.append((index, case, cells))
    return Grid(name, [*columns, "time", "memory", "status"], rows)


def _status(tried: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Return how each case that did not end well ended, by algorithm and case."""
    pairs = zip(tried.index, tried["status"], strict=True)
    return {
        (str(who), str(case)): str(status)
        for (who, case), status in pairs
        if not pd.isna(status) and status != "ok"
    }


def distributions(content: ReportContent) -> list[Strips]:
    """Return a figure per metric with every case of every algorithm as a dot."""
    axes = scales(content)
    index = {case: number for number, case in enumerate(case_names(content))}
    status = _status(attempts(content))
    result = []
    for metric in content.metrics:
        scale = axes[metric.name]
        rows = []
        for entry in content.ranked():
            found = values(content, entry.algorithm, metric.name)
            dots = [
                Dot(index[case], case, value, (entry.algorithm, case) in status)
                for case, value in found.items()
                if case in index
            ]
            rows.append((entry.algorithm, figures.strip(scale, dots)))
        result.append(
            Strips(metric.name, metric.title, rows, figures.axis(scale), _direction(metric))
        )
    return result


def _direction(metric: MetricInfo) -> str:
    """Return which end of a metric is better, in words."""
    if metric.best is None:
        return "describes only"
    if metric.worst is None:
        return f"{metric.best:g} is best"
    return f"{metric.worst:g} worst, {metric.best:g} best"


def costs(content: ReportContent) -> list[Strips]:
    """Return time and memory per case as strips; what was not measured is left out."""
    tried = attempts(content)
    index = {case: number for number, case in enumerate(case_names(content))}
    status = _status(tried)
    result = []
    for column, title, factor, unit in (
        ("seconds", "Time per case in s, without the start of the container", 1.0, " s"),
        ("peak_memory", "Peak memory per case in GiB", 2.0**30, " GiB"),
    ):
        rows: list[tuple[str, list[Dot]]] = []
        for entry in content.ranked():
            dots = []
            for (who, case), value in zip(tried.index, tried[column], strict=True):
                real = finite(value)
                if who == entry.algorithm and real is not None and case in index:
                    failed = (who, case) in status
                    dots.append(Dot(index[case], case, real / factor, failed))
            rows.append((entry.algorithm, dots))
        scale = figures.scale_of_times(dot.value for _, dots in rows for dot in dots)
        if any(dots for _, dots in rows):
            drawn = [(name, figures.strip(scale, dots, unit)) for name, dots in rows]
            hint = "logarithmic" if scale.log else "less is better"
            result.append(Strips(column, title, drawn, figures.axis(scale), hint))
    return result


def broken_rulers(content: ReportContent) -> list[str]:
    """Return a sentence for each metric in which the oracle, the truth itself, is not best."""
    sentences = []
    oracles = [entry for entry in content.controls() if entry.algorithm == "oracle"]
    for oracle in oracles:
        for metric in content.metrics:
            summary = oracle.summaries.get(metric.name)
            mean = None if summary is None else finite(summary.mean)
            if mean is not None and metric.best is not None and abs(mean - metric.best) > 1e-6:
                sentences.append(
                    f"The truth itself scores {number(mean, 4)} in {metric.name} instead of "
                    f"{metric.best:g}: this measure cannot be trusted here."
                )
    return sentences


def case_goodness(content: ReportContent, cases: Sequence[str]) -> dict[str, float | None]:
    """Return how well the best algorithm did in each case: the mean over the primary metrics."""
    ranked = content.ranked()
    axes = scales(content)
    primary = [metric for metric in content.primary() if metric.best is not None]
    if not ranked or not primary:
        return dict.fromkeys(cases, 0.0)
    name = ranked[0].algorithm
    status = _status(attempts(content))
    tables = [(axes[metric.name], values(content, name, metric.name)) for metric in primary]
    result: dict[str, float | None] = {}
    for case in cases:
        good = [axis.goodness(found[case]) for axis, found in tables if case in found]
        real = [value for value in good if value is not None]
        failed = (name, case) in status or not real
        result[case] = None if failed else sum(real) / len(real)
    return result


def case_scores(content: ReportContent, case: str, name: str) -> list[tuple[str, str]]:
    """Return the primary metrics of one case and algorithm, as name and number."""
    pairs = []
    for metric in content.primary():
        value = values(content, name, metric.name).get(case)
        if value is not None:
            pairs.append((metric.name, number(value)))
    return pairs
