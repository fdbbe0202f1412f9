"""Score controls and algorithms on one case."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from math import nan
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from cytosuite.benchmark.data.dataset import Case
from cytosuite.benchmark.results import objects, points
from cytosuite.benchmark.results.controls import control_answer
from cytosuite.benchmark.results.facts import AnswerReader, case_facts, once, once_points
from cytosuite.benchmark.results.objects import FILE, SCORES_FILE, measured_places
from cytosuite.benchmark.runs.plan import Job
from cytosuite.benchmark.runs.record import Record, read_record
from cytosuite.benchmark.store.integrity import digests, unaltered
from cytosuite.contract.tasks import LABELS, Task
from cytosuite.errors import InputError
from cytosuite.files import file_digest
from cytosuite.formats import header, read
from cytosuite.metrics import Metric
from cytosuite.metrics.boards import BOARDS
from cytosuite.metrics.evidence import Evidence, Facts, gather
from cytosuite.metrics.labels.overlap import OVERLAP
from cytosuite.metrics.points.matching import MATCHED_POINTS
from cytosuite.volume.pieces import extremes

Metrics = Sequence[Metric[Any]]


@dataclass(frozen=True, slots=True)
class Answer:
    """Scores of one answer: the output of an algorithm or control for a case, or for the set."""

    algorithm: str  # names; ``case`` is empty for the whole set
    case: str
    values: Mapping[str, float]  # by metric; NaN: undefined or refused
    status: str = "ok"  # ``ok``, or the failure
    record: Record | None = None  # of the runner; None for controls and sets
    evidence: Mapping[Evidence[Any], Any] = field(default_factory=dict)  # to be pooled; of a set
    refused: Mapping[str, str] = field(default_factory=dict)  # reasons, by metric or table


def score_case(case: Case, task: Task, metrics: Metrics, jobs: Sequence[Job]) -> Iterator[Answer]:
    """Yield the scores of each control and algorithm with a current record on a case."""
    readers = case_readers(case, task)
    truth, image = readers["truth"], readers["image"]
    data_range = None if truth is None else cache(lambda: _extent(truth().array))
    kind = task.main_output.kind if task.main_output is not None else "json"
    judged = case.min_object_voxels if kind == "labels" else 0, case.radius_um
    places = (
        None
        if truth is None or kind != "labels"
        else cache(lambda: replace(measured_places(truth()), kinds=case.classes()))
    )
    offered = offered_in_case(case, task, metrics)
    fair = {metric.name for metric in offered}  # a refusal of these is the answer's own fault
    for control in BOARDS[task.name].controls if offered else ():
        answer = control_answer(control, truth, image)
        if answer is not None:
            facts = case_facts({**readers, "prediction": answer}, data_range, None, *judged)
            scores = measure(control, case.name, offered, facts)
            fair -= scores.refused.keys()
            yield scores
    for job in jobs:
        name, folder = job.algorithm.name, job.folder / case.name
        record = read_record(folder)
        if record is not None and record.key == job.key:
            record, output = _decoded(record, folder, case.main(task), task)
            answer = output or control_answer("blank", truth, image)
            facts = case_facts({**readers, "prediction": answer}, data_range, None, *judged)
            measured = measure(name, case.name, offered, facts, record.status, record, fair)
            if kind == "labels":
                measured = _tabled(measured, folder, output, readers, places)
            elif kind == "points":
                measured = _listed(measured, folder, output, answer, readers)
            yield measured


def _listed(
    answer: Answer,
    folder: Path,
    output: AnswerReader | None,
    judged: AnswerReader | None,
    readers: Mapping[str, AnswerReader | None],
) -> Answer:
    """Write the tables of the points of an answer that are not there."""
    truth, labels = readers["truth"], readers["labels"]
    cells = labels().array if labels is not None else None
    if output is not None:
        path = folder / FILE
        answer = _sealed(answer, path, lambda: points.write_points(path, output(), cells))
    pairs, path = answer.evidence.get(MATCHED_POINTS), folder / SCORES_FILE
    if pairs is not None and truth is not None and judged is not None:
        scores = partial(points.write_point_scores, path, pairs)
        answer = _sealed(answer, path, lambda: scores(truth(), judged(), cells))
    return answer


def _tabled(
    answer: Answer,
    folder: Path,
    labels: AnswerReader | None,
    readers: Mapping[str, AnswerReader | None],
    places: Callable[[], objects.ObjectPlaces] | None,
) -> Answer:
    """Write the tables of the objects of an answer that are not there; note why one cannot be."""
    image, truth = readers["image"], readers["truth"]
    overlap, path, judged = answer.evidence.get(OVERLAP), folder / FILE, folder / SCORES_FILE
    if labels is not None:
        table = partial(objects.write_objects, path, labels())
        answer = _sealed(answer, path, lambda: table(image and image(), truth and truth()))
    if overlap is not None and places is not None and FILE not in answer.refused:
        scores = partial(objects.write_object_scores, judged, overlap)
        none = objects.ObjectPlaces
        predicted = none if labels is None else partial(objects.written_places, path)
        answer = _sealed(answer, judged, lambda: scores(places(), predicted()))
    return answer


def _sealed(answer: Answer, path: Path, write: Callable[[], None]) -> Answer:
    """Write a table of an answer, unless it is there, and keep its digest in the record."""
    record, name = answer.record, path.name
    if record is None or unaltered(path.parent, {name: record.digests.get(name)}):
        return answer
    try:
        write()
    except InputError as error:
        return replace(answer, refused={**answer.refused, name: str(error)})
    record = record.model_copy(
        update={"digests": {**record.digests, **digests(path.parent, [name])}}
    )
    record.write(path.parent)
    return replace(answer, record=record)


def measure(
    algorithm: str,
    case: str,
    metrics: Metrics,
    facts: Facts,
    status: str = "ok",
    record: Record | None = None,
    fair: Collection[str] = (),
) -> Answer:
    """Return the scores of an answer; a failure has the worst values, NaN without a worst one.

    A metric that refuses the answer gives NaN; one that is `fair` its worst value.
    """
    evidence: dict[Evidence[Any], Any] = {}
    values: dict[str, float] = {}
    refused: dict[str, str] = {}
    for metric in metrics:
        kind, failed = metric.evidence, status != "ok"
        values[metric.name] = metric.worst if failed and metric.worst is not None else nan
        try:
            if kind not in evidence and (kind.pool or not failed):
                evidence |= gather([kind], facts)
            if kind in evidence and not failed:
                values[metric.name] = metric.of(evidence[kind])
        except (InputError, ArithmeticError) as error:  # also of numbers too large or too small
            refused[metric.name] = str(error)
            if metric.name in fair and metric.worst is not None:  # else hard cases were left out
                values[metric.name] = metric.worst
    pooled = {kind: value for kind, value in evidence.items() if kind.pool is not None or not case}
    return Answer(algorithm, case, values, status, record, pooled, refused)


def offered_in_case(case: Case, task: Task, metrics: Metrics) -> list[Metric[Any]]:
    """Return the metrics of single cases that a case allows, given a prediction."""
    readers = case_readers(case, task)
    facts = case_facts(readers, None if readers["truth"] is None else lambda: 0.0)
    return [
        m for m in metrics if m.scope == "case" and {*m.evidence.missing(facts)} <= {"prediction"}
    ]


def case_readers(case: Case, task: Task) -> dict[str, AnswerReader | None]:
    """Return readers of truth, main input and labels of a case; a file has a single reader."""
    paths = {
        "truth": case.socket(task.main_output.slug) if task.main_output else None,
        "image": case.main(task),
        "labels": case.socket(LABELS.slug),
    }
    main = paths["image"]
    readers = {path: _reader(path, main) for path in paths.values() if path is not None}
    return {name: readers[path] if path else None for name, path in paths.items()}


def _reader(path: Path, image: Path | None) -> AnswerReader:
    """Return a reader of an image or, on one, of points."""
    return once_points(path, image) if path.suffix == ".json" and path != image else once(path)


def _extent(image: NDArray[Any]) -> float:
    """Return the largest minus the smallest grey value of an image."""
    low, high = extremes(image)
    return float(high - low) if image.dtype.kind == "f" else float(int(high) - int(low))


def output_path(record: Record, folder: Path, task: Task) -> Path | None:
    """Return the file of the main output of a case, None where there is none."""
    path = record.outputs.get(task.main_output.slug) if record.ok and task.main_output else None
    return None if path is None else folder / path


def _decoded(
    record: Record, folder: Path, image: Path | None, task: Task
) -> tuple[Record, AnswerReader | None]:
    """Return the record of a case, failed by a bad output, and a reader of its decoded output."""
    path = output_path(record, folder, task)
    if path is None:
        return record, None
    expected = None if image is None else header(image).shape
    try:
        if path.suffix == ".json":
            decoded = once_points(path, image)()
            return record, lambda: decoded
        volume = read(path)
        if expected in (None, volume.shape):
            return record, lambda: volume.channels[0]
        problem = f"{path.name}: expected shape {expected}, found {volume.shape}"
    except InputError as error:
        problem = str(error).replace(str(path), path.name)
    status = "bad output"
    if record.digests and file_digest(path) not in record.digests.values():
        status, problem = "engine error", f"{problem}; the file was altered since it was written"
    changes = {"status": status, "message": problem, "outputs": {}}
    record = record.model_copy(update=changes)
    record.write(folder)
    return record, None
