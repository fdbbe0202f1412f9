"""Score the results of a run: a long table of values, and pooled values."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import nan
from typing import Any

import pandas as pd

from cytosuite.benchmark.cluster.pool import Here, Lost, Pool
from cytosuite.benchmark.data.dataset import Case, Dataset
from cytosuite.benchmark.plan import Job
from cytosuite.benchmark.record import Record
from cytosuite.benchmark.results.cases import Answer, Metrics, score_case
from cytosuite.benchmark.results.sets import score_sets
from cytosuite.benchmark.results.standings import COLUMNS
from cytosuite.errors import InputError
from cytosuite.metrics import Metric, board_metrics
from cytosuite.metrics.boards import BOARDS
from cytosuite.metrics.evidence import Evidence
from cytosuite.tasks import Task

Progress = Callable[[float, int, str], None]


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


def score(
    dataset: Dataset,
    task: Task,
    jobs: Sequence[Job],
    progress: Progress = lambda *_: None,
    pool: Pool | None = None,
) -> Scores:
    """Return the scores of controls and algorithms on all cases that have a record.

    Parameters
    ----------
    dataset : Dataset
        With true outputs, labels or a reference set, where there are any.
    task : Task
        Its board names the metrics and controls, which apply to its main output.
    jobs : sequence of Job
        Their results.
    progress : callable, optional
        Called with the number of cases done, that of all, and what is scored next.
    pool : Pool, optional
        Scores the cases; this process without it. The values do not depend on it.

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
    metrics = board_metrics(task.name) if task.main_output else ()
    found = _of_cases(dataset.cases, task, jobs, progress, pool or Here())
    progress(len(dataset.cases) - 0.5, len(dataset.cases), "all cases together")
    records = {(one.algorithm, one.case): one.record for one in found if one.record is not None}
    found += score_sets(dataset, task, metrics, jobs, records)
    known = {name for one in found for name in one.values if name not in one.refused}
    shown = tuple(metric for metric in metrics if metric.name in known)
    primary = tuple(m.name for m in shown if m.name in BOARDS[task.name].primary)
    origins = {case.name: case.dataset() or dataset.name for case in dataset.cases}
    rows = [row for one in found for row in _rows(origins.get(one.case, dataset.name), one, shown)]
    return Scores(
        pd.DataFrame(rows, columns=list(COLUMNS)),
        _pooled(found, shown) if primary else {},
        shown,
        primary,
        records,
        {(one.algorithm, one.case): one.evidence for one in found if one.evidence},
        tuple(_notes(dataset, found, shown)),
    )


def _of_cases(
    cases: Sequence[Case], task: Task, jobs: Sequence[Job], progress: Progress, pool: Pool
) -> list[Answer]:
    """Return the answers for all cases, in their order."""
    own = [replace(job, missing=()) for job in jobs]  # lists of cases need not travel
    answers: list[list[Answer]] = [[] for _ in cases]
    if cases:
        progress(0, len(cases), cases[0].name)
    scored = pool.each(_of_case, [(case, task, own) for case in cases])
    for done, (number, found) in enumerate(scored, start=1):
        if isinstance(found, Lost):
            raise InputError(f"{cases[number].name}: not scored, {found.reason}; run again")
        answers[number] = found
        if done < len(cases):
            progress(done, len(cases), cases[min(number + 1, len(cases) - 1)].name)
    return [answer for found in answers for answer in found]


def _of_case(piece: tuple[Case, Task, Sequence[Job]]) -> list[Answer]:
    """Return the answers for one case."""
    case, task, jobs = piece
    metrics = board_metrics(task.name) if task.main_output else ()
    return list(score_case(case, task, metrics, jobs))


def _rows(dataset: str, one: Answer, shown: Metrics) -> list[tuple[Any, ...]]:
    """Return a row per metric; a case without any has one row without a metric."""
    record, nothing = one.record, [""] if one.case else []
    model, seconds, memory = "", nan, None
    if record is not None:
        model, seconds, memory = record.model, record.seconds, record.peak_memory
    names = [metric.name for metric in shown if metric.name in one.values] or nothing
    front, back = (dataset, one.case, one.algorithm, model), (one.status, seconds, memory)
    return [(*front, name, one.values.get(name, nan), *back) for name in names]


def _pooled(found: Sequence[Answer], shown: Metrics) -> dict[tuple[str, str], float]:
    """Return the pooled values of each answer, where no case was refused."""
    parts: dict[tuple[str, Evidence[Any]], list[Any]] = {}
    for one in found:
        for each, part in one.evidence.items():
            parts.setdefault((one.algorithm, each), []).append(part)
    wholes = {key: key[1].pool(own) for key, own in parts.items() if key[1].pool}
    refused = {(one.algorithm, name) for one in found for name in one.refused}
    return {
        (algorithm, metric.name): metric.of(whole)
        for (algorithm, each), whole in wholes.items()
        for metric in shown
        if metric.evidence is each and (algorithm, metric.name) not in refused
    }


def _notes(dataset: Dataset, found: Sequence[Answer], shown: Metrics) -> list[str]:
    """Return sentences on data range and reference set, and on refused evidence."""
    notes = []
    if any("data_range" in metric.evidence.needs for metric in shown):
        notes.append(
            "The data range of the image metrics is that of the true image of each case: its "
            "largest minus its smallest grey value."
        )
    if any(metric.scope == "set" for metric in shown):
        number = len(dataset.reference)
        images = (
            f"every second of the {number} real images; the others are the control real"
            if number > 1
            else "the only real image"
        )
        notes.append(f"Metrics of the whole set compare the outputs with {images}.")
    refused: dict[str, list[str]] = {}
    for name in dict.fromkeys(name for one in found for name in one.refused):
        lost = [one for one in found if name in one.refused]
        place = f"{lost[0].algorithm} on {lost[0].case or 'the whole set'}"
        reason = f"{len(lost)} answers; the first is {place}: {lost[0].refused[name]}"
        refused.setdefault(reason, []).append(name)
    notes += [f"{', '.join(names)}: not computed for {why}" for why, names in refused.items()]
    return notes
