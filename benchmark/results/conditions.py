"""Scores apart by condition: the cases of each group taken as one, with an interval."""

from collections.abc import Mapping, Sequence
from math import isfinite, nan
from typing import Any

from benchmark.data.dataset import Dataset
from benchmark.results import groups
from benchmark.results.ranking import pooled_interval
from benchmark.results.results import Condition, Group, Pooled
from benchmark.results.score import Scores
from cytosuite.metrics import Metric
from cytosuite.metrics.evidence import Evidence
from cytosuite.metrics.labels.overlap import OVERLAP
from cytosuite.volume import Scalar

TOGETHER = 0.5  # rank correlation of two conditions from which the report names it
Values = Mapping[tuple[str, str, str], float]  # by algorithm, metric and case


def by_condition(dataset: Dataset, scores: Scores) -> list[Condition]:
    """Return the scores apart by each condition that divides the cases with a primary metric.

    Parameters
    ----------
    dataset : Dataset
        Its cases state their conditions.
    scores : Scores
        Of `benchmark.results.score.score`.

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
    names = dict.fromkeys(name for own in known.values() for name in own)
    values = {n: {case: own[n] for case, own in known.items() if n in own} for n in names}
    divided = {name: parts for name in names if len(parts := groups.divide(values[name])) > 1}
    columns = (rows[name] for name in ("algorithm", "metric", "case", "value"))
    by_case = {(a, m, case): float(value) for a, m, case, value in zip(*columns, strict=True)}
    return [
        Condition(
            *groups.named(name),
            groups.is_number(values[name]),
            [_group(label, own, scores, by_case) for label, own in parts],
            len(known) - len(values[name]),
            _goes_with(name, {other: values[other] for other in divided}),
        )
        for name, parts in divided.items()
    ]


def _goes_with(name: str, values: Mapping[str, Mapping[str, Scalar]]) -> dict[str, float]:
    """Return the conditions whose rank correlation with one of them is `TOGETHER` or more."""
    found = {
        groups.named(other)[0]: groups.correlation(values[name], values[other])
        for other in values
        if other != name
    }
    return {other: value for other, value in found.items() if abs(value) >= TOGETHER}


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
            parts = [scores.evidence.get((name, case), {}).get(each) for case in cases]
            pooled = _subsets(each, [part for part in parts if part is not None])
            for metric in scores.metrics:
                if metric.evidence is each:
                    own = [values.get((name, metric.name, case), nan) for case in cases]
                    found[name, metric.name] = (
                        _pooled(metric, pooled) if each.pool else _mean(metric, own)
                    )
    tables = [scores.evidence.get(("oracle", case), {}).get(OVERLAP) for case in cases]
    objects = sum(table.truth_sizes.size for table in tables if table is not None)
    return Group(label, cases, objects, found, failed)


def _subsets(evidence: Evidence[Any], parts: Sequence[Any]) -> list[Any]:
    """Return the pooled evidence of all cases, then with each left out in turn."""
    if evidence.pool is None or not parts:
        return []
    left_out = [[*parts[:n], *parts[n + 1 :]] for n in range(len(parts))]
    return [evidence.pool(own) for own in (parts, *left_out)]


def _pooled(metric: Metric[Any], subsets: Sequence[Any]) -> Pooled:
    """Return a pooled value; numbers without two ends, such as counts, have no interval."""
    value, *left_out = [metric.of(own) for own in subsets] or [nan]
    if metric.best is None or metric.worst is None:
        return Pooled(value, nan, nan)
    return _bounded(metric, value, left_out)


def _mean(metric: Metric[Any], values: Sequence[float]) -> Pooled:
    """Return the mean over the cases with a value."""
    own = [value for value in values if isfinite(value)]
    if not own:
        return Pooled(nan, nan, nan)
    left_out = [(sum(own) - value) / (len(own) - 1) for value in own if len(own) > 1]
    return _bounded(metric, sum(own) / len(own), left_out)


def _bounded(metric: Metric[Any], value: float, left_out: Sequence[float]) -> Pooled:
    """Return a value with the jackknife's interval within the range of the metric."""
    low, high = pooled_interval(value, left_out)
    ends = [end for end in (metric.best, metric.worst) if end is not None]
    if len(ends) == 2:
        low, high = max(low, min(ends)), min(high, max(ends))  # NaN, as the first, stays NaN
    return Pooled(value, low, high)
