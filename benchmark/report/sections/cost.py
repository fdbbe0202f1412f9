"""Time and memory of each case, and the start of each algorithm."""

import math
from typing import Any

from cytosuite.benchmark.report.axis import axis_of_times
from cytosuite.benchmark.report.index import Index
from cytosuite.benchmark.report.section import ReportSection

QUANTITIES = (
    ("seconds", "Time per case in s, without the start of the algorithm", 1.0, " s"),
    ("peak_memory", "Peak memory per case in GiB", 2.0**30, " GiB"),
)


def view(index: Index) -> dict[str, Any] | None:
    """Return figures of time and memory, and starts [s]; None where neither was measured.

    A figure has a title, an axis, the values by algorithm and case, and their unit; a start is the
    shortest one of an algorithm.
    """
    figures = []
    for field, title, factor, unit in QUANTITIES:
        values = {
            entry.algorithm: {
                case: value / factor
                for case, record in index.records[entry.algorithm].items()
                if (value := getattr(record, field)) is not None
            }
            for entry in index.ranked
        }
        if any(values.values()):
            axis = axis_of_times(value for found in values.values() for value in found.values())
            figures.append((title, axis, values, unit))
    starts: dict[str, float] = {}
    for (name, _), record in index.results.records.items():
        if record.startup_seconds:
            starts[name] = min(record.startup_seconds, starts.get(name, math.inf))
    return {"figures": figures, "starts": starts} if figures else None


TEMPLATE = """
{% from "macros.html" import strips %}
<div class="columns">
{% for title, axis, values, unit in view.figures %}{{ strips(title, "logarithmic" if axis.log else "less is better", axis, values, unit) }}{% endfor %}
</div>
{% if view.starts %}<p>Start of the algorithm, once per run: {% for name, seconds in view.starts.items() %}<span class="name">{{ name }}</span> {{ duration(seconds) }}{{ ", " if not loop.last else "." }}{% endfor %}</p>{% endif %}
"""  # noqa: E501 - HTML

SECTION = ReportSection(60, "Time and memory", "Time and memory", view, TEMPLATE)
