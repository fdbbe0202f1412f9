"""The leaderboard: means, intervals and pooled values of the primary metrics, and all means."""

from math import isnan

from cytosuite.benchmark.report.page import ReportSection
from cytosuite.benchmark.report.verdict import places_text, tiers_of
from cytosuite.benchmark.report.wording import decimals, duration, estimate, known, memory, number
from cytosuite.benchmark.runs.store.documents import escape, table
from cytosuite.benchmark.scores.results import Results
from cytosuite.benchmark.scores.standings import Summary
from cytosuite.files import Json
from cytosuite.ranking.by_measure import BOTTOMS, TOPS
from cytosuite.ranking.rule import joined

CONTROLS = {
    "oracle": "the truth handed in as the answer",
    "real": "one half of the real images against the other",
    "identity": "the input handed in as the answer",
    "blank": "an empty answer",
    "nearest": "the true cells, each linked to the nearest one of the next frame",
}


def view(results: Results) -> Json:
    """Return sentences, decimals by metric, and the lines: best controls on top, then by rank."""
    ranking = results.ranking
    top = [entry for entry in results.controls if entry.algorithm in TOPS]
    low = [entry for entry in results.controls if entry.algorithm not in TOPS]
    titles = {manifest.name: manifest.title for manifest in results.algorithms}
    places = results.places
    tiers = tiers_of(ranking)
    lines, last, seen = [], 0, set()
    for entry in [*top, *results.ranked, *low]:
        place = str(places.get(entry.algorithm, ""))
        title = "control" if entry.control else titles.get(entry.algorithm, "")
        tier = tiers.get(entry.algorithm, last)
        ends = places_text(ranking, entry.algorithm)
        lines.append((place, ends, entry, title, tier if tier != last else 0, tier not in seen))
        last = tier
        seen.add(tier)
    summaries = {
        metric.name: [entry.summary(metric) for entry in results.standings]
        for metric in results.metrics
    }
    digits = {
        name: decimals(summary.mean for summary in entries) for name, entries in summaries.items()
    }
    scaled = dict(ranking.scaled) if ranking else {}
    means = {
        (entry.algorithm, metric.name): entry.summary(metric).mean
        for entry in results.ranked
        for metric in results.board
    }
    costs = {
        "Time per case": {e.algorithm: duration(e.median_seconds) for e in results.ranked},
        "Peak memory": {e.algorithm: memory(e.peak_memory) for e in results.ranked},
    }
    new = any(abs(scaled.get(key, mean) - mean) > 0.005 for key, mean in means.items())
    return {
        "lead": " ".join(_lead(results, new)),
        "rule": ranking.rule if ranking and len(results.ranked) > 1 else "",
        "lines": lines,
        "digits": digits,
        "scaled": scaled if new else {},
        "axes": {metric.name: results.reach(metric, results.ranked) for metric in results.board},
        "costs": {head: texts for head, texts in costs.items() if {*texts.values()} - {"-"}},
        "metrics": [
            metric
            for metric in results.metrics
            if not all(isnan(summary.mean) for summary in summaries[metric.name])
        ],
    }


def _lead(results: Results, scaled: bool) -> list[str]:
    """Return the sentences that explain the leaderboard, of its metrics and controls alone."""
    summaries = [
        (metric, entry.summary(metric)) for entry in results.ranked for metric in results.board
    ]
    cases = [metric for metric in results.board if metric.scope == "case"]
    sentences = []
    if cases:
        worst = all(metric.worst is not None for metric in cases)
        words = ", failed ones included with the worst value" if worst else ""
        parts = [f"Dots are means over the cases{words}"]
        if any(known(summary.low) for _, summary in summaries):
            parts.append("lines their 95 % intervals")
        if any(known(summary.pooled) for _, summary in summaries):
            parts.append("diamonds the value of all cases pooled")
        sentences.append("; ".join(parts) + ".")
    if whole := [metric.name for metric in results.board if metric.scope == "set"]:
        sentences.append(
            f"{joined(whole)}: one value for all outputs together, compared with the real images."
        )
    open_ended = [metric.name for metric in cases if metric.worst is None]
    if any(s.failed or s.undefined for metric, s in summaries if metric.name in open_ended):
        sentences.append(
            f"{joined(open_ended)}: cases without a value are not in the mean; the more of them, "
            "the lower the rank."
        )
    controls = {entry.algorithm for entry in results.controls}
    if scaled:
        low, high = (" or ".join(n for n in ends if n in controls) for ends in (BOTTOMS, TOPS))
        sentences.append(f"Scaled scores: 0 is as good as {low}, 1 as {high}.")
    if there := [f"{name}, {words}" for name, words in CONTROLS.items() if name in controls]:
        sentences.append(
            f"The grey rows are controls, without a dot beyond the axis: {'; '.join(there)}."
        )
    return sentences


def markdown(results: Results, board: Json) -> list[str]:
    """Return the leaderboard as a table, and one of every metric."""
    if not board["lines"]:
        return ["Nothing has run yet."]
    tiers = tiers_of(results.ranking)
    rows = []
    for place, ends, entry, *_ in board["lines"]:
        name = f"{entry.algorithm} (control)" if entry.control else entry.algorithm
        scores = [_text(entry.summary(metric)) for metric in results.board]
        lost = "" if entry.control else f"{entry.failed} of {entry.cases}"
        tier = [str(tiers.get(entry.algorithm, ""))] if tiers else []
        rows.append(
            [
                f"{place} ({ends})" if ends else place,
                *tier,
                name,
                *scores,
                lost,
                *(texts.get(entry.algorithm, "") for texts in board["costs"].values()),
            ]
        )
    heads = [f"{metric.name} (95 % interval; pooled)" for metric in results.board]
    lines = [board["lead"], "", *([escape(board["rule"]), ""] if board["rule"] else [])]
    lines += table(
        [
            "rank",
            *(["tier"] if tiers else []),
            "algorithm",
            *heads,
            "failed",
            *map(str.lower, board["costs"]),
        ],
        rows,
    )
    if metrics := board["metrics"]:
        every = [
            [entry.algorithm, *(_text(entry.summary(metric)) for metric in metrics)]
            for entry in results.ranked
        ]
        lines += ["", "### Every measure (95 % interval; pooled)", ""]
        lines += table(["algorithm", *(metric.name for metric in metrics)], every)
    return lines


def _text(summary: Summary) -> str:
    """Return mean, interval and pooled value in one line."""
    return estimate(summary) + (f"; {number(summary.pooled)}" if known(summary.pooled) else "")


TEMPLATE = """
{% from "macros.html" import axis_figure, whisker %}
{% if view.lines %}
<p class="lead">{{ view.lead }}</p>
{% if view.rule %}<details class="rule"><summary>How the rank is made</summary>{{ view.rule }}{% if views.ranks %} <a href="#ranks">How sure the ranks are</a>{% endif %}</details>{% endif %}
{% set columns = results.board|length + 3 + (view.costs|length > 0) %}
<table class="board" role="table">
  <thead role="rowgroup"><tr role="row">
    <th scope="col" role="columnheader" class="num"><abbr title="Place, and its 95 % interval over resamples of the cases">#</abbr></th>
    <th scope="col" role="columnheader">Algorithm</th>
    {% for metric in results.board %}
    <th scope="col" role="columnheader" class="metric"><abbr title="{{ metric.title }}">{{ metric.name }}</abbr><div class="score"><div class="track">{{ axis_figure(view.axes[metric.name]) }}</div><div class="score-text"></div></div></th>
    {% endfor %}
    <th scope="col" role="columnheader" class="num">Failed</th>
    {% if view.costs %}<th scope="col" role="columnheader" class="num costs">{% for head in view.costs %}<div>{{ head }}</div>{% endfor %}</th>{% endif %}
  </tr></thead>
  <tbody role="rowgroup">
  {% for place, ends, entry, title, tier, new in view.lines %}
  {% if tier %}<tr role="row" class="tier"><th role="rowheader" scope="rowgroup" colspan="{{ columns }}"><b>Tier {{ tier }}</b> {% if not new %}continued{% elif tier == 1 %}no other is significantly better{% elif entry.cases and entry.failed >= entry.cases %}without a result{% else %}significantly behind one of tier {{ tier - 1 }}{% endif %}</th></tr>{% endif %}
  <tr role="row" class="{% if entry.control %}control{% elif place == '1' %}first{% endif %}">
    <td role="cell" class="place num">{{ place }}{% if ends %}<small>{{ ends }}</small>{% endif %}</td>
    <th scope="row" role="rowheader"><span class="name" title="{{ entry.algorithm }}">{{ entry.algorithm }}</span>{% if title and title|lower != entry.algorithm|lower %}<small title="{{ title }}">{{ title }}</small>{% endif %}</th>
    {% for metric in results.board %}
    {% set summary = entry.summary(metric) %}
    {% set digits = view.digits[metric.name] %}
    {% set scaled = view.scaled.get((entry.algorithm, metric.name)) %}
    <td role="cell" class="metric" data-label="{{ metric.name }}">
      <div class="score"><div class="track">{{ whisker(view.axes[metric.name], summary) }}</div>
      <div class="score-text"><b>{{ fixed(summary.mean, digits) }}</b>{% if interval(summary.low, summary.high) %}<small class="reach-text">{{ interval(summary.low, summary.high, digits) }}</small>{% endif %}{% if known(summary.pooled) or scaled is not none %}<small>{% if known(summary.pooled) %}<span class="pooled-text">{{ fixed(summary.pooled, digits) }} pooled</span>{% endif %}{% if known(summary.pooled) and scaled is not none %}, {% endif %}{% if scaled is not none %}{{ fixed(scaled, 2) }} scaled{% endif %}</small>{% endif %}</div></div>
    </td>
    {% endfor %}
    <td role="cell" class="num" data-label="Failed">{% if entry.control %}{% elif entry.failed %}<span class="badge">{{ entry.failed }} of {{ entry.cases }}</span>{% else %}0{% endif %}</td>
    {% if view.costs %}<td role="cell" class="num costs" data-label="{{ view.costs|join(", ") }}">{% if not entry.control %}<div>{% for texts in view.costs.values() %}<div>{{ texts[entry.algorithm] }}</div>{% endfor %}</div>{% endif %}</td>{% endif %}
  </tr>
  {% endfor %}
  </tbody>
</table>
<p class="quiet files">This table as <a href="leaderboard.csv">CSV</a> and <a href="leaderboard.tex">LaTeX</a>.</p>
{% if view.metrics|length > results.board|length %}
<details class="more" {% if results.standings|length <= 4 %}open{% endif %}><summary>Every measure: mean over the cases{% if results.by_case|length < results.metrics|length %}, or one value for all outputs together{% endif %}</summary>
<p class="quiet files">{{ count(view.metrics|length, "measure") }}; the table scrolls sideways. All values with their intervals: <a href="leaderboard.csv">CSV</a>; those of each case: <a href="scores.csv">CSV</a>.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Every measure"><table class="heat sortable">
  <thead><tr><th scope="col" data-sort="text">algorithm</th>{% for metric in view.metrics %}<th scope="col" data-sort="number" title="{{ metric.title }}">{{ metric.name }}</th>{% endfor %}</tr></thead>
  <tbody>{% for entry in results.standings %}
  <tr{% if entry.control %} class="control"{% endif %}><th scope="row"><span class="long" title="{{ entry.algorithm }}">{{ entry.algorithm }}</span></th>{% for metric in view.metrics %}{{ value(metric, entry.summary(metric).mean, results.axes[metric.name], view.digits[metric.name]) }}{% endfor %}</tr>
  {% endfor %}</tbody>
</table></div></details>
{% endif %}
{% else %}
<p>Nothing has run yet.</p>
{% endif %}
"""  # noqa: E501 - HTML

SECTION = ReportSection(10, "Leaderboard", "Leaderboard", view, TEMPLATE, markdown)
