"""Ground-truth tarball of a dataset, and the images that an organiser uploads."""

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cytosuite import __version__
from cytosuite.benchmark.containers.context import Files, write_tarball
from cytosuite.benchmark.data.dataset import Case, Dataset
from cytosuite.benchmark.results.cases import offered_in_case
from cytosuite.benchmark.results.platform import ranking_path
from cytosuite.benchmark.results.sets import offered_in_set
from cytosuite.benchmark.submission.judging.evaluation import (
    FILE,
    EvaluatedCase,
    Evaluation,
    Geometry,
    RankedMetric,
    RealImage,
)
from cytosuite.errors import InputError
from cytosuite.files import atomic, write_json
from cytosuite.formats import header
from cytosuite.interface import read_case
from cytosuite.metrics import Metric, board_metrics
from cytosuite.metrics.boards import BOARDS
from cytosuite.tasks import LABELS, Task

Metrics = Sequence[Metric[Any]]
LIST = "cases.json"


def write_ground_truth(dataset: Dataset, task: Task, path: Path) -> Evaluation:
    """Write the tarball of all that the metrics compare with, and return its description.

    Parameters
    ----------
    dataset : Dataset
        With true outputs, or a reference set.
    task : Task
        Of the phase.
    path : Path
        ``.tar.gz``, complete or absent. The same dataset gives the same bytes.

    Raises
    ------
    InputError
        If there is no metric to rank by.

    Notes
    -----
    Files are copied as they are, so that the scores are those of a benchmark bit for bit. Of each
    case there is the truth; its input image and labels only where a metric takes them.
    """
    evaluation, files = _content(dataset, task)
    described = json.dumps(evaluation.model_dump(mode="json"), indent=2, ensure_ascii=False)
    files[FILE] = f"{described}\n".encode()
    write_tarball(path, files)
    return evaluation


def write_inputs(dataset: Dataset, task: Task, folder: Path) -> None:
    """Write the inputs of the task as they are uploaded to an archive of the platform.

    Parameters
    ----------
    dataset, task : Dataset, Task
        As of `write_ground_truth`.
    folder : Path
        A new folder: ``<case>/<relative path of the socket>``, where an image socket is a folder
        with one file, and ``cases.json``, a list with an object for each case of slugs and files,
        as ``gcapi``'s `add_cases_to_archive` takes them.
    """
    with atomic(folder) as temporary:
        listed = []
        for case in dataset.cases:
            source = case.input(task)
            read_case(source, task)  # an input that our own containers refuse is no challenge
            own = {}
            for socket in task.inputs:
                place = source / socket.relative_path
                found = sorted(place.iterdir()) if place.is_dir() else [place]
                for file in (file for file in found if file.is_file()):
                    name = f"{case.name}/{file.relative_to(source).as_posix()}"
                    (temporary / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(file, temporary / name)
                    own[socket.slug] = name
            listed.append(own)
        write_json(temporary / LIST, listed)


def _content(dataset: Dataset, task: Task) -> tuple[Evaluation, dict[str, Path | bytes | None]]:
    """Return the description of a ground truth, and its files by name."""
    metrics = board_metrics(task.name)
    of_set = offered_in_set(dataset, metrics)
    of_cases = {case.name: offered_in_case(case, task, metrics) for case in dataset.cases}
    known = {metric.name for own in (of_set, *of_cases.values()) for metric in own}
    ranked = [m for m in metrics if m.name in known and m.name in BOARDS[task.name].primary]
    if not ranked:
        raise InputError(
            f"{dataset.name}: no metric to rank the task {task.name} by: it has no true outputs "
            "and no reference images; give labels, or --reference FOLDER"
        )
    files: dict[str, Path | bytes | None] = {}
    for case in dataset.cases:
        files |= _files(case, task, [*of_set, *of_cases[case.name]])
    reference = list(_reference(dataset)) if of_set else []
    for one, image, labels in reference:
        files |= {one.image: image} | ({one.labels: labels} if labels is not None else {})
    evaluation = Evaluation(
        cytosuite=__version__,
        task=task.name,
        dataset=dataset.name,
        title=dataset.title,
        size=dataset.size,
        fingerprint=dataset.fingerprint,
        ranked=tuple(
            RankedMetric(
                metric=m.name,
                path=ranking_path(m),
                order="desc" if m.higher_is_better else "asc",
            )
            for m in ranked
        ),
        cases=tuple(_described(case, task) for case in dataset.cases),
        reference=tuple(one for one, _, _ in reference),
    )
    return evaluation, files


def _described(case: Case, task: Task) -> EvaluatedCase:
    """Return the description of a case: its main input bounds the outputs."""
    main = case.main(task)
    assert main is not None  # every task with a board takes an image
    return EvaluatedCase(name=case.name, image=main.name, geometry=Geometry.of(header(main)))


def _files(case: Case, task: Task, metrics: Metrics) -> Files:
    """Return the files of a case that metrics take, by name in the tarball."""
    assert task.main_output is not None  # else no metric is known
    facts = {name for m in metrics for name in (*m.evidence.needs, *m.evidence.uses)}
    truth, main = case.socket(task.main_output.slug), case.main(task)
    wanted = {task.main_output.slug: truth}
    if "image" in facts or (truth is None and "spacing" in facts):
        wanted |= {main.parent.name: main} if main is not None else {}
    if "labels" in facts or any(m.evidence.form == "scenes" for m in metrics):
        wanted[LABELS.slug] = case.socket(LABELS.slug)
    held = {slug: path for slug, path in wanted.items() if path is not None}
    known = case.facts()
    content = {"sockets": sorted(held), "ignored": known.get("ignored", {})}
    place = f"cases/{case.name}"
    return {
        f"{place}/case.json": f"{json.dumps(content)}\n".encode(),
        **{f"{place}/sockets/images/{slug}/{path.name}": path for slug, path in held.items()},
    }


def _reference(dataset: Dataset) -> Iterator[tuple[RealImage, Path, Path | None]]:
    """Yield the real images in the order in which they are compared, numbered."""
    drawn = dataset.reference_labels or {}
    for number, path in enumerate(sorted(dataset.reference, key=lambda path: path.name)):
        labels = drawn.get(path)
        image = f"reference/images/{number:05d}{path.suffix.lower()}"
        own = labels and f"reference/labels/{number:05d}{labels.suffix.lower()}"
        yield RealImage(image=image, labels=own or ""), path, labels
