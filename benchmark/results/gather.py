"""Gather the results of a run: scores, ranks, files, logs and provenance."""

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from cytosuite.benchmark.data.dataset import Dataset
from cytosuite.benchmark.results.circumstances import RunFacts, provenance
from cytosuite.benchmark.results.conditions import by_condition
from cytosuite.benchmark.results.controls import broken_rulers
from cytosuite.benchmark.results.fairness import with_domain
from cytosuite.benchmark.results.objects import FILE, SCORES_FILE
from cytosuite.benchmark.results.points import match_points
from cytosuite.benchmark.results.results import CaseFiles, Matches, Results
from cytosuite.benchmark.results.score import Progress, score
from cytosuite.benchmark.results.standings import leaderboard
from cytosuite.benchmark.runs.plan import Job
from cytosuite.benchmark.runs.record import LEFT, Record, grouped
from cytosuite.benchmark.store.pool import Pool
from cytosuite.contract.choice_warnings import ASSUMED
from cytosuite.contract.tasks import Task
from cytosuite.errors import InputError
from cytosuite.files import open_regular
from cytosuite.metrics.boards import BOARDS, CONTROLS
from cytosuite.metrics.evidence import Evidence
from cytosuite.metrics.labels.ctc import matches
from cytosuite.metrics.labels.object_errors import MATCHED, object_classes
from cytosuite.metrics.labels.overlap import OVERLAP, Overlap
from cytosuite.metrics.points.matching import MATCHED_POINTS
from cytosuite.ranking.by_measure import rank_measures
from cytosuite.ranking.scores import measures

Answered: TypeAlias = tuple[str, str]  # algorithm and case
LOG_LINES = 30
LOG_BYTES = 20_000


def gather(
    dataset: Dataset,
    task: Task,
    jobs: Sequence[Job],
    facts: RunFacts,
    progress: Progress = lambda *_: None,
    pool: Pool | None = None,
) -> Results:
    """Return everything that a report shows: the scores and all that belongs to them."""
    scores = score(dataset, task, jobs, progress, pool)
    table, metrics, primary = scores.table, scores.metrics, scores.primary
    places = {job.algorithm.name: job.folder for job in jobs}
    folders = {(name, case): places[name] / case for name, case in scores.records}
    done = {key: record for key, record in scores.records.items() if record.ok}
    matched = {
        key: pairs for key, evidence in scores.evidence.items() if (pairs := matches_of(evidence))
    }
    judged = {key: folder for key, folder in folders.items() if key in matched}
    ranking = rank_measures(table, measures(metrics), primary, CONTROLS)
    ranks = ranking.overall.ranks[ranking.scheme] if ranking else {}
    return Results(
        title=f"{dataset.title} · {dataset.size}" if dataset.seed is not None else dataset.title,
        dataset=dataset.name,
        task=task,
        generated=datetime.now(UTC).isoformat(timespec="seconds"),
        command=facts.command,
        provenance=provenance(dataset, jobs, facts, scores.records.values()),
        algorithms=[job.algorithm for job in jobs],
        metrics=metrics,
        primary=primary,
        standings=leaderboard(table, scores.pooled, metrics, ranks, CONTROLS),
        scores=table,
        records=with_domain(_named(scores.records), dataset),
        logs={key: _tail(folder) for key, folder in folders.items() if key not in done},
        cases=[
            CaseFiles(c.name, c.inputs(task), c.truth(task), c.channels()) for c in dataset.cases
        ],
        outputs={
            key: {slug: folders[key] / path for slug, path in record.outputs.items()}
            for key, record in done.items()
        },
        matches=matched,
        objects=_files(FILE, {key: folders[key] for key in done}),
        object_scores=_files(SCORES_FILE, judged),
        reference=dataset.reference,
        sets={name: evidence for (name, case), evidence in scores.evidence.items() if not case},
        conditions=by_condition(dataset, scores),
        notes=[
            *([] if primary else [_unscored(task)]),
            *dataset.notes,
            *facts.notes,
            *scores.notes,
            *_given_up(scores.records),
            *_doubts(scores.records),
        ],
        broken=broken_rulers(table, metrics),
        ranking=ranking,
    )


def _named(records: Mapping[Answered, Record]) -> dict[Answered, Record]:
    """Return records by the names that their algorithms have here."""
    return {
        (name, case): record.model_copy(update={"algorithm": name})
        for (name, case), record in records.items()
    }


def _files(name: str, folders: Mapping[Answered, Path]) -> dict[Answered, Path]:
    """Return the files of a name that there are, by algorithm and case."""
    paths = {key: folder / name for key, folder in folders.items()}
    return {key: path for key, path in paths.items() if path.is_file()}


def matches_of(evidence: Mapping[Evidence[Any], Any]) -> Matches | None:
    """Return the matched and unmatched objects or points of an answer, None of other tasks."""
    if OVERLAP in evidence:
        return match(evidence[OVERLAP])
    return match_points(evidence[MATCHED_POINTS]) if MATCHED_POINTS in evidence else None


def match(table: Overlap) -> Matches:
    """Return the matched and unmatched objects of an overlap table."""
    pairs = matches(table)
    missed = np.delete(table.truth_labels, table.truth_index[pairs])
    extra = np.delete(table.prediction_labels, table.prediction_index[pairs])
    sides = zip((table.truth_labels, table.prediction_labels), object_classes(table), strict=True)
    odd = [
        {int(labels[n]): str(classes[n]) for n in np.flatnonzero(classes != MATCHED)}
        for labels, classes in sides
    ]
    number = table.truth_labels.size
    return Matches(tuple(missed.tolist()), tuple(extra.tolist()), number, *odd)


def _doubts(records: Mapping[tuple[str, str], Record]) -> list[str]:
    """Return the warnings of each algorithm by kind; the dataset notes assumed voxel sizes."""
    warnings: dict[str, dict[str, list[str]]] = {}
    for (name, case), record in records.items():
        lines = [line for line in record.warnings if not line.startswith(ASSUMED)]
        warnings.setdefault(name, {})[case] = lines
    return [f"{name}: {line}." for name in warnings for line in grouped(warnings[name], "case")]


def _given_up(records: Mapping[tuple[str, str], Record]) -> list[str]:
    """Return a note on each algorithm that was given up, as its first cases failed alike."""
    left: dict[str, list[Record]] = {}
    for (name, _), record in records.items():
        if record.message.startswith(LEFT):
            left.setdefault(name, []).append(record)
    return [
        f"{name}: {len(lost)} cases were not run and count as failed, since its first cases all "
        f"failed alike ({lost[0].status}: {lost[0].message.removeprefix(LEFT)}); KEEP_GOING=1 runs "
        "them."
        for name, lost in left.items()
    ]


def _unscored(task: Task) -> str:
    """Return the sentence that a reader must see first where nothing can be ranked."""
    if task.main_output is None:
        return "The outputs are JSON without a schema: the algorithms ran, but nothing is scored."
    if not BOARDS[task.name].families:
        return "A request has no truth: the algorithms ran, their outputs are counted and shown."
    if task.main_output.kind == "labels":
        return (
            "There are no labels: the algorithms ran and their objects are counted and shown, "
            "but SEG, DET, F1 and the other scores are not possible."
        )
    if task.main_output.kind == "points":
        return (
            "There are no true points: the algorithms ran and their points are counted and shown, "
            "but F1 and the other scores are not possible."
        )
    return (
        "There is no truth and no reference set: the algorithms ran and their outputs are "
        "shown, but scores are not possible."
    )


def _tail(folder: Path) -> str:
    """Return the last lines of a case's log."""
    try:
        with open_regular(folder / "log.txt") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - LOG_BYTES))
            text = stream.read(LOG_BYTES).decode("utf-8", errors="replace")
    except InputError:
        return ""
    return "\n".join(text.splitlines()[-LOG_LINES:])
