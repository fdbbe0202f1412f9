"""Weigh the metrics: cases, metrics and weights of the reader's choice, ranked in the browser."""

from collections.abc import Iterator

import numpy as np

from cytosuite.benchmark.report.page import ReportSection
from cytosuite.benchmark.report.pictures.scenes import packed
from cytosuite.benchmark.scores.results import Results
from cytosuite.files import Json, TextSeq
from cytosuite.ranking.intervals import FEWEST, draw_counts
from cytosuite.ranking.ranking import MANY, Failures
from cytosuite.ranking.scores import Measure, ScoreArrays, measures, metric_scores, score_arrays

MOST = 100_000  # values in the page, 12 bytes each
SAMPLED = 4_000_000  # numbers of all samples in the page, 0.4 bytes each: of 2,000 cases


def view(results: Results) -> Json | None:
    """Return scores, samples and groups for `weigh.js`; None where ranks are not by means."""
    ranking = results.ranking
    if ranking is None or len(ranking.overall.algorithms) < 2 or ranking.scheme != "mean":
        return None
    arrays = score_arrays(results.scores)
    names = sorted(ranking.overall.algorithms)
    directed = [m for m in measures(results.metrics) if m.name in arrays.metrics]
    shown = directed[: MOST // max(1, len(names) * len(arrays.strata))]
    counts = draw_counts(arrays.strata, ranking.draws, ranking.seed)
    if len(shown) < len(ranking.metrics) or counts.size > SAMPLED:
        return None
    titles = {metric.name: metric.title for metric in results.metrics}
    return {
        "algorithms": names,
        "strata": np.unique(arrays.strata, return_inverse=True)[1].tolist(),
        "counts": packed(counts.astype(np.uint8).tobytes()),  # none is drawn 255 times
        "alpha": ranking.alpha,
        "fewest": FEWEST,
        "many": MANY,
        "metrics": [
            {
                "title": titles[measure.name],
                "weight": int(measure.name in ranking.metrics),
                **_scores(arrays, measure, names, ranking.failures),
            }
            for measure in shown
        ],
        "conditions": [*_groups(results, arrays)],
    }


def _scores(arrays: ScoreArrays, measure: Measure, names: TextSeq, failures: Failures) -> Json:
    """Return the values of a metric as they count, larger ones being better, NaN for none."""
    scores = metric_scores(arrays, measure, names, failures)
    sign = 1 if measure.higher_is_better else -1
    return {
        "name": measure.name,
        "whole": measure.of_set,
        "worst": None if measure.worst is None else sign * measure.worst,
        "goodness": packed(scores.goodness.astype("<f8").tobytes()),
        "lost": packed(scores.lost.astype(np.uint8).tobytes()),
        "valid": packed(scores.valid.astype(np.uint8).tobytes()),
        "used": scores.used.astype(int).tolist(),
    }


def _groups(results: Results, arrays: ScoreArrays) -> Iterator[Json]:
    """Yield the conditions with the numbers of the cases of each group."""
    number = {case: n for n, (_, case) in enumerate(pair for pair in arrays.cases if pair[1])}
    for condition in results.conditions:
        yield {
            "title": condition.title,
            "groups": [
                {"label": group.label, "cases": [number[c] for c in group.cases if c in number]}
                for group in condition.groups
            ],
        }


TEMPLATE = """
<p class="lead">Does the order hold by other metrics, weights or cases? Change them: ranks, intervals and tiers are computed in this page. A rank is the weighted mean of the ranks by the mean of each metric; as the page opens, all is as above.{% if view.metrics|selectattr("whole")|list %} Of whole sets, without intervals, tests and parts of the cases: {{ view.metrics|selectattr("whole")|map(attribute="name")|join(", ") }}.{% endif %} The address keeps your choice.</p>
<script type="application/json" data-part="scores">{{ view|tojson }}</script>
<div class="weigh" data-part="board" hidden>
<p class="choices"><label>Cases <select data-part="cases"><option value="">all</option>{% for condition in view.conditions %}<optgroup label="{{ condition.title }}">{% for group in condition.groups %}<option value="{{ loop.index0 }}">{{ group.label }} ({{ group.cases|length }})</option>{% endfor %}</optgroup>{% endfor %}</select></label>
{% for metric in view.metrics %}<label title="{{ metric.title }}">{{ metric.name }} <input type="number" data-metric="{{ loop.index0 }}" min="0" max="100" step="any" value="{{ metric.weight }}"></label>
{% endfor %}<button type="button" data-part="reset">As above</button></p>
<p class="quiet" data-part="said" role="status"></p>
<div class="scroll" tabindex="0" role="region" aria-label="Ranks by your weights"><table class="heat">
  <caption>Ranks by your weights</caption>
  <thead><tr><th scope="col">algorithm</th><th scope="col">rank</th><th scope="col">place</th><th scope="col">95 % of places</th><th scope="col">first in</th><th scope="col">tier</th></tr></thead>
  <tbody data-part="rows"></tbody>
</table></div>
</div>
"""  # noqa: E501 - HTML

SECTION = ReportSection(17, "Weigh", "Weigh the metrics yourself", view, TEMPLATE, whole=True)
