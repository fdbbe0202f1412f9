"""The main job: dataset, containers, run, scores, report, in this order."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from cytosuite import __version__
from cytosuite.benchmark.catalog import algorithms, pick
from cytosuite.benchmark.cluster.opened import OpenCluster
from cytosuite.benchmark.commands.cluster import ClusterRun, opened
from cytosuite.benchmark.commands.data import make, start_engine
from cytosuite.benchmark.commands.guests import need_guests, take_in
from cytosuite.benchmark.commands.options import BenchmarkOptions
from cytosuite.benchmark.commands.progress import Cases, progress
from cytosuite.benchmark.commands.repeat import command_of
from cytosuite.benchmark.commands.table import ValueTable, give
from cytosuite.benchmark.comparison.origin import case_digests, model_digest, request_facts
from cytosuite.benchmark.data.chain import links
from cytosuite.benchmark.data.dataset import Dataset
from cytosuite.benchmark.data.recipe import Recipe
from cytosuite.benchmark.data.several import recipe_of_all
from cytosuite.benchmark.engines.apptainer import ApptainerEngine
from cytosuite.benchmark.engines.docker import DockerEngine
from cytosuite.benchmark.engines.gpu import gpu_facts
from cytosuite.benchmark.engines.guest import is_guest
from cytosuite.benchmark.engines.outcome import Engine
from cytosuite.benchmark.integrity import FOREIGN, forget
from cytosuite.benchmark.models import (
    Models,
    cards_of,
    is_tarball,
    lacks_model,
    named_models,
    need_weights,
)
from cytosuite.benchmark.plan import Job, plan
from cytosuite.benchmark.report import write_blind, write_report
from cytosuite.benchmark.report.files import leaderboard
from cytosuite.benchmark.report.index import index as indexed
from cytosuite.benchmark.report.wording import count, log_path
from cytosuite.benchmark.results.controls import CONTROLS
from cytosuite.benchmark.results.gather import RunFacts, gather, revision
from cytosuite.benchmark.results.results import Results
from cytosuite.benchmark.run import claimed, run_job
from cytosuite.errors import InputError, ModelError
from cytosuite.files import write_json
from cytosuite.formats import header
from cytosuite.manifest import AlgorithmManifest
from cytosuite.metrics.boards import BOARDS
from cytosuite.tasks import TASKS, Task

FAILURES = 10  # that the console lists


def benchmark(options: BenchmarkOptions, console: Console) -> int:
    """Run a benchmark and write its report.

    Parameters
    ----------
    options : BenchmarkOptions
        Dataset, algorithms and circumstances.
    console : Console
        Shows progress and the leaderboard.

    Returns
    -------
    int
        0 when all went well, 1 when a case or a control failed.

    Raises
    ------
    CytosuiteError
        If the wanted run is not possible.
    """
    with opened(options, options.folder, console, options.device) as cluster:
        results, index = _results(options, cluster, console)
    return _conclude(results, index, options, console)


def _results(
    options: BenchmarkOptions, cluster: OpenCluster | None, console: Console
) -> tuple[Results, Path]:
    """Make the data, run missing cases, score, and write the report; return results and page."""
    if options.verify:
        forget(FOREIGN, options.folder)
    made = recipe_of_all(options.wanted)
    others = list(dict.fromkeys(filter(is_guest, options.algorithm)))
    need_guests(others, options.sockets)
    task, chosen = _chosen(options, made.task)
    chain = links(made.through)
    names = [found.name for found in chosen]
    own = None if others and is_tarball(options.model) else options.model
    models = named_models(own, names)
    need_weights([*chain, *names], models)
    engine = start_engine(options, [*chain, *names], console, models, cluster)
    if cluster is not None:
        known = algorithms()
        cluster.reserve(options.limits(known[name]).memory_gib for name in [*chain, *names])
    taken = [*algorithms(), *CONTROLS]
    guests = take_in(others, taken, task, engine, options, console)
    dataset = make(made, options, options, engine, console, retry=options.retry, cluster=cluster)
    named = bool(options.algorithm)
    chosen, notes = _served(dataset, task, [*chosen, *guests], named=named)
    ours = [found for found in chosen if found not in guests]
    ours, more = _fitting(dataset, task, ours, models, named=named)
    chosen = [*ours, *guests]
    folder = options.folder / (options.run or _run_name(made, task, engine))
    facts = _facts(options, engine, [*notes, *more])
    with claimed(folder):
        jobs = plan(dataset, chosen, engine, folder, retry=options.retry or options.keep_going)
        origin = _origin(options, dataset, jobs, models)
        _write_run(folder, dataset, task, jobs, facts, origin)
        happened = _run(jobs, dataset, task, engine, options, console, cluster)
        facts = replace(facts, notes=(*facts.notes, *happened))
        with progress(console, "scoring", minor=True) as step:
            pool = None if cluster is None else cluster.pool()
            results = gather(dataset, task, jobs, facts, step, pool)
            step(len(dataset.cases), len(dataset.cases))
        with progress(console, "writing the report", minor=True) as step:
            index = write_report(results, folder / "report", step)
            if options.blind:
                write_blind(results, folder)
            step(1, 1)
    return results, index


def _chosen(options: BenchmarkOptions, default: str) -> tuple[Task, list[AlgorithmManifest]]:
    """Return the task and our algorithms: those the user names, or all of the task."""
    known = algorithms()
    wanted = [name for name in options.algorithm if not is_guest(name)]
    if wanted:
        names = pick("algorithm", wanted, known)
        tasks = {known[name].task for name in names} | ({options.task} if options.task else set())
        if len(tasks) > 1:
            raise InputError(f"algorithms of one task are compared, found {', '.join(tasks)}")
        task = tasks.pop()
    else:
        task = options.task or default
        if task not in TASKS:
            pick("task", [task], TASKS)
        names = [name for name, found in known.items() if found.task == task]
        names = [] if options.algorithm else names  # images of others alone
        if not names and not options.algorithm:
            raise InputError(f"there is no algorithm for the task {task} yet; add one (README)")
    for name in names:
        if name in BOARDS[task].controls:
            raise InputError(f"algorithms/{name}: {name} is the name of a control; choose another")
    return TASKS[task], [known[name] for name in names]


def _served(
    dataset: Dataset, task: Task, chosen: Sequence[AlgorithmManifest], *, named: bool
) -> tuple[list[AlgorithmManifest], list[str]]:
    """Return the algorithms with all their inputs in the dataset, and a note on each other."""
    served = [found for found in chosen if dataset.serves(task, found)]
    offers = f"{dataset.name} offers {', '.join(sorted(dataset.offers)) or 'nothing'}"
    if not served or (named and len(served) < len(chosen)):
        needed = [socket.slug for socket in task.inputs if not socket.optional]
        needed += [slug for found in chosen for slug in found.needs]
        some = needed or [f"one of {', '.join(s.slug for s in task.inputs if s.kind != 'json')}"]
        own = dataset.seed is None and dataset.task != task.name
        remedy = f", as read for {dataset.task}; TASK={task.name} reads it for this" if own else ""
        needs = ", ".join(dict.fromkeys(some))
        raise InputError(f"task {task.name} needs {needs}; {offers}{remedy}")
    left = [found for found in chosen if found not in served]
    return served, [f"{f.name} did not run: it needs {', '.join(f.needs)}; {offers}." for f in left]


def _fitting(
    dataset: Dataset,
    task: Task,
    chosen: Sequence[AlgorithmManifest],
    models: Models,
    *,
    named: bool,
) -> tuple[list[AlgorithmManifest], list[str]]:
    """Return the algorithms with a model for the axes of a case, and a note on each other."""
    mains = [main for case in dataset.cases if (main := case.main(task)) is not None]
    axes = sorted({header(main).axes for main in mains})
    reasons = {found.name: lacks_model(found, axes, models) for found in chosen}
    left = [reason for reason in reasons.values() if reason]
    if left and (named or len(left) == len(chosen)):
        raise ModelError(left[0])
    fit = [found for found in chosen if not reasons[found.name]]
    return fit, [
        f"{name} did not run: {why.removeprefix(f'{name}: ')}."
        for name, why in reasons.items()
        if why
    ]


def _run_name(made: Recipe, task: Task, engine: Engine) -> str:
    """Return the name of the run's folder: dataset, chain, task where it is another, engine."""
    size = f"-{made.size}" if made.seed is not None else ""
    seed = f"-seed{made.seed}" if made.seed else ""
    own = f"-{made.fingerprint[:8]}" if made.changed else ""
    chain = "".join(f"-{name}" for name in made.through)
    other = f"-{task.name}" if task.name != made.task else ""
    return f"{made.name}{size}{seed}{own}{chain}{other}-{engine.name}"


def _run(
    jobs: Sequence[Job],
    dataset: Dataset,
    task: Task,
    engine: Engine,
    options: BenchmarkOptions,
    console: Console,
    cluster: OpenCluster | None,
) -> list[str]:
    """Run the missing cases, with progress over all jobs; return notes for the report."""
    total = sum(len(job.missing) for job in jobs)
    present = sum(job.present for job in jobs)
    if present:
        console.print(f"{present} results are there already", highlight=False)
    guests = engine.guests if isinstance(engine, DockerEngine) else {}
    limits = {job.algorithm.name: options.limits(job.algorithm) for job in jobs}
    own_api = options.own_api(engine.name)
    apis = {name: guests[name].api if name in guests else own_api for name in limits}
    going = options.keep_going
    with progress(console, "running") as step:
        if total:
            step(0, total)
        cases = Cases(step, total)
        if cluster is not None:
            runner = ClusterRun(cluster, options.device, console, keep_going=going)
            runner.all(jobs, dataset.cases, task, engine, limits, apis, cases)
            return runner.notes
        for job in jobs:
            own, api = limits[job.algorithm.name], apis[job.algorithm.name]
            run_job(job, task, engine, own, api, cases, cases.inside, keep_going=going)
    return []


def _facts(options: BenchmarkOptions, engine: Engine, notes: Sequence[str]) -> RunFacts:
    """Return the circumstances of a run, with the command that repeats it."""
    command = command_of(options, engine.name)
    memory = f"{options.memory:g} GiB" if options.memory else "memory as each manifest says"
    limits = f"{memory}, {options.timeout:g} s, {os.cpu_count()} cores per case"
    guests = engine.guests if isinstance(engine, DockerEngine) else {}
    notes = [*notes, *(engine.notes if isinstance(engine, ApptainerEngine) else ())]
    api = options.own_api(engine.name)
    images = {name: f"{guest.word}, image {guest.image}" for name, guest in guests.items()}
    return RunFacts(engine.name, api, command, limits, tuple(notes), images)


def _origin(
    options: BenchmarkOptions, dataset: Dataset, jobs: Sequence[Job], models: Models
) -> dict[str, Any]:
    """Return data, models and revision of a run, by which its scores are compared with others."""
    ours = [job.algorithm.name for job in jobs if not job.guest]
    return {
        "request": request_facts(options.wanted),
        "cytosuite": f"{__version__} {revision()}".strip(),
        "versions": {job.algorithm.name: job.algorithm.version for job in jobs},
        "models": {
            name: {card.name: model_digest(card) for card in cards_of(name, models)}
            for name in ours
        },
        "cases": case_digests(dataset),
        **gpu_facts(options.device),
    }


def _write_run(
    folder: Path,
    dataset: Dataset,
    task: Task,
    jobs: Sequence[Job],
    facts: RunFacts,
    origin: Mapping[str, Any],
) -> None:
    """Write the description of a run before it begins."""
    write_json(
        folder / "run.json",
        {
            "command": facts.command,
            "dataset": dataset.name,
            "task": task.name,
            "fingerprint": dataset.fingerprint,
            "engine": facts.engine,
            "api": facts.api,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "jobs": {job.algorithm.name: job.key for job in jobs},
            **origin,
        },
    )


def _conclude(results: Results, index: Path, options: BenchmarkOptions, console: Console) -> int:
    """Print leaderboard, notes and failures, and return the exit code."""
    give(_table(results), options, console)
    failed = any(not record.ok for record in results.records.values())
    lines = [f"note: {note}" for note in results.notes]
    lines += _failures(results, index.parents[1])
    lines += [f"broken ruler: {line}" for line in results.broken]
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    console.print(f"report: {_short(index)}", highlight=False, soft_wrap=True)
    if options.blind:
        blind = _short(index.parents[1] / "blind")
        console.print(f"blind report: {blind}", highlight=False, soft_wrap=True)
    return 1 if failed or results.broken else 0


def _failures(results: Results, run: Path) -> list[str]:
    """Return a line for each of the first failed cases, the number of the others, and the logs."""
    failed = [(key, record) for key, record in results.records.items() if not record.ok]
    lines = [f"failed: {a} on {c}: {r.status}: {r.message}" for (a, c), r in failed[:FAILURES]]
    if more := failed[FAILURES:]:
        lines.append(f"failed: {count(len(more), 'more case')}, all of them in the report")
    logs = [key for key, _ in failed if key in results.logs]
    if logs:
        lines.append(f"log of the first: {_short(run)}/{log_path(*logs[0])}")
    return lines


def _table(results: Results) -> ValueTable:
    """Return the leaderboard; without --wide with the metrics to rank by alone."""
    found = indexed(results)
    rows = leaderboard(found)
    names = list(rows[0]) if rows else ["rank", "algorithm"]
    return ValueTable(
        names,
        [list(row.values()) for row in rows],
        keys=2,
        quiet=frozenset(n for n, row in enumerate(rows) if row["control"]),
        main=5 + 4 * len(found.board),
    )


def _short(path: Path) -> str:
    """Return a path relative to the current folder, if it lies below."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
