"""Spread over the cases: every case of every algorithm as a dot, a figure per metric."""

from statistics import median

from benchmark.report.index import Index
from benchmark.report.section import ReportSection, table
from benchmark.report.strips import Strips, strips
from benchmark.report.wording import direction, number


def view(index: Index) -> list[Strips] | None:
    """Return a figure per metric with a value per case; None without any."""
    found = [
        strips(
            index,
            metric.title,
            direction(metric),
            index.axes[metric.name],
            {
                entry.algorithm: index.values.get((entry.algorithm, metric.name), {})
                for entry in index.ranked
            },
        )
        for metric in index.by_case
    ]
    return found if found and index.ranked else None


def markdown(index: Index, _: list[Strips]) -> list[str]:
    """Return least value, median and greatest value of the leaderboard's metrics."""
    rows = []
    for metric in (metric for metric in index.board if metric.scope == "case"):
        for entry in index.ranked:
            found = list(index.values.get((entry.algorithm, metric.name), {}).values())
            ends = (min(found), median(found), max(found)) if found else ("", "", "")
            shown = [number(end) if isinstance(end, float) else end for end in ends]
            rows.append([metric.name, entry.algorithm, len(found), *shown])
    heads = ("measure", "algorithm", "cases", "least", "median", "greatest")
    return table(heads, rows) if rows else []


TEMPLATE = """
{% from "macros.html" import strips %}
<p class="lead">One dot per case, the line at the median, crosses for cases that failed. <span class="needs-script">Point at a dot to find the same case everywhere; click it for the case.</span></p>
<div class="columns">
{% for figure in view %}{{ strips(figure) }}{% endfor %}
</div>
"""  # noqa: E501 - HTML

SECTION = ReportSection(40, "Spread", "Spread over the cases", view, TEMPLATE, markdown)
