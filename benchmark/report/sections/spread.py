"""Spread over the cases: every case of every algorithm as a dot, a figure per metric."""

from cytosuite.benchmark.report.figures import dotted
from cytosuite.benchmark.report.page import ReportSection
from cytosuite.benchmark.scores.results import Results
from cytosuite.files import Json


def view(results: Results) -> Json | None:
    """Return the values by metric, algorithm and case; None without any."""
    names = [entry.algorithm for entry in results.ranked]
    values = {
        metric.name: {name: results.values[name, metric.name] for name in names}
        for metric in results.by_case
    }
    if not names or not values:
        return None
    number = len([metric for metric in results.by_case if metric in results.board]) or 2
    first, more = results.by_case[:number], results.by_case[number:]
    dots = [dotted(len(results.case_order), figures) for figures in (len(first), len(values))]
    return {"values": values, "first": first, "more": more, "dots": dots}


TEMPLATE = """
{% from "macros.html" import strips %}
<p class="lead">{% if view.dots[0] %}One dot per case{% if view.dots[0] < results.ranked|length %} of the first {{ count(view.dots[0], "algorithm") }}{% endif %} before the density of all{% else %}The density of all cases{% endif %}, the line at the median, crosses for cases that failed. <span class="needs-script"><span class="for-mouse">Point at a dot to find the same case everywhere; click it for the case.</span><span class="for-touch">Tap a dot to find its case.</span></span></p>
<div class="columns">
{% for metric in view.first %}{{ strips(metric.title, direction(metric), results.axes[metric.name], view["values"][metric.name], "", view.dots[0]) }}{% endfor %}
</div>
{% if view.more %}
<details class="more long-print"><summary>{{ count(view.more|length, "more measure") }}{% if not view.dots[1] %}, as densities{% endif %}</summary>
<div class="columns">
{% for metric in view.more %}{{ strips(metric.title, direction(metric), results.axes[metric.name], view["values"][metric.name], "", view.dots[1]) }}{% endfor %}
</div></details>
{% endif %}
"""  # noqa: E501 - HTML

SECTION = ReportSection(40, "Spread", "Spread over the cases", view, TEMPLATE)
