"""Ranking: how sure the places are, by three schemes, and which differences are significant."""

from collections.abc import Collection
from itertools import combinations

from cytosuite.benchmark.report.page import ReportSection
from cytosuite.benchmark.report.verdict import certainty, places_text
from cytosuite.benchmark.report.wording import interval, known, number
from cytosuite.benchmark.runs.store.documents import escape, table
from cytosuite.benchmark.scores.results import Results
from cytosuite.errors import count
from cytosuite.files import Json, TextPair
from cytosuite.ranking.ranking import SCHEMES, Consensus, Contest, Ranking
from cytosuite.ranking.rule import joined

ALL = "all together"
FEW = "{cases} are too few to resample and to test: the places below have no interval."


def view(results: Results) -> Json | None:
    """Return the contests by their title, and the agreement of metrics; None without a contest."""
    ranking = results.ranking
    if ranking is None or len(ranking.overall.algorithms) < 2:
        return None
    single = len(ranking.metrics) == 1
    contests = dict(ranking.metrics) if single else {ALL: ranking.overall, **ranking.metrics}
    agreement = ranking.agreement if len(ranking.overall.algorithms) > 2 else {}
    names_shown = {*ranking.overall.algorithms}
    return {
        "ranking": ranking,
        "tabs": {title: _tab(contest) for title, contest in contests.items()},
        "remarks": remarks(ranking),
        "consensus": over_datasets(ranking.consensus, names_shown) if ranking.consensus else None,
        "metrics": list(dict.fromkeys(name for pair in agreement for name in pair)),
        "agreement": {**agreement} | {(b, a): tau for (a, b), tau in agreement.items()},
        "schemes": {way: words for way, words in SCHEMES.items() if way in ranking.overall.ranks},
    }


def _tab(contest: Contest) -> tuple[Contest, int, list[TextPair]]:
    """Return a contest, the decimals of its ranks, and the tested pairs, the better first."""
    ranks = [rank for ranks in contest.ranks.values() for rank in ranks.values()]
    digits = 0 if all(float(rank).is_integer() for rank in ranks) else 2
    pairs = combinations(contest.algorithms, 2)
    return contest, digits, [pair for pair in pairs if pair in contest.differences]


def remarks(ranking: Ranking) -> list[str]:
    """Return sentences on resamples, failed cases, and, of three and more, on their orders."""
    sentences = []
    middle, low, high = ranking.overall.tau
    several = len(ranking.overall.algorithms) > 2  # tau of two is 1 or -1
    if known(middle) and not several:
        first = ranking.overall.algorithms[0]
        sentences.append(f"{first} is {certainty(ranking, first)}.")
    elif known(middle):
        reach = f" (95 % interval {interval(low, high)})" if interval(low, high) else ""
        sentences.append(
            f"Over {ranking.draws} resamples of the cases, the order keeps to that of all cases "
            f"with a Kendall's tau of {number(middle)}{reach}; 1 is the same order, 0 chance."
        )
    else:
        sentences.append(
            FEW.format(cases=count(ranking.cases, "case")).replace("1 case are", "1 is")
        )
    if ranking.overall.power and known(middle):
        sentences.append(f"{ranking.overall.power}: no tiers, and no difference is significant.")
    if ranking.failed:
        rule = "the worst value" if ranking.failures == "worst" else "nothing, for no algorithm"
        beside = (
            "; the places without them stand beside" if ranking.overall.without_failures else ""
        )
        sentences.append(
            f"{count(ranking.failed, 'case')} of {ranking.cases} failed for at least one algorithm "
            f"and count {rule}{beside}."
        )
    taus = sorted((tau, pair) for pair, tau in ranking.agreement.items() if known(tau))
    if several and taus and taus[0][0] < taus[-1][0]:
        least, few = taus[0]
        most, many = taus[-1]
        sentences.append(
            f"The metrics order the algorithms most alike in {many[0]} and {many[1]} (tau "
            f"{number(most)}), least in {few[0]} and {few[1]} ({number(least)})."
        )
    return sentences


def over_datasets(consensus: Consensus, shown: Collection[str]) -> Json:
    """Return a sentence on how far the order hangs on the datasets, and the rows that are shown."""
    least = min(consensus.tau, key=lambda name: (consensus.tau[name], name))
    first = consensus.algorithms[0]
    others = [name for name, top in consensus.first_without.items() if top != first]
    firmness = (
        f"Without {joined(others)} another one is first."
        if others
        else f"{first} stays first without any one of them."
    )
    sentence = (
        f"Each of {count(len(consensus.tau), 'dataset')} has the same weight: mean of the ranks "
        f"within each; samples draw datasets, and cases within each. {firmness}"
    )
    if (tau := consensus.tau[least]) < 1:
        sentence += (
            f" The order of {least} differs most from this one (Kendall's tau {number(tau)})."
        )
    few = f" {joined(consensus.fixed)}: too few cases to be drawn." if consensus.fixed else ""
    rows = []
    for name in consensus.algorithms:
        if name not in shown:
            continue
        low, high = consensus.interval[name]
        cells = [
            number(consensus.ranks[name]),
            f"{low:g} to {high:g}" if low < high else f"{low:g}",
            f"{100 * consensus.shares[name]:.0f} %",
            *(f"{places[name]}" for places in consensus.places.values()),
        ]
        rows.append((name, cells))
    return {
        "sentence": sentence + few,
        "heads": ["mean rank", "places (95 %)", "first in", *consensus.places],
        "rows": rows,
    }


def markdown(_: Results, view: Json) -> list[str]:
    """Return rule and remarks, and the ranks by every scheme as a table."""
    ranking = view["ranking"]
    lines = [f"{escape(sentence)}\n" for sentence in (ranking.rule, *view["remarks"])]
    if consensus := view["consensus"]:
        rows = [[name, *cells] for name, cells in consensus["rows"]]
        lines += [f"{escape(consensus['sentence'])}\n"]
        lines += [*table(["algorithm", *consensus["heads"]], rows), ""]
    tiers = ranking.overall.tier
    rows = []
    for name in ranking.overall.algorithms:
        shares = ranking.overall.shares.get(name)
        first = f"{100 * shares[0]:.0f} %" if shares else "-"
        ranks = [number(ranks.get(name)) for ranks in ranking.overall.ranks.values()]
        without = ranking.overall.without_failures.get(name, "-")
        rows.append(
            [name, places_text(ranking, name) or "-", first, *ranks, without, tiers.get(name, "-")]
        )
    heads = (
        "algorithm",
        "places (95 %)",
        "first in",
        *ranking.overall.ranks,
        "without failed cases",
        "tier",
    )
    lines += table(heads, rows)
    if tiers:
        better = [f"{a} > {b}" for a, b in sorted(ranking.overall.better)]
        lines += ["", f"Significant differences: {escape('; '.join(better) or 'none')}."]
    return lines


TEMPLATE = """
{% from "macros.html" import blobs, places_figure, tabs %}
{% macro against(contest, a, b) %}
{% set won, lost, test = (a, b) in contest.better, (b, a) in contest.better, contest.differences.get((a, b)) %}
{% if a == b %}<td class="same"></td>{% else %}<td class="{{ "won" if won else "lost" if lost else "open" }}" title="{{ a }}{% if won or lost %} {{ "better" if won else "worse" }} than {{ b }}{% else %} and {{ b }}: no significant difference{% endif %}{% if won and test and known(test.p) %}, {{ probability(test.p) }}{% endif %}">{{ "+" if won else "-" if lost else "·" }}</td>{% endif %}
{%- endmacro %}
<p class="lead">How far the order can be trusted. {{ view.remarks|join(" ") }}</p>
{{ tabs("contest", view.tabs|list) }}
{% for title, (contest, digits, pairs) in view.tabs.items() %}
<div class="contest{% if view.tabs|length > 1 %} switched contest-{{ loop.index0 }}{% endif %}{% if not loop.first %} further{% endif %}">
<div class="scroll" tabindex="0" role="region" aria-label="Ranks, {{ title }}"><table class="heat ranks">
  <caption>Ranks, {{ title }}</caption>
  <thead><tr><th scope="col">algorithm</th>
  {% if contest.shares %}<th scope="col" class="blob-head">share of the resamples with place<div class="track">{{ places_figure((contest.shares.values()|first)|length) }}</div></th><th scope="col" class="num">first in</th>{% endif %}
  {% for scheme, words in view.schemes.items() %}<th scope="col"><abbr title="{{ words }}">{{ scheme }}</abbr></th>{% endfor %}
  {% if contest.without_failures %}<th scope="col"><abbr title="Place when cases that any algorithm failed are left out">no failed</abbr></th>{% endif %}</tr></thead>
  <tbody>
  {% for name in contest.algorithms %}
  <tr{% if contest.tier and not loop.first and contest.tier[name] != contest.tier[contest.algorithms[loop.index0 - 1]] %} class="tier-edge"{% endif %}><th scope="row"><span class="long" title="{{ name }}">{{ name }}</span></th>
  {% if contest.shares %}<td class="blob-cell">{{ blobs(contest.shares[name], contest.interval[name]) }}</td><td>{{ "%.0f"|format(100 * contest.shares[name][0]) }} %</td>{% endif %}{% for ranks in contest.ranks.values() %}{{ cell(number(ranks.get(name), digits), ranks.get(name)) }}{% endfor %}{% if contest.without_failures %}{{ cell(number(contest.without_failures.get(name), 0), contest.without_failures.get(name)) }}{% endif %}</tr>
  {% endfor %}
  </tbody>
</table></div>
{% if contest.tier and not view.ranking.family %}
<details class="more"{% if contest.algorithms|length <= 8 and loop.first %} open{% endif %}><summary>Significant differences: {{ contest.better|length }} of {{ contest.algorithms|length * (contest.algorithms|length - 1) // 2 }} pairs</summary>
<p class="quiet">A plus: the algorithm of the row is significantly better than that of the column (two-sided Wilcoxon test over the cases, adjusted after Holm, level {{ view.ranking.alpha }}). Columns are in the order of the rows.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Significant differences, {{ title }}"><table class="heat matrix">
  <thead><tr><th scope="col">algorithm</th>{% for name in contest.algorithms %}<th scope="col" title="{{ name }}"><abbr title="{{ name }}">{{ loop.index }}</abbr></th>{% endfor %}</tr></thead>
  <tbody>{% for name in contest.algorithms %}
  <tr><th scope="row"><span class="quiet">{{ loop.index }}</span> <span class="long" title="{{ name }}">{{ name }}</span></th>{% for other in contest.algorithms %}{{ against(contest, name, other) }}{% endfor %}</tr>
  {% endfor %}</tbody>
</table></div></details>
{% endif %}
{% if pairs and contest.shares %}
<details class="more long-print"><summary>Differences of {{ count(pairs|length, "pair") }}</summary>
<div class="scroll" tabindex="0" role="region" aria-label="Differences, {{ title }}"><table class="heat sortable">
  <thead><tr><th scope="col" data-sort="text">first</th><th scope="col" data-sort="text">second</th><th scope="col" data-sort="number" title="First minus second, with the 95 % interval">median difference</th><th scope="col" data-sort="number" title="Matched-pairs rank-biserial correlation: 1 where the first is always better">effect</th><th scope="col" data-sort="number" title="Two-sided, adjusted after Holm">test</th></tr></thead>
  <tbody>{% for first, second in pairs %}
  {% set test = contest.differences[first, second] %}
  <tr><th scope="row"><span class="long">{{ first }}</span></th><th scope="row"><span class="long">{{ second }}</span></th>{{ cell(number(test.median, 3), test.median, below=[interval(test.low, test.high, 3)]) }}{{ cell(number(test.rank_biserial), test.rank_biserial) }}{{ cell(probability(test.p), test.p, heat(1.0) if (first, second) in contest.better else "") }}</tr>
  {% endfor %}</tbody>
</table></div></details>
{% endif %}
</div>
{% endfor %}
{% if view.consensus %}
<h3>Over datasets</h3>
<p>{{ view.consensus.sentence }}</p>
<div class="scroll" tabindex="0" role="region" aria-label="Places over datasets"><table class="heat">
  <thead><tr><th scope="col">algorithm</th>{% for head in view.consensus.heads %}<th scope="col" class="num">{{ head }}</th>{% endfor %}</tr></thead>
  <tbody>{% for name, cells in view.consensus.rows %}<tr><th scope="row"><span class="long" title="{{ name }}">{{ name }}</span></th>{% for text in cells %}<td>{{ text }}</td>{% endfor %}</tr>{% endfor %}</tbody>
</table></div>
{% endif %}
{% if view.metrics|length > 2 %}
<details class="more{% if view.metrics|length > 8 %} long-print{% endif %}"><summary>Agreement of {{ view.metrics|length }} metrics: Kendall's tau of their orders</summary>
<div class="scroll" tabindex="0" role="region" aria-label="Agreement of metrics"><table class="heat agreement">
  <thead><tr><th scope="col">metric</th>{% for name in view.metrics %}<th scope="col">{{ name }}</th>{% endfor %}</tr></thead>
  <tbody>{% for name in view.metrics %}<tr><th scope="row">{{ name }}</th>{% for other in view.metrics %}{% set tau = view.agreement.get((name, other)) %}{{ cell("" if other == name else number(tau), tau, heat((tau + 1) / 2) if known(tau) else "") }}{% endfor %}</tr>
  {% endfor %}</tbody>
</table></div></details>
{% endif %}
"""  # noqa: E501 - HTML

SECTION = ReportSection(15, "Ranking", "Ranking", view, TEMPLATE, markdown)
