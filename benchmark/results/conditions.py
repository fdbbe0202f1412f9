"""Scores apart by condition: the cases of each group taken as one, with an interval."""

from collections.abc import Mapping, Sequence
from math import isfinite, nan
from statistics import fmean
from typing import Any, TypeVar

import pandas as pd

from cytosuite.benchmark.data.dataset import Dataset
from cytosuite.benchmark.results import groups
from cytosuite.benchmark.results.results import Condition, Group, Pooled
from cytosuite.benchmark.results.score import Scores
from cytosuite.benchmark.results.standings import FEWEST_LEFT_OUT, pooled_interval
from cytosuite.metrics import Metric
from cytosuite.metrics.labels.overlap import OVERLAP

TOGETHER = 0.5  # rank correlation of two conditions from which the report names it
Values = Mapping[tuple[str, str, str], float]  # by algorithm, metric and case
Item = TypeVar("Item")


def by_condition(dataset: Dataset, scores: Scores) -> list[Condition]:
    """Return the scores apart by each condition that divides the cases with a primary metric.

    Parameters
    ----------
    dataset : Dataset
        Its cases state their conditions.
    scores : Scores
        Of `cytosuite.benchmark.results.score.score`.

    Returns
    -------
    list of Condition
        In the order in which cases name them; one that is the same in all cases is left out.

    Notes
    -----
    Where evidence can be pooled, a group is scored as the whole dataset is: the metric of the
    pooled evidence of its cases, in which every object has the same weight and a failed case is an
    empty answer. Other metrics of single cases have the mean over the cases with a value. Both
    have the interval of the jackknife over cases, `pooled_interval`; for a mean that is Student's.
    """
    rows = scores.table
    ranked = set(rows.loc[rows["metric"].isin(scores.primary), "case"])
    known = {case.name: case.conditions() for case in dataset.cases if case.name in ranked}
    facts = pd.DataFrame(list(known.values()), index=list(known), dtype=object)
    values: dict[str, Any] = {str(name): facts[name].dropna().to_dict() for name in facts}
    divided = {name: parts for name in values if len(parts := groups.divide(values[name])) > 1}
    numbers = [name for name in divided if groups.is_number(values[name])]
    alike = facts[numbers].astype(float).corr("spearman", min_periods=groups.CASES).to_dict()
    columns = (rows[name] for name in ("algorithm", "metric", "case", "value"))
    by_case = {(a, m, case): float(value) for a, m, case, value in zip(*columns, strict=True)}
    return [
        Condition(
            *groups.named(name),
            name in numbers,
            [_group(label, own, scores, by_case) for label, own in parts.items()],
            len(known) - len(values[name]),
            {
                groups.named(other)[0]: value
                for other, value in alike.get(name, {}).items()
                if other != name and abs(value) >= TOGETHER
            },
            {case: float(v) for case, v in values[name].items()} if name in numbers else {},
        )
        for name, parts in divided.items()
    ]


def _group(label: str, cases: Sequence[str], scores: Scores, values: Values) -> Group:
    """Return the scores of some cases."""
    found: dict[tuple[str, str], Pooled] = {}
    failed = {}
    evidence = dict.fromkeys(m.evidence for m in scores.metrics if m.scope == "case")
    for name in dict.fromkeys(answer for answer, _, case in values if case):
        records = [scores.records.get((name, case)) for case in cases]
        if lost := sum(record is not None and not record.ok for record in records):
            failed[name] = lost
        for each in evidence:
            own = [scores.evidence.get((name, case), {}).get(each) for case in cases]
            parts = _left_out([part for part in own if part is not None])
            wholes = [each.pool(part) for part in parts] if each.pool else []
            for metric in (metric for metric in scores.metrics if metric.evidence is each):
                if each.pool:
                    found[name, metric.name] = _pooled(metric, [metric.of(w) for w in wholes])
                else:
                    single = [values.get((name, metric.name, case), nan) for case in cases]
                    means = [fmean(part) for part in _left_out([v for v in single if isfinite(v)])]
                    found[name, metric.name] = _pooled(metric, means)
    tables = [scores.evidence.get(("oracle", case), {}).get(OVERLAP) for case in cases]
    objects = sum(table.truth_sizes.size for table in tables if table is not None)
    return Group(label, cases, objects, found, failed)


def _left_out(items: Sequence[Item]) -> list[list[Item]]:
    """Return all items, then with each left out in turn where that gives an interval."""
    places = range(len(items)) if len(items) >= FEWEST_LEFT_OUT else ()
    return [[*items], *([*items[:n], *items[n + 1 :]] for n in places)] if items else []


def _pooled(metric: Metric[Any], values: Sequence[float]) -> Pooled:
    """Return the value of all cases with the interval from those with each left out in turn.

    It lies within the range of the metric. Pooled numbers without two ends, like counts, have none.
    """
    value, *left_out = values or [nan]
    low, high = pooled_interval(value, left_out)
    if metric.best is not None and metric.worst is not None:
        ends = metric.best, metric.worst
        return Pooled(value, max(low, min(ends)), min(high, max(ends)))  # NaN, as first, stays NaN
    return Pooled(value, nan, nan) if metric.evidence.pool else Pooled(value, low, high)
