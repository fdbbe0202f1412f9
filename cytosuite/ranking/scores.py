"""Long tables of scores: arrays of algorithms and cases, metrics, better ends, missing rows."""

from collections.abc import Collection, Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytosuite.errors import InputError, count, listed
from cytosuite.files import TextPair, TextSeq, frozen
from cytosuite.metrics import board_metrics
from cytosuite.metrics.boards import BOARDS
from cytosuite.metrics.metric import AnyMetric, known_metrics
from cytosuite.ranking.ranking import Failures
from cytosuite.volume.arrays import Bools, Doubles, Shorts

KEYS = ("dataset", "case", "algorithm", "metric")
DIGITS = 12  # of a value, relative to the largest: beyond is rounding
SMALLEST = 1e-3  # of values that others are relative to: the noise of perfect scores is none
LARGEST = 10**8  # cells of all arrays together
ABSENT, VALID, FAILED = 0, 1, 2  # states of a cell: no row, a row, the row of a failure

Counts = Shorts  # how often each case is in each sample, (draws, cases)
SHOWN = 3  # names in a sentence
LONG = 8  # names in a message


@frozen
class Measure:
    """A metric as far as a ranking needs it."""

    name: str  # in the long table
    higher_is_better: bool  # whether larger values are better
    worst: float | None = None  # value of a failed case; None where the range has no worst end
    of_set: bool = False  # whether it has one value for the whole set in place of one per case


def measures(metrics: Iterable[AnyMetric]) -> list[Measure]:
    """Return the metrics that state which end is better."""
    return [
        Measure(metric.name, metric.higher_is_better, metric.worst, metric.scope == "set")
        for metric in metrics
        if metric.higher_is_better is not None
    ]


@frozen
class ScoreArrays:
    """A long table as arrays."""

    algorithms: TextSeq
    metrics: TextSeq
    cases: Sequence[TextPair]  # dataset and case, ascending; "" for a set
    values: Doubles  # NaN where there is none
    states: NDArray[np.int8]  # `ABSENT`, `VALID` or `FAILED`

    @property
    def of_set(self) -> Bools:
        """Whether a column belongs to a whole set."""
        return np.array([case == "" for _, case in self.cases], dtype=bool)

    @property
    def strata(self) -> list[str]:
        """Dataset of each single case."""
        return [dataset for dataset, case in self.cases if case]

    def of(self, metric: str, of_set: bool) -> tuple[Doubles, NDArray[np.int8]]:
        """Return values and states of a metric, (algorithms, single cases or whole sets)."""
        columns = self.of_set == of_set
        if metric not in self.metrics:
            shape = (len(self.algorithms), int(columns.sum()))
            return np.full(shape, np.nan), np.zeros(shape, np.int8)
        row = self.metrics.index(metric)
        return self.values[row][:, columns], self.states[row][:, columns]


def score_arrays(scores: pd.DataFrame) -> ScoreArrays:
    """Return a long table as arrays, names ascending; InputError for repeats or too many."""
    pairs = scores.groupby([*KEYS[:2]], observed=True)
    of_algorithm, algorithms = pd.factorize(scores["algorithm"], sort=True)
    of_metric, metrics = pd.factorize(scores["metric"], sort=True)
    shape = (len(metrics), len(algorithms), pairs.ngroups)
    if np.prod(shape, dtype=float) > LARGEST:
        raise InputError(
            f"scores: {shape[1]} algorithms x {shape[2]} cases x {shape[0]} metrics are more than "
            f"{LARGEST:.0e} values; expected columns in their places, see --case and --algorithm"
        )
    values = np.full(shape, np.nan)
    states = np.full(shape, ABSENT, np.int8)
    at = np.ravel_multi_index((of_metric, of_algorithm, pairs.ngroup().to_numpy()), shape)
    if np.unique(at).size < at.size:
        repeat = scores.loc[pd.Series(at, scores.index).duplicated(), list(KEYS)].iloc[0]
        words = ", ".join(f"{name} {value}" for name, value in repeat.items() if value)
        raise InputError(f"scores: {words}: expected one row, found two; remove one")
    values.flat[at] = scores["value"].to_numpy(np.float64)
    states.flat[at] = np.where(scores["status"].to_numpy() == "ok", VALID, FAILED)
    return ScoreArrays([*algorithms], [*metrics], pairs.size().index.tolist(), values, states)


@frozen
class MetricScores:
    """Values of one metric as they count in a ranking, larger ones being better."""

    measure: Measure  # the metric
    goodness: Doubles  # higher is better; NaN where there is none
    filled: Doubles  # the same, with the worst value, or minus infinity, where there is none
    lost: Bools  # cases without a value that failed, or that another algorithm has a value of
    used: Bools  # cases that take part: any has a value or failed, and the truth allows one
    valid: Bools  # rows that are no failures, with a value or undefined

    @property
    def present(self) -> Bools:
        """Whether an algorithm did not fail every case."""
        return np.asarray(self.valid.any(axis=1))


def metric_scores(
    arrays: ScoreArrays, measure: Measure, algorithms: TextSeq, failures: Failures
) -> MetricScores:
    """Return the values of one metric as they count; failed cases are worst or left out."""
    rows = np.isin(arrays.algorithms, algorithms)
    values, states = arrays.of(measure.name, measure.of_set)
    valid = states == VALID
    defined = ~valid.any(axis=0) | (valid & ~np.isnan(values)).any(axis=0)  # the truth allows it
    values = np.where(defined, values, np.nan)[rows]
    sign = 1.0 if measure.higher_is_better else -1.0
    failed = failed_cells(states[rows]) & defined
    worst = np.nan if measure.worst is None else sign * measure.worst
    goodness = np.where(sign * values > -np.inf, sign * values, np.nan)  # the best may be infinite
    goodness[failed] = worst
    counted = ~failed.any(axis=0) | (failures == "worst") | measure.of_set
    valued = ~np.isnan(goodness) & counted
    lost = ~valued & (failed | valued.any(axis=0)) & counted
    filled = np.where(lost, -np.inf if np.isnan(worst) else worst, goodness)
    used = np.any(valued | lost, axis=0)
    goodness[~valued] = np.nan
    return MetricScores(measure, goodness, filled, lost, used, valid[rows])


def failed_cells(states: NDArray[np.int8]) -> Bools:
    """Return the cells that failed, or have no row where another algorithm has one."""
    others = (states != ABSENT).any(axis=-2, keepdims=True)
    cells: Bools = (states == FAILED) | ((states == ABSENT) & others)
    return cells


def without_rounding(numbers: Doubles, values: Doubles) -> Doubles:
    """Return numbers without the digits that rounding has changed."""
    scale = float(np.abs(values[np.isfinite(values)]).max(initial=SMALLEST))
    return np.asarray(np.round(numbers / scale, DIGITS) * scale, dtype=np.float64)


def table_measures(
    scores: pd.DataFrame,
    higher: Collection[str] = (),
    lower: Collection[str] = (),
    by: TextSeq = (),
) -> tuple[list[Measure], list[str]]:
    """Return the metrics with a known better end, and the names of those to rank by.

    These are `by`, of our metrics the primary ones, else all. InputError for odd directions or
    values.
    """
    names = [str(name) for name in scores["metric"].unique() if name]
    for name in (*higher, *lower, *by):
        if name not in names:
            raise InputError(
                f"metric {name}: not in the table, expected one of {listed(names, LONG)}"
            )
        if name in higher and name in lower:
            raise InputError(f"metric {name}: expected --higher or --lower, found both")
    stated = dict.fromkeys(higher, True) | dict.fromkeys(lower, False)
    ours = {name: metric for name, metric in known_metrics("").items() if name not in stated}
    measures = []
    for name in names:
        metric = ours.get(name)
        better = metric.higher_is_better if metric else stated.get(name)
        if better is not None:
            rows = scores[scores["metric"] == name]
            _refuse_values(rows, name, undefined=bool(metric))
            of_set = bool((rows["case"] == "").all())
            measures.append(Measure(name, better, metric.worst if metric else None, of_set))
    directed = [measure.name for measure in measures]
    foreign = [name for name in names if name not in ours]
    for name in by or foreign:
        if name not in directed:
            raise InputError(
                f"metric {name}: direction unknown; give --higher {name} or --lower {name}, or "
                "--by with the names to rank by"
            )
    if not directed:
        raise InputError("no metric with a better end in the table; give --higher or --lower NAME")
    whole = [task for task in BOARDS if {*directed} <= {m.name for m in board_metrics(task)}]
    board = max(
        ([n for n in BOARDS[task].primary if n in directed] for task in whole), key=len, default=[]
    )
    primary = list(dict.fromkeys(by)) or (directed if foreign or not board else board)
    return measures, primary


def missing_rows(
    scores: pd.DataFrame, measures: Sequence[Measure], controls: Collection[str]
) -> str:
    """Return a sentence on cases without a row that another algorithm has, and on ignored values.

    A value is ignored where its status is no ``ok``; empty for none.
    """
    arrays = score_arrays(scores[~scores["algorithm"].isin([*controls])])
    kinds = dict[str, dict[str, None]]()
    for measure in measures:
        values, states = arrays.of(measure.name, measure.of_set)
        cases = [pair for pair in arrays.cases if (pair[1] == "") == measure.of_set]
        ignored = (states == FAILED) & np.isfinite(values) & (values != measure.worst)
        absent = (states == ABSENT) & failed_cells(states)
        for kind, cells in (("missing", absent), ("with a value and no status ok", ignored)):
            for row, column in np.argwhere(cells).tolist():
                place = "/".join(filter(None, cases[column])) or "the whole set"
                kinds.setdefault(kind, {})[f"{arrays.algorithms[row]} on {place}"] = None
    return "; ".join(
        f"{count(len(places), 'result')} {kind}, counted as failed: " + listed([*places], SHOWN)
        for kind, places in kinds.items()
    )


def _refuse_values(rows: pd.DataFrame, name: str, *, undefined: bool) -> None:
    """Refuse a metric of both cases and the whole set, and numbers that are not finite."""
    whole = rows["case"] == ""
    if whole.any() and not whole.all():
        row = rows[whole].iloc[0]
        raise InputError(
            f"metric {name}, algorithm {row['algorithm']}: expected a case in every row or in none"
        )
    wrong = rows[~np.isfinite(rows["value"]) & (rows["status"] == "ok")]
    if len(wrong) and not undefined:
        row = wrong.iloc[0]
        raise InputError(
            f"metric {name}, algorithm {row['algorithm']}, case {row['case']}: expected a finite "
            f"number, found {row['value']}; leave the row out if the algorithm failed"
        )
