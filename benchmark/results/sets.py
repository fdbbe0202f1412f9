"""Score controls and algorithms on the whole set: all outputs against a reference set."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cytosuite.benchmark.data.dataset import Dataset
from cytosuite.benchmark.plan import Job
from cytosuite.benchmark.record import Record
from cytosuite.benchmark.results.cases import Answer, Metrics, case_readers, measure, output_path
from cytosuite.benchmark.results.controls import control_answer
from cytosuite.benchmark.results.facts import ImageSet, Reader, once, set_facts
from cytosuite.metrics import Metric
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
        Nothing is yielded without a reference set. Its images take turns in the order of their
        names: outputs are compared with every second one, the others are the control ``real``.
    task : Task
        Of the run.
    metrics : sequence of Metric
        Of the task's board; those whose needs the dataset does not meet are left out.
    jobs : sequence of Job
        Algorithms and folders.
    records : mapping of (algorithm, case) to Record
        Current ones.
    """
    offered = offered_in_set(dataset, metrics)
    if not offered:
        return
    real, rest, objects = _sides(dataset)
    labels = {c.name: own for c, own in zip(dataset.cases, objects, strict=False)}
    for control in BOARDS[task.name].controls:
        images = rest if control == "real" else ImageSet(_answers(control, dataset, task), objects)
        if images.images:
            yield measure(control, "", offered, set_facts(real, images))
    for job in jobs:
        name = job.algorithm.name
        own = {case: record for (algorithm, case), record in records.items() if algorithm == name}
        failed = [record.status for record in own.values() if not record.ok]
        outputs = _readers([output_path(r, job.folder / c, task) for c, r in own.items()])
        images = ImageSet(outputs, [labels[case] for case in own if labels])
        facts = Facts({}) if failed else set_facts(real, images)
        if own:
            yield measure(name, "", offered, facts, status=(*failed, "ok")[0])


def offered_in_set(dataset: Dataset, metrics: Metrics) -> list[Metric[Any]]:
    """Return the metrics of the whole set that a dataset allows, given outputs."""
    wanted = [metric for metric in metrics if metric.scope == "set"]
    if not wanted or not dataset.reference:
        return []
    real, _, objects = _sides(dataset)
    possible = set_facts(real, ImageSet((), objects))
    return [metric for metric in wanted if not metric.evidence.missing(possible)]


def _sides(dataset: Dataset) -> tuple[ImageSet, ImageSet, list[Reader]]:
    """Return the two halves of the reference set, and the labels of the cases."""
    paths = sorted(dataset.reference, key=lambda path: path.name)
    drawn = dataset.reference_labels or {}
    real, rest = (
        ImageSet(_readers(half), _readers([drawn.get(path) for path in half]))
        for half in (paths[0::2], paths[1::2])
    )
    return real, rest, _readers([case.socket(LABELS.slug) for case in dataset.cases])


def _readers(paths: Sequence[Path | None]) -> list[Reader]:
    """Return a reader of each file; none at all where one is missing."""
    known = [once(path) for path in paths if path is not None]
    return known if len(known) == len(paths) else []


def _answers(control: Control, dataset: Dataset, task: Task) -> list[Reader]:
    """Return the answer of a control to each case; none at all where one is missing."""
    cases = [case_readers(case, task) for case in dataset.cases]
    oracle = control == "oracle"  # others need not decode the truth
    found = [
        control_answer(control, own["truth"] if oracle else None, own["image"]) for own in cases
    ]
    known = [answer for answer in found if answer is not None]
    return known if len(known) == len(found) else []
