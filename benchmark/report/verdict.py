"""The result of a run in one plain sentence."""

import math
from typing import Any

from cytosuite.benchmark.report.index import Index
from cytosuite.benchmark.report.wording import count, joined, known, number
from cytosuite.metrics import Metric


def verdict(index: Index) -> str:
    """Return the result of the run in one plain sentence, of measured values alone."""
    if not index.ranked:
        return f"No algorithm has run on {index.results.dataset} yet."
    best, several = index.ranked[0], len(index.ranked)
    cases = best.cases or len(index.cases)
    if cases and best.failed >= cases:
        who = f"None of {several} algorithms gave a" if several > 1 else f"{best.algorithm} gave no"
        return f"{who} valid result: all {count(cases, 'case')} failed."
    if phrases := _phrases(index):
        lost = f"{best.failed} of {count(cases, 'case')}" if best.failed else "none of its cases"
        return f"{_subject(index)} {joined(phrases)}; {lost} failed."
    judged = index.results.reference or any(case.truth for case in index.results.cases)
    bare = not judged and index.results.task.main_output is not None
    reason = "there is no truth to score them against" if bare else "no measure ranks them"
    return f"{_subject(index)} finished {cases - best.failed} of {count(cases, 'case')}; {reason}."


def found_share(index: Index, algorithm: str) -> float | None:
    """Return the share of all true objects that an algorithm found, over all cases.

    A failed case found nothing. None where the objects of a case with a truth are not known.
    """
    matches = index.results.matches
    true = {case: match.true for (_, case), match in matches.items()}
    annotated = {case.name for case in index.results.cases if case.truth} | true.keys()
    done = {case for name, case in matches if name == algorithm} | index.failed(algorithm).keys()
    if not sum(true.values()) or annotated - true.keys() or annotated - done:
        return None
    found = sum(match.found for (name, _), match in matches.items() if name == algorithm)
    return found / sum(true.values())


def _subject(index: Index) -> str:
    """Return the subject of the sentence, and the algorithms that share the first rank."""
    best = index.ranked[0]
    if len(index.ranked) == 1 or best.rank is None:
        return best.algorithm
    equal = [entry.algorithm for entry in index.ranked if entry.rank == best.rank]
    if len(equal) > 1:
        return f"{joined(equal)} share the first rank of {len(index.ranked)}: {best.algorithm}"
    return f"Of {len(index.ranked)} algorithms {best.algorithm} ranks first: it"


def _phrases(index: Index) -> list[str]:
    """Return the values that the best algorithm reaches, a phrase per primary metric."""
    best = index.ranked[0]
    found = found_share(index, best.algorithm)
    phrases = [
        _phrase(metric, mean, found)
        for metric in index.board[:3]
        if metric.name in index.results.primary
        and not math.isnan(mean := index.summary(best, metric).mean)
    ]
    found_first = sorted(phrases, key=lambda phrase: not phrase.startswith(("finds", "detects")))
    return [*found_first[:1], *(p.replace("the objects", "them") for p in found_first[1:])]


def _phrase(metric: Metric[Any], mean: float, found: float | None) -> str:
    """Return the mean value of one metric in words."""
    if metric.family == "labels" and metric.name == "DET":
        if found is not None:
            return f"finds {math.floor(100 * found + 0.5)} % of the objects (DET {mean:.2f})"
        return f"detects the objects with an accuracy of {mean:.2f} (DET)"
    if metric.family == "labels" and metric.name == "SEG":
        return f"outlines the objects with a mean overlap of {mean:.2f} (SEG)"
    if known(metric.best):
        better = f"{metric.best:g} is best"
    else:
        better = "less is better" if metric.higher_is_better is False else "more is better"
    title = metric.title.split(" / ")[0].split(",")[0]
    return f"reaches {number(mean)} in {metric.name} ({title}; {better})"
