"""Gather the results of a run: scores, ranks, files, logs and provenance."""

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from cytosuite.benchmark.runs.data.dataset import Dataset
from cytosuite.benchmark.runs.plan import Job
from cytosuite.benchmark.runs.store.pool import Pool
from cytosuite.benchmark.scores import (
    circumstances,
    conditions,
    controls,
    fairness,
    matches,
    notes,
    objects,
    score,
    standings,
)
from cytosuite.benchmark.scores.results import CaseFiles, Results
from cytosuite.contract.tasks import Task
from cytosuite.errors import InputError
from cytosuite.files import TextPair, open_regular
from cytosuite.metrics.boards import CONTROLS
from cytosuite.ranking.by_measure import rank_measures
from cytosuite.ranking.scores import measures

Answered = TextPair  # algorithm and case
LOG_LINES = 30
LOG_BYTES = 20_000


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
        records=fairness.with_domain(
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
            *([] if primary else [notes.unscored(task)]),
            *dataset.notes,
            *facts.notes,
            *scores.notes,
            *notes.given_up(scores.records),
            *notes.of_warnings(scores.records),
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
        with open_regular(folder / "log.txt") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - LOG_BYTES))
            text = stream.read(LOG_BYTES).decode("utf-8", errors="replace")
    except InputError:
        return ""
    return "\n".join(text.splitlines()[-LOG_LINES:])
