"""The result of a run in a plain sentence, with weakness, cost and certainty."""

import math
from collections.abc import Iterator

from cytosuite.benchmark.report.wording import (
    against,
    duration,
    known,
    memory,
    number,
    probability,
)
from cytosuite.benchmark.scores.conditions import CASES
from cytosuite.benchmark.scores.results import Results
from cytosuite.benchmark.scores.standings import Standing
from cytosuite.errors import count
from cytosuite.files import IntDict, TextPair
from cytosuite.metrics import AnyMetric
from cytosuite.ranking.ranking import Ranking
from cytosuite.ranking.rule import joined

NAMED = 3  # algorithms of a tier that the headline names


def verdict(results: Results) -> str:
    """Return the result of the run in one sentence; behind its first colon are the values."""
    if not results.ranked:
        return f"No algorithm has run on {results.dataset} yet."
    best = _best(results)
    several = len(results.ranked)
    cases = best.cases or len(results.case_order)
    if cases and best.failed >= cases:
        who = f"None of {several} algorithms gave a" if several > 1 else f"{best.algorithm} gave no"
        return f"{who} valid result: all {count(cases, 'case')} failed."
    lost = f"{best.failed} of {count(cases, 'case')}" if best.failed else "none of its cases"
    if several > 1 and best.rank is not None and _ranking_metrics(results):
        end = f"; {lost} of {best.algorithm} failed." if best.failed else "."
        return _comparison(results) + end
    if phrases := _phrases(results):
        return f"{best.algorithm} {joined(phrases)}; {lost} failed."
    judged = results.reference or any(case.truth for case in results.cases)
    bare = not judged and results.task.main_output is not None
    reason = "there is no truth to score them against" if bare else "no measure ranks them"
    return f"{best.algorithm} finished {cases - best.failed} of {count(cases, 'case')}; {reason}."


def readings(results: Results) -> list[TextPair]:
    """Return reach, weakness, cost and certainty of the best, by heading, where known."""
    if not results.ranked or not _has_result(best := _best(results)):
        return []
    reach = joined(_phrases(results)) if len(results.ranked) > 1 else ""
    sentences = {
        "What it reaches": reach,
        "Where it fails": weakness(results, best.algorithm),
        "What it costs": _cost(results, best),
        "How sure": certainty(results.ranking, best.algorithm),
    }
    return [(name, text) for name, text in sentences.items() if text]


def weakness(results: Results, algorithm: str) -> str:
    """Return the worst group of the condition with the greatest difference, or the worst case.

    Of groups of fewer than `CASES` cases the difference would be that of single images.
    """
    metric = next(iter(_ranking_metrics(results)), None)
    if metric is None or metric.higher_is_better is None:
        return ""
    sign = 1 if metric.higher_is_better else -1
    spread = []
    for condition in results.conditions:
        groups = [
            (sign * score.mean, f"{condition.name} {label}")
            for label, group in zip(condition.labels, condition.groups, strict=True)
            if len(group.cases) >= CASES
            and (score := group.scores.get((algorithm, metric.name)))
            and known(score.mean)
        ]
        if groups:
            spread.append((max(groups)[0] - min(groups)[0], min(groups), max(groups)))
    values = results.values[algorithm, metric.name]
    cases = [(sign * value, case) for case, value in values.items() if known(value)]
    ends = [max(spread)[1:]] if spread else []
    for low, high in [*ends, (min(cases), max(cases))] if cases else ends:
        worst, best = (number(sign * value) for value, _ in (low, high))
        if worst != best:
            return f"{metric.name} {worst} for {low[1]}, {best} for {high[1]}"
    return ""


def _contested(ranking: Ranking) -> bool:
    """Return whether there are algorithms to compare."""
    return len(ranking.overall.algorithms) > 1


def certainty(ranking: Ranking | None, algorithm: str) -> str:
    """Return the interval of a place and the share of first places over the bootstrap samples."""
    if ranking is None or not _contested(ranking):
        return ""
    ends = ranking.overall.interval.get(algorithm)
    shares = ranking.overall.shares.get(algorithm)
    if not ends or not shares:
        return f"{count(ranking.cases, 'case')}: too few to say how sure the places are"
    place = places_text(ranking, algorithm)
    most = f", place {place} in 95 %" if " to " in place else ""
    return f"first in {_share(shares[0])} {ranking.draws} resamples of the cases{most}"


def _share(share: float) -> str:
    """Return a share as text; only one itself is all."""
    if share >= 1:
        return "all"
    return f"{math.floor(1000 * share) / 10 if share > 0.99 else round(100 * share):g} % of"


def places_text(ranking: Ranking | None, algorithm: str) -> str:
    """Return the 95 % interval of a place as text, empty where it is not known."""
    ends = ranking.overall.interval.get(algorithm) if ranking and _contested(ranking) else None
    if not ends:
        return ""
    return " to ".join(dict.fromkeys(str(end) for end in (math.floor(ends[0]), math.ceil(ends[1]))))


def tiers_of(ranking: Ranking | None) -> IntDict:
    """Return the tier of each algorithm, empty where no test could tell tiers apart."""
    return dict(ranking.overall.tier) if ranking and _contested(ranking) else {}


def found_share(results: Results, algorithm: str) -> float | None:
    """Return the share of all true objects that were found, none in failed cases, if known."""
    matches = results.matches
    true = {case: match.true for (_, case), match in matches.items()}
    annotated = {case.name for case in results.cases if case.truth} | true.keys()
    done = {case for name, case in matches if name == algorithm} | results.failed(algorithm).keys()
    if not sum(true.values()) or annotated - true.keys() or annotated - done:
        return None
    hits = sum(match.found for (name, _), match in matches.items() if name == algorithm)
    return hits / sum(true.values())


def _has_result(entry: Standing) -> bool:
    """Return whether an algorithm did not fail every case."""
    return entry.failed < max(entry.cases, 1)


def _best(results: Results) -> Standing:
    """Return the first algorithm of the order, one with a result if there is any."""
    return next(filter(_has_result, results.ranked), results.ranked[0])


def _ranking_metrics(results: Results) -> list[AnyMetric]:
    """Return the primary metrics in which the best algorithm has a value, three at most."""
    best = _best(results)
    return [
        metric
        for metric in results.board
        if metric.name in results.primary and not math.isnan(best.summary(metric).mean)
    ][:3]


def _comparison(results: Results) -> str:
    """Return how far ahead the best algorithm is, and whether the cases prove it."""
    first, ranking, of = _best(results), results.ranking, len(results.ranked)
    others = [e for e in results.ranked if _has_result(e) and e is not first]
    if not others:
        return (
            f"{first.algorithm} is the only one of {of} with a valid result: it "
            f"{joined(_phrases(results))}"
        )
    equal = [first.algorithm, *(e.algorithm for e in others if e.rank == first.rank)]
    shared = len(equal) > 1
    lead = f"{_some(equal)} share the first rank of {of}" if shared else ""
    lead = lead or f"{first.algorithm} ranks first of {of}"
    before = lead if shared else f"{lead}, before {others[0].algorithm}"
    tiers = tiers_of(ranking)
    values = _values(results, first, others[0])
    if ranking is None:
        return f"{before}: {values}"
    if not tiers:
        share = None if shared else ranking.overall.shares.get(first.algorithm)
        drawn = f", and is first in {_share(share[0])} resamples" if share else ""
        reason = ranking.overall.power or "one value for the whole set allows no test"
        chance = "" if drawn else ", so the order may be chance"
        return f"{before}{drawn}: {values}; {reason}{chance}"
    peers = [e for e in others if tiers.get(e.algorithm) == 1 and e.algorithm not in equal]
    if tiers.get(first.algorithm) != 1 or not (peers or shared):
        ahead = _ahead(results, ranking, first, others[0])
        return ahead or f"{before}: {values}; significant by the rule"
    cases = count(ranking.cases, "case")
    if not peers:
        return f"{lead}, statistically indistinguishable on {cases}: {values}"
    names = _some([entry.algorithm for entry in peers])
    verb = "are" if shared else "is"
    return (
        f"{lead}, but {verb} statistically indistinguishable from {names} on {cases}: "
        f"{_values(results, first, peers[0])}"
    )


def _ahead(results: Results, ranking: Ranking, first: Standing, second: Standing) -> str:
    """Return in which metrics the first is significantly ahead of the second; empty for none."""
    pair = first.algorithm, second.algorithm
    won: list[str] = []
    others: list[str] = []
    values = []
    for name, means in _means(results, first, second):
        contest = ranking.metrics.get(name)
        proof = ""
        if contest and pair in contest.better and pair in contest.differences:
            test = contest.differences[pair]
            proof = f" (median difference {number(test.median, 3)}, {probability(test.p)})"
        (won if proof else others).append(name)
        values.append(f"{means}{proof}")
    if not won:
        return ""
    rest = f", not in {joined(others)}" if others else ""
    return f"{pair[0]} is significantly ahead of {pair[1]} in {joined(won)}{rest}: {joined(values)}"


def _means(results: Results, first: Standing, second: Standing) -> Iterator[TextPair]:
    """Yield each ranking metric in which both have a value, and their means in words."""
    for metric in _ranking_metrics(results):
        one = first.summary(metric).mean
        other = second.summary(metric).mean
        if not math.isnan(other):
            yield metric.name, f"{metric.name} {against(one, other)}"


def _values(results: Results, first: Standing, second: Standing) -> str:
    """Return the means of two algorithms, with digits that tell them apart, in each metric."""
    values = [means for _, means in _means(results, first, second)]
    return joined(values) or f"{second.algorithm} has no value"


def _some(names: list[str]) -> str:
    """Return a few names, and the number of the others."""
    if len(names) <= NAMED:
        return joined(names)
    return joined([*names[: NAMED - 1], f"{len(names) - NAMED + 1} others"])


def _cost(results: Results, best: Standing) -> str:
    """Return time and memory of the best algorithm, and the time of the fastest."""
    parts = []
    if known(best.median_seconds):
        parts.append(f"{duration(best.median_seconds)} per case")
    if known(best.peak_memory):
        parts.append(f"{memory(best.peak_memory)} at its peak")
    times = {e.algorithm: e.median_seconds for e in results.ranked if known(e.median_seconds)}
    fastest = min(times, key=lambda name: times[name], default=best.algorithm)
    behind = fastest != best.algorithm
    rest = f"; the fastest, {fastest}, takes {duration(times[fastest])}" if behind else ""
    return joined(parts) + rest if parts else ""


def _phrases(results: Results) -> list[str]:
    """Return the values that the best algorithm reaches, a phrase per primary metric."""
    best = _best(results)
    share = found_share(results, best.algorithm)
    phrases = [
        _phrase(metric, best.summary(metric).mean, share) for metric in _ranking_metrics(results)
    ]
    found_first = sorted(phrases, key=lambda phrase: not phrase.startswith(("finds", "detects")))
    return [*found_first[:1], *(p.replace("the objects", "them") for p in found_first[1:])]


def _phrase(metric: AnyMetric, mean: float, share: float | None) -> str:
    """Return the mean value of one metric in words."""
    if metric.family == "labels" and metric.name == "DET":
        if share is not None:
            return f"finds {math.floor(100 * share + 0.5)} % of the objects (DET {mean:.2f})"
        return f"detects the objects with an accuracy of {mean:.2f} (DET)"
    if metric.family == "labels" and metric.name == "SEG":
        return f"outlines the objects with a mean overlap of {mean:.2f} (SEG)"
    if known(metric.best):
        better = f"{metric.best:g} is best"
    else:
        better = "less is better" if metric.higher_is_better is False else "more is better"
    title = metric.title.split(" / ")[0].split(",")[0]
    return f"reaches {number(mean)} in {metric.name} ({title}; {better})"
