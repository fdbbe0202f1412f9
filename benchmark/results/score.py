"""Score what ran: a long table of values, pooled values, and both apart by condition."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.results.controls import CONTROLS
from benchmark.data.dataset import Case, Dataset
from cytosuite.metrics import Metric, Overlap, concatenate, metrics_for, overlap
from cytosuite.metrics.labels.detection import prediction_count
from benchmark.plan import Job, read_record
from benchmark.results.ranking import COLUMNS, pooled_interval
from benchmark.results import groups
from benchmark.report.content import Condition, Group, Pooled
from cytosuite.formats import read
from cytosuite.volume import Scalar

TOGETHER = 0.5  # rank correlation of two conditions from which the report names it


@dataclass(frozen=True, slots=True)
class Scores:
    """What a run measured.

    Parameters
    ----------
    table : DataFrame
        One row per case, algorithm and metric, with the columns `COLUMNS`.
    pooled : mapping of (algorithm, metric) to float
        The metric of all annotated cases taken as one.
    metrics : tuple of Metric
        Those that could be computed.
    records : mapping of (algorithm, case) to mapping
        What the runner wrote about each case.
    tables : mapping of str to mapping of str to Overlap
        By algorithm and annotated case: what every metric is computed from.
    """

    table: pd.DataFrame
    pooled: Mapping[tuple[str, str], float]
    metrics: tuple[Metric[Any], ...]
    records: Mapping[tuple[str, str], Mapping[str, Any]]
    tables: Mapping[str, Mapping[str, Overlap]]


def score(dataset: Dataset, jobs: Sequence[Job]) -> Scores:
    """Return the scores of all cases that have a record.

    Parameters
    ----------
    dataset : Dataset
        With the truth, where there is one.
    jobs : sequence of Job
        Whose results to read.

    Returns
    -------
    Scores
        A case that failed has the metric's worst value; in pooled values it counts as an empty
        prediction. Cases without truth have the number of predicted objects only. The controls
        `oracle` and `blank` are scored on every annotated case.

    Notes
    -----
    Truth and predictions of one case are in memory at a time.
    """
    # Those of the overlap table, which every case has; others are for `cytosuite score`.
    metrics = tuple(m for m in metrics_for(dataset.task.name) if m.evidence is overlap)
    annotated = any(case.truth(dataset.task) is not None for case in dataset.cases)
    rows: list[dict[str, Any]] = []
    tables: dict[str, dict[str, Overlap]] = {}
    records: dict[tuple[str, str], Mapping[str, Any]] = {}
    for case in dataset.cases:
        truth = _truth(dataset, case)
        if truth is not None:
            for name, control in CONTROLS.items():
                table = overlap(truth, control(truth))
                tables.setdefault(name, {})[case.name] = table
                rows += _rows(dataset, case, name, metrics, table, {})
        for job in jobs:
            record = read_record(job.folder / case.name)
            if record is None or record["key"] != job.key:
                continue
            name = job.algorithm.name
            records[name, case.name] = record
            prediction = _prediction(job, case, record)
            if truth is None:
                rows += _rows_without_truth(dataset, case, name, prediction, record)
                continue
            table = overlap(truth, np.zeros_like(truth) if prediction is None else prediction)
            tables.setdefault(name, {})[case.name] = table
            rows += _rows(dataset, case, name, metrics, table, record)
    pooled = {
        (name, metric.name): metric.of(concatenate(list(found.values())))
        for name, found in tables.items()
        for metric in metrics
    }
    long = pd.DataFrame(rows, columns=list(COLUMNS))
    shown = metrics if annotated else (prediction_count,)
    return Scores(long, pooled, shown, records, tables)


def by_condition(dataset: Dataset, scores: Scores) -> list[Condition]:
    """Return the pooled scores apart by each condition that divides the annotated cases.

    Parameters
    ----------
    dataset : Dataset
        Whose cases say their conditions.
    scores : Scores
        Of `score`.

    Returns
    -------
    list of Condition
        In the order in which cases name them; one that is the same in all cases is left out.

    Notes
    -----
    A group is scored as the whole dataset is: the metric of its cases' concatenated tables, in
    which every object has the same weight and a failed case is an empty prediction.
    """
    cases = [case for case in dataset.cases if case.name in scores.tables.get("oracle", {})]
    said = {case.name: case.conditions() for case in cases}
    names = dict.fromkeys(key for known in said.values() for key in known)
    values = {
        name: {case: known[name] for case, known in said.items() if name in known} for name in names
    }
    divided = {name: parts for name in names if len(parts := groups.divide(values[name])) > 1}
    return [
        Condition(
            *groups.named(name),
            groups.is_number(values[name]),
            [_group(label, own, scores) for label, own in parts],
            len(said) - len(values[name]),
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


def _group(label: str, cases: Sequence[str], scores: Scores) -> Group:
    """Return the pooled scores of some cases."""
    found, failed = {}, {}
    for name, tables in scores.tables.items():
        own = [tables[case] for case in cases if case in tables]
        lost = [case for case in cases if _failed(scores, name, case)]
        if lost:
            failed[name] = len(lost)
        whole = concatenate(own)
        left_out = [concatenate(own[:n] + own[n + 1 :]) for n in range(len(own))]
        for metric in scores.metrics:
            found[name, metric.name] = _pooled(metric, whole, left_out)
    objects = sum(scores.tables["oracle"][case].truth_sizes.size for case in cases)
    return Group(label, cases, objects, found, failed)


def _failed(scores: Scores, algorithm: str, case: str) -> bool:
    """Return whether an algorithm did not finish a case."""
    return bool(scores.records.get((algorithm, case), {}).get("status", "ok") != "ok")


def _pooled(metric: Metric[Any], whole: Overlap, left_out: Sequence[Overlap]) -> Pooled:
    """Return a pooled value; numbers without two ends, such as counts, have no interval."""
    value = metric.of(whole)
    if metric.best is None or metric.worst is None:
        return Pooled(value, nan, nan)
    least, most = sorted((metric.best, metric.worst))
    low, high = pooled_interval(value, [metric.of(table) for table in left_out])
    return Pooled(value, max(low, least), min(high, most))  # NaN, as the first, stays NaN


def _truth(dataset: Dataset, case: Case) -> NDArray[Any] | None:
    """Return the true labels of a case, None where it has none."""
    path = case.truth(dataset.task)
    return None if path is None else read(path).array


def _prediction(job: Job, case: Case, record: Mapping[str, Any]) -> NDArray[Any] | None:
    """Return the predicted labels of a case, None where it failed."""
    if record["status"] != "ok":
        return None
    return read(job.folder / case.name / str(record["output"])).array


def _rows(
    dataset: Dataset,
    case: Case,
    algorithm: str,
    metrics: Sequence[Metric[Any]],
    table: Overlap,
    record: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Return one row per metric; a failed case has the worst value."""
    failed = record.get("status", "ok") != "ok"
    return [
        _row(dataset, case, algorithm, metric.name, record)
        | {"value": (nan if metric.worst is None else metric.worst) if failed else metric.of(table)}
        for metric in metrics
    ]


def _rows_without_truth(
    dataset: Dataset,
    case: Case,
    algorithm: str,
    prediction: NDArray[Any] | None,
    record: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Return the number of objects, which needs no truth."""
    value = nan if prediction is None else float(np.count_nonzero(np.unique(prediction)))
    return [_row(dataset, case, algorithm, prediction_count.name, record) | {"value": value}]


def _row(
    dataset: Dataset, case: Case, algorithm: str, metric: str, record: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a row of the long table without its value."""
    return {
        "dataset": dataset.name,
        "case": case.name,
        "algorithm": algorithm,
        "model": record.get("model", ""),
        "metric": metric,
        "status": record.get("status", "ok"),
        "seconds": record.get("seconds", nan),
        "peak_memory": record.get("peak_memory"),
    }
