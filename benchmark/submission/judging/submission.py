"""A run as a submission: outputs and jobs as the platform hands them over, and its own scores."""

import re
import shutil
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from math import isclose, nan
from pathlib import Path
from typing import NamedTuple

from cytosuite.benchmark.catalog.models import leaves
from cytosuite.benchmark.runs.record import read_record
from cytosuite.benchmark.scores.blind import blind_row, tells
from cytosuite.benchmark.scores.platform import metric_keys
from cytosuite.benchmark.submission.judging.evaluation import Evaluation
from cytosuite.contract.interface import socket_place
from cytosuite.contract.tasks import TASKS, Socket
from cytosuite.errors import InputError, at, plain
from cytosuite.files import Entries, Json, Paths, TextMap, Texts, TextSeq, read_json, write_json
from cytosuite.metrics.metric import board_metrics

SUCCEEDED = "Succeeded"
KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", re.ASCII)  # of a job: one folder
SHOWN = 3  # names in a message
EQUAL = 1e-9  # of a value: the container may hold other versions of packages


class SubmittedJob(NamedTuple):
    """A job of an algorithm on one case."""

    pk: str  # its key, the folder of its outputs
    status: str  # the platform's word
    images: Texts  # names under which its input images were uploaded
    places: TextMap  # relative path of each listed output, by slug


def read_predictions(path: Path) -> list[SubmittedJob]:
    """Return the jobs in a ``predictions.json`` of at most 64 MiB, or InputError."""
    jobs = read_json(path)
    if not isinstance(jobs, list):
        raise InputError(f"{path}: expected a list of jobs, found {_short(jobs)}")
    by_key = {}
    with at(path):
        for number, job in enumerate(jobs):
            submitted = _job(f"job {number}", job)
            if submitted.pk in by_key:
                raise InputError(f"two jobs have the pk {submitted.pk}; expected one job each")
            by_key[submitted.pk] = submitted
    return list(by_key.values())


def by_case(
    predictions: Sequence[SubmittedJob], images: TextMap, path: Path
) -> dict[str, SubmittedJob]:
    """Return the job of each case that has one; InputError if jobs do not match the cases."""
    cases = {image: case for case, image in images.items()}
    jobs: dict[str, SubmittedJob] = {}
    for job in predictions:
        matches = sorted({cases[name] for name in job.images if name in cases})
        if len(matches) != 1:
            text = _listed(job.images) if job.images else "no inputs[*].image.name"
            raise InputError(
                f"{path}: job {job.pk}: expected the input image of one case, found {text}; "
                f"names in the ground truth: {_listed(list(cases))}; upload the images under "
                "these names"
            )
        first = jobs.setdefault(matches[0], job)
        if first is not job:
            raise InputError(
                f"{path}: two jobs have the input image {images[matches[0]]}: {first.pk} and "
                f"{job.pk}; expected one job per case"
            )
    return jobs


def _job(where: str, job: object) -> SubmittedJob:
    """Return a job after a check of all that is used of it."""
    if not isinstance(job, dict):
        raise InputError(f"{where}: expected an object, found {_short(job)}")
    pk = job.get("pk")
    status = job.get("status")
    if not isinstance(pk, str) or not KEY.fullmatch(pk):
        raise InputError(
            f"{where}: expected a pk of letters, digits and hyphens, found {_short(pk)}"
        )
    named = [entry.get("image") for entry in _entries(where, job, "inputs")]
    images = [image.get("name") for image in named if isinstance(image, dict)]
    names = (unicodedata.normalize("NFC", name) for name in images if isinstance(name, str))
    places = {}
    for entry in _entries(where, job, "outputs"):
        if {"interface", "socket"} & set(entry):
            place = socket_place(f"{where}: outputs", entry)
            if place["slug"] in places:
                raise InputError(f"{where}: outputs: two entries of {_short(place['slug'])}")
            places[place["slug"]] = place.get("relative_path", "")
    outcome = SUCCEEDED if status is None else plain(str(status), 60)
    return SubmittedJob(pk, outcome, tuple(dict.fromkeys(names)), places)


def _entries(where: str, job: Entries, key: str) -> Iterator[Json]:
    """Yield the socket values under a key of a job; none where it is absent or null."""
    entries = job.get(key)
    for entry in [] if entries is None else entries if isinstance(entries, list) else [entries]:
        if not isinstance(entry, dict):
            raise InputError(f"{where}: {key}: expected a list of objects, found {_short(entry)}")
        yield entry


def _listed(names: TextSeq) -> str:
    more = f", ... ({len(names)})" if len(names) > SHOWN else ""
    return ", ".join(plain(name, 80) for name in names[:SHOWN]) + more


def _short(value: object) -> str:
    return plain(repr(value)[:200], 60)


def write_submission(job: Path, key: str, evaluation: Evaluation, folder: Path) -> None:
    """Write the results of a job of a run, of this key, as the platform lays out a submission."""
    task = TASKS[evaluation.task]
    answers = dict[str, AnsweredCase]()
    for case in evaluation.images:
        record = read_record(job / case, key)
        if record is None:
            raise InputError(f"{job / case}: no result of this run; run it to its end")
        places = record.outputs
        files = {s.slug: job / case / places[s.slug] for s in task.outputs if s.slug in places}
        answers[case] = AnsweredCase(files, SUCCEEDED if record.ok else "Failed")
    lay_out(answers, evaluation, folder)


class AnsweredCase(NamedTuple):
    """The files of a case by socket, and the platform's word for how its job ended."""

    files: Paths
    status: str = SUCCEEDED


def lay_out(answers: Mapping[str, AnsweredCase], evaluation: Evaluation, folder: Path) -> None:
    """Write answers by case as the platform lays out a submission: a job for each case."""
    task = TASKS[evaluation.task]
    jobs = []
    main = next(socket for socket in task.inputs if socket.is_volume)
    for number, (case, answer) in enumerate(answers.items(), start=1):
        pk = f"{number:06d}"
        entries = []
        for socket in (socket for socket in task.outputs if socket.slug in answer.files):
            source = answer.files[socket.slug]
            place = Path(socket.relative_path)
            target = folder / pk / "output" / (place if socket.is_file else place / source.name)
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():  # an OME-Zarr: its links stay links and are refused
                shutil.copytree(source, target, symlinks=True)
            else:
                shutil.copyfile(source, target)
            entries.append(_entry(socket, target.name))
        jobs.append(
            {
                "pk": pk,
                "status": answer.status,
                "inputs": [_entry(main, evaluation.images[case])],
                "outputs": entries,
            }
        )
    write_json(folder / "predictions.json", jobs)


def own_scores(run: Path, algorithm: str, task: str) -> Json:
    """Return the scores in the report of a run that participants may read, as they read them."""
    path = run / "report/metrics.json"
    report = read_json(path)
    try:
        layout = report.get("algorithms", {algorithm: report})[algorithm]
        hidden = metric_keys([metric for metric in board_metrics(task) if tells(metric)]).values()
        return {
            "case": {n: blind_row(_without(row, hidden)) for n, row in layout["case"].items()},
            "aggregates": {
                n: blind_row(row) for n, row in _without(layout["aggregates"], hidden).items()
            },
        }
    except (AttributeError, KeyError, TypeError):
        raise InputError(f"{path}: expected the scores of {algorithm}, found none") from None


def _without(row: Entries, hidden: Collection[str]) -> Json:
    return {name: value for name, value in row.items() if name not in hidden}


def differences(scores: Entries, judged: Entries, evaluation: Evaluation) -> tuple[int, list[str]]:
    """Return the number of scores of a run and its evaluation, and a line for each that differs."""
    cases = {evaluation.images.get(case, case): row for case, row in scores["case"].items()}
    before = dict(leaves({"case": cases, "aggregates": scores["aggregates"]}))
    after = dict(leaves({part: judged[part] for part in ("case", "aggregates")}))
    names = before | after
    lines = [
        f"{' '.join(name[1:])}: {before.get(name)} in the run, {after.get(name)} in the evaluation"
        for name in names
        if not isclose(before.get(name, nan), after.get(name, nan), rel_tol=EQUAL, abs_tol=EQUAL)
    ]
    return len(names), lines


def _entry(socket: Socket, name: str) -> Json:
    place = {"slug": socket.slug, "relative_path": socket.relative_path}
    place["kind"] = socket.platform_kind
    return {"interface": place, "image": None if socket.is_file else {"name": name}}
