"""The main job: dataset, containers, run, scores, report, in this order."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from math import isfinite, nan
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmark.containers.build import ensure_images
from benchmark.containers.images import Device
from benchmark.catalog import ROOT, algorithms, pick
from benchmark.results.controls import CONTROLS, broken_rulers
from benchmark.data.dataset import Dataset, prepare
from benchmark.engines.choose import choose
from benchmark.engines.docker import DockerEngine
from benchmark.engines.outcome import Api, Engine, Limits
from benchmark.results.gather import Conditions, gather
from benchmark.plan import Job, plan
from benchmark.commands.progress import progress
from benchmark.results.ranking import Standing
from benchmark.data.recipe import Recipe, recipe
from benchmark.report import write_report
from benchmark.run import claimed, run_job
from benchmark.results.score import score
from cytosuite.errors import InputError
from cytosuite.files import write_json
from cytosuite.manifest import AlgorithmManifest


@dataclass(frozen=True, slots=True)
class Options:
    """What a user can say about a benchmark; every default is here.

    Parameters
    ----------
    dataset : str
        Name in ``datasets/``, one of its recipes, or path of a recipe or a folder with images.
    size : str or None
        Size of a simulated dataset.
    algorithms : sequence of str
        Names; none for all of the dataset's task.
    engine : str
        ``auto``, ``docker`` or ``process``.
    api : str
        ``serve`` or ``exec``.
    seed : int
        Of the simulation.
    spacing : tuple of float or None
        µm per voxel (z, y, x) for images in a folder.
    cases : int or None
        How many cases to simulate; as size or recipe says without it.
    settings : sequence of str
        Parameters of the simulation like ``camera.photons=5``.
    run : str or None
        Name of the run's folder.
    retry : bool
        Whether to run again what failed in an algorithm.
    workers : int
        Processes that generate data.
    memory_gib : float or None
        Memory limit of a case; the algorithm's own without it.
    timeout_s : float
        Time limit of a case.
    runs : Path
        Folder for everything that is generated.
    device : str
        ``cuda`` takes images with CUDA and gives them a GPU.
    base_image : str or None
        What missing images are built upon.
    """

    dataset: str
    size: str | None = None
    algorithms: Sequence[str] = ()
    engine: str = "auto"
    api: Api = "serve"
    seed: int = 0
    spacing: tuple[float, ...] | None = None
    cases: int | None = None
    settings: Sequence[str] = ()
    run: str | None = None
    retry: bool = False
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    memory_gib: float | None = None
    timeout_s: float = 3600.0
    runs: Path = ROOT / "runs"
    device: Device = "cpu"
    base_image: str | None = None


def benchmark(options: Options, console: Console) -> int:
    """Run a benchmark and write its report.

    Parameters
    ----------
    options : Options
        What to run.
    console : Console
        Where to say what is going on.

    Returns
    -------
    int
        0 when all went well, 1 when a case or a control failed.

    Raises
    ------
    CytosuiteError
        If what was asked for is not possible.
    """
    engine, sentence = choose(options.engine, options.device)
    console.print(sentence, highlight=False)
    wish = (options.seed, options.spacing, options.cases, options.settings)
    made = recipe(options.dataset, options.size, *wish)
    chosen = _chosen(options, made.task)
    if isinstance(engine, DockerEngine):
        names = [algorithm.name for algorithm in chosen]
        say = partial(console.print, highlight=False, markup=False)
        ensure_images(engine.client, ROOT, names, say, options.device, options.base_image)
    dataset = _dataset(made, options, console)
    folder = options.runs / (options.run or _run_name(made, engine))
    with claimed(folder):
        jobs = plan(dataset, chosen, engine, folder, retry=options.retry)
        conditions = _conditions(options, engine)
        _write_run(folder, dataset, jobs, conditions)
        _run(jobs, dataset, engine, options, console)
        scores = score(dataset, jobs)
        content = gather(dataset, jobs, scores, conditions)
        index = write_report(content, folder / "report")
    broken = broken_rulers(scores.table, scores.metrics)
    _show(content.standings, [metric.name for metric in scores.metrics if metric.primary], console)
    for note in content.notes:
        console.print(f"note: {note}", highlight=False, markup=False, soft_wrap=True)
    for failure in content.failures[:10]:
        console.print(
            f"failed: {failure.algorithm} on {failure.case}: {failure.status}: {failure.message}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    for line in broken:
        console.print(f"broken ruler: {line}", highlight=False)
    console.print(f"report: {_short(index)}", highlight=False, soft_wrap=True)
    return 1 if content.failures or broken else 0


def _chosen(options: Options, task: str) -> list[AlgorithmManifest]:
    """Return the algorithms that were asked for, all of the task without a wish."""
    known = {name: found for name, found in algorithms().items() if found.task == task}
    names = pick(f"algorithm for the task {task}", options.algorithms, known)
    for name in names:
        if name in CONTROLS:
            raise InputError(f"algorithms/{name}: {name} is the name of a control; choose another")
    return [known[name] for name in names]


def _dataset(made: Recipe, options: Options, console: Console) -> Dataset:
    """Return the dataset on disk, with progress where it has to be made."""
    verb = "generating" if made.seed is not None else "reading"
    with progress(console, f"{verb} {made.name} ({made.size})") as step:
        return prepare(made, options.runs / "datasets", options.workers, step)


def _run_name(made: Recipe, engine: Engine) -> str:
    """Return the name of the run's folder: what was run, and by which engine."""
    size = f"-{made.size}" if made.seed is not None else ""
    seed = f"-seed{made.seed}" if made.seed else ""
    own = f"-{made.fingerprint[:8]}" if made.changed else ""
    return f"{made.name}{size}{seed}{own}-{engine.name}"


def _run(
    jobs: Sequence[Job], dataset: Dataset, engine: Engine, options: Options, console: Console
) -> None:
    """Run what is missing, with progress over all jobs."""
    total = sum(len(job.missing) for job in jobs)
    present = sum(job.present for job in jobs)
    if present:
        console.print(f"{present} results are there already", highlight=False)
    if not total:
        return
    done = 0
    with progress(console, "running") as step:
        step(0, total)

        def report(algorithm: str, case: str, status: str) -> None:
            """Count one more case."""
            nonlocal done
            done += 1
            step(done, total, f"{algorithm}, {case}: {status}")

        for job in jobs:
            limits = _limits(options, job.algorithm)
            run_job(job, dataset, engine, limits, options.api, report)


def _limits(options: Options, algorithm: AlgorithmManifest) -> Limits:
    """Return what a case of an algorithm may use."""
    memory = options.memory_gib or algorithm.resources.memory_gib
    cpus = float(os.cpu_count() or 1)
    return Limits(memory_gib=memory, timeout_s=options.timeout_s, cpus=cpus)


def _conditions(options: Options, engine: Engine) -> Conditions:
    """Return under which conditions a run is made."""
    words = {
        "DATASET": options.dataset,
        "SIZE": options.size,
        "ALGORITHM": ",".join(options.algorithms),
        "ENGINE": engine.name,
        "API": options.api if options.api != "serve" else None,
        "SEED": options.seed or None,
        "SPACING": ",".join(f"{size:g}" for size in options.spacing or ()),
        "CASES": options.cases,
        "SET": f'"{" ".join(options.settings)}"' if options.settings else None,
        "RUN": options.run,
    }
    command = "make benchmark " + " ".join(
        f"{key}={value}" for key, value in words.items() if value
    )
    memory = f"{options.memory_gib:g} GiB" if options.memory_gib else "memory as each manifest says"
    limits = f"{memory}, {options.timeout_s:g} s, {os.cpu_count()} cores per case"
    return Conditions(engine.name, options.api, command, limits)


def _write_run(folder: Path, dataset: Dataset, jobs: Sequence[Job], conditions: Conditions) -> None:
    """Write what this run is before it begins."""
    write_json(
        folder / "run.json",
        {
            "command": conditions.command,
            "dataset": dataset.name,
            "fingerprint": dataset.fingerprint,
            "engine": conditions.engine,
            "api": conditions.api,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "jobs": {job.algorithm.name: job.key for job in jobs},
        },
    )


def _show(standings: Sequence[Standing], primary: Sequence[str], console: Console) -> None:
    """Print the leaderboard: means with their intervals, then the pooled values."""
    table = Table(box=None, pad_edge=False)
    titles = [*primary, *(f"{name} pooled" for name in primary), "failed", "s/case", "peak MiB"]
    for title in ("rank", "algorithm", *titles):
        table.add_column(title, justify="left" if title == "algorithm" else "right", no_wrap=True)
    for standing in sorted(standings, key=lambda found: found.control):
        memory = standing.peak_memory
        found = [standing.summaries[name] for name in primary if name in standing.summaries]
        table.add_row(
            "-" if standing.rank is None else f"{standing.rank:g}",
            standing.algorithm,
            *(_interval(summary.mean, summary.low, summary.high) for summary in found),
            *(_interval(summary.pooled, nan, nan) for summary in found),
            f"{standing.failed}/{standing.cases}",
            "-" if standing.median_seconds is None else f"{standing.median_seconds:.2f}",
            "-" if memory is None else f"{memory / 2**20:.0f}",
            style="dim" if standing.control else None,
        )
    console.print(table)


def _interval(mean: float, low: float, high: float) -> str:
    """Return a mean with its interval, where there is one."""
    if not isfinite(mean):
        return "-"
    return f"{mean:.3f} [{low:.3f}, {high:.3f}]" if isfinite(low) else f"{mean:.3f}"


def _short(path: Path) -> str:
    """Return a path relative to where the user stands, if it lies below."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
