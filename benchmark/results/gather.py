"""Gather what the report shows from a run."""

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from math import nan
from pathlib import Path
from typing import Any

from benchmark.catalog import ROOT
from benchmark.results.controls import CONTROLS
from benchmark.data.dataset import Dataset
from benchmark.plan import Job
from benchmark.results.ranking import leaderboard
from benchmark.report.content import (
    AlgorithmInfo,
    CasePicture,
    Failure,
    MetricInfo,
    ReportContent,
    SelectionNote,
)
from benchmark.results.score import Scores, by_condition
from cytosuite import __version__

LOG_LINES = 30
LOG_BYTES = 20_000
PACKAGES = ("numpy", "scipy", "scikit-image", "SimpleITK", "tifffile")


@dataclass(frozen=True, slots=True)
class Conditions:
    """Under which conditions a run was made, for its provenance."""

    engine: str
    api: str
    command: str
    limits: str


def gather(
    dataset: Dataset, jobs: Sequence[Job], scores: Scores, conditions: Conditions
) -> ReportContent:
    """Return everything the report shows.

    Parameters
    ----------
    dataset : Dataset
        What was run on.
    jobs : sequence of Job
        What ran.
    scores : Scores
        What was measured.
    conditions : Conditions
        How it was run.
    """
    standings = leaderboard(scores.table, scores.pooled, scores.metrics, tuple(CONTROLS))
    return ReportContent(
        title=f"{dataset.title} · {dataset.size}" if dataset.seed is not None else dataset.title,
        dataset=dataset.name,
        generated=datetime.now(UTC).isoformat(timespec="seconds"),
        command=conditions.command,
        provenance=_provenance(dataset, jobs, conditions),
        standings=standings,
        metrics=[
            MetricInfo(
                metric.name,
                metric.title,
                metric.description,
                metric.best,
                metric.worst,
                metric.reference,
                metric.primary,
            )
            for metric in scores.metrics
        ],
        scores=scores.table,
        failures=_failures(jobs, scores),
        selections=_selections(scores),
        algorithms=_algorithms(jobs, scores),
        notes=_notes(dataset),
        pictures=_pictures(dataset, jobs, scores),
        conditions=by_condition(dataset, scores),
    )


def _notes(dataset: Dataset) -> list[str]:
    """Return the sentences a reader must see first."""
    notes = list(dataset.notes)
    if all(case.truth(dataset.task) is None for case in dataset.cases):
        notes.insert(
            0,
            "There are no labels: the algorithms ran and their objects are counted and shown, "
            "but SEG, DET, F1 and the other scores are not possible.",
        )
    return notes


def _failures(jobs: Sequence[Job], scores: Scores) -> list[Failure]:
    """Return the cases that failed, with the end of their logs."""
    folders = {job.algorithm.name: job.folder for job in jobs}
    return [
        Failure(name, case, record["status"], str(record["message"]), _tail(folders[name] / case))
        for (name, case), record in scores.records.items()
        if record["status"] != "ok"
    ]


def _tail(folder: Path) -> str:
    """Return the last lines of a case's log."""
    try:
        with (folder / "log.txt").open("rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - LOG_BYTES))
            text = stream.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-LOG_LINES:])


def _selections(scores: Scores) -> list[SelectionNote]:
    """Return which model was chosen for each case."""
    notes = []
    for (name, case), record in scores.records.items():
        if not record["model"]:
            continue
        said: Mapping[str, Any] = record["selection"]
        broken = said.get("broken") or ()
        cost = said.get("cost")
        notes.append(
            SelectionNote(
                name,
                case,
                record["model"],
                float(cost) if isinstance(cost, int | float) else nan,
                bool(said.get("fallback")),
                f"no model has this {', '.join(map(str, broken))}" if broken else "",
            )
        )
    return notes


def _algorithms(jobs: Sequence[Job], scores: Scores) -> list[AlgorithmInfo]:
    """Return what there is to say of the algorithms."""
    found = []
    for job in jobs:
        manifest = job.algorithm
        startup = [
            float(record["startup_seconds"])
            for (name, _), record in scores.records.items()
            if name == manifest.name and record["startup_seconds"]
        ]
        found.append(
            AlgorithmInfo(
                manifest.name,
                manifest.version,
                manifest.title,
                manifest.description,
                manifest.license,
                manifest.references,
                min(startup) if startup else None,
            )
        )
    return found


def _pictures(dataset: Dataset, jobs: Sequence[Job], scores: Scores) -> list[CasePicture]:
    """Return the files of each case, for the report to draw."""
    return [
        CasePicture(
            case.name,
            case.image(dataset.task),
            case.truth(dataset.task),
            {
                job.algorithm.name: job.folder / case.name / str(record["output"])
                for job in jobs
                if (record := scores.records.get((job.algorithm.name, case.name))) is not None
                and record["status"] == "ok"
            },
        )
        for case in dataset.cases
    ]


def _provenance(dataset: Dataset, jobs: Sequence[Job], conditions: Conditions) -> dict[str, str]:
    """Return what one needs to repeat or doubt the run."""
    found = {
        "dataset": f"{dataset.name} ({dataset.size}), fingerprint {dataset.fingerprint[:16]}",
        "seed": "none (given images)" if dataset.seed is None else str(dataset.seed),
        "engine": f"{conditions.engine}, api {conditions.api}",
        "limits": conditions.limits,
        "cytosuite": f"{__version__} {revision()}".strip(),
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        **{package: version(package) for package in PACKAGES},
    }
    for job in jobs:
        found[job.algorithm.name] = f"{job.algorithm.version}, key {job.key[:16]}"
    return found


def revision() -> str:
    """Return the git revision of the checkout with ``+`` for changes, nothing outside of git."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--abbrev=10"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
