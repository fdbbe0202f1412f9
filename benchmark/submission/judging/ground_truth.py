"""Ground truth of a dataset, images that an organiser uploads, and the bundle of CodaBench, v2.

https://docs.codabench.org/latest/Organizers/Benchmark_Creation/Yaml-Structure
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from cytosuite import __version__
from cytosuite.benchmark.catalog.packages import ROOMS
from cytosuite.benchmark.catalog.places import need_checkout
from cytosuite.benchmark.engines.images import blueprints
from cytosuite.benchmark.engines.images.blueprints import evaluation_blueprint
from cytosuite.benchmark.runs.data.dataset import Case, Dataset
from cytosuite.benchmark.runs.data.preview import write_preview
from cytosuite.benchmark.runs.store.documents import rendered
from cytosuite.benchmark.scores import cases, platform, score
from cytosuite.benchmark.submission.judging.evaluation import (
    FILE,
    EvaluatedCase,
    Evaluation,
    Geometry,
    RankedMetric,
    RealImage,
)
from cytosuite.contract.interface import TABLE, read_case
from cytosuite.contract.tasks import LABELS, TASKS, Task
from cytosuite.errors import InputError
from cytosuite.files import atomic, json_text, read_json, work_folder, write_json
from cytosuite.files.archive import write_zip
from cytosuite.formats import header, read
from cytosuite.metrics import Metrics, board_metrics
from cytosuite.metrics.boards import BOARDS

Contents = dict[str, Path | bytes]  # of an archive, by name
LIST = "cases.json"
IMAGE = blueprints.image_tag("evaluation")
TEMPLATE = Path(__file__).with_name("steps.template")
CLIENT = Path(__file__).with_name("grand_challenge.py")
PROGRAM = "python3 -m cytosuite.benchmark.submission.judging.codabench /app/input /app/output"
COMPETITION = Path(__file__).with_name("competition.template")  # its phase is open at once
OVERVIEW = COMPETITION.with_name("overview.template")
TERMS = "To be written by the organisers.\n"


class GroundTruth(NamedTuple):
    """What a phase is judged by: its description, and all files that metrics compare with."""

    evaluation: Evaluation
    files: Contents

    def write(self, path: Path) -> None:
        """Write the files as a tarball."""
        blueprints.write_tarball(path, self.files)


def ground_truth(dataset: Dataset, task: Task) -> GroundTruth:
    """Return the ground truth of a task on a dataset; InputError without a metric to rank by."""
    metrics = board_metrics(task.name)
    of_set = score.offered_in_set(dataset, metrics)
    of_cases = {
        case.name: cases.offered_in_case(cases.case_readers(case, task), metrics)
        for case in dataset.cases
    }
    names = {metric.name for offered in (of_set, *of_cases.values()) for metric in offered}
    ranked = [m for m in metrics if m.name in names and m.name in BOARDS[task.name].primary]
    if not ranked:
        raise InputError(
            f"{dataset.name}: no metric to rank the task {task.name} by: it has no true outputs "
            "and no reference images; give labels, or --reference FOLDER"
        )
    files: Contents = {}
    judged = []
    for case in dataset.cases:
        files |= _files(case, task, [*of_set, *of_cases[case.name]])
        main = case.main(task)
        assert main is not None  # every task with a board takes an image
        head = header(main)
        bounds = Geometry(
            shape=head.shape, spacing=head.spacing, axes=head.axes, dtype=head.dtype.name
        )
        judged.append(EvaluatedCase(name=case.name, image=main.name, geometry=bounds))
    reference = list(_reference(dataset)) if of_set else []
    for real, image, labels in reference:
        files |= {real.image: image} | ({real.labels: labels} if labels is not None else {})
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
                path=platform.ranking_path(m),
                order="desc" if m.higher_is_better else "asc",
            )
            for m in ranked
        ),
        cases=tuple(judged),
        reference=tuple(real for real, _, _ in reference),
    )
    described = json_text(evaluation.model_dump(mode="json"))
    return GroundTruth(evaluation, files | {FILE: f"{described}\n".encode()})


def write_inputs(dataset: Dataset, task: Task, folder: Path) -> None:
    """Write the inputs of the task as an archive of the platform takes them, with its client."""
    with atomic(folder) as temporary:
        listed = []
        for case in dataset.cases:
            source = case.input(task)
            read_case(source, task)  # an input that our own containers refuse is no challenge
            by_slug = {}
            for socket in task.inputs:
                place = source / socket.relative_path
                files = sorted(place.iterdir()) if place.is_dir() else [place]
                for file in (file for file in files if file.is_file()):
                    name = f"{case.name}/{file.relative_to(source).as_posix()}"
                    (temporary / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(file, temporary / name)
                    by_slug[socket.slug] = name
            listed.append(by_slug)
        write_json(temporary / LIST, listed)
        shutil.copyfile(CLIENT, temporary / CLIENT.name)


def _files(case: Case, task: Task, metrics: Metrics) -> Contents:
    """Return the files of a case that metrics take, by name in the tarball."""
    assert task.main_output is not None  # else no metric is known
    facts = {name for m in metrics for name in (*m.evidence.needs, *m.evidence.uses)}
    truth = case.socket(task.main_output.slug)
    main = case.main(task)
    sockets = {task.main_output.slug: truth}
    if task.main_output.movie:
        sockets |= case.truth(task)
    plain = truth is None or task.main_output.is_file  # without a voxel size
    if main is not None and ("image" in facts or (plain and "spacing" in facts)):
        sockets[main.parent.name] = main
    if "labels" in facts or any(m.evidence.form == "scenes" for m in metrics):
        sockets[LABELS.slug] = case.socket(LABELS.slug)
    held = {slug: path for slug, path in sockets.items() if path is not None}
    content = {"sockets": sorted(held), "ignored": case.facts().get("ignored", {})}
    place = f"cases/{case.name}"
    return {
        f"{place}/case.json": f"{json.dumps(content)}\n".encode(),
        **{f"{place}/sockets/{_place(slug, path)}": path for slug, path in held.items()},
    }


def _place(slug: str, path: Path) -> str:
    """Return the place of a socket's file in a case."""
    return path.name if path.suffix in {".json", TABLE} else f"images/{slug}/{path.name}"


def _reference(dataset: Dataset) -> Iterator[tuple[RealImage, Path, Path | None]]:
    """Yield the real images in the order in which they are compared, numbered."""
    drawn = dataset.reference_labels or {}
    for number, path in enumerate(sorted(dataset.reference, key=lambda path: path.name)):
        labels = drawn.get(path)
        image = f"reference/images/{number:05d}{path.suffix.lower()}"
        target = labels and f"reference/labels/{number:05d}{labels.suffix.lower()}"
        yield RealImage(image=image, labels=target or ""), path, labels


def steps(evaluation: Evaluation, task: Task, tarball: str, inputs: str) -> str:
    """Return the steps to set up a phase, in Markdown."""
    return rendered(
        TEMPLATE, image=IMAGE, evaluation=evaluation, task=task, inputs=inputs, tarball=tarball
    )


def write_bundle(truth: GroundTruth, inputs: Path, image: str, path: Path) -> None:
    """Write a bundle: a container of the image scores its submissions; needs a checkout."""
    evaluation = truth.evaluation
    with work_folder(path.parent) as folder:
        first = inputs / next(iter(read_json(inputs / LIST)[0].values()))
        write_preview(folder, evaluation.cases[0].name, {"": read(first)}, None, {})
        files = [file for file in inputs.rglob("*") if file.is_file()]
        parts: Mapping[str, Contents] = {
            "inputs.zip": {file.relative_to(inputs).as_posix(): file for file in files},
            "program.zip": _program(need_checkout("a scoring program")),
            "reference.zip": truth.files,
        }
        facts = {"evaluation": evaluation, "task": TASKS[evaluation.task], "image": image}
        contents: Contents = {
            "competition.yaml": rendered(COMPETITION, **facts).encode(),  # JSON is YAML too
            "logo.png": folder / "preview.png",
            "overview.md": rendered(OVERVIEW, **facts).encode(),
            "terms.md": TERMS.encode(),
        }
        zips = {name: write_zip(folder / name, part) for name, part in parts.items()}
        write_zip(path, {**contents, **zips})


def _program(root: Path) -> Contents:
    """Return the scoring program: its command, and the package as one folder without links."""
    files = {}
    for file in evaluation_blueprint(root).files:
        place = file.relative_to(root)
        files[(Path("cytosuite") / place if place.parts[0] in ROOMS else place).as_posix()] = file
    return files | {"metadata.yaml": json.dumps({"command": PROGRAM}).encode()}
