"""Scores of a long table as arrays of algorithms and cases, one for each metric."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytosuite.benchmark.ranking.ranking import Failures
from cytosuite.errors import InputError
from cytosuite.metrics import Metric

KEYS = ("dataset", "case", "algorithm", "metric")
DIGITS = 12  # of a value, relative to the largest: beyond is rounding
LARGEST = 10**8  # cells of all arrays together
ABSENT, VALID, FAILED = 0, 1, 2  # states of a cell: no row, a row, the row of a failure

Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]
Integers: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Measure:
    """A metric as far as a ranking needs it.

    Parameters
    ----------
    name : str
        In the long table.
    higher_is_better : bool
        Whether larger values are better.
    worst : float or None
        Value of a failed case; None where the range has no worst end.
    of_set : bool
        Whether it has one value for the whole set in place of one per case.
    """

    name: str
    higher_is_better: bool
    worst: float | None = None
    of_set: bool = False


def measures(metrics: Iterable[Metric[Any]]) -> list[Measure]:
    """Return the metrics that state which end is better."""
    return [
        Measure(metric.name, metric.higher_is_better, metric.worst, metric.scope == "set")
        for metric in metrics
        if metric.higher_is_better is not None
    ]


@dataclass(frozen=True, slots=True)
class ScoreArrays:
    """A long table as arrays.

    Parameters
    ----------
    algorithms, metrics : sequence of str
        Ascending.
    cases : sequence of (str, str)
        Dataset and case, ascending; the case is empty for the value of a whole set.
    values : ndarray of float64, (metrics, algorithms, cases)
        NaN where there is none.
    states : ndarray of int8, (metrics, algorithms, cases)
        `ABSENT`, `VALID` or `FAILED`.
    """

    algorithms: Sequence[str]
    metrics: Sequence[str]
    cases: Sequence[tuple[str, str]]
    values: Floats
    states: NDArray[np.int8]

    @property
    def of_set(self) -> Bools:
        """Whether a column is that of a whole set."""
        return np.array([case == "" for _, case in self.cases], dtype=bool)

    @property
    def strata(self) -> list[str]:
        """Dataset of each single case."""
        return [dataset for dataset, case in self.cases if case]

    def of(self, metric: str, of_set: bool) -> tuple[Floats, NDArray[np.int8]]:
        """Return values and states of a metric, (algorithms, single cases or whole sets)."""
        columns = self.of_set == of_set
        if metric not in self.metrics:
            shape = (len(self.algorithms), int(columns.sum()))
            return np.full(shape, np.nan), np.zeros(shape, np.int8)
        row = self.metrics.index(metric)
        return self.values[row][:, columns], self.states[row][:, columns]


def score_arrays(scores: pd.DataFrame) -> ScoreArrays:
    """Return a long table as arrays.

    Parameters
    ----------
    scores : DataFrame
        Columns `KEYS`, ``value`` and ``status`` (``ok`` or a failure). ``case`` is empty for a
        value of the whole set; NaN with the status ``ok`` means undefined.

    Raises
    ------
    InputError
        If a row is there twice, or the table is too large.
    """
    datasets, of_dataset = np.unique(scores["dataset"].to_numpy(str), return_inverse=True)
    codes: list[Integers] = []
    found: list[list[str]] = []
    for column in KEYS[1:]:
        code, texts = pd.factorize(scores[column], sort=True)
        codes.append(code)
        found.append([str(text) for text in texts])
    cases, algorithms, metrics = found
    pairs, column = np.unique(of_dataset * max(1, len(cases)) + codes[0], return_inverse=True)
    shape = (len(metrics), len(algorithms), len(pairs))
    if np.prod(shape, dtype=float) > LARGEST:
        raise InputError(
            f"scores: {shape[1]} algorithms x {shape[2]} cases x {shape[0]} metrics are more than "
            f"{LARGEST:.0e} values; expected columns in their places, see --case and --algorithm"
        )
    values, states = np.full(shape, np.nan), np.full(shape, ABSENT, np.int8)
    at = np.ravel_multi_index((codes[2], codes[1], column), shape)
    _refuse_repeats(scores, at)
    values.flat[at] = scores["value"].to_numpy(np.float64)
    states.flat[at] = np.where(scores["status"].to_numpy() == "ok", VALID, FAILED)
    names = [divmod(pair, max(1, len(cases))) for pair in pairs.tolist()]
    places = [(str(datasets[first]), cases[second]) for first, second in names]
    return ScoreArrays(algorithms, metrics, places, values, states)


def _refuse_repeats(scores: pd.DataFrame, at: Integers) -> None:
    """Refuse a table with two values for one cell."""
    if np.unique(at).size == at.size:
        return
    repeat = scores.loc[pd.Series(at, scores.index).duplicated(), list(KEYS)].iloc[0]
    words = ", ".join(f"{name} {value}" for name, value in repeat.items() if value)
    raise InputError(f"scores: {words}: expected one row, found two; remove one")


@dataclass(frozen=True, slots=True)
class MetricScores:
    """Values of one metric as they count in a ranking, larger ones being better.

    Parameters
    ----------
    measure : Measure
        The metric.
    goodness : ndarray of float64, (algorithms, cases)
        Values, with the opposite sign where lower is better; NaN where there is none.
    filled : ndarray of float64, (algorithms, cases)
        The same, with the worst value, or minus infinity, where there is none.
    lost : ndarray of bool, (algorithms, cases)
        Cases without a value that failed, or that another algorithm has a value of.
    used : ndarray of bool, (cases,)
        Cases that take part: any algorithm has a value, or failed.
    present : ndarray of bool, (algorithms,)
        Those that did not fail every case.
    """

    measure: Measure
    goodness: Floats
    filled: Floats
    lost: Bools
    used: Bools
    present: Bools


def metric_scores(
    arrays: ScoreArrays, measure: Measure, algorithms: Collection[str], failures: Failures
) -> MetricScores:
    """Return the values of one metric as they count in a ranking.

    Parameters
    ----------
    arrays : ScoreArrays
        Of all algorithms and controls.
    measure : Measure
        The metric.
    algorithms : collection of str
        Those to rank.
    failures : {"worst", "left out"}
        A failed case, and one without a row that another has, counts with the worst value, or is
        left out for all. A whole set is never left out.
    """
    rows = [name in algorithms for name in arrays.algorithms]
    values, states = arrays.of(measure.name, measure.of_set)
    values, states = values[rows], states[rows]
    sign = 1.0 if measure.higher_is_better else -1.0
    failed = failed_cells(states)
    worst = np.nan if measure.worst is None else sign * measure.worst
    goodness = np.where(np.isfinite(values), sign * values, np.nan)
    goodness[failed] = worst
    kept = ~failed.any(axis=0, keepdims=True) | (failures == "worst") | measure.of_set
    known: Bools = ~np.isnan(goodness) & kept
    lost: Bools = ~known & (failed | known.any(axis=0)) & kept
    filled = np.where(lost, -np.inf if np.isnan(worst) else worst, goodness)
    used: Bools = np.any(known | lost, axis=0)
    present: Bools = np.any(states == VALID, axis=1)
    return MetricScores(measure, np.where(known, goodness, np.nan), filled, lost, used, present)


def failed_cells(states: NDArray[np.int8]) -> Bools:
    """Return the cells that failed, or have no row where another algorithm has one.

    Parameters
    ----------
    states : ndarray of int8, (..., algorithms, cases)
        `ABSENT`, `VALID` or `FAILED`.
    """
    others = (states != ABSENT).any(axis=-2, keepdims=True)
    found: Bools = (states == FAILED) | ((states == ABSENT) & others)
    return found


def without_rounding(numbers: Floats, values: Floats) -> Floats:
    """Return numbers without the digits that rounding has changed.

    Parameters
    ----------
    numbers : ndarray of float64
        Means or differences of the values.
    values : ndarray of float64
        The largest finite one, or 1, is the unit of the digits.
    """
    finite = np.abs(values[np.isfinite(values)])
    scale = max(1.0, float(finite.max())) if finite.size else 1.0
    return np.asarray(np.round(numbers / scale, DIGITS) * scale, dtype=np.float64)
