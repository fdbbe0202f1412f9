"""The leaderboard: means over cases, their intervals, failures, time and memory.

Undefined values are in no mean, failed cases have the worst value, since leaving them out would
reward failing on hard ones. Intervals: see `ranking/intervals.py`; of pooled values the jackknife
with Student's t (of simulated ratios of 3 to 8 cases, 93 to 94 of 100 lay in it).

Miller, The jackknife - a review, Biometrika 61 (1974), doi:10.1093/biomet/61.1.1.
"""

from collections.abc import Collection, Mapping, Sequence
from math import inf, isnan, nan
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

from cytosuite.files import FloatMap, TextPair, TextSeq
from cytosuite.metrics import AnyMetric, Metrics
from cytosuite.ranking.intervals import ENDS, mean_interval
from cytosuite.ranking.scores import (
    FAILED,
    VALID,
    score_arrays,
)
from cytosuite.volume.arrays import Doubles, Interval

CASE = ["dataset", "case"]
COLUMNS = (*CASE, "algorithm", "model", "metric", "value", "status", "seconds", "peak_memory")
FEWEST_LEFT_OUT = 3  # cases of a pooled value with an interval


class Summary(NamedTuple):
    """One metric of one algorithm over all cases, or over those of a condition."""

    mean: float = nan  # over the cases with a value; of a set, and of pooled cases, its value
    low: float = nan  # 95 % interval of the mean; NaN for few cases, or of a set
    high: float = nan
    pooled: float = nan  # all cases taken as one, every object with the same weight
    undefined: int = 0  # cases that ran without a finite value: not in the mean
    failed: int = 0  # cases in the mean with the worst value, if there is one


class Standing(NamedTuple):
    """One line of the leaderboard."""

    algorithm: str  # name of the algorithm
    control: bool  # whether it is a control: shown, but not ranked
    rank: float | None  # mean of its ranks in the primary metrics, 1 is best
    summaries: Mapping[str, Summary]  # by metric name, in the order of the metrics
    cases: int  # cases with a result or a failure, and those among them that failed
    failed: int
    median_seconds: float | None  # median time of the cases that ran
    peak_memory: int | None  # largest memory of any case, in bytes

    def summary(self, metric: AnyMetric) -> Summary:
        """Return a metric over all cases as it is shown."""
        return self.shown(self.summaries.get(metric.name))

    def shown(self, summary: Summary | None) -> Summary:
        """Return a summary as it is shown, NaN where there is none: a control has a mean alone."""
        summary = summary or Summary()
        return summary._replace(low=nan, high=nan, pooled=nan) if self.control else summary


def leaderboard(
    scores: pd.DataFrame,
    pooled: Mapping[TextPair, float],
    metrics: Metrics,
    ranks: FloatMap,
    controls: Collection[str],
) -> list[Standing]:
    """Return a standing per algorithm by its rank, then name, controls last."""
    if scores.empty:
        return []
    arrays = score_arrays(scores)
    summaries: dict[str, dict[str, Summary]] = {name: {} for name in arrays.algorithms}
    for metric in metrics:
        values, states = arrays.of(metric.name, metric.scope == "set")
        for name, row, state in zip(arrays.algorithms, values, states, strict=True):
            summaries[name][metric.name] = _summary(
                metric, row, state, pooled.get((name, metric.name), nan), arrays.strata
            )
    cases = scores[scores["case"] != ""].drop_duplicates([*CASE, "algorithm"])
    groups = dict(list(cases.groupby("algorithm")))
    standings = []
    for name, by_metric in summaries.items():
        rows = groups.get(name, cases[:0])
        ran = rows["status"] == "ok"
        seconds = float(rows.loc[ran, "seconds"].astype(float).median())
        memory = float(rows["peak_memory"].astype(float).max())
        standings.append(
            Standing(
                name,
                name in controls,
                ranks.get(name),
                by_metric,
                cases=len(rows),
                failed=int((~ran).sum()),
                median_seconds=None if isnan(seconds) else seconds,
                peak_memory=None if isnan(memory) else int(memory),
            )
        )
    return sorted(
        standings, key=lambda s: (s.control, inf if s.rank is None else s.rank, s.algorithm)
    )


def pooled_interval(value: float, left_out: Sequence[float]) -> Interval:
    """Return the 95 % interval: ``value ± t sqrt((n - 1) / n sum((x_i - mean)²))``, Student's t."""
    values = np.asarray([value, *left_out], dtype=np.float64)
    n = len(left_out)
    if n < FEWEST_LEFT_OUT or not np.isfinite(values).all():
        return nan, nan
    spread = np.sqrt((n - 1) / n * np.square(values[1:] - values[1:].mean()).sum())
    half = float(stdtrit(n - 1, ENDS[1] / 100) * spread)
    return value - half, value + half


def in_range(metric: AnyMetric, values: Doubles | Sequence[float], interval: Interval) -> Interval:
    """Return an interval, cut at each end of a metric's range that no value lies beyond."""
    ends = [end for end in (metric.best, metric.worst) if end is not None]
    low = min(ends, default=-inf)
    high = max(ends) if len(ends) == 2 else inf  # one is the lower
    away = np.asarray(values)
    return (  # NaN, as first, stays NaN
        interval[0] if (away < low - metric.tolerance).any() else max(interval[0], low),
        interval[1] if (away > high + metric.tolerance).any() else min(interval[1], high),
    )


def _summary(
    metric: AnyMetric,
    values: Doubles,
    states: NDArray[np.int8],
    pooled: float,
    strata: TextSeq,
) -> Summary:
    """Return mean, interval and counts of one metric and one algorithm."""
    defined = np.isfinite(values)
    mean = float(values[defined].mean()) if defined.any() else nan
    low = high = nan
    if metric.scope == "case":
        low, high = in_range(metric, values, mean_interval(values, strata))
    return Summary(
        mean,
        low,
        high,
        pooled,
        int((~defined & (states == VALID)).sum()),
        int((states == FAILED).sum()),
    )
