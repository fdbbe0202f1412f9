"""Score the results of a run: a long table of values, and pooled values."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Any

import pandas as pd

from benchmark.data.dataset import Dataset
from benchmark.plan import Job
from benchmark.record import Record
from benchmark.results.answers import Answer, Metrics, main_output
from benchmark.results.cases import score_case
from benchmark.results.ranking import COLUMNS
from benchmark.results.sets import reference_halves, score_sets
from cytosuite.metrics import Metric, board_metrics
from cytosuite.metrics.boards import BOARDS
from cytosuite.metrics.evidence import Evidence
from cytosuite.tasks import Task


@dataclass(frozen=True, slots=True)
class Scores:
    """Values of all metrics of a run.

    Parameters
    ----------
    table : DataFrame
        One row per case, answer and metric, with the columns `COLUMNS`. ``case`` is empty for a
        metric of the whole set, ``metric`` for a case on which nothing can be scored.
    pooled : mapping of (algorithm, metric) to float
        The metric of all cases taken as one, where their evidence can be pooled; none where no
        primary metric ranks.
    metrics : tuple of Metric
        Those whose evidence could be gathered, primary ones first.
    primary : tuple of str
        Names of those to rank by.
    records : mapping of (algorithm, case) to Record
        How each case went.
    evidence : mapping of (algorithm, case) to mapping of Evidence to object
        Evidence that can be pooled; of a failed case that of an empty answer.
    notes : tuple of str
        Sentences on how values were obtained, and on those that could not be.
    """

    table: pd.DataFrame
    pooled: Mapping[tuple[str, str], float]
    metrics: tuple[Metric[Any], ...]
    primary: tuple[str, ...]
    records: Mapping[tuple[str, str], Record]
    evidence: Mapping[tuple[str, str], Mapping[Evidence[Any], Any]]
    notes: tuple[str, ...] = ()


def score(dataset: Dataset, task: Task, jobs: Sequence[Job]) -> Scores:
    """Return the scores of controls and algorithms on all cases that have a record.

    Parameters
    ----------
    dataset : Dataset
        With true outputs, labels or a reference set, where there are any.
    task : Task
        Its board names the metrics and controls, which apply to its first output that is an image
        or labels.
    jobs : sequence of Job
        Their results.

    Returns
    -------
    Scores
        A failed case has the metric's worst value, NaN without one; among pooled label scores it
        counts as an empty answer. A metric of the whole set has its worst value, or NaN, with one
        failed case. Of label outputs without a truth the objects are counted.

    Notes
    -----
    The volumes of one case are in memory at a time; for metrics of the whole set the reference
    images and the outputs of one algorithm. An output that cannot be decoded makes its case a
    failed one, also in its record.
    """
    metrics = board_metrics(task.name) if main_output(task) else ()
    found = [one for case in dataset.cases for one in score_case(case, task, metrics, jobs)]
    records = {(one.algorithm, one.case): one.record for one in found if one.record is not None}
    found += score_sets(dataset, task, metrics, jobs, records)
    known = {m.name for one in found for m in one.metrics if m.name not in one.refused}
    shown = tuple(metric for metric in metrics if metric.name in known)
    primary = tuple(m.name for m in shown if m.name in BOARDS[task.name].primary)
    rows = [row for one in found for row in _rows(dataset.name, one, shown)]
    return Scores(
        pd.DataFrame(rows, columns=list(COLUMNS)),
        _pooled(found, shown) if primary else {},
        shown,
        primary,
        records,
        {(one.algorithm, one.case): one.evidence for one in found if one.evidence},
        _notes(dataset, found, shown),
    )


def _rows(dataset: str, one: Answer, shown: Metrics) -> list[dict[str, Any]]:
    """Return a row per metric; a case without any has one row without a metric."""
    offered = {metric.name for metric in one.metrics}
    names = [metric.name for metric in shown if metric.name in offered]
    row = {
        "dataset": dataset,
        "case": one.case,
        "algorithm": one.algorithm,
        "model": "" if one.record is None else one.record.model,
        "status": one.status,
        "seconds": nan if one.record is None else one.record.seconds,
        "peak_memory": None if one.record is None else one.record.peak_memory,
    }
    nothing = [""] if one.case else []
    return [
        {**row, "metric": name, "value": one.values.get(name, nan)} for name in names or nothing
    ]


def _pooled(found: Sequence[Answer], shown: Metrics) -> dict[tuple[str, str], float]:
    """Return the pooled values of each answer, where no case was refused."""
    tables: dict[tuple[str, Evidence[Any]], list[Any]] = {}
    refused = {(one.algorithm, name) for one in found for name in one.refused}
    for one in found:
        for evidence, table in one.evidence.items():
            tables.setdefault((one.algorithm, evidence), []).append(table)
    pooled = {}
    for (algorithm, evidence), own in tables.items():
        if evidence.pool is not None:
            whole = evidence.pool(own)
            for metric in shown:
                key = algorithm, metric.name
                if metric.evidence is evidence and key not in refused:
                    pooled[key] = metric.of(whole)
    return pooled


def _notes(dataset: Dataset, found: Sequence[Answer], shown: Metrics) -> tuple[str, ...]:
    """Return sentences on data range and reference set, and on refused evidence."""
    notes = []
    if any("data_range" in metric.evidence.needs for metric in shown):
        notes.append(
            "The data range of the image metrics is that of the true image of each case: its "
            "largest minus its smallest grey value."
        )
    if any(metric.scope == "set" for metric in shown):
        reference, rest = reference_halves(dataset)
        others = f"; the control real is the rest of them ({len(rest.images)})" * bool(rest.images)
        notes.append(
            "Metrics of the whole set compare the outputs with real images "
            f"({len(reference.images)}){others}."
        )
    refused: dict[tuple[str, str, str], list[str]] = {}
    counts = Counter(name for one in found for name in one.refused)
    for name in counts:
        first = next(one for one in found if name in one.refused)
        key = (first.algorithm, first.case or "the whole set", first.refused[name])
        refused.setdefault(key, []).append(name)
    for (algorithm, case, reason), names in refused.items():
        notes.append(
            f"Not computed for {counts[names[0]]} answers: {', '.join(names)}; the first is "
            f"{algorithm} on {case}: {reason}"
        )
    return tuple(notes)
