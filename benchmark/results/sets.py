"""Score controls and algorithms on the whole set: all outputs against a reference set."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmark.data.dataset import Dataset
from benchmark.plan import Job
from benchmark.record import Record
from benchmark.results.answers import Answer, Metrics, measure
from benchmark.results.cases import case_readers, output_path
from benchmark.results.controls import control_answer
from benchmark.results.facts import ImageSet, Reader, once, set_facts
from cytosuite.metrics.boards import BOARDS, Control
from cytosuite.metrics.evidence import Facts
from cytosuite.tasks import LABELS, Task


def score_sets(
    dataset: Dataset,
    task: Task,
    metrics: Metrics,
    jobs: Sequence[Job],
    records: Mapping[tuple[str, str], Record],
) -> Iterator[Answer]:
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
        Current ones.
    """
    wanted = [metric for metric in metrics if metric.scope == "set"]
    if not wanted or not dataset.reference:
        return
    real, rest = reference_halves(dataset)
    labels = _readers([case.socket(LABELS.slug) for case in dataset.cases])
    offered = [m for m in wanted if not m.evidence.missing(set_facts(real, ImageSet((), labels)))]
    for control in BOARDS[task.name].controls:
        images = rest if control == "real" else ImageSet(_answers(control, dataset, task), labels)
        if images.images:
            yield measure(control, "", offered, set_facts(real, images))
    for job in jobs:
        name = job.algorithm.name
        own = [(n, r) for n, c in enumerate(dataset.cases) if (r := records.get((name, c.name)))]
        failed = [record.status for _, record in own if not record.ok]
        paths = [output_path(record, job.folder / record.case, task) for _, record in own]
        images = ImageSet(_readers(paths), [labels[n] for n, _ in own if labels])
        facts = Facts({}) if failed else set_facts(real, images)
        if own:
            yield measure(name, "", offered, facts, status=(*failed, "ok")[0])


def reference_halves(dataset: Dataset) -> tuple[ImageSet, ImageSet]:
    """Return the reference set that outputs are compared with, and the control ``real``.

    Images take turns in the order of their names, so that a single one is the reference set.
    """
    paths = sorted(dataset.reference, key=lambda path: path.name)
    drawn = dataset.reference_labels or {}
    compared, rest = (
        ImageSet(_readers(half), _readers([drawn.get(path) for path in half]))
        for half in (paths[0::2], paths[1::2])
    )
    return compared, rest


def _readers(paths: Sequence[Path | None]) -> list[Reader]:
    """Return a reader of each file; none at all where one is missing."""
    known = [once(path) for path in paths if path is not None]
    return known if len(known) == len(paths) else []


def _answers(control: Control, dataset: Dataset, task: Task) -> list[Reader]:
    """Return the answer of a control to each case; none at all where one is missing."""
    found = []
    for case in dataset.cases:
        readers = case_readers(case, task)
        truth = readers.get("truth") if control == "oracle" else None
        found.append(control_answer(control, truth, readers.get("image")))
    known = [answer for answer in found if answer is not None]
    return known if len(known) == len(found) else []
