"""Pipelines: datasets sent through algorithms, with labels and conditions kept."""

from collections.abc import Callable
from dataclasses import replace

from cytosuite.benchmark.catalog.models import algorithms
from cytosuite.benchmark.engines.outcome import Engine
from cytosuite.benchmark.runs.data.dataset import STAGE, Case, Dataset, cases_in
from cytosuite.benchmark.runs.data.shard import Shard
from cytosuite.benchmark.runs.plan import Job, job_key, plan
from cytosuite.benchmark.runs.record import read_record
from cytosuite.benchmark.runs.run import locked
from cytosuite.benchmark.runs.store.integrity import is_whole, seal
from cytosuite.contract.interface import TABLE
from cytosuite.contract.tasks import TASKS, Task
from cytosuite.errors import InputError, pick
from cytosuite.files import Texts, atomic, link, write_json
from cytosuite.formats import read, write
from cytosuite.formats.imagefiles import CASE_SUFFIXES, case_suffix


def links(names: Texts) -> list[str]:
    """Return the algorithms of a chain; InputError if one does not exist."""
    return pick("algorithm for a pipeline", names, algorithms()) if names else []


def through(
    dataset: Dataset,
    name: str,
    engine: Engine,
    run: Callable[[list[Job]], object],
    *,
    retry: bool = False,
    shard: Shard | None = None,
) -> Dataset:
    """Return a dataset of an algorithm's outputs (`Socket.becomes`); InputError if a case fails."""
    manifest = algorithms()[name]
    task = TASKS[manifest.task]
    if not dataset.serves(task, manifest):
        raise InputError(
            f"through {name}: expected the inputs of the task {task.name} in every case of "
            f"{dataset.name}, found {', '.join(sorted(dataset.offers))}"
        )
    outputs = _expected(dataset, name, job_key(dataset.fingerprint, name, engine))
    facts = outputs.home / "dataset.json"
    if facts.is_file() and all(is_whole(case.folder) for case in outputs.cases):
        return outputs
    with locked(results := outputs.home / "results", shard):
        jobs = plan(dataset, [manifest], engine, results, retry=retry)
        run(jobs)
        for old, new in zip(dataset.cases, outputs.cases, strict=True):
            if not is_whole(new.folder):
                _make(old, new, jobs[0], task)
    if shard is None:
        write_json(facts, outputs.summary())
    return outputs


def _expected(dataset: Dataset, name: str, key: str) -> Dataset:
    """Return the dataset behind a link as it will lie on disk."""
    home = dataset.home.with_name(f"{dataset.name}-{name}-{key[:12]}")
    return replace(
        dataset,
        name=f"{dataset.name}-{name}",
        title=f"{dataset.title}, through {name}",
        fingerprint=key,
        home=home,
        cases=cases_in(home, (case.name for case in dataset.cases)),
    )


def _make(old: Case, new: Case, job: Job, task: Task) -> None:
    """Make one case of the outputs of a link and of the sockets that stay."""
    record = read_record(job.folder / old.name)
    if record is None or not record.ok:
        reason = "it has no result" if record is None else f"{record.status}: {record.message}"
        raise InputError(
            f"through {job.algorithm.name}: {old.name} failed ({reason}); RETRY=1 runs it again"
        )
    facts = old.facts()
    files = {
        socket.becomes or socket.slug: job.folder / old.name / record.outputs[socket.slug]
        for socket in task.outputs
        if socket.slug in record.outputs
    }
    sockets = {slug: old.socket(slug) for slug in facts["sockets"]}
    with atomic(new.folder) as temporary:
        for slug, path in (sockets | files).items():
            if path is None:
                continue
            if path.suffix in {".json", TABLE}:
                link(temporary / f"sockets/{slug}{path.suffix}", path)
            elif (suffix := case_suffix(path)) in CASE_SUFFIXES:
                link(Case(new.name, temporary).path(slug, suffix), path)
            else:
                write(Case(new.name, temporary).path(slug), read(path))
        for folder in sorted((old.folder / "extras").glob("*")):
            if not folder.name.startswith(STAGE):
                link(temporary / "extras" / folder.name, folder)
        made_by = {
            "algorithm": record.algorithm,
            "version": record.version,
            "model": record.model,
            "key": record.key,
            "selection": record.selection.model_dump(mode="json"),
        }
        facts["sockets"] = sorted({*facts["sockets"], *files})
        facts["through"] = [*facts.get("through", []), made_by]
        write_json(temporary / "case.json", facts)
        seal(temporary)
