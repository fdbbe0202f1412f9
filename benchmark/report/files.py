"""The scores as files: the layout of the challenge platform, and the table by condition."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmark.report.index import Index
from benchmark.report.wording import known
from benchmark.results.results import Condition
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


def json_name(metric: str) -> str:
    """Return the name of a metric as a key of `metrics.json`: dots would split the path to it.

    Examples
    --------
    >>> json_name("AP@0.5")
    'AP@0_5'
    """
    return metric.replace(".", "_")


def aggregate(numbers: Sequence[float]) -> dict[str, float | int]:
    """Return ``mean, std, median, min, max, n`` of finite numbers; only ``n`` when there is none.

    Notes
    -----
    ``std`` is that of the population (divided by n), which one value gives as 0.
    """
    if not numbers:
        return {"n": 0}
    array = np.asarray(numbers, dtype=np.float64)
    return {
        "mean": float(array.mean()),
        "std": float(array.std()),
        "median": float(np.median(array)),
        "min": float(array.min()),
        "max": float(array.max()),
        "n": len(numbers),
    }


def algorithm_metrics(index: Index, algorithm: str) -> dict[str, Any]:
    """Return the scores of one algorithm as ``{"case": ..., "aggregates": ..., "failed": ...}``.

    Raises
    ------
    InputError
        If two metrics have the same name once dots are replaced.
    """
    metrics = [metric.name for metric in index.results.metrics]
    if len({json_name(name) for name in metrics}) < len(metrics):
        raise InputError(
            f"metrics.json: metric names must differ once dots are written as _, found {metrics}; "
            "rename one"
        )
    (entry,) = (entry for entry in index.ranked if entry.algorithm == algorithm)
    cases = index.records[algorithm]
    by_case: dict[str, dict[str, float]] = {case: {} for case in cases}
    aggregates = {}
    for metric in index.results.metrics:
        found = index.values[algorithm, metric.name]
        finite = {case: value for case, value in found.items() if known(value)}
        summary = index.summary(entry, metric)
        if metric.scope == "set":
            whole = {"set": summary.mean} if known(summary.mean) else {}
            aggregates[json_name(metric.name)] = whole
            continue
        pooled = {"pooled": float(summary.pooled)} if known(summary.pooled) else {}
        aggregates[json_name(metric.name)] = aggregate(list(finite.values())) | pooled
        for case, value in finite.items():
            by_case.setdefault(case, {})[json_name(metric.name)] = value
    return {"case": by_case, "aggregates": aggregates, "failed": list(index.failed(algorithm))}


def platform_metrics(index: Index) -> dict[str, Any]:
    """Return the scores in the layout of the challenge platform.

    Returns
    -------
    dict
        The layout of the best algorithm; when there are several, all of them stand under
        ``"algorithms"`` as well. All numbers are finite; undefined ones are left out.
    """
    names = [entry.algorithm for entry in index.ranked]
    if not names:
        return {"case": {}, "aggregates": {}, "failed": []}
    layouts = {name: algorithm_metrics(index, name) for name in names}
    if len(names) == 1:
        return layouts[names[0]]
    return {**layouts[names[0]], "best": names[0], "algorithms": layouts}
