"""The report as Markdown, for a terminal, a pull request or a wiki."""

import re
from collections.abc import Iterable

from benchmark.report import conditions, views
from benchmark.report.content import Pooled, ReportContent
from benchmark.report.tables import finite
from benchmark.report.wording import number, verdict

SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")


def escape(text: object) -> str:
    r"""Return text as one line that Markdown shows as it is.

    Examples
    --------
    >>> escape("a|b <script>")
    'a\\|b \\<script\\>'
    """
    return SPECIAL.sub(r"\\\1", " ".join(str(text).split()))


def table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> list[str]:
    """Return the lines of a Markdown table; what its cells hold is escaped."""
    heads = [escape(column) for column in columns]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    return lines + [f"| {' | '.join(escape(cell) for cell in row)} |" for row in rows]


def render(content: ReportContent) -> str:
    """Return the report as Markdown: verdict, leaderboard, failures, models, provenance.

    Parameters
    ----------
    content : ReportContent
        What to show; pictures are left to the page.
    """
    lines = [f"# {escape(content.title)}", "", f"**{escape(verdict(content))}**", ""]
    lines += [f"> {escape(note)}\n" for note in [*views.broken_rulers(content), *content.notes]]
    lines += ["## Leaderboard", "", *_board(content), ""]
    if content.metrics:
        lines += ["## Every measure", "", "Mean over the cases; in brackets all cases as one.", ""]
        lines += [*_measures(content), ""]
    lines += _conditions(content)
    if content.failures:
        rows = [(f.algorithm, f.case, f.status, f.message) for f in content.failures]
        lines += ["## Failures", "", *table(("algorithm", "case", "status", "message"), rows), ""]
    if content.selections:
        chosen = [
            (
                s.case,
                s.algorithm,
                s.model,
                number(s.cost),
                "fallback" if s.fallback else "",
                s.reason,
            )
            for s in content.selections
        ]
        heads = ("case", "algorithm", "model", "cost", "fallback", "reason")
        lines += ["## Models", "", *table(heads, chosen), ""]
    if content.metrics:
        glossary = [(m.name, m.title, m.description, m.reference) for m in content.metrics]
        lines += ["## Measures", "", *table(("name", "title", "meaning", "DOI"), glossary), ""]
    made = [*content.provenance.items(), ("generated", content.generated)]
    lines += ["## Provenance", "", *table(("what", "value"), made), ""]
    if content.command:
        lines += ["```sh", content.command.replace("```", "` ` `"), "```", ""]
    return "\n".join(lines)


def _measures(content: ReportContent) -> list[str]:
    """Return mean and pooled value of every metric as a table."""
    rows = []
    for entry in content.ranked():
        found = [entry.summaries.get(metric.name) for metric in content.metrics]
        rows.append(
            [entry.algorithm]
            + [f"{number(s.mean)} ({number(s.pooled)})" if s is not None else "-" for s in found]
        )
    return table(["algorithm", *(metric.name for metric in content.metrics)], rows)


def _conditions(content: ReportContent) -> list[str]:
    """Return the primary metrics by condition, a table for each of both."""
    if not content.conditions:
        return []
    lines = ["## By condition", "", "Pooled over the objects of a group, with 95 % intervals.", ""]
    for condition in content.conditions:
        heads = [
            f"{label} ({cases}, {objects})"
            for label, cases, objects in conditions.headings(condition)
        ]
        for metric in content.primary():
            rows = []
            for entry in [*content.ranked(), *content.controls()]:
                name = f"{entry.algorithm} (control)" if entry.control else entry.algorithm
                found = [g.scores.get((entry.algorithm, metric.name)) for g in condition.groups]
                rows.append([name, *(_pooled(s, entry.control) for s in found)])
            lines += [f"### {escape(condition.name)}: {escape(metric.name)}", ""]
            lines += [*table(["algorithm", *heads], rows), ""]
        lines += [f"{escape(remark)}\n" for remark in conditions.remarks(condition)]
    return lines


def _pooled(score: Pooled | None, control: bool) -> str:
    """Return a pooled score with its interval; a control has none to speak of."""
    if score is None:
        return "-"
    known = finite(score.low) is not None and finite(score.high) is not None and not control
    interval = f" ({number(score.low)} to {number(score.high)})" if known else ""
    return number(score.value) + interval


def _board(content: ReportContent) -> list[str]:
    """Return the leaderboard as a table: mean, interval and pooled value of each primary metric."""
    columns = ["rank", "algorithm"]
    columns += [f"{metric.name} (95 % interval; pooled)" for metric in content.primary()]
    columns += ["failed", "time per case", "peak memory"]
    rows = []
    for row in views.board(content):
        scores = [
            cell.mean
            + (f" ({cell.interval})" if cell.interval and not row.control else "")
            + (f"; {cell.pooled}" if cell.pooled and not row.control else "")
            for cell in row.cells
        ]
        name = f"{row.name} (control)" if row.control else row.name
        failed = f"{row.failed} of {row.cases}"
        rows.append([row.place, name, *scores, failed, row.seconds, row.memory])
    return table(columns, rows)
