"""A run as a submission: outputs and jobs as the platform hands them over, and its own scores."""

import shutil
from collections.abc import Collection, Iterator, Mapping
from math import isclose
from pathlib import Path
from typing import Any

from cytosuite.benchmark.record import read_record
from cytosuite.benchmark.results.blind import blind_row, tells
from cytosuite.benchmark.results.platform import metric_keys
from cytosuite.benchmark.submission.judging.evaluation import Evaluation
from cytosuite.benchmark.submission.judging.predictions import SUCCEEDED
from cytosuite.errors import InputError
from cytosuite.files import read_json, write_json
from cytosuite.metrics.metric import board_metrics
from cytosuite.tasks import TASKS, Socket

EQUAL = 1e-9  # of a value: the container may hold other versions of packages


def write_submission(job: Path, key: str, evaluation: Evaluation, folder: Path) -> None:
    """Write the results of a job of a run, of this key, as the platform lays out a submission."""
    task, jobs = TASKS[evaluation.task], []
    main = next(socket for socket in task.inputs if socket.kind != "json")
    for number, (case, image) in enumerate(evaluation.images.items(), start=1):
        record = read_record(job / case)
        if record is None or record.key != key:
            raise InputError(f"{job / case}: no result of this run; run it to its end")
        pk, entries = f"{number:06d}", []
        for socket in (socket for socket in task.outputs if socket.slug in record.outputs):
            place = record.outputs[socket.slug]
            source, target = job / case / place, folder / pk / place
            target.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)
            entries.append(_entry(socket, target.name))
        status = SUCCEEDED if record.ok else "Failed"
        jobs.append(
            {"pk": pk, "status": status, "inputs": [_entry(main, image)], "outputs": entries}
        )
    write_json(folder / "predictions.json", jobs)


def own_scores(run: Path, algorithm: str, task: str) -> dict[str, Any]:
    """Return the scores in the report of a run that participants may read, as they read them."""
    path = run / "report" / "metrics.json"
    found: Any = read_json(path)
    try:
        layout: dict[str, Any] = found.get("algorithms", {algorithm: found})[algorithm]
        hidden = metric_keys([metric for metric in board_metrics(task) if tells(metric)]).values()
        case = {name: _without(row, hidden) for name, row in layout["case"].items()}
        aggregates = _without(layout["aggregates"], hidden)
        return {
            "case": {name: blind_row(row) for name, row in case.items()},
            "aggregates": {name: blind_row(row) for name, row in aggregates.items()},
        }
    except (AttributeError, KeyError, TypeError):
        raise InputError(f"{path}: expected the scores of {algorithm}, found none") from None


def _without(row: Mapping[str, Any], hidden: Collection[str]) -> dict[str, Any]:
    """Return the entries of other names."""
    return {name: value for name, value in row.items() if name not in hidden}


def differences(
    own: Mapping[str, Any], judged: Mapping[str, Any], evaluation: Evaluation
) -> tuple[int, list[str]]:
    """Return the number of scores of a run and its evaluation, and a line for each that differs."""
    cases = {evaluation.images.get(case, case): row for case, row in own["case"].items()}
    sides = [
        dict(_leaves({"case": cases, "aggregates": own["aggregates"]})),
        dict(_leaves({part: judged[part] for part in ("case", "aggregates")})),
    ]
    names = list(dict.fromkeys(name for side in sides for name in side))
    lines = []
    for name in names:
        before, after = sides[0].get(name), sides[1].get(name)
        if (
            before is None
            or after is None
            or not isclose(before, after, rel_tol=EQUAL, abs_tol=EQUAL)
        ):
            lines.append(f"{' '.join(name[1:])}: {before} in the run, {after} in the evaluation")
    return len(names), lines


def _leaves(found: object, name: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the numbers of nested objects by their path."""
    if isinstance(found, Mapping):
        for key, value in found.items():
            yield from _leaves(value, (*name, key))
    else:
        yield name, found


def _entry(socket: Socket, name: str) -> dict[str, Any]:
    """Return an input or output of a job as the platform lists it."""
    kind = "Anything" if socket.kind == "json" else "Image"
    place = {"slug": socket.slug, "relative_path": socket.relative_path, "kind": kind}
    return {"interface": place, "image": None if socket.kind == "json" else {"name": name}}
