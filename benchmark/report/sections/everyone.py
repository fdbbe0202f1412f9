"""All algorithms of many: a table to search, whose rows the page writes when they are asked for."""

import json

from cytosuite.benchmark.report.page import ReportSection
from cytosuite.benchmark.report.pictures.scenes import packed
from cytosuite.benchmark.report.verdict import places_text, tiers_of
from cytosuite.benchmark.report.wording import decimals, duration, fixed
from cytosuite.benchmark.scores.results import SHOWN, Results
from cytosuite.files import Json


def view(results: Results) -> Json | None:
    """Return heads and packed rows, best first; None where all algorithms stand in the sections."""
    if results.first is results:
        return None
    ranking = results.ranking
    tiers = tiers_of(results.ranking)
    places = ranking.overall.places if ranking else {}
    summaries = [
        [entry.summary(metric).mean for metric in results.board] for entry in results.ranked
    ]
    digits = [decimals(means) for means in zip(*summaries, strict=True)]
    rows = [
        [
            entry.algorithm,
            places.get(entry.algorithm, "-"),
            places_text(ranking, entry.algorithm) or "-",
            tiers.get(entry.algorithm, "-"),
            *(fixed(mean, of) for mean, of in zip(means, digits, strict=True)),
            entry.failed,
            duration(entry.median_seconds),
        ]
        for entry, means in zip(results.ranked, summaries, strict=True)
    ]
    names = [metric.name for metric in results.board]
    return {
        "heads": [
            "algorithm",
            "place",
            "95 % of places",
            "tier",
            *names,
            "failed",
            "time per case",
        ],
        "rows": packed(json.dumps(rows).encode()),
        "count": len(rows),
        "step": SHOWN,
    }


TEMPLATE = """
<p class="lead">All {{ view.count }} algorithms, best first; also as <a href="leaderboard.csv">CSV</a>.</p>
<script type="application/json" data-part="rows">{{ {"rows": view.rows, "step": view.step}|tojson }}</script>
<div class="weigh" data-part="table" hidden>
<p class="choices"><label>Search <input type="search" data-part="words"></label> <span class="quiet" data-part="said" role="status"></span></p>
<div class="scroll" tabindex="0" role="region" aria-label="All algorithms"><table class="heat">
  <thead><tr>{% for head in view.heads %}<th scope="col">{{ head }}</th>{% endfor %}</tr></thead>
  <tbody data-part="shown"></tbody>
</table></div>
<p><button type="button" data-part="more">Show more</button></p>
</div>
"""  # noqa: E501 - HTML

SECTION = ReportSection(12, "All algorithms", "All algorithms", view, TEMPLATE, whole=True)
