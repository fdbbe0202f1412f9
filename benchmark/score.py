"""Score what ran: one long table of values, and the pooled value of each metric."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.controls import CONTROLS
from benchmark.dataset import Case, Dataset
from benchmark.metrics import Metric, Overlap, concatenate, metrics_for, overlap
from benchmark.metrics.detection import prediction_count
from benchmark.plan import Job, read_record
from benchmark.ranking import COLUMNS
from cytosuite.formats import read


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
    """

    table: pd.DataFrame
    pooled: Mapping[tuple[str, str], float]
    metrics: tuple[Metric[Any], ...]
    records: Mapping[tuple[str, str], Mapping[str, Any]]


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
    tables: dict[str, list[Overlap]] = {}
    records: dict[tuple[str, str], Mapping[str, Any]] = {}
    for case in dataset.cases:
        truth = _truth(dataset, case)
        if truth is not None:
            for name, control in CONTROLS.items():
                table = overlap(truth, control(truth))
                tables.setdefault(name, []).append(table)
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
            tables.setdefault(name, []).append(table)
            rows += _rows(dataset, case, name, metrics, table, record)
    pooled = {
        (name, metric.name): metric.of(concatenate(found))
        for name, found in tables.items()
        for metric in metrics
    }
    long = pd.DataFrame(rows, columns=list(COLUMNS))
    return Scores(long, pooled, metrics if annotated else (prediction_count,), records)


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
