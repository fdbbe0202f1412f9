"""Summary of a comparison: one line, tables, Markdown and JSON."""

from dataclasses import asdict
from math import isfinite
from typing import Any, TypeAlias

from cytosuite.benchmark.comparison.comparison import Comparison
from cytosuite.benchmark.report.section import escape, table
from cytosuite.errors import plain

Row: TypeAlias = dict[str, str | int | float | None]
DIGITS = 4  # significant ones in Markdown


def headline(comparison: Comparison) -> str:
    """Return the result of a comparison in one line."""
    if comparison.regressions:
        many = len(comparison.regressions)
        return f"{many} regression{'s' if many > 1 else ''}"
    if comparison.identical:
        return comparison.identical
    better = sum(change.verdict == "better" for change in comparison.changes)
    return f"no regression in {len(comparison.changes)} comparisons, {better} better"


def change_rows(comparison: Comparison) -> list[Row]:
    """Return a row per algorithm and metric: means, difference, p, verdict, then the rest."""
    rest = ("median", "low", "high", "p_worse", "relevant", "cases")
    return [
        {
            "algorithm": plain(change.algorithm),
            "metric": plain(change.metric),
            "before": change.before,
            "after": change.after,
            "difference": change.after - change.before,
            "p": change.p,
            "verdict": change.verdict or None,
            **{name: getattr(change, name) for name in rest},
        }
        for change in comparison.changes
    ]


def cost_rows(comparison: Comparison) -> list[Row]:
    """Return a row per algorithm: seconds and MiB per case before and after, and their ratios."""
    return [
        {
            "algorithm": plain(cost.algorithm),
            "s_before": cost.seconds[0],
            "s_after": cost.seconds[1],
            "time_ratio": cost.time_ratio,
            "MiB_before": cost.memory[0],
            "MiB_after": cost.memory[1],
            "memory_ratio": cost.memory_ratio,
        }
        for cost in comparison.costs
    ]


def case_rows(comparison: Comparison) -> list[Row]:
    """Return a row for each of the largest changes of single cases."""
    names = ("algorithm", "case", "metric", "before", "after", "difference")
    return [
        {name: plain(row[name]) if isinstance(row[name], str) else row[name] for name in names}
        for row in comparison.cases
    ]


def markdown(comparison: Comparison) -> str:
    """Return a comparison as Markdown, for the summary of a job; all texts are escaped."""
    lines = [f"## {escape(headline(comparison))}", ""]
    places = (
        plain(str(run.place)).replace("`", "'") for run in (comparison.before, comparison.after)
    )
    lines += [" → ".join(f"`{place}`" for place in places), ""]
    for word, sentences in (
        ("Regression", comparison.regressions),
        ("Warning", comparison.warnings),
    ):
        lines += [f"- **{word}**: {escape(line)}" for line in sentences]
    lines += [f"- {escape(line)}" for line in comparison.remarks]
    parts = {
        "Changes": change_rows(comparison),
        "Largest changes of single cases": case_rows(comparison),
        "Time and memory": cost_rows(comparison),
    }
    for title, rows in parts.items():
        if rows:
            cells = [[_short(cell) for cell in row.values()] for row in rows]
            lines += ["", f"### {title}", "", *table(rows[0], cells)]
    return "\n".join(lines) + "\n"


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as a value of JSON; undefined numbers are null."""
    value = {
        "before": str(comparison.before.place),
        "after": str(comparison.after.place),
        "result": headline(comparison),
        "identical": bool(comparison.identical),
        "regressions": list(comparison.regressions),
        "warnings": list(comparison.warnings),
        "remarks": list(comparison.remarks),
        "changes": [asdict(change) for change in comparison.changes],
        "costs": cost_rows(comparison),
        "cases": case_rows(comparison),
    }
    return {key: _finite(part) for key, part in value.items()}


def _short(cell: str | float | None) -> str:
    """Return a cell with few digits."""
    if cell is None or (isinstance(cell, float) and not isfinite(cell)):
        return "-"
    return f"{cell:.{DIGITS}g}" if isinstance(cell, float) else str(cell)


def _finite(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a value with null in place of NaN and infinity."""
    if isinstance(value, dict):
        return {str(key): _finite(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    if isinstance(value, str):
        return plain(value)
    return None if isinstance(value, float) and not isfinite(value) else value
