"""Scores by condition: cases in groups, each group taken as one, with an interval."""

import math
import re
from bisect import bisect
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from math import fsum, isfinite, nan
from typing import TypeVar

import pandas as pd

from cytosuite.benchmark.runs.data.dataset import Dataset
from cytosuite.benchmark.scores.results import CaseValues, Condition, Group
from cytosuite.benchmark.scores.score import Scores
from cytosuite.benchmark.scores.standings import FEWEST_LEFT_OUT, Summary, in_range, pooled_interval
from cytosuite.files import Json, Lists, ScalarMap, TextPair, TextSeq
from cytosuite.folders.conditions import text_of
from cytosuite.metrics import AnyMetric
from cytosuite.metrics.labels.overlap import OVERLAP
from cytosuite.metrics.points.matching import MATCHED_POINTS

TOGETHER = 0.5  # rank correlation of two conditions from which the report names it
Item = TypeVar("Item")
RANGES = 4  # at most, of a number
CASES = 3  # of a range, if there are enough
LEFT_OUT = 100  # parts of a group of more cases that are left out for an interval
WORDS = 8  # groups at most; beyond that the rarest are taken together


def by_condition(dataset: Dataset, scores: Scores) -> list[Condition]:
    """Return the scores by each condition that divides the cases with a primary metric.

    A group has the metric of its pooled evidence (objects have one weight, failed cases are empty),
    else the mean over its cases with a value; both with the jackknife of `pooled_interval`.
    """
    rows = scores.table
    ranked = set(rows.loc[rows["metric"].isin(scores.primary), "case"])
    by_name = {case.name: case.conditions() for case in dataset.cases if case.name in ranked}
    facts = pd.DataFrame(list(by_name.values()), index=list(by_name), dtype=object)
    values: Json = {str(name): facts[name].dropna().to_dict() for name in facts}
    divided = {name: parts for name in values if len(parts := divide(values[name])) > 1}
    numbers = [name for name in divided if is_number(values[name])]
    alike = facts[numbers].astype(float).corr("spearman", min_periods=CASES).to_dict()
    answers = rows.loc[rows["case"] != "", "algorithm"].unique().tolist()
    by_case = CaseValues(rows)
    return [
        Condition(
            *named(name),
            name in numbers,
            [_group(label, names, scores, answers, by_case) for label, names in parts.items()],
            len(by_name) - len(values[name]),
            {
                named(partner)[0]: value
                for partner, value in alike.get(name, {}).items()
                if partner != name and abs(value) >= TOGETHER
            },
            {case: float(v) for case, v in values[name].items()} if name in numbers else {},
        )
        for name, parts in divided.items()
    ]


def _group(
    label: str, cases: TextSeq, scores: Scores, answers: TextSeq, values: CaseValues
) -> Group:
    """Return the scores of some cases by algorithms and controls."""
    pooled = {}
    failed = {}
    evidence = dict.fromkeys(m.evidence for m in scores.metrics if m.scope == "case")
    for name in answers:
        records = [scores.records.get((name, case)) for case in cases]
        if lost := sum(record is not None and not record.ok for record in records):
            failed[name] = lost
        for kind in evidence:
            counted = [
                part
                for case in cases
                if (part := scores.evidence.get((name, case), {}).get(kind)) is not None
            ]
            wholes = _pools(kind.pool, counted) if kind.pool else []
            for metric in scores.metrics:
                if metric.evidence is not kind:
                    continue
                if kind.pool:
                    pooled[name, metric.name] = _pooled(metric, [metric.of(w) for w in wholes])
                else:
                    by_case = values[name, metric.name]
                    finite = [by_case[case] for case in cases if isfinite(by_case.get(case, nan))]
                    totals = zip(
                        _pools(fsum, finite), _pools(fsum, [1.0 for _ in finite]), strict=True
                    )
                    pooled[name, metric.name] = _pooled(metric, [s / n for s, n in totals])
    oracle = [scores.evidence.get(("oracle", case), {}) for case in cases]
    objects = sum(answer[OVERLAP].truth_sizes.size for answer in oracle if OVERLAP in answer)
    objects += sum(answer[MATCHED_POINTS].truths for answer in oracle if MATCHED_POINTS in answer)
    return Group(label, cases, objects, pooled, failed)


def _pools(pool: Callable[[Sequence[Item]], Item], items: Sequence[Item]) -> list[Item]:
    """Return items as one, then with each, or each of `LEFT_OUT` parts, left out in turn.

    Nothing is left out where that gives no interval. Kott, The delete-a-group jackknife, Journal
    of Official Statistics 17 (2001).

    >>> _pools(sum, [1, 2, 3, 4]), _pools(sum, [])
    ([10, 9, 8, 7, 6], [])
    >>> whole, *left = _pools(sum, [1] * 250)
    >>> len(left), sorted({*left}), sum(whole - size for size in left)
    (100, [247, 248], 250)
    """
    number = min(len(items), LEFT_OUT) if len(items) >= FEWEST_LEFT_OUT else 0
    parts = [items[start::number] for start in range(number)]
    ones = [part[0] if len(part) == 1 else pool(part) for part in parts]
    left = [pool([*ones[:n], *ones[n + 1 :]]) for n in range(number)]
    return [pool(items), *left] if items else []


def _pooled(metric: AnyMetric, values: Sequence[float]) -> Summary:
    """Return a value with its jackknife interval in the metric's range; pooled counts have none."""
    value, *left_out = values = values or [nan]
    if metric.evidence.pool and None in (metric.best, metric.worst):
        return Summary(value)
    return Summary(value, *in_range(metric, values, pooled_interval(value, left_out)))


def named(condition: str) -> TextPair:
    """Return the name of a condition without its unit, and the unit."""
    match = re.fullmatch(r"(.+?)\s*\[(.+)\]", condition)
    return (match[1], match[2]) if match else (condition, "")


def is_number(values: ScalarMap) -> bool:
    """Return whether a condition is a number in every case that has it."""
    return all(isinstance(value, int | float) for value in values.values())


def divide(values: ScalarMap) -> Lists:
    """Return groups of cases, one or none if all are alike: values, `RANGES` ranges, or words."""
    if is_number(values):
        numbers = {case: float(value) for case, value in values.items()}
        times = Counter(numbers.values())
        if len(times) <= RANGES and min(times.values(), default=0) > 1:
            order = [text_of(value) for value in sorted(times)]
            labels = {case: text_of(value) for case, value in numbers.items()}
        else:
            ends = edges(numbers.values())  # an end belongs to the range above it
            texts = [text_of(end) for end in ends]
            between = [f"{low} to {high}" for low, high in pairwise(texts)]
            order = [f"below {texts[0]}", *between, f"{texts[-1]} or more"] if ends else ["all"]
            labels = {case: order[bisect(ends, value)] for case, value in numbers.items()}
    else:
        words = {case: str(value) for case, value in values.items()}
        often = Counter(words.values())
        common = [word for word, _ in often.most_common(WORDS - (len(often) > WORDS))]
        rest = f"{len(often) - len(common)} others"
        order = [*sorted(common), rest]
        labels = {case: word if word in common else rest for case, word in words.items()}
    groups = {label: [case for case in labels if labels[case] == label] for label in order}
    return {label: cases for label, cases in groups.items() if cases}


def edges(numbers: Iterable[float]) -> list[float]:
    """Return round numbers that part the given ones equally, up to a fifth of a range's cases."""
    ordered = sorted(numbers)
    n = len(ordered)
    ranges = max(2, min(RANGES, n // CASES))
    slack = n // (5 * ranges)
    cuts = [cut for cut in range(1, n) if ordered[cut - 1] < ordered[cut]]
    ends = set()
    for part in range(1, ranges) if cuts else ():
        away = {cut: abs(cut - round(part * n / ranges)) for cut in cuts}
        close = [cut for cut in cuts if away[cut] <= slack] or [min(cuts, key=away.__getitem__)]
        ends.add(roundest(ordered[close[0] - 1], ordered[close[-1]]))
    return sorted(ends)


def roundest(low: float, high: float) -> float:
    """Return the multiple in ]low, high] of the largest step of 1, 2, 5 x 10^n, near the middle."""
    middle = (low + high) / 2
    power = math.floor(math.log10(high - low)) + 1
    if low < 0 <= high:
        return 0.0
    for exponent in (power, power - 1, power - 2):
        for factor in (5, 2, 1):
            step = factor * 10.0**exponent
            if step == 0:  # below the smallest number
                return high
            first = math.floor(low / step) + 1
            multiple = float(
                f"{min(max(round(middle / step), first), math.floor(high / step)) * step:.12g}"
            )
            if low < multiple <= high:
                return multiple
    return high
