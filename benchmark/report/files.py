"""The scores as files: the layout of the challenge platform, and the table by condition."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from cytosuite.benchmark.report.index import Index
from cytosuite.benchmark.report.wording import known
from cytosuite.benchmark.results.ranking import Standing
from cytosuite.benchmark.results.results import Condition
from cytosuite.errors import InputError


def by_condition(conditions: Sequence[Condition]) -> pd.DataFrame:
    """Return every value by condition, group, algorithm and metric.

    ``low`` and ``high`` are the ends of the 95 % interval, NaN where there is none.
    """
    return pd.DataFrame(
        {
            "condition": condition.name,
            "unit": condition.unit,
            "group": group.label,
            "cases": len(group.cases),
            "objects": group.objects,
            "algorithm": algorithm,
            "failed": group.failed.get(algorithm, 0),
            "metric": metric,
            "pooled": score.value,
            "low": score.low,
            "high": score.high,
        }
        for condition in conditions
        for group in condition.groups
        for (algorithm, metric), score in group.scores.items()
    )


def platform_metrics(index: Index) -> dict[str, Any]:
    """Return the scores in the layout of the challenge platform.

    Returns
    -------
    dict
        ``{"case": ..., "aggregates": ..., "failed": ...}`` of the best algorithm; when there are
        several, all of them stand under ``"algorithms"`` as well. All numbers are finite;
        undefined ones are left out.

    Raises
    ------
    InputError
        If two metrics have the same name once dots, which would split the path to it, are ``_``.
    """
    names = [metric.name for metric in index.results.metrics]
    keys = {name: name.replace(".", "_") for name in names}
    if len(set(keys.values())) < len(names):
        raise InputError(
            f"metrics.json: metric names must differ once dots are written as _, found {names}; "
            "rename one"
        )
    layouts = {entry.algorithm: _layout(index, entry, keys) for entry in index.ranked}
    if not layouts:
        return {"case": {}, "aggregates": {}, "failed": []}
    first, *others = layouts
    return layouts[first] | ({"best": first, "algorithms": layouts} if others else {})


def _layout(index: Index, entry: Standing, keys: Mapping[str, str]) -> dict[str, Any]:
    """Return the scores of one algorithm, metrics by their keys."""
    name = entry.algorithm
    by_case: dict[str, dict[str, float]] = {case: {} for case in index.records[name]}
    aggregates = {}
    for metric in index.results.metrics:
        key, summary = keys[metric.name], index.summary(entry, metric)
        if metric.scope == "set":
            aggregates[key] = {"set": summary.mean} if known(summary.mean) else {}
            continue
        finite = {c: value for c, value in index.values[name, metric.name].items() if known(value)}
        pooled = {"pooled": float(summary.pooled)} if known(summary.pooled) else {}
        aggregates[key] = aggregate(list(finite.values())) | pooled
        for case, value in finite.items():
            by_case.setdefault(case, {})[key] = value
    return {"case": by_case, "aggregates": aggregates, "failed": list(index.failed(name))}


def aggregate(numbers: Sequence[float]) -> dict[str, float]:
    """Return ``mean, std, median, min, max, n`` of finite numbers; only ``n`` when there is none.

    ``std`` is that of the population (divided by n), which one value gives as 0.
    """
    names = ("mean", "std", "median", "min", "max") if numbers else ()
    return {name: float(getattr(np, name)(numbers)) for name in names} | {"n": len(numbers)}
