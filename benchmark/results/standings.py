"""Rank algorithms by their means over cases, and give the intervals of means and pooled values.

Notes
-----
Aggregate, then rank: in each primary metric the algorithms are ranked by their means over
cases, ties share the best rank (1, 1, 3), a mean that is undefined comes last. `rank` is the
mean of these ranks, the scoring method "mean" of grand-challenge.org. Failed cases are in the mean
with the worst value, since leaving them out would reward failing on hard ones. A metric without a
worst value ranks by the number of cases without a value first, then by the mean of the others: a
case lacks its value if it failed, or if it is undefined while another algorithm has a value.

The interval is the percentile bootstrap over cases, with the samples of the ranking
(`cytosuite.benchmark.ranking.bootstrap`). It says how the mean would vary with other cases; for
fewer than `FEWEST` defined cases it would be too narrow and is NaN.

The interval of a pooled value, in which cases have different weights, is that of the jackknife
over cases with Student's t. Of simulated ratios of 3 to 8 cases, 93 to 94 of 100 lay in it.

References
----------
Maier-Hein et al., Why rankings of biomedical image analysis competitions should be
interpreted with care, Nature Communications 9 (2018), doi:10.1038/s41467-018-07619-7.
Wiesenfarth et al., Methods and open-source toolkit for analyzing and visualizing challenge
results, Scientific Reports 11 (2021), doi:10.1038/s41598-021-82017-6 (bootstrap over cases).
Miller, The jackknife - a review, Biometrika 61 (1974), doi:10.1093/biomet/61.1.1.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isnan, nan
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from cytosuite.benchmark.ranking.bootstrap import ENDS, FEWEST, draw_counts, varied
from cytosuite.benchmark.ranking.schemes import mean_ranks, weighted_means
from cytosuite.benchmark.ranking.scores import (
    FAILED,
    VALID,
    Floats,
    measures,
    metric_scores,
    score_arrays,
)
from cytosuite.metrics import Metric

COLUMNS = (
    "dataset",
    "case",
    "algorithm",
    "model",
    "metric",
    "value",
    "status",
    "seconds",
    "peak_memory",
)
CASE = ["dataset", "case"]
FEWEST_LEFT_OUT = 3  # cases of a pooled value with an interval


@dataclass(frozen=True, slots=True)
class Summary:
    """One metric of one algorithm over all cases.

    Parameters
    ----------
    mean : float
        Mean over the `n` cases, NaN if there is none; for a metric of the whole set its value.
    low, high : float
        Ends of the 95 % interval of the mean; NaN with fewer than `FEWEST` cases, or of a set.
    pooled : float
        The value of all cases taken as one, every object having the same weight; NaN if not given.
    n : int
        Cases in the mean.
    undefined : int
        Cases that ran, but in which the metric has no finite value: left out of the mean.
    failed : int
        Cases that failed; they are in the mean with the worst value, if the metric has one.
    """

    mean: float = nan
    low: float = nan
    high: float = nan
    pooled: float = nan
    n: int = 0
    undefined: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """One line of the leaderboard.

    Parameters
    ----------
    algorithm : str
        Name of the algorithm.
    control : bool
        Whether it is a control: shown, but not ranked.
    rank : float or None
        Mean of its ranks in the primary metrics, 1 is best; None for a control, or if there is no
        primary metric.
    summaries : mapping of str to Summary
        By metric name, in the order of the metrics.
    cases, failed : int
        Cases with a result or a failure, and those among them that failed.
    median_seconds : float or None
        Median time of the cases that ran.
    peak_memory : int or None
        Largest memory of any case, in bytes.
    """

    algorithm: str
    control: bool
    rank: float | None
    summaries: Mapping[str, Summary]
    cases: int
    failed: int
    median_seconds: float | None
    peak_memory: int | None


def leaderboard(
    scores: pd.DataFrame,
    pooled: Mapping[tuple[str, str], float],
    metrics: Sequence[Metric[Any]],
    primary: Collection[str],
    controls: Collection[str],
) -> list[Standing]:
    """Return the algorithms in the order of their ranks.

    Parameters
    ----------
    scores : DataFrame
        One row per dataset, case, algorithm and metric with the columns `COLUMNS`. ``status`` is
        ``ok`` or the kind of failure; ``value`` of a failed case is the worst of the metric, NaN
        if it has none; NaN with status ``ok`` means undefined. ``seconds`` and ``peak_memory``
        (bytes) may be NaN. ``case`` is empty for a metric of the whole set, ``metric`` for a case
        without scores.
    pooled : mapping of (algorithm, metric) to float
        Values of all cases taken as one.
    metrics : sequence of Metric
        Metrics of the summaries, in this order.
    primary : collection of str
        Names of the metrics to rank by.
    controls : collection of str
        Answers that are not ranked.

    Returns
    -------
    list of Standing
        Ranked algorithms by rank, equal ones by name, then the unranked by name. None for an
        empty table.
    """
    if scores.empty:
        return []
    arrays = score_arrays(scores)
    ranked = [name for name in arrays.algorithms if name not in controls]
    strata = arrays.strata
    draws = draw_counts(strata) if varied(strata) >= FEWEST else np.zeros((0, len(strata)))
    summaries: dict[str, dict[str, Summary]] = {name: {} for name in arrays.algorithms}
    for metric in metrics:
        values, states = arrays.of(metric.name, metric.scope == "set")
        for name, own, state in zip(arrays.algorithms, values, states, strict=True):
            whole = pooled.get((name, metric.name), nan)
            summaries[name][metric.name] = _summary(metric, own, state, whole, draws)
    ranks = []
    for measure in (found for found in measures(metrics) if found.name in primary):
        values_of = metric_scores(arrays, measure, ranked, "worst")
        ranks.append(mean_ranks(values_of, np.ones((1, values_of.used.size)))[0])
    rank = dict(zip(ranked, np.mean(ranks, axis=0).tolist(), strict=True)) if ranks else {}
    cases = scores[scores["case"] != ""].drop_duplicates([*CASE, "algorithm"])
    own_cases = dict(list(cases.groupby("algorithm")))
    standings = [
        _standing(name, name in controls, rank.get(name), own, own_cases.get(name, cases[:0]))
        for name, own in summaries.items()
    ]
    return sorted(standings, key=lambda s: (inf if s.rank is None else s.rank, s.algorithm))


def pooled_interval(value: float, left_out: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of a pooled value.

    Parameters
    ----------
    value : float
        Of all cases taken as one.
    left_out : sequence of float
        The same with one case left out, each in turn.

    Returns
    -------
    tuple of float
        Its ends; NaN with fewer than `FEWEST_LEFT_OUT` cases or where a value is undefined.

    Notes
    -----
    ``value ± t sqrt((n - 1) / n sum((x_i - mean(x))²))`` with the 97.5 % quantile t of Student's
    distribution with n - 1 degrees of freedom. It may reach beyond the range of a metric.

    Examples
    --------
    >>> [round(end, 2) for end in pooled_interval(0.5, [0.4, 0.5, 0.6])]
    [0.0, 1.0]
    """
    found = np.asarray([value, *left_out], dtype=np.float64)
    n = len(left_out)
    if n < FEWEST_LEFT_OUT or not np.isfinite(found).all():
        return nan, nan
    spread = np.sqrt((n - 1) / n * np.square(found[1:] - found[1:].mean()).sum())
    half = float(stats.t.ppf(ENDS[1] / 100, n - 1) * spread)
    return value - half, value + half


def _summary(
    metric: Metric[Any], values: Floats, states: NDArray[np.int8], pooled: float, draws: Floats
) -> Summary:
    """Return mean, interval and counts of one metric and one algorithm.

    Bootstrap samples without a defined case are left out.
    """
    defined = np.isfinite(values)
    n = int(defined.sum())
    mean = float(values[defined].mean()) if n else nan
    low, high = nan, nan
    if n >= FEWEST and metric.scope == "case" and len(draws):
        means = weighted_means(np.where(defined, values, nan)[None], draws)
        ends = np.percentile(means[~np.isnan(means)], ENDS)
        low, high = np.clip(ends, values[defined].min(), values[defined].max()).tolist()  # rounding
    counts = int((~defined & (states == VALID)).sum()), int((states == FAILED).sum())
    return Summary(mean, low, high, pooled, n, *counts)


def _standing(
    name: str,
    control: bool,
    rank: float | None,
    summaries: Mapping[str, Summary],
    cases: pd.DataFrame,
) -> Standing:
    """Return the line of one algorithm, from the rows of its cases."""
    ran = cases["status"] == "ok"
    seconds = float(cases.loc[ran, "seconds"].astype(float).median())
    memory = float(cases["peak_memory"].astype(float).max())
    return Standing(
        name,
        control,
        rank,
        summaries,
        cases=len(cases),
        failed=int((~ran).sum()),
        median_seconds=None if isnan(seconds) else seconds,
        peak_memory=None if isnan(memory) else int(memory),
    )
