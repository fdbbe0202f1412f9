"""Time and memory of each case, and the start of each algorithm."""

from dataclasses import dataclass
from statistics import median

from benchmark.report.figures import axis_of_times
from benchmark.report.index import Index
from benchmark.report.section import ReportSection, table
from benchmark.report.strips import Strips, strips
from benchmark.report.wording import duration, memory

QUANTITIES = (
    ("seconds", "Time per case in s, without the start of the algorithm", 1.0, " s"),
    ("peak_memory", "Peak memory per case in GiB", 2.0**30, " GiB"),
)


@dataclass(frozen=True, slots=True)
class Cost:
    """Figures of time and memory, and the shortest start of each algorithm [s]."""

    figures: list[Strips]
    starts: dict[str, float]


def view(index: Index) -> Cost | None:
    """Return time and memory per case; None where neither was measured."""
    figures = []
    for field, title, factor, unit in QUANTITIES:
        values = _measured(index, field, factor)
        if any(values.values()):
            axis = axis_of_times(value for found in values.values() for value in found.values())
            hint = "logarithmic" if axis.log else "less is better"
            figures.append(strips(index, title, hint, axis, values, unit))
    starts = {
        name: min(times)
        for name, found in index.records.items()
        if (
            times := [record.startup_seconds for record in found.values() if record.startup_seconds]
        )
    }
    return Cost(figures, starts) if figures else None


def _measured(index: Index, field: str, factor: float) -> dict[str, dict[str, float]]:
    """Return a quantity by algorithm and case."""
    return {
        entry.algorithm: {
            case: value / factor
            for case, record in index.records.get(entry.algorithm, {}).items()
            if (value := getattr(record, field)) is not None
        }
        for entry in index.ranked
    }


def markdown(index: Index, cost: Cost) -> list[str]:
    """Return start, median and longest time, and greatest memory of each algorithm."""
    rows = []
    for name, times in _measured(index, "seconds", 1.0).items():
        sizes = _measured(index, "peak_memory", 1.0)[name]
        rows.append(
            [
                name,
                duration(cost.starts.get(name)),
                duration(median(times.values()) if times else None),
                duration(max(times.values(), default=None)),
                memory(max(sizes.values(), default=None)),
            ]
        )
    return table(("algorithm", "start", "median time", "longest time", "peak memory"), rows)


TEMPLATE = """
{% from "macros.html" import strips %}
<div class="columns">
{% for figure in view.figures %}{{ strips(figure) }}{% endfor %}
</div>
{% if view.starts %}<p>Start of the algorithm, once per run: {% for name, seconds in view.starts.items() %}<span class="name">{{ name }}</span> {{ seconds|duration }}{{ ", " if not loop.last else "." }}{% endfor %}</p>{% endif %}
"""  # noqa: E501 - HTML

SECTION = ReportSection(60, "Time and memory", "Time and memory", view, TEMPLATE, markdown)
