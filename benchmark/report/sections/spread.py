"""Spread over the cases: every case of every algorithm as a dot, a figure per metric."""

from cytosuite.benchmark.report.index import Index
from cytosuite.benchmark.report.section import ReportSection


def view(index: Index) -> dict[str, dict[str, dict[str, float]]] | None:
    """Return the values by metric, algorithm and case; None without any."""
    names = [entry.algorithm for entry in index.ranked]
    found = {
        metric.name: {name: index.values[name, metric.name] for name in names}
        for metric in index.by_case
    }
    return found if names and found else None


TEMPLATE = """
{% from "macros.html" import strips %}
<p class="lead">One dot per case, the line at the median, crosses for cases that failed. <span class="needs-script">Point at a dot to find the same case everywhere; click it for the case.</span></p>
<div class="columns">
{% for metric in index.by_case %}{{ strips(metric.title, direction(metric), index.axes[metric.name], view[metric.name]) }}{% endfor %}
</div>
"""  # noqa: E501 - HTML

SECTION = ReportSection(40, "Spread", "Spread over the cases", view, TEMPLATE)
