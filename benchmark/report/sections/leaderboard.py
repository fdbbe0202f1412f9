"""The leaderboard: means, intervals and pooled values of the primary metrics, and all means."""

import math
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from benchmark.report.cells import value
from benchmark.report.figures import whisker
from benchmark.report.index import Index
from benchmark.report.section import ReportSection, table
from benchmark.report.wording import duration, interval, joined, known, memory, number
from benchmark.results.ranking import Standing
from cytosuite.metrics import Metric

CONTROLS = {
    "oracle": "the truth handed in as the answer",
    "real": "one half of the real images against the other",
    "identity": "the input handed in as the answer",
    "blank": "an empty answer",
}
TOP = ("oracle", "real")  # controls that stand above the algorithms


@dataclass(frozen=True, slots=True)
class BoardScore:
    """A metric of one standing: its figure, and its numbers in words."""

    metric: str
    figure: Markup
    mean: str
    interval: str
    pooled: str

    @property
    def text(self) -> str:
        """Mean, interval and pooled value in one line."""
        reach = f" ({self.interval})" if self.interval else ""
        return self.mean + reach + (f"; {self.pooled}" if self.pooled else "")


@dataclass(frozen=True, slots=True)
class BoardLine:
    """A line of the leaderboard; `place` is empty for controls and the unranked."""

    place: str
    entry: Standing
    title: str
    scores: list[BoardScore]
    seconds: str
    memory: str


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """The leaderboard, the sentences above it, and the mean of every metric."""

    lead: str
    lines: list[BoardLine]
    means: list[tuple[Standing, list[Markup]]]


def view(index: Index) -> Leaderboard:
    """Return the leaderboard: the best controls on top, then the algorithms by rank."""
    top = [entry for entry in index.controls if entry.algorithm in TOP]
    low = [entry for entry in index.controls if entry.algorithm not in TOP]
    titles = {manifest.name: manifest.title for manifest in index.results.algorithms}
    ranks = [entry.rank for entry in index.ranked if entry.rank is not None]
    lines = []
    for entry in [*top, *index.ranked, *low]:
        ranked = entry.rank is not None and not entry.control
        place = str(1 + sum(rank < (entry.rank or 0) for rank in ranks)) if ranked else ""
        title = "control" if entry.control else titles.get(entry.algorithm, "")
        scores = [_score(index, entry, metric) for metric in index.board]
        seconds, size = duration(entry.median_seconds), memory(entry.peak_memory)
        lines.append(BoardLine(place, entry, title, scores, seconds, size))
    means = [
        (entry, [_mean(index, entry, metric) for metric in index.results.metrics])
        for entry in [*index.ranked, *index.controls]
    ]
    return Leaderboard(" ".join(_lead(index)), lines, means)


def _score(index: Index, entry: Standing, metric: Metric[Any]) -> BoardScore:
    """Return one metric of one standing; a control has no interval and no pooled value."""
    found, axis = index.summary(entry, metric), index.axes[metric.name]
    if entry.control:
        return BoardScore(metric.name, whisker(axis, found.mean), number(found.mean), "", "")
    figure = whisker(axis, found.mean, found.low, found.high, found.pooled)
    pooled = number(found.pooled) if known(found.pooled) else ""
    reach = interval(found.low, found.high)
    return BoardScore(metric.name, figure, number(found.mean), reach, pooled)


def _mean(index: Index, entry: Standing, metric: Metric[Any]) -> Markup:
    """Return the mean of one metric as a cell."""
    return value(metric, index.summary(entry, metric).mean, index.axes[metric.name])


def _lead(index: Index) -> list[str]:
    """Return the sentences that explain the leaderboard, of its metrics and controls alone."""
    found = [
        (metric, index.summary(entry, metric)) for entry in index.ranked for metric in index.board
    ]
    cases = [metric for metric in index.board if metric.scope == "case"]
    sentences = []
    if cases:
        worst = all(metric.worst is not None for metric in cases)
        words = ", failed ones included with the worst value" if worst else ""
        parts = [f"Dots are means over the cases{words}"]
        if any(known(summary.low) for _, summary in found):
            parts.append("lines their 95 % intervals")
        if any(known(summary.pooled) for _, summary in found):
            parts.append("diamonds the value of all cases pooled")
        sentences.append("; ".join(parts) + ".")
    if whole := [metric.name for metric in index.board if metric.scope == "set"]:
        sentences.append(
            f"{joined(whole)}: one value for all outputs together, compared with the real images."
        )
    open_ended = [metric.name for metric in cases if metric.worst is None]
    lost = any(s.failed or s.undefined for metric, s in found if metric.name in open_ended)
    if open_ended and lost:
        sentences.append(
            f"{joined(open_ended)}: cases without a value are not in the mean; the more of them, "
            "the lower the rank."
        )
    controls = [entry.algorithm for entry in index.controls]
    if controls:
        known_ones = [f"{name}, {CONTROLS[name]}" for name in CONTROLS if name in controls]
        sentences.append(f"The grey rows are controls: {'; '.join(known_ones)}.")
    return sentences


def markdown(index: Index, board: Leaderboard) -> list[str]:
    """Return the leaderboard as a table, and one of every metric."""
    if not board.lines:
        return ["Nothing has run yet."]
    heads = ["rank", "algorithm", *(f"{m.name} (95 % interval; pooled)" for m in index.board)]
    rows = [
        [
            line.place,
            f"{line.entry.algorithm} (control)" if line.entry.control else line.entry.algorithm,
            *(score.text for score in line.scores),
            "" if line.entry.control else f"{line.entry.failed} of {line.entry.cases}",
            "" if line.entry.control else line.seconds,
            "" if line.entry.control else line.memory,
        ]
        for line in board.lines
    ]
    lines = [*([board.lead, ""] if board.lead else [])]
    lines += table([*heads, "failed", "time per case", "peak memory"], rows)
    if index.results.metrics:
        every = [
            [entry.algorithm, *(_pair(index, entry, m) for m in index.results.metrics)]
            for entry in index.ranked
        ]
        lines += ["", "### Every measure", "", "Means; in brackets the pooled values.", ""]
        lines += table(["algorithm", *(metric.name for metric in index.results.metrics)], every)
    return lines


def _pair(index: Index, entry: Standing, metric: Metric[Any]) -> str:
    """Return mean and pooled value of one metric as text."""
    found = index.summary(entry, metric)
    pooled = "" if math.isnan(found.pooled) else f" ({number(found.pooled)})"
    return number(found.mean) + pooled


TEMPLATE = """
{% if view.lines %}
<p class="lead">{{ view.lead }}</p>
<table class="board" role="table">
  <thead role="rowgroup"><tr role="row">
    <th scope="col" role="columnheader" class="num">#</th>
    <th scope="col" role="columnheader">Algorithm</th>
    {% for metric in index.board %}
    <th scope="col" role="columnheader" class="metric"><abbr title="{{ metric.title }}">{{ metric.name }}</abbr><div class="score"><div class="track">{{ axis_figure(index.axes[metric.name]) }}</div><div class="score-text"></div></div></th>
    {% endfor %}
    <th scope="col" role="columnheader" class="num">Failed</th>
    <th scope="col" role="columnheader" class="num">Time per case</th>
    <th scope="col" role="columnheader" class="num">Peak memory</th>
  </tr></thead>
  <tbody role="rowgroup">
  {% for line in view.lines %}
  {% set entry = line.entry %}
  <tr role="row" class="{% if entry.control %}control{% elif line.place == '1' %}first{% endif %}">
    <td role="cell" class="place num">{{ line.place }}</td>
    <th scope="row" role="rowheader"><span class="name">{{ entry.algorithm }}</span>{% if line.title and line.title != entry.algorithm %}<small>{{ line.title }}</small>{% endif %}</th>
    {% for score in line.scores %}
    <td role="cell" class="metric" data-label="{{ score.metric }}">
      <div class="score"><div class="track">{{ score.figure }}</div>
      <div class="score-text"><b>{{ score.mean }}</b>{% if score.interval %}<small>{{ score.interval }}</small>{% endif %}{% if score.pooled %}<small class="pooled-text">{{ score.pooled }}</small>{% endif %}</div></div>
    </td>
    {% endfor %}
    <td role="cell" class="num" data-label="Failed">{% if entry.control %}{% elif entry.failed %}<span class="badge">{{ entry.failed }} of {{ entry.cases }}</span>{% else %}0{% endif %}</td>
    <td role="cell" class="num" data-label="Time per case">{{ "" if entry.control else line.seconds }}</td>
    <td role="cell" class="num" data-label="Peak memory">{{ "" if entry.control else line.memory }}</td>
  </tr>
  {% endfor %}
  </tbody>
</table>
{% set metrics = index.results.metrics %}
{% if metrics|length > index.board|length %}
<details class="more" {% if view.means|length <= 4 %}open{% endif %}><summary>Every measure: mean over the cases{% if index.by_case|length < metrics|length %}, or one value for all outputs together{% endif %}</summary>
<div class="scroll" tabindex="0" role="region" aria-label="Every measure"><table class="heat sortable">
  <thead><tr><th scope="col" data-sort="text">algorithm</th>{% for metric in metrics %}<th scope="col" data-sort="number" title="{{ metric.title }}">{{ metric.name }}</th>{% endfor %}</tr></thead>
  <tbody>{% for entry, cells in view.means %}
  <tr{% if entry.control %} class="control"{% endif %}><th scope="row"><span class="long">{{ entry.algorithm }}</span></th>{{ cells|join }}</tr>
  {% endfor %}</tbody>
</table></div></details>
{% endif %}
{% else %}
<p>Nothing has run yet.</p>
{% endif %}
"""  # noqa: E501 - HTML

SECTION = ReportSection(10, "Leaderboard", "Leaderboard", view, TEMPLATE, markdown)
