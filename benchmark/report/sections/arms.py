"""Models of one algorithm side by side: the effect of their training data."""

from collections import defaultdict
from typing import NamedTuple

import numpy as np

from cytosuite.benchmark.catalog.places import program_of
from cytosuite.benchmark.report.page import ReportSection
from cytosuite.benchmark.report.wording import estimate, fixed, interval, number
from cytosuite.benchmark.runs.store.documents import escape, table
from cytosuite.benchmark.scores.results import Results
from cytosuite.benchmark.scores.standings import Standing
from cytosuite.files import TextPair
from cytosuite.ranking.intervals import mean_interval

FREE = "chosen by metadata"
PAIRED = "Means over the cases, and differences paired by case, with 95 % intervals."
COUNTS = ("missed", "spurious", "splits")  # errors that DET weighs


class Arms(NamedTuple):
    """Standings of the models of one algorithm, best first, and their errors as a table."""

    entries: list[Standing]
    heads: list[str]
    rows: list[list[str]]
    gains: list[list[str]]  # by metric: mean of the first, and its difference to each other


def view(results: Results) -> dict[str, Arms] | None:
    """Return the models of each algorithm with several; None without any."""
    by_program = defaultdict(list)
    for entry in results.ranked:
        by_program[program_of(entry.algorithm)].append(entry)
    return {
        name: _arms(results, entries) for name, entries in by_program.items() if len(entries) > 1
    } or None


def _arms(results: Results, entries: list[Standing]) -> Arms:
    """Return models with their scores, errors of all cases by kind, and descriptions."""
    texts = {manifest.name: manifest.description for manifest in results.algorithms}
    kinds = [metric.name for metric in results.by_case if metric.name in COUNTS]
    rows = []
    for entry in entries:
        name = entry.algorithm
        means = [number(entry.summary(metric).mean, 3) for metric in results.board]
        sums = [f"{sum(results.values[name, kind].values()):g}" for kind in kinds]
        rows.append([name.partition(":")[2] or FREE, *means, *sums, texts.get(name, "")])
    heads = ["model", *(metric.name for metric in results.board), *kinds, "description"]
    first, *others = entries
    gains = [["metric", rows[0][0], *(f"minus {row[0]}" for row in rows[1:])]]
    for metric in (m for m in results.by_case if None not in (m.best, m.worst)):
        gains.append([metric.name, estimate(first.summary(metric))])
        pairs = ((first.algorithm, rival.algorithm) for rival in others)
        gains[-1] += [_gain(results, pair, metric.name) for pair in pairs]
    return Arms(entries, heads, rows, gains)


def _gain(results: Results, names: TextPair, metric: str) -> str:
    """Return the mean difference of two models over their common cases, and its interval."""
    first, second = (results.values[name, metric] for name in names)
    differences = np.array(
        [first.get(case, np.nan) - second.get(case, np.nan) for case in results.case_order]
    )
    finite = differences[np.isfinite(differences)]
    mean = fixed(float(finite.mean()), 3) if finite.size else "-"
    reach = interval(*mean_interval(finite), 3)
    return f"{mean} ({reach})" if reach else mean


def markdown(_: Results, programs: dict[str, Arms]) -> list[str]:
    """Return a table of each algorithm's models."""
    return [
        line
        for program, arms in programs.items()
        for line in (
            *(f"### {escape(program)}", "", *table(arms.heads, arms.rows), ""),
            *(PAIRED, "", *table(arms.gains[0], arms.gains[1:]), ""),
        )
    ]


TEMPLATE = """
{% from "macros.html" import axis_figure, whisker %}
<p class="lead">One algorithm with several models: they differ in their training. Dots are means over the cases, lines 95 % intervals, diamonds all cases taken as one.</p>
{% for program, arms in view.items() %}
<h3>{{ program }}</h3>
<div class="columns">
{% for metric in results.board %}{% set axis = results.reach(metric, arms.entries) %}
<figure class="strips"><figcaption><strong>{{ metric.title }}</strong> <span class="quiet">{{ direction(metric) }}</span></figcaption>
  <div class="strip-rows">
  {% for entry in arms.entries %}<span class="strip-name" title="{{ entry.algorithm }}">{{ arms.rows[loop.index0][0] }}</span><div class="track">{{ whisker(axis, entry.summary(metric)) }}</div>{% endfor %}
  <span></span><div class="track">{{ axis_figure(axis) }}</div>
  </div></figure>
{% endfor %}
</div>
<div class="scroll" tabindex="0" role="region" aria-label="Models of {{ program }}"><table class="plain sortable">
  <thead><tr>{% for head in arms.heads %}<th scope="col" data-sort="{{ "text" if loop.first or loop.last else "number" }}">{{ head }}</th>{% endfor %}</tr></thead>
  <tbody>{% for row in arms.rows %}<tr><th scope="row">{{ row[0] }}</th>{% for text in row[1:] %}<td>{{ text }}</td>{% endfor %}</tr>{% endfor %}</tbody>
</table></div>
<p class="quiet">PAIRED</p>
<div class="scroll" tabindex="0" role="region" aria-label="Differences of {{ program }}"><table class="plain">
  <thead><tr>{% for head in arms.gains[0] %}<th scope="col">{{ head }}</th>{% endfor %}</tr></thead>
  <tbody>{% for row in arms.gains[1:] %}<tr><th scope="row">{{ row[0] }}</th>{% for text in row[1:] %}<td>{{ text }}</td>{% endfor %}</tr>{% endfor %}</tbody>
</table></div>
{% endfor %}
""".replace("PAIRED", PAIRED)  # noqa: E501 - HTML

SECTION = ReportSection(13, "Models compared", "Models of one algorithm", view, TEMPLATE, markdown)
