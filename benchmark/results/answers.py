"""Score answers: of controls and algorithms, to one case or to the whole set."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from math import nan
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.data.dataset import Case, Dataset
from benchmark.plan import Job
from benchmark.record import Record, read_record
from benchmark.results.controls import answer
from benchmark.results.facts import ImageSet, Reader, case_facts, once, set_facts
from cytosuite.errors import InputError
from cytosuite.formats import header, read
from cytosuite.metrics import Metric
from cytosuite.metrics.boards import BOARDS, Control
from cytosuite.metrics.evidence import Evidence, Facts, gather
from cytosuite.metrics.labels import prediction_count
from cytosuite.tasks import LABELS, Socket, Task

Metrics = Sequence[Metric[Any]]


@dataclass(frozen=True, slots=True)
class Scored:
    """Scores of one answer.

    Parameters
    ----------
    algorithm, case : str
        Answer of an algorithm or control to a case; to the whole set where ``case`` is empty.
    metrics : sequence of Metric
        Those whose needs are met.
    values : mapping of str to float
        By name of the metric; NaN where it is undefined.
    status : str
        ``ok``, or the failure.
    record : Record or None
        Of the runner; None for controls and sets.
    evidence : mapping of Evidence to object
        Evidence that can be pooled.
    refused : mapping of Evidence to str
        Why evidence could not be gathered.
    """

    algorithm: str
    case: str
    metrics: Metrics
    values: Mapping[str, float]
    status: str = "ok"
    record: Record | None = None
    evidence: Mapping[Evidence[Any], Any] = field(default_factory=dict)
    refused: Mapping[Evidence[Any], str] = field(default_factory=dict)


def main_output(task: Task) -> Socket | None:
    """Return the output that metrics apply to: the first that is an image or labels."""
    return next((socket for socket in task.outputs if socket.kind != "json"), None)


def score_case(case: Case, task: Task, metrics: Metrics, jobs: Sequence[Job]) -> Iterator[Scored]:
    """Yield the scores of each control and algorithm on a case.

    Parameters
    ----------
    case : Case
        Its truth and each output are decoded once, its input if a metric or control needs it.
    task : Task
        Of the run.
    metrics : sequence of Metric
        Of the task's board; those whose needs the case does not meet are left out.
    jobs : sequence of Job
        Those without a current record of the case are left out.
    """
    readers = _readers(case, task)
    truth, image = readers.get("truth"), readers.get("image")
    data_range = None if truth is None else cache(lambda: float(np.ptp(truth().array)))
    possible = case_facts({**readers, "prediction": once(case.folder)}, data_range)
    offered = [m for m in metrics if m.scope == "case" and not m.evidence.missing(possible)]
    for control in BOARDS[task.name].controls if offered else ():
        reply = answer(control, truth, image)
        if reply is not None:
            facts = case_facts({**readers, "prediction": reply}, data_range)
            yield _measured(control, case.name, offered, facts)
    output = main_output(task)
    labels = output is not None and output.kind == "labels"
    for job in jobs:
        record = read_record(job.folder / case.name)
        if record is None or record.key != job.key:
            continue
        record, reply = _decoded(job, case, task, record)
        if labels and truth is None:
            yield _counted(record, reply)
            continue
        if reply is None and labels:
            reply = answer("blank", truth, image)
        known = readers if reply is None else {**readers, "prediction": reply}
        facts = case_facts(known, data_range)
        yield _measured(job.algorithm.name, case.name, offered, facts, record.status, record)


def score_sets(
    dataset: Dataset,
    task: Task,
    metrics: Metrics,
    jobs: Sequence[Job],
    records: Mapping[tuple[str, str], Record],
) -> Iterator[Scored]:
    """Yield the scores of each control and algorithm on the whole set.

    Parameters
    ----------
    dataset : Dataset
        Nothing is yielded without a reference set.
    task : Task
        Of the run.
    metrics : sequence of Metric
        Of the task's board; those whose needs the dataset does not meet are left out.
    jobs : sequence of Job
        Algorithms and folders.
    records : mapping of (algorithm, case) to Record
        Of `score_case`.
    """
    wanted = [metric for metric in metrics if metric.scope == "set"]
    if not wanted or not dataset.reference:
        return
    real, rest = reference_halves(dataset)
    labels = _readers_of([case.socket(LABELS.slug) for case in dataset.cases])
    offered = [m for m in wanted if not m.evidence.missing(set_facts(real, ImageSet((), labels)))]
    for control in BOARDS[task.name].controls:
        images = rest if control == "real" else ImageSet(_answers(control, dataset, task), labels)
        if images.images:
            yield _measured(control, "", offered, set_facts(real, images))
    for job in jobs:
        own = [records.get((job.algorithm.name, case.name)) for case in dataset.cases]
        paths = [_path(job, record, task) for record in own if record is not None and record.ok]
        failed = [record.status for record in own if record is not None and not record.ok]
        known = [reader for reader, record in zip(labels, own, strict=False) if record is not None]
        facts = set_facts(real, ImageSet(_readers_of(paths), known)) if not failed else Facts({})
        if paths or failed:
            yield _measured(job.algorithm.name, "", offered, facts, status=(*failed, "ok")[0])


def reference_halves(dataset: Dataset) -> tuple[ImageSet, ImageSet]:
    """Return the reference set that outputs are compared with, and the control ``real``.

    Images take turns in the order of their names, so that a single one is the reference set.
    """
    paths = sorted(dataset.reference, key=lambda path: path.name)
    drawn = dataset.reference_labels or {}
    halves = paths[0::2], paths[1::2]
    reference, rest = (
        ImageSet(_readers_of(half), _readers_of([drawn.get(path) for path in half]))
        for half in halves
    )
    return reference, rest


def _readers_of(paths: Sequence[Path | None]) -> list[Reader]:
    """Return a reader of each file; none at all where one is missing."""
    known = [once(path) for path in paths if path is not None]
    return known if len(known) == len(paths) else []


def _readers(case: Case, task: Task) -> dict[str, Reader]:
    """Return readers of truth, main input and labels of a case; a file has a single reader."""
    output = main_output(task)
    paths = {
        "truth": case.truth(task).get(output.slug) if output else None,
        "image": case.main(task),
        "labels": case.socket(LABELS.slug),
    }
    readers = {path: once(path) for path in paths.values() if path is not None}
    return {name: readers[path] for name, path in paths.items() if path is not None}


def _answers(control: Control, dataset: Dataset, task: Task) -> list[Reader]:
    """Return the answer of a control to every case; none where it lacks one."""
    found = []
    for case in dataset.cases:
        readers = _readers(case, task)
        truth = readers.get("truth") if control == "oracle" else None
        found.append(answer(control, truth, readers.get("image")))
    answers = [reply for reply in found if reply is not None]
    return answers if len(answers) == len(found) else []


def _path(job: Job, record: Record, task: Task) -> Path:
    """Return the file of the main output of a case."""
    output = main_output(task)
    return job.folder / record.case / record.outputs[output.slug if output else ""]


def _decoded(job: Job, case: Case, task: Task, record: Record) -> tuple[Record, Reader | None]:
    """Return a record and a reader of its main output, decoded here, None if there is none.

    An output that cannot be decoded, or has another shape than its header states, makes the case
    a failed one.
    """
    if not record.ok or main_output(task) is None:
        return record, None
    path, image = _path(job, record, task), case.main(task)
    problem = ""
    try:
        volume = read(path)
    except InputError as error:
        problem = str(error).replace(str(path), path.name)
    else:
        expected = volume.shape if image is None else header(image).shape
        if volume.shape != expected:
            problem = f"{path.name}: expected shape {expected}, found {volume.shape}"
    if problem:
        changes = {"status": "bad output", "message": problem, "outputs": {}}
        record = record.model_copy(update=changes)
        record.write(job.folder / case.name)
        return record, None
    return record, lambda: volume


def _counted(record: Record, labels: Reader | None) -> Scored:
    """Return the number of objects of label outputs, which needs no truth."""
    values = {prediction_count.name: nan}
    if labels is not None:
        values = {prediction_count.name: prediction_count(labels().array, labels().array)}
    name, case = record.algorithm, record.case
    return Scored(name, case, [prediction_count], values, record.status, record)


def _measured(
    algorithm: str,
    case: str,
    metrics: Metrics,
    facts: Facts,
    status: str = "ok",
    record: Record | None = None,
) -> Scored:
    """Return the values of metrics; of a failure their worst ones."""
    evidence: dict[Evidence[Any], Any] = {}
    refused: dict[Evidence[Any], str] = {}
    for each in dict.fromkeys(metric.evidence for metric in metrics):
        try:
            evidence |= gather([each], facts)
        except InputError as error:
            refused[each] = str(error)
    values = {}
    for metric in metrics:
        if status != "ok":
            values[metric.name] = nan if metric.worst is None else metric.worst
        elif metric.evidence in evidence:
            values[metric.name] = metric.of(evidence[metric.evidence])
    kept = {each: table for each, table in evidence.items() if each.pool is not None}
    return Scored(algorithm, case, metrics, values, status, record, kept, refused)
