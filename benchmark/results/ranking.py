"""Who is best, by how much, and how sure that is: means over cases, intervals and ranks.

Notes
-----
Aggregate, then rank: in each primary metric the algorithms are ranked by their means over
cases, ties share the best rank (1, 1, 3), a mean that is undefined comes last. `rank` is the
mean of these ranks, the scoring method "mean" of grand-challenge.org. Failed cases are in the mean
with the worst value, since leaving them out would reward failing on hard ones. A metric without a
worst value ranks by the number of cases without a value first, then by the mean of the others: a
case lacks its value if it failed, or if it is undefined while another algorithm has a value.

The interval is the percentile bootstrap over cases. The same drawn cases serve all algorithms
and metrics, so that intervals are not blurred by different draws. It says how the mean would
vary with other cases; for fewer than `FEWEST` defined cases it would be too narrow and is NaN.

The interval of a pooled value, whose cases weigh differently, is that of the jackknife over
cases with Student's t. Simulated ratios of 3 to 8 cases lay in it 93 to 94 times of 100.

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
from math import inf, nan
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from cytosuite.errors import InputError
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
FEWEST = 6  # cases that an interval needs to mean something
DRAWS = 2000  # bootstrap samples; an end of the interval varies by 1.5 % of its width
ENDS = (2.5, 97.5)  # percentiles
FEWEST_LEFT_OUT = 3  # cases of a pooled value with an interval
DIGITS = 12  # of a mean in ranking: means that differ by rounding alone are a tie

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Summary:
    """One metric of one algorithm over all cases.

    Parameters
    ----------
    metric : str
        Name of the metric.
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

    metric: str
    mean: float
    low: float
    high: float
    pooled: float
    n: int
    undefined: int
    failed: int


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
    seed: int = 0,
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
    seed : int
        Of the bootstrap.

    Returns
    -------
    list of Standing
        Ranked algorithms by rank, equal ones by name, then the unranked by name. None for an
        empty table.

    Raises
    ------
    InputError
        If a column is missing or a score is given twice.
    """
    _check(scores)
    if scores.empty:
        return []
    names = sorted(scores["algorithm"].unique())
    ranked = [name for name in names if name not in controls]
    index = scores.assign(failed=scores["status"] != "ok")
    index = index.set_index(["metric", "algorithm", *CASE])[["value", "failed"]].astype(np.float64)
    wide = [index[column].unstack(CASE).sort_index(axis=1) for column in index]
    single = scores[scores["case"] != ""]
    draws = _draws(max(1, len(single[CASE].drop_duplicates())), seed)
    summaries: dict[str, dict[str, Summary]] = {name: {} for name in names}
    ranks = []
    for metric in metrics:
        values, failed = (_rows(table, metric, names) for table in wide)
        for name, own, lost in zip(names, values, failed, strict=True):
            whole = pooled.get((name, metric.name), nan)
            summaries[name][metric.name] = _summary(metric, own, lost, whole, draws)
        if metric.name in primary:
            place = [names.index(name) for name in ranked]
            ranks.append(_ranks(metric, values[place], failed[place]))
    columns = zip(ranked, *ranks, strict=True)
    rank = {name: float(sum(own) / len(own)) for name, *own in columns if own}
    standings = [
        _standing(
            name,
            name in controls,
            rank.get(name),
            summaries[name],
            single[single["algorithm"] == name],
        )
        for name in names
    ]
    return sorted(standings, key=lambda s: (inf if s.rank is None else s.rank, s.algorithm))


def _check(scores: pd.DataFrame) -> None:
    """Refuse a table without the columns, or with two values for one score."""
    missing = [column for column in COLUMNS if column not in scores.columns]
    if missing:
        raise InputError(
            f"scores: the columns {', '.join(COLUMNS)} are needed, missing {', '.join(missing)}"
        )
    key = [*CASE, "algorithm", "metric"]
    twice = scores[scores.duplicated(key)]
    if len(twice):
        dataset, case, algorithm, metric = twice[key].iloc[0]
        raise InputError(
            f"scores: {metric} of {algorithm} on {dataset}/{case} is given more than once; "
            "keep one row per dataset, case, algorithm and metric"
        )


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


def _draws(cases: int, seed: int) -> Floats:
    """Return how often each case is in each bootstrap sample, (DRAWS, cases)."""
    rng = np.random.default_rng(seed)
    share = np.full(cases, 1.0 / cases)
    return rng.multinomial(cases, share, size=DRAWS).astype(np.float64)


def _rows(table: pd.DataFrame, metric: Metric[Any], names: Sequence[str]) -> Floats:
    """Return a metric's part of a table, (names, cases); NaN where the long table has no row."""
    of_set = table.columns.get_level_values("case") == ""
    rows = pd.MultiIndex.from_product([[metric.name], names])
    found: Floats = table.loc[:, of_set == (metric.scope == "set")].reindex(rows).to_numpy()
    return found


def _summary(
    metric: Metric[Any], values: Floats, failed: Floats, pooled: float, draws: Floats
) -> Summary:
    """Return mean, interval and counts of one metric and one algorithm."""
    defined = np.isfinite(values)
    n = int(defined.sum())
    mean = float(values[defined].mean()) if n else nan
    wide = n >= FEWEST and metric.scope == "case"
    low, high = _interval(values, defined, draws) if wide else (nan, nan)
    counts = int((~defined & (failed == 0)).sum()), int((failed == 1).sum())
    return Summary(metric.name, mean, low, high, pooled, n, *counts)


def _interval(values: Floats, defined: NDArray[np.bool_], draws: Floats) -> tuple[float, float]:
    """Return the percentile interval of the mean; samples without a defined case are left out."""
    size = draws @ defined
    total = draws @ np.where(defined, values, 0.0)
    ends = np.percentile(total[size > 0] / size[size > 0], ENDS)
    low, high = np.clip(ends, values[defined].min(), values[defined].max())  # rounding
    return float(low), float(high)


def _ranks(metric: Metric[Any], values: Floats, failed: Floats) -> list[int]:
    """Return the rank of each algorithm in one metric; ties share the best."""
    known = np.isfinite(values)
    missing = ~np.isnan(failed) & ~known & ((failed == 1) | known.any(axis=0))
    sign = -1.0 if metric.higher_is_better else 1.0
    keys = [
        (
            int(lost.sum()) if metric.worst is None else 0,
            sign * round(own[at].mean(), DIGITS) if at.any() else inf,
        )
        for own, at, lost in zip(values, known, missing, strict=True)
    ]
    return [1 + sum(other < key for other in keys) for key in keys]


def _standing(
    name: str,
    control: bool,
    rank: float | None,
    summaries: Mapping[str, Summary],
    rows: pd.DataFrame,
) -> Standing:
    """Return the line of one algorithm, its time and memory taken once per case."""
    cases = rows.drop_duplicates(CASE)
    ran = cases["status"] == "ok"
    seconds = cases.loc[ran, "seconds"].dropna().astype(float)
    memory = cases["peak_memory"].dropna()
    return Standing(
        algorithm=name,
        control=control,
        rank=rank,
        summaries=summaries,
        cases=len(cases),
        failed=int((~ran).sum()),
        median_seconds=float(seconds.median()) if len(seconds) else None,
        peak_memory=int(memory.max()) if len(memory) else None,
    )
