"""Score controls and algorithms on one case."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from math import nan
from pathlib import Path
from typing import Any

import numpy as np

from cytosuite.benchmark.runs.data.dataset import Case
from cytosuite.benchmark.runs.plan import Answerer
from cytosuite.benchmark.runs.record import Record, read_record
from cytosuite.benchmark.scores import answers, controls, facts, objects
from cytosuite.benchmark.scores.answers import Answer, Values
from cytosuite.contract.points import Points
from cytosuite.contract.tasks import LABELS, TRACKS, Kind, Task
from cytosuite.contract.tracks import read_tracks
from cytosuite.errors import InputError
from cytosuite.files import file_digest
from cytosuite.formats import header, read
from cytosuite.metrics import AnyMetric, Metrics
from cytosuite.metrics.boards import BOARDS
from cytosuite.metrics.evidence import Evidence, Facts, gather
from cytosuite.metrics.labels.prepare import label_doubt
from cytosuite.volume.arrays import Array
from cytosuite.volume.pieces import extremes


def score_case(
    case: Case, task: Task, metrics: Metrics, answerers: Sequence[Answerer]
) -> Iterator[Answer]:
    """Yield the scores of each control and algorithm with a current record on a case."""
    readers = case_readers(case, task)
    truth = readers["truth"]
    image = readers["image"]
    data_range = None if truth is None else cache(lambda: _extent(truth().array))
    kind = _kind(task)
    main = case.main(task)
    stated = case.stated()
    places = (
        None
        if truth is None or kind != "labels"
        else cache(lambda: replace(objects.measured_places(truth()), kinds=stated.masks.classes))
    )

    def facts_with(answer: facts.AnswerReader | None) -> Facts:
        """Return the facts about the case with an answer to it."""
        return facts.case_facts(
            {**readers, "prediction": answer},
            data_range,
            stated.ignored.min_object_voxels if kind == "labels" else 0,
            stated.radius_um,
        )

    offered = offered_in_case(readers, metrics)
    fair = {metric.name for metric in offered}  # a refusal of these is the answer's own fault
    for control in BOARDS[task.name].controls if offered else ():
        answer = controls.control_answer(control, truth, image)
        if answer is not None:
            scores = measure(control, case.name, offered, facts_with(answer))
            fair -= (scores.undefined if control == "oracle" else scores.refused).keys()
            yield scores
    blank = controls.control_answer("blank", truth, image)
    for answerer in answerers:
        folder = answerer.folder / case.name
        record = read_record(folder, answerer.key)
        if record is not None:
            record, output = _decoded(record, folder, main, task)
            answer = output or blank
            if output and kind in ("labels", "points") and (line := doubt(output(), main)):
                record = record.model_copy(update={"warnings": (*record.warnings, line)})
            measured = measure(
                answerer.name, case.name, offered, facts_with(answer), record.status, record, fair
            )
            worst = measured.refused.keys() & fair
            if lost := {m.evidence for m in offered if m.name in worst and m.evidence.pool}:
                answer = blank  # as of a failure
                measured = replace(
                    measured, evidence={**gather(lost, facts_with(blank)), **measured.evidence}
                )
            yield answers.with_tables(measured, kind, folder, output, answer, readers, places)


def doubt(output: Any, image: Path | None) -> str:  # noqa: ANN401 - as answers differ
    """Return why labels look like another image, or most points like another unit; else empty."""
    if not isinstance(output, Points):
        return label_doubt(output.array)
    size = np.empty(0)
    with suppress(InputError):  # of an image that nothing else needs
        size = np.array(header(image).labels.shape if image else ())
    if size.size != len(output.spacing):
        return ""
    outside = np.count_nonzero((abs(2 * output.array + 1 - size) > size).any(axis=1))
    if 2 * outside <= len(output):
        return ""
    return (
        f"points outside of the image: {outside} of {len(output)}; places are in mm in JSON, in "
        "pixels or µm (x_um) in a table"
    )


def measure(
    algorithm: str,
    case: str,
    metrics: Metrics,
    facts: Facts,
    status: str = "ok",
    record: Record | None = None,
    fair: Collection[str] | None = None,
) -> Answer:
    """Return the scores of an answer; a failure has the worst values, NaN without a worst one.

    A metric that refuses the answer gives NaN; of those that are known to be `fair` each its worst
    value, and all others NaN.
    """
    evidence: dict[Evidence[Any], Any] = {}
    values = {}
    refused = {}
    for metric in metrics:
        kind = metric.evidence
        failed = status != "ok"
        worst = metric.worst if fair is None or metric.name in fair else nan
        values[metric.name] = worst if failed and worst is not None else nan
        try:
            if kind not in evidence and (kind.pool or not failed):
                evidence |= gather([kind], facts)
            if kind in evidence and not failed:
                values[metric.name] = metric.of(evidence[kind])
        except (InputError, ArithmeticError) as error:  # also of numbers too large or too small
            refused[metric.name] = str(error)
            if fair is not None and worst is not None:  # else hard cases were left out
                values[metric.name] = worst
    pooled = {kind: value for kind, value in evidence.items() if kind.kept or not case}
    return Answer(
        algorithm, case, Values(tuple(values), values.values()), status, record, pooled, refused
    )


def offered_in_case(
    readers: Mapping[str, facts.AnswerReader | None], metrics: Metrics
) -> list[AnyMetric]:
    """Return the metrics of single cases that the readers of a case allow."""
    case_facts = facts.case_facts(readers, None if readers["truth"] is None else lambda: 0.0)
    return [
        m
        for m in metrics
        if m.scope == "case" and {*m.evidence.missing(case_facts)} <= {"prediction"}
    ]


def case_readers(case: Case, task: Task) -> dict[str, facts.AnswerReader | None]:
    """Return readers of truth, main input and labels of a case; a file has a single reader."""
    paths = {
        "truth": case.socket(task.main_output.slug) if task.main_output else None,
        "image": case.main(task),
        "labels": case.socket(LABELS.slug),
    }
    main = paths["image"]
    readers: dict[Path, facts.AnswerReader] = {
        path: facts.once_points(path, main)
        if path.suffix == ".json" and path != main
        else facts.once(path)
        for path in paths.values()
        if path is not None
    }
    true = paths["truth"]
    table = case.socket(TRACKS.slug)
    if true is not None and table is not None and _kind(task) == "tracks":
        readers[true] = cache(partial(facts.read_movie, true, table))
    return {name: readers[path] if path else None for name, path in paths.items()}


def _kind(task: Task) -> Kind:
    """Return the kind of the answers that are scored."""
    output = task.main_output
    return "json" if output is None else "tracks" if output.movie else output.kind


def _extent(image: Array) -> float:
    """Return the largest minus the smallest grey value of an image."""
    low, high = extremes(image)
    return float(high - low) if image.dtype.kind == "f" else float(int(high) - int(low))


def output_path(record: Record, folder: Path, task: Task) -> Path | None:
    """Return the file of the main output of a case, None where there is none."""
    path = record.outputs.get(task.main_output.slug) if record.ok and task.main_output else None
    return None if path is None else folder / path


def _decoded(
    record: Record, folder: Path, image: Path | None, task: Task
) -> tuple[Record, facts.AnswerReader | None]:
    """Return the record of a case, failed by a bad output, and a reader of its decoded output."""
    path = output_path(record, folder, task)
    if path is None:
        return record, None
    expected = None
    if image is not None:
        expected = (header(image).labels if _kind(task) == "labels" else header(image)).shape
    try:
        if path.suffix == ".json":
            decoded = facts.once_points(path, image)()
            return record, lambda: decoded
        volume = read(path)
        if expected in (None, volume.shape):
            if _kind(task) == "tracks":
                movie = facts.Movie(volume, read_tracks(folder / record.outputs[TRACKS.slug]))
                return record, lambda: movie
            return record, lambda: volume.channels[0]
        problem = f"{path.name}: expected shape {expected}, found {volume.shape}"
    except InputError as error:
        problem = str(error).replace(str(path), path.name)
    status = "bad output"
    if record.digests and file_digest(path) not in record.digests.values():
        status = "engine error"
        problem = f"{problem}; the file was altered since it was written"
    record = record.model_copy(update={"status": status, "message": problem, "outputs": {}})
    record.write(folder)
    return record, None
