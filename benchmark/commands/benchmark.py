"""The main job: dataset, containers, run, scores, report, in this order."""

import os
import platform
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from rich.console import Console

from cytosuite import __version__
from cytosuite.benchmark.catalog.catalog import ALL, algorithms, asked_for
from cytosuite.benchmark.catalog.models import (
    Models,
    cards_of,
    is_tarball,
    lacks_model,
    named_models,
    need_models,
    need_weights,
    own_models,
    unlike,
)
from cytosuite.benchmark.catalog.packages import need_packages, refusal
from cytosuite.benchmark.catalog.places import CHECKOUT, program_of
from cytosuite.benchmark.commands.conclusion import (
    Conclusion,
    conclude,
    concluded,
    keep,
    kept,
    report,
    score,
)
from cytosuite.benchmark.commands.data import (
    make,
    opened,
    own_model,
    run_jobs,
    start_engine,
)
from cytosuite.benchmark.commands.external import need_externals, take_in
from cytosuite.benchmark.comparison.origin import case_digests, model_digest, request_facts
from cytosuite.benchmark.data.dataset import Dataset
from cytosuite.benchmark.data.recipe import Recipe
from cytosuite.benchmark.data.several import recipe_of_all
from cytosuite.benchmark.engines.choose import engine_name
from cytosuite.benchmark.engines.external import is_external
from cytosuite.benchmark.engines.gpu import gpu_facts
from cytosuite.benchmark.engines.outcome import Engine
from cytosuite.benchmark.options.benchmark import BenchmarkOptions
from cytosuite.benchmark.results.circumstances import RunFacts, origin, revision
from cytosuite.benchmark.runs.pipeline import links
from cytosuite.benchmark.runs.plan import Job, plan
from cytosuite.benchmark.runs.run import locked
from cytosuite.benchmark.store.csvfile import written
from cytosuite.benchmark.store.integrity import FOREIGN, forget
from cytosuite.benchmark.terminal.console import Cases, lines_to, progress
from cytosuite.contract.manifest import AlgorithmManifest, read_card
from cytosuite.contract.tasks import TASKS, Task
from cytosuite.errors import InputError, ModelError, pick
from cytosuite.files import write_json
from cytosuite.folders.splits import TABLE, split_rows
from cytosuite.formats import header
from cytosuite.metrics.boards import BOARDS

# Of options that are called otherwise on the command line.
NAMES = {"settings": "set", "only": "part"}
# On the results.
WITHOUT_EFFECT = {"runs", "workers", "retry", "verify", "cluster", "shard", "wide", "csv", "json"}

if TYPE_CHECKING:
    from cytosuite.benchmark.cluster.dask_pool import DaskPool


@dataclass(frozen=True)
class Request:
    """The data, algorithms and engine that the options name, before any work."""

    recipe: Recipe
    task: Task
    ours: list[AlgorithmManifest]
    externals: list[AlgorithmManifest]  # images of others
    models: Models  # that the user names
    engine: Engine
    named: bool  # whether the user names the algorithms


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """A run as it is planned, in the folder that it has locked."""

    folder: Path
    dataset: Dataset
    request: Request
    jobs: Sequence[Job]
    options: BenchmarkOptions
    console: Console
    pool: "DaskPool | None" = None


def benchmark_command(options: BenchmarkOptions, console: Console) -> int:
    """Make the dataset, plan, run, score and report, in this order; exit code 1 at a failure."""
    if options.verify:
        forget(FOREIGN, options.folder)
    request, shard = _request(options, console), options.shard
    engine, retry = request.engine, options.retry
    folder = options.folder / (options.run or _run_name(request))
    with opened(options, options.folder, options.device) as pool:
        own = (request.recipe, options, options, engine, console)
        dataset = make(*own, retry=retry, pool=pool, shard=shard)
        chosen, notes = _runnable(request, dataset) if dataset.cases else ([], [])
        with locked(folder, shard):
            jobs = plan(dataset, chosen, engine, folder, retry=retry or options.keep_going)
            run = PlannedRun(folder, dataset, request, jobs, options, console, pool)
            if shard:
                _run(run)
                last = "nothing is scored: give the command without --shard after all shards"
                lines_to(console)(f"shard {shard}: {len(dataset.cases)} cases, {last}")
                return 0
            conclusion = ended(run, _facts(options, engine, [*notes, *unlike(request.models)]))
    return conclude(conclusion, folder, options, console)


def ended(run: PlannedRun, facts: RunFacts) -> Conclusion:
    """Return the end of a run: kept where nothing changed, else after its missing cases."""
    _write_run(run, facts)
    nothing_to_run = not any(job.missing for job in run.jobs)
    conclusion = kept(run.folder, origin(run.dataset, run.jobs, facts)) if nothing_to_run else None
    if conclusion is None:
        return _made(run, facts)
    number = sum(job.present for job in run.jobs)
    run.console.print(f"{number} results are there already, and their report", highlight=False)
    return conclusion


def _made(run: PlannedRun, facts: RunFacts) -> Conclusion:
    """Run, score and report, and keep the conclusion."""
    _run(run)
    results = score(run.dataset, run.request.task, run.jobs, facts, run.pool, run.console)
    report(results, run.folder, run.options, run.console)
    conclusion = concluded(results)
    keep(conclusion, run.folder, origin(run.dataset, run.jobs, facts), run.options)
    return conclusion


def _request(options: BenchmarkOptions, console: Console) -> Request:
    """Return the request of a run, with an engine that is ready for it."""
    recipe = recipe_of_all(options.data_request)
    others = list(dict.fromkeys(filter(is_external, options.algorithm)))
    need_externals(others, options.sockets)
    task, ours, models = _chosen(options, recipe.task)
    free = [algorithm.name for algorithm in ours if algorithm.name not in models]
    if options.model and models and not free:
        raise InputError(f"MODEL={options.model} is for an algorithm without a model of its own")
    model = None if others and is_tarball(options.model) else options.model
    model = own_model(model, free, options, console)
    models = {**models, **named_models(model, free)}
    named = not {ALL}.issuperset(options.algorithm)
    if not named:
        ours = _ready(ours, models, options, console)
    need_models([algorithm.name for algorithm in ours], models)
    passed, names = links(recipe.through), [algorithm.name for algorithm in ours]
    need_weights([*passed, *names], models)
    needed = list(dict.fromkeys([*passed, *map(program_of, names)]))
    here = options.cluster is None or options.cluster.get("kind") == "local"
    engine = start_engine(options, needed, console, models, gpu=here)
    taken = [*algorithms(), *(name for board in BOARDS.values() for name in board.controls)]
    externals = take_in(others, taken, task, engine, options, console)
    return Request(recipe, task, ours, externals, models, engine, named)


def _ready(
    ours: Sequence[AlgorithmManifest], models: Models, options: BenchmarkOptions, console: Console
) -> list[AlgorithmManifest]:
    """Return the algorithms with a model, and as plain processes with their packages."""
    plain, ready = engine_name(options.engine)[0] == "process", []
    for algorithm in ours:
        reason = refusal(lambda name: need_models([name], models), algorithm.name)
        if plain and not reason:
            reason = refusal(need_packages, algorithm.name)
        if not reason or not algorithm.optional:
            ready.append(algorithm)
        else:
            console.print(f"left out: {reason}", highlight=False, markup=False)
    return ready


def _chosen(
    options: BenchmarkOptions, default: str
) -> tuple[Task, list[AlgorithmManifest], Models]:
    """Return the task and our algorithms, all without names, with the models named with them."""
    manifests = algorithms()
    words = [word for word in options.algorithm if not is_external(word) and word != ALL]
    programs = [program_of(word) for word in words]
    if programs:
        names = pick("algorithm", programs, manifests)
        tasks = {manifests[name].task for name in names} | (
            {options.task} if options.task else set()
        )
        if len(tasks) > 1:
            raise InputError(f"algorithms of one task are compared, found {', '.join(tasks)}")
        task = tasks.pop()
    else:
        task = options.task or default
        if task not in TASKS:
            pick("task", [task], TASKS)
        alone = options.algorithm and ALL not in options.algorithm  # images of others
        of_task = {name: manifest for name, manifest in manifests.items() if manifest.task == task}
        names = [] if alone else asked_for(options.algorithm and [ALL], of_task)
        if not names and not options.algorithm:
            raise InputError(f"there is no algorithm for the task {task} yet; add one (README)")
    for name in names:
        if name in BOARDS[task].controls:
            raise InputError(f"algorithms/{name}: {name} is the name of a control; choose another")
    cards, ours = own_models(words or names), []
    for name, card in cards.items():
        said = {"description": read_card(card).description} if card else {}
        ours.append(manifests[program_of(name)].model_copy(update={"name": name, **said}))
    return TASKS[task], ours, {name: card for name, card in cards.items() if card}


def _runnable(request: Request, dataset: Dataset) -> tuple[list[AlgorithmManifest], list[str]]:
    """Return the algorithms that can run on the dataset, and a note on each other one."""
    chosen, notes = _served(dataset, request)
    ours = [algorithm for algorithm in chosen if algorithm not in request.externals]
    mains = [main for case in dataset.cases if (main := case.main(request.task)) is not None]
    axes = sorted({header(main).axes for main in mains})
    reasons = {algorithm.name: lacks_model(algorithm, axes, request.models) for algorithm in ours}
    left = {name: reason for name, reason in reasons.items() if reason}
    if left and (request.named or len(left) == len(ours)):
        raise ModelError(next(iter(left.values())))
    notes += [f"{n} did not run: {why.removeprefix(f'{n}: ')}." for n, why in left.items()]
    return [algorithm for algorithm in chosen if algorithm.name not in left], notes


def _served(dataset: Dataset, request: Request) -> tuple[list[AlgorithmManifest], list[str]]:
    """Return the algorithms with all their inputs in the dataset, and a note on each other one."""
    task, chosen = request.task, [*request.ours, *request.externals]
    served = [algorithm for algorithm in chosen if dataset.serves(task, algorithm)]
    offers = f"{dataset.name} offers {', '.join(sorted(dataset.offers)) or 'nothing'}"
    if not served or (request.named and len(served) < len(chosen)):
        needed = [socket.slug for socket in task.inputs if not socket.optional]
        needed += [slug for algorithm in chosen for slug in algorithm.needs]
        some = needed or [f"one of {', '.join(s.slug for s in task.inputs if s.is_volume)}"]
        readable = dataset.seed is None and dataset.task != task.name
        remedy = (
            f", as read for {dataset.task}; TASK={task.name} reads it for this" if readable else ""
        )
        needs = ", ".join(dict.fromkeys(some))
        raise InputError(f"task {task.name} needs {needs}; {offers}{remedy}")
    left = [algorithm for algorithm in chosen if algorithm not in served]
    return served, [f"{f.name} did not run: it needs {', '.join(f.needs)}; {offers}." for f in left]


def _run_name(request: Request) -> str:
    """Return the name of the run's folder: dataset, pipeline, task where it is another, engine."""
    recipe, task = request.recipe, request.task
    size = f"-{recipe.size}" if recipe.seed is not None else ""
    seed = f"-seed{recipe.seed}" if recipe.seed else ""
    digest = f"-{recipe.fingerprint[:8]}" if recipe.changed else ""
    pipeline = "".join(f"-{name}" for name in recipe.through)
    for_task = f"-{task.name}" if task.name != recipe.task else ""
    return f"{recipe.name}{size}{seed}{digest}{pipeline}{for_task}-{request.engine.name}"


def _run(run: PlannedRun) -> None:
    """Run the missing cases, with progress over all jobs."""
    jobs, options, console = run.jobs, run.options, run.console
    total = sum(len(job.missing) for job in jobs)
    present = sum(job.present for job in jobs)
    if present:
        console.print(f"{present} results are there already", highlight=False)
    with progress(console, "running") as step:
        if total:
            step(0, total)
        run_jobs(
            jobs,
            run.request.task,
            run.request.engine,
            options,
            Cases(step, total),
            run.pool,
            keep_going=options.keep_going,
        )


def _facts(options: BenchmarkOptions, engine: Engine, notes: Sequence[str]) -> RunFacts:
    """Return the circumstances of a run, with the command that repeats it."""
    memory = f"{options.memory:g} GiB" if options.memory else "memory as each manifest says"
    return RunFacts(
        engine.name,
        options.api or engine.api,
        command_of(options, engine.name),
        f"{memory}, {options.timeout:g} s, {os.cpu_count()} cores per case",
        (*notes, *engine.notes),
        {name: external.origin for name, external in engine.externals.items()},
    )


def _write_run(run: PlannedRun, facts: RunFacts) -> None:
    """Write the description of a run before it begins, with all that its scores depend on."""
    folder, dataset, request, jobs = run.folder, run.dataset, run.request, run.jobs
    models = {
        job.algorithm.name: {
            card.name: model_digest(card) for card in cards_of(job.algorithm.name, request.models)
        }
        for job in jobs
        if not job.external
    }
    if rows := split_rows(request.recipe.parts):
        with written(folder / TABLE) as add:
            add(rows)
    write_json(
        folder / "run.json",
        {
            "command": facts.command,
            "dataset": dataset.name,
            "task": request.task.name,
            "fingerprint": dataset.fingerprint,
            "engine": facts.engine,
            "api": facts.api,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "jobs": {job.algorithm.name: job.key for job in jobs},
            "request": request_facts(run.options.data_request),
            "cytosuite": f"{__version__} {revision()}".strip(),
            "versions": {job.algorithm.name: job.algorithm.version for job in jobs},
            "models": models,
            "cases": case_digests(dataset),
            "reference": len(dataset.reference),
            **gpu_facts(run.options.device),
        },
    )


def command_of(options: BenchmarkOptions, engine: str) -> str:
    """Return the command that repeats a run: every option that is not as it is without a word."""
    words = _given(options) | {"engine": engine if options.engine == "auto" else options.engine}
    if CHECKOUT:
        typed = {name: "1" if value == str(True) else quote(value) for name, value in words.items()}
        return " ".join(["make benchmark", *(f"{k.upper()}={v}" for k, v in typed.items())])
    dataset, *rest = words.items()
    flags = (
        f"--{name.replace('_', '-')}" + ("" if value == str(True) else f" {quote(value)}")
        for name, value in rest
    )
    return " ".join(["cytosuite benchmark", quote(dataset[1]), *flags])


def _given(options: BenchmarkOptions) -> dict[str, str]:
    """Return the options that decide the results and were given, the dataset first."""
    texts = {"dataset": str(options.dataset)}
    for field in fields(options):
        value, default = getattr(options, field.name), field.default
        if default is MISSING and field.default_factory is not MISSING:
            default = field.default_factory()
        if field.name not in WITHOUT_EFFECT and value != default and (value or value == 0):
            texts[NAMES.get(field.name, field.name)] = _text(field.name, value)
    return texts


def _text(name: str, value: Any) -> str:  # noqa: ANN401 - of any option
    """Return the value of an option as a user types it."""
    if isinstance(value, (list, tuple)):
        return (" " if name == "settings" else ",").join(_text(name, part) for part in value)
    return f"{value:.12g}" if isinstance(value, float) else str(value)
