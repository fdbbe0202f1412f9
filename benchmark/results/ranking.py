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
DIGITS = 12  # of a mean in ranking: what differs by rounding only is a tie

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
    table = _Table(scores)
    draws = _draws(max(table.cases, 1), seed)
    summaries = {metric.name: _summaries(table, metric, pooled, draws) for metric in metrics}
    ranks = _ranks(table, controls, [metric for metric in metrics if metric.name in primary])
    rows = scores[scores["case"] != ""]
    standings = [
        _standing(
            name,
            name in controls,
            ranks.get(name),
            {metric: found[name] for metric, found in summaries.items()},
            rows[rows["algorithm"] == name],
        )
        for name in table.names
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


class _Table:
    """The long table as arrays over cases, by algorithm and metric.

    A metric of the whole set has one column per dataset, whose case is ``""``.
    """

    def __init__(self, scores: pd.DataFrame) -> None:
        cases = pd.MultiIndex.from_frame(scores[CASE].drop_duplicates()).sort_values()
        self.names = sorted(scores["algorithm"].unique())
        self._of_set = cases.get_level_values("case") == ""
        self._metrics = pd.Index(scores["metric"].unique())
        place = (
            pd.Index(self.names).get_indexer(scores["algorithm"]),
            self._metrics.get_indexer(scores["metric"]),
            cases.get_indexer(pd.MultiIndex.from_frame(scores[CASE])),
        )
        shape = (len(self.names), len(self._metrics), len(cases))
        self._values = np.full(shape, nan)
        self._values[place] = scores["value"]
        self._given, self._failed = np.zeros(shape, bool), np.zeros(shape, bool)
        self._given[place] = True
        self._failed[place] = scores["status"] != "ok"

    @property
    def cases(self) -> int:
        """Number of cases."""
        return int((~self._of_set).sum())

    def of(self, metric: Metric[Any]) -> tuple[Floats, NDArray[np.bool_], NDArray[np.bool_]]:
        """Return values (NaN: none), whether there is a row and whether it is of a failure.

        Each has the shape (algorithms, columns).
        """
        columns = self._of_set if metric.scope == "set" else ~self._of_set
        if metric.name not in self._metrics:
            shape = (len(self.names), int(columns.sum()))
            return np.full(shape, nan), np.zeros(shape, bool), np.zeros(shape, bool)
        place = self._metrics.get_loc(metric.name)
        values, given, failed = (
            found[:, place, columns] for found in (self._values, self._given, self._failed)
        )
        return values, given, failed


def _summaries(
    table: _Table, metric: Metric[Any], pooled: Mapping[tuple[str, str], float], draws: Floats
) -> dict[str, Summary]:
    """Return mean, interval and counts of one metric for each algorithm."""
    found = {}
    for name, values, given, failed in zip(table.names, *table.of(metric), strict=True):
        defined = np.isfinite(values)
        n = int(defined.sum())
        mean = float(values[defined].mean()) if n else nan
        wide = n >= FEWEST and metric.scope == "case"
        found[name] = Summary(
            metric.name,
            mean,
            *(_interval(values, defined, draws) if wide else (nan, nan)),
            pooled.get((name, metric.name), nan),
            n,
            undefined=int((given & ~failed & ~defined).sum()),
            failed=int(failed.sum()),
        )
    return found


def _interval(values: Floats, defined: NDArray[np.bool_], draws: Floats) -> tuple[float, float]:
    """Return the percentile interval of the mean; samples without a defined case are left out."""
    size = draws @ defined
    total = draws @ np.where(defined, values, 0.0)
    ends = np.percentile(total[size > 0] / size[size > 0], ENDS)
    low, high = np.clip(ends, values[defined].min(), values[defined].max())  # rounding
    return float(low), float(high)


def _ranks(
    table: _Table, controls: Collection[str], primary: Sequence[Metric[Any]]
) -> dict[str, float]:
    """Return the mean over the primary metrics of each algorithm's rank."""
    ranked = [n for n, name in enumerate(table.names) if name not in controls]
    total = np.zeros(len(ranked))
    for metric in primary:
        values, given, failed = table.of(metric)
        keys = _keys(metric, values[ranked], given[ranked], failed[ranked])
        total += [1 + sum(other < key for other in keys) for key in keys]
    if not primary:
        return {}
    return {table.names[n]: float(t / len(primary)) for n, t in zip(ranked, total, strict=True)}


def _keys(
    metric: Metric[Any], values: Floats, given: NDArray[np.bool_], failed: NDArray[np.bool_]
) -> list[tuple[int, float]]:
    """Return the number of missing values and the mean of each algorithm, the lower the better."""
    known = np.isfinite(values)
    missing = np.zeros(len(values), np.int64)
    if metric.worst is None:
        missing = (given & ~known & (failed | known.any(axis=0))).sum(axis=1)
    sign = -1.0 if metric.higher_is_better else 1.0
    means = [own[at].mean() if at.any() else nan for own, at in zip(values, known, strict=True)]
    order = [inf if np.isnan(mean) else sign * round(mean, DIGITS) for mean in means]
    return [(int(lost), mean) for lost, mean in zip(missing, order, strict=True)]


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
