"""Score controls and algorithms on one case."""

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from benchmark.data.dataset import Case
from benchmark.plan import Job
from benchmark.record import Record, read_record
from benchmark.results.answers import Answer, Metrics, main_output, measure
from benchmark.results.controls import control_answer
from benchmark.results.facts import Reader, case_facts, once
from cytosuite.errors import InputError
from cytosuite.formats import header, read
from cytosuite.metrics.boards import BOARDS
from cytosuite.tasks import LABELS, Task


def score_case(case: Case, task: Task, metrics: Metrics, jobs: Sequence[Job]) -> Iterator[Answer]:
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
    readers = case_readers(case, task)
    truth, image = readers.get("truth"), readers.get("image")
    data_range = None if truth is None else cache(lambda: float(np.ptp(truth().array)))
    possible = case_facts({**readers, "prediction": once(case.folder)}, data_range)
    offered = [m for m in metrics if m.scope == "case" and not m.evidence.missing(possible)]
    for control in BOARDS[task.name].controls if offered else ():
        answer = control_answer(control, truth, image)
        if answer is not None:
            facts = case_facts({**readers, "prediction": answer}, data_range)
            yield measure(control, case.name, offered, facts)
    output = main_output(task)
    labels = output is not None and output.kind == "labels"
    for job in jobs:
        record = read_record(job.folder / case.name)
        if record is None or record.key != job.key:
            continue
        record, answer = _decoded(record, job.folder / case.name, case.main(task), task)
        if labels and answer is None:
            answer = control_answer("blank", truth, image)
        known = readers if answer is None else {**readers, "prediction": answer}
        facts = case_facts(known, data_range)
        yield measure(job.algorithm.name, case.name, offered, facts, record.status, record)


def case_readers(case: Case, task: Task) -> dict[str, Reader]:
    """Return readers of truth, main input and labels of a case; a file has a single reader."""
    output = main_output(task)
    paths = {
        "truth": case.truth(task).get(output.slug) if output else None,
        "image": case.main(task),
        "labels": case.socket(LABELS.slug),
    }
    readers = {path: once(path) for path in paths.values() if path is not None}
    return {name: readers[path] for name, path in paths.items() if path is not None}


def output_path(record: Record, folder: Path, task: Task) -> Path | None:
    """Return the file of the main output of a case, None where there is none."""
    output = main_output(task)
    if output is None or not record.ok or output.slug not in record.outputs:
        return None
    return folder / record.outputs[output.slug]


def _decoded(
    record: Record, folder: Path, image: Path | None, task: Task
) -> tuple[Record, Reader | None]:
    """Return the record of a case, and a reader of its main output, which is decoded here.

    An output that cannot be decoded, or has another shape than the main input, makes the case a
    failed one.
    """
    path = output_path(record, folder, task)
    if path is None:
        return record, None
    problem = ""
    try:
        volume = read(path)
    except InputError as error:
        problem = str(error).replace(str(path), path.name)
    else:
        expected = volume.shape if image is None else header(image).shape
        if volume.shape != expected:
            problem = f"{path.name}: expected shape {expected}, found {volume.shape}"
    if not problem:
        return record, lambda: volume
    changes = {"status": "bad output", "message": problem, "outputs": {}}
    record = record.model_copy(update=changes)
    record.write(folder)
    return record, None
