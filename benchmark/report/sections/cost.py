"""Time and memory: the price of a score, each case, and the start of each algorithm."""

import math
from itertools import pairwise

from cytosuite.benchmark.report.figures import Line, Point, PointPlot, Spot, dotted
from cytosuite.benchmark.report.page import ReportSection
from cytosuite.benchmark.report.wording import duration, known, memory, number
from cytosuite.benchmark.scores.results import Results
from cytosuite.figures.svg import Axis, axis_of_ratios, axis_of_times, part
from cytosuite.files import FloatDict, Json
from cytosuite.metrics import AnyMetric

SHARE = "Time in which the GPU computed, per case, in %"
QUANTITIES = (
    ("seconds", "Time per case in s, without the start of the algorithm", 1.0, " s"),
    ("peak_memory", "Peak memory per case in GiB", 2.0**30, " GiB"),
    ("gpu_memory", "Peak memory of the GPU per case in GiB", 2.0**30, " GiB"),
    ("gpu_utilisation", SHARE, 1.0, " %"),
)
COSTS = (
    ("median_seconds", "time per case in s, median", 1.0, duration),
    ("peak_memory", "peak memory in MiB", 2.0**20, memory),
)
LETTERS = 22  # of a name next to its point


def view(results: Results) -> Json | None:
    """Return figures of time and memory, and starts [s]; None where neither was measured."""
    figures = []
    for field, title, factor, unit in QUANTITIES:
        values = {
            entry.algorithm: {
                case: value / factor
                for case, record in results.attempts[entry.algorithm].items()
                if (value := getattr(record, field)) is not None and (value or unit != " s")
            }
            for entry in results.ranked
        }
        if any(values.values()):
            every = [value for costs in values.values() for value in costs.values()]
            figures.append(
                (title, Axis(0.0, 100.0) if title == SHARE else axis_of_times(every), values, unit)
            )
    starts: FloatDict = {}
    for (name, _), record in results.records.items():
        if record.startup_seconds:
            starts[name] = min(record.startup_seconds, starts.get(name, math.inf))
    prices = {m.name: plots for m in results.board if (plots := prices_of(results, m))}
    if not figures:
        return None
    dots = dotted(len(results.case_order), len(figures))
    return {"prices": prices, "figures": figures, "starts": starts, "dots": dots}


def prices_of(results: Results, metric: AnyMetric) -> list[tuple[str, PointPlot]]:
    """Return a metric against time, and against memory, with the Pareto front, of two or more."""
    plots = []
    for field, title, factor, words in COSTS:
        spots = []
        for place, entry in enumerate(results.ranked):
            cost = getattr(entry, field)
            mean = entry.summary(metric).mean
            if known(cost) and cost > 0 and known(mean):
                name = entry.algorithm
                text = f"{name}: {metric.name} {number(mean, 3)}, {words(cost)}"
                short = name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…"
                spots.append(Spot(cost / factor, mean, place, text, short))
        if len(spots) < 2:
            continue
        across = axis_of_ratios(spot.x for spot in spots)
        up = part(results.axes[metric.name], (spot.y for spot in spots))
        best = front([(spot.x, spot.y) for spot in spots], metric.higher_is_better)
        lines = [] if metric.higher_is_better is None else staircase(best, across, up)
        on = [spot.text for spot in spots if (spot.x, spot.y) in best]
        spoken = f"{metric.name} against {title}; on the Pareto front: {'; '.join(on)}"
        plots.append((title, PointPlot((across, up), (title, metric.name), spots, lines, spoken)))
    return plots


def front(costs: list[Point], rising: bool | None) -> list[Point]:
    """Return the points than which no other is both cheaper and better, by ascending cost."""
    if rising is None:
        return []
    sign = 1 if rising else -1
    pareto: list[Point] = []
    for cost, score in sorted(set(costs), key=lambda p: (p[0], -sign * p[1])):
        if not pareto or sign * score > sign * pareto[-1][1]:
            pareto.append((cost, score))
    return pareto


def staircase(best: list[Point], across: Axis, up: Axis) -> list[Line]:
    """Return the steps of a front, from the worst end of the scores to the highest cost."""
    corners = list[Point]()
    last = up.low if up.rising else up.high
    for cost, score in best:
        corners += [(cost, last), (cost, score)]
        last = score
    return [Line(a, b, "front") for a, b in pairwise([*corners, (across.high, last)])]


TEMPLATE = """
{% from "plots.html" import draw %}
{% from "macros.html" import strips, tabs %}
{% if view.prices %}
<p class="lead">What a better score costs. The line is the Pareto front: no algorithm is both better and cheaper than those on it. Costs are logarithmic{% if results.ranked|length > 8 %}<span class="for-mouse">; point at a mark for its name</span>{% endif %}.</p>
{{ tabs("price", view.prices|list) }}
{% for metric, plots in view.prices.items() %}
<div class="price{% if view.prices|length > 1 %} switched price-{{ loop.index0 }}{% endif %}{% if not loop.first %} further{% endif %}"><div class="columns">
{% for title, plot in plots %}<figure class="plot"><figcaption><strong>{{ metric }}</strong> <span class="quiet">against {{ title }}</span></figcaption>{{ draw(plot) }}</figure>{% endfor %}
</div></div>
{% endfor %}
<details class="more long-print"><summary>Time and memory of each case</summary>
{% endif %}
<div class="columns">
{% for title, axis, values, unit in view.figures %}{{ strips(title, "logarithmic" if axis.log else "less is better" if unit != " %", axis, values, unit, view.dots) }}{% endfor %}
</div>
{% if view.prices %}</details>{% endif %}
{% if view.starts %}<p>Start of the algorithm, once per run: {% for name, seconds in (view.starts.items()|list)[:8] %}<span class="name">{{ name }}</span> {{ duration(seconds) }}{{ ", " if not loop.last }}{% endfor %}{% if view.starts|length > 8 %} and {{ view.starts|length - 8 }} others{% endif %}.</p>{% endif %}
"""  # noqa: E501 - HTML

SECTION = ReportSection(60, "Time and memory", "Time and memory", view, TEMPLATE)
