"""Gather the results of a run: scores, ranks, terms of methods, files, logs and provenance."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from cytosuite.benchmark.runs.data.dataset import Dataset
from cytosuite.benchmark.runs.plan import Job
from cytosuite.benchmark.runs.record import Record
from cytosuite.benchmark.runs.store.pool import Pool
from cytosuite.benchmark.scores import (
    circumstances,
    conditions,
    controls,
    matches,
    objects,
    score,
    standings,
)
from cytosuite.benchmark.scores.results import CaseFiles, Results
from cytosuite.contract.tasks import Task
from cytosuite.datasets.recipes import dataset_manifests
from cytosuite.errors import InputError
from cytosuite.files import TextPair, read_tail
from cytosuite.metrics.boards import CONTROLS
from cytosuite.ranking.by_measure import rank_measures
from cytosuite.ranking.scores import measures

COLUMNS = ("domain", "trained", "weights", "size", "tool")  # of `Record.facts`
TIMES = ("cpu_seconds", "network_seconds")
SAME, NEAR, OTHER = "this", "same simulator", "other"
UNSAID = "not said"
NONE = "no training"
Answered = TextPair  # algorithm and case
LOG_LINES = 30
LOG_BYTES = 20_000


def with_domain(records: Mapping[Any, Record], dataset: Dataset) -> dict[Any, Record]:
    """Return the records, each with the fact whether its model was trained on its dataset."""
    whole = f"{dataset.name}/{dataset.size}" if dataset.seed is not None else dataset.name
    names = {case.name: case.stated().dataset or whole for case in dataset.cases}
    stated = {}
    for key, record in records.items():
        if record.facts and record.case in names:
            domain = domain_of(record.facts.get("trained", ""), names[record.case])
            record = record.model_copy(update={"facts": {**record.facts, "domain": domain}})
        stated[key] = record
    return stated


def domain_of(trained: str, dataset: str) -> str:
    """Return whether a training on comma-separated datasets was on this one, or why not known.

    >>> domain_of("nuclei-diffusion/culture", "nuclei/culture")
    'this'
    >>> domain_of("spheroid/mini", "spheroid/default"), domain_of("spheroid/mini", "nuclei")
    ('this', 'other')
    >>> domain_of("spheroid/tissue", "spheroid/mini")
    'same simulator'
    """
    if trained in ("", UNSAID, NONE):
        return trained or UNSAID
    target = _plain(dataset)
    sources = [_plain(name) for name in trained.split(", ")]
    if target in sources:
        return SAME
    return (
        NEAR if target.partition("/")[0] in {name.partition("/")[0] for name in sources} else OTHER
    )


@cache  # it reads all manifests, and a run has a few names alone
def _plain(name: str) -> str:
    """Return the dataset, and the recipe if it is one, without its size and its pipeline."""
    whole, _, part = name.partition("/")
    base = whole.partition("-")[0]
    if (manifest := dataset_manifests().get(base)) is None:
        return name
    return base if part in manifest.sizes or not part else f"{base}/{part}"


def gather(
    dataset: Dataset,
    task: Task,
    jobs: Sequence[Job],
    facts: circumstances.RunFacts,
    progress: score.Progress = lambda *_: None,
    pool: Pool | None = None,
) -> Results:
    """Return everything that a report shows: the scores and all that belongs to them."""
    answerers = [job.answerer for job in jobs]
    scores = score.score(dataset, task, answerers, progress, pool)
    table, metrics, primary = scores.table, scores.metrics, scores.primary
    places = {answerer.name: answerer.folder for answerer in answerers}
    folders = {(name, case): places[name] / case for name, case in scores.records}
    done = {key: record for key, record in scores.records.items() if record.ok}
    ran = {key: folders[key] for key in done}
    matched = {
        key: pairs
        for key, evidence in scores.evidence.items()
        if (pairs := matches.matches_of(evidence))
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
        provenance=circumstances.provenance(
            dataset, jobs, facts, [r.gpu for r in scores.records.values()]
        ),
        algorithms=[job.algorithm for job in jobs],
        metrics=metrics,
        primary=primary,
        standings=standings.leaderboard(table, scores.pooled, metrics, ranks, CONTROLS),
        scores=table,
        records=with_domain(
            {
                (name, case): record.model_copy(update={"algorithm": name})
                for (name, case), record in scores.records.items()
            },
            dataset,
        ),
        logs={key: _tail(folder) for key, folder in folders.items() if key not in done},
        cases=[
            CaseFiles(c.name, c.inputs(task), c.truth(task), c.channels()) for c in dataset.cases
        ],
        outputs={
            key: {slug: ran[key] / path for slug, path in record.outputs.items()}
            for key, record in done.items()
        },
        matches=matched,
        objects=_files(objects.FILE, ran),
        object_scores=_files(objects.SCORES_FILE, judged),
        links=_files(matches.LINKS_FILE, ran),
        reference=dataset.reference,
        sets={name: evidence for (name, case), evidence in scores.evidence.items() if not case},
        conditions=conditions.by_condition(dataset, scores),
        notes=[
            *([] if primary else [score.unscored(task)]),
            *dataset.notes,
            *facts.notes,
            *scores.notes,
            *score.given_up(scores.records),
            *score.of_warnings(scores.records),
        ],
        broken=controls.broken_rulers(table, metrics),
        ranking=ranking,
    )


def _files(name: str, folders: Mapping[Answered, Path]) -> dict[Answered, Path]:
    """Return the files of a name that there are, by algorithm and case."""
    return {key: path for key, folder in folders.items() if (path := folder / name).is_file()}


def _tail(folder: Path) -> str:
    """Return the last lines of a case's log."""
    try:
        text = read_tail(folder / "log.txt", LOG_BYTES)
    except InputError:
        return ""
    return "\n".join(text.splitlines()[-LOG_LINES:])
