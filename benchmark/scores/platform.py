"""Scores in the layout of the challenge platform, ``metrics.json``."""

from collections import defaultdict
from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from cytosuite.benchmark.scores.standings import Standing
from cytosuite.errors import InputError
from cytosuite.files import FloatDict, Json, TextDict
from cytosuite.metrics import AnyMetric, Metrics

if TYPE_CHECKING:
    import pandas as pd


def metric_keys(metrics: Metrics) -> TextDict:
    """Return the key of each metric, dots as ``_``; InputError if two are the same."""
    names = [metric.name for metric in metrics]
    keys = {name: name.replace(".", "_") for name in names}
    if len(set(keys.values())) < len(names):
        raise InputError(
            f"metrics.json: metric names must differ once dots are written as _, found {names}; "
            "rename one"
        )
    return keys


def ranking_path(metric: AnyMetric) -> str:
    """Return the path in ``metrics.json`` by which the platform ranks submissions in a metric."""
    return f"aggregates.{metric_keys([metric])[metric.name]}." + (
        "set" if metric.scope == "set" else "mean"
    )


def platform_layout(entry: Standing, metrics: Metrics, scores: "pd.DataFrame") -> Json:
    """Return one algorithm's ``case``, ``aggregates`` and ``failed``, finite numbers alone."""
    rows = scores[(scores["algorithm"] == entry.algorithm) & (scores["case"] != "")]
    states = dict[str, str]()
    values = defaultdict[str, FloatDict](dict)
    columns = (rows[name].tolist() for name in ("case", "status", "metric", "value"))
    for case, status, name, value in zip(
        *columns, strict=True
    ):  # faster than a group of rows for each metric
        states[case] = status
        if isfinite(value):
            values[name][case] = value
    by_case: dict[str, FloatDict] = {case: {} for case in states}
    aggregates = {}
    keys = metric_keys(metrics)
    for metric in metrics:
        key = keys[metric.name]
        summary = entry.summary(metric)
        if metric.scope == "set":
            aggregates[key] = {"set": summary.mean} if isfinite(summary.mean) else {}
            continue
        finite = values[metric.name]
        pooled = {"pooled": float(summary.pooled)} if isfinite(summary.pooled) else {}
        aggregates[key] = aggregate(list(finite.values())) | pooled
        for case, value in finite.items():
            by_case[case][key] = value
    failed = [case for case, status in states.items() if status != "ok"]
    return {"case": by_case, "aggregates": aggregates, "failed": failed}


def aggregate(numbers: Sequence[float]) -> FloatDict:
    """Return ``mean, std (by n), median, min, max, n`` of finite numbers; ``n`` of none."""
    names = ("mean", "std", "median", "min", "max") if numbers else ()
    return {name: float(getattr(np, name)(numbers)) for name in names} | {"n": len(numbers)}
