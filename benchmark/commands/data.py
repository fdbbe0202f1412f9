"""Engines, clusters and datasets for the commands."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from rich.console import Console

from cytosuite.benchmark.catalog.catalog import algorithms
from cytosuite.benchmark.catalog.models import Models
from cytosuite.benchmark.catalog.packages import uses_gpu
from cytosuite.benchmark.catalog.places import workplace
from cytosuite.benchmark.containers.locks import Device
from cytosuite.benchmark.data.dataset import Case, Dataset, prepare
from cytosuite.benchmark.data.recipe import Recipe
from cytosuite.benchmark.engines.choose import choose
from cytosuite.benchmark.engines.outcome import Engine, Limits
from cytosuite.benchmark.runs.learning import converted, is_tool
from cytosuite.benchmark.runs.pipeline import links, through
from cytosuite.benchmark.runs.plan import Job
from cytosuite.benchmark.runs.run import Report, run_job
from cytosuite.benchmark.terminal.console import Cases, progress
from cytosuite.benchmark.terminal.options import ClusterOptions, DataOptions, RunOptions
from cytosuite.contract.tasks import TASKS, Task
from cytosuite.contract.words import Api
from cytosuite.errors import InputError

if TYPE_CHECKING:
    from cytosuite.benchmark.cluster.cases import Circumstances
    from cytosuite.benchmark.cluster.opened import OpenCluster


def start_engine(
    options: RunOptions,
    needed: Sequence[str],
    console: Console,
    models: Models = MappingProxyType({}),
    cluster: "OpenCluster | None" = None,
) -> Engine:
    """Return the engine, ready for the needed algorithms, with the models that the user names."""
    say = partial(console.print, highlight=False, markup=False)
    engine, sentence = choose(engine_word(options, cluster), options.device, say)
    engine.models = models
    say(sentence)
    need(engine, options, needed, gpu=cluster is None or cluster.word == "local")
    return engine


def own_model(
    text: str | None, names: Sequence[str], options: RunOptions, console: Console
) -> str | None:
    """Return the user's word for a model; of a tool's own file the card, converted once."""
    path, tools = Path(text or ""), [name for name in names if is_tool(name)]
    if not text or not tools or path.suffix == ".json" or not path.exists():
        return text
    if len(tools) > 1:
        raise InputError(f"MODEL={text}: expected one tool to read it, found {', '.join(tools)}")
    engine = start_engine(options, tools, console)
    card = converted(engine, tools[0], path, workplace() / "runs" / "models" / tools[0])
    console.print(f"{text}: {card}", highlight=False, markup=False)
    return str(card)


def need(engine: Engine, options: RunOptions, needed: Sequence[str], *, gpu: bool = True) -> None:
    """Build or find images or packages, with `gpu` a working GPU; InputError without."""
    on_gpu = gpu and options.device == "cuda"
    user = next((name for name in needed if uses_gpu(name)), None) if on_gpu else None
    if user:
        from cytosuite.benchmark.engines.gpu import gpus

        gpus()  # before images are built
    engine.prepare(needed, options.base_image)
    if user:
        engine.check_gpu(user)


def make(
    recipe: Recipe,
    data: DataOptions,
    run: RunOptions,
    engine: Engine | None,
    console: Console,
    *,
    retry: bool = False,
    cluster: "OpenCluster | None" = None,
) -> Dataset:
    """Return a dataset on disk, passed through the algorithms of its pipeline."""
    from cytosuite.benchmark.cluster.processes import processes

    verb = "generating" if recipe.seed is not None else "reading"
    with progress(console, f"{verb} {recipe.name} ({recipe.size})") as step:
        pool = processes(data.processes) if cluster is None else cluster.pool()
        dataset = prepare(recipe, data.folder / "datasets", pool, step)
    for name in links(recipe.through):
        assert engine is not None
        task = TASKS[algorithms()[name].task]
        with progress(console, f"through {name}") as step:
            shown = Cases(step, len(dataset.cases))

            def run_link(job: Job, task: Task = task, shown: Cases = shown) -> None:
                """Run the algorithm of a link."""
                run_jobs([job], job.missing, task, engine, run, shown, console, cluster)

            dataset = through(dataset, name, engine, run_link, retry=retry)
    return dataset


@contextmanager
def opened(
    options: ClusterOptions, folder: Path, console: Console, device: Device = "cpu"
) -> "Iterator[OpenCluster | None]":
    """Open the cluster that the options name, None without; it is closed in any case."""
    if options.cluster is None:
        if options.site is not None:
            raise InputError(f"SITE={options.site} is for CLUSTER=local, slurm or tcp://host:port")
        yield None
        return
    from cytosuite.benchmark.cluster.opened import OpenCluster
    from cytosuite.benchmark.cluster.site import read_site

    site = read_site(options.site)
    if device == "cuda" and not site.gpus:
        site = site.model_copy(update={"gpus": 1})
    say = partial(console.print, highlight=False, markup=False)
    with OpenCluster(options.cluster, site, folder / "cluster", say) as cluster:
        yield cluster


def engine_word(options: RunOptions, cluster: "OpenCluster | None") -> str:
    """Return the wanted engine; the site's where the command line says ``auto``."""
    engine = cluster.site.engine if cluster is not None else None
    return engine if engine is not None and options.engine == "auto" else options.engine


def run_jobs(
    jobs: Sequence[Job],
    cases: Sequence[Case],
    task: Task,
    engine: Engine,
    options: RunOptions,
    shown: Cases,
    console: Console,
    cluster: "OpenCluster | None",
    *,
    keep_going: bool = False,
) -> list[str]:
    """Run the missing cases of all jobs, here or on a cluster; return notes for the report."""
    externals = engine.externals
    limits = {job.algorithm.name: options.limits(job.algorithm) for job in jobs}
    own_api = options.api or engine.api
    apis = {name: externals[name].api if name in externals else own_api for name in limits}
    if cluster is not None:
        runner = ClusterRun(cluster, options.device, console, keep_going=keep_going)
        runner.run(jobs, cases, task, engine, limits, apis, shown)
        return runner.notes
    for job in jobs:
        limit, api = limits[job.algorithm.name], apis[job.algorithm.name]
        run_job(job, task, engine, limit, api, shown, shown.inside, keep_going=keep_going)
    return []


class ClusterRun:
    """Runs jobs on a cluster, and again with more memory where that did not suffice."""

    def __init__(
        self, cluster: "OpenCluster", device: Device, console: Console, *, keep_going: bool
    ) -> None:
        self.cluster, self.device, self.console = cluster, device, console
        self.keep_going, self.notes = keep_going, list[str]()

    def run(
        self,
        jobs: Sequence[Job],
        cases: Sequence[Case],
        task: Task,
        engine: Engine,
        limits: Mapping[str, Limits],
        apis: Mapping[str, Api],
        report: Report,
    ) -> None:
        """Run the missing cases of all jobs."""
        from cytosuite.benchmark.cluster.cases import Circumstances
        from cytosuite.benchmark.cluster.spread import rungs

        site = self.cluster.site
        circumstances = Circumstances(
            engine.name,
            self.device,
            task.name,
            {name: replace(limit, cpus=float(site.cores)) for name, limit in limits.items()},
            dict(apis),
            {name: path.resolve() for name, path in engine.models.items()},
            dict(engine.externals),
            engine.voice,
            site.scratch,
        )
        if any(job.missing for job in jobs):
            self._spread(jobs, circumstances, report)
        top = site.most_memory_gib
        if top is None:
            return
        memories = {name: limit.memory_gib for name, limit in limits.items()}
        for memory, again in rungs(jobs, cases, memories, top):
            raised = {
                name: replace(limit, memory_gib=memory)
                for name, limit in circumstances.limits.items()
            }
            with progress(self.console, f"running again with {memory:g} GiB") as step:
                total = sum(len(job.missing) for job in again)
                step(0, total)
                self._spread(again, replace(circumstances, limits=raised), Cases(step, total))

    def _spread(self, jobs: Sequence[Job], circumstances: "Circumstances", report: Report) -> None:
        """Run jobs by workers that are large enough for the largest case."""
        from cytosuite.benchmark.cluster.spread import spread

        missing = [job for job in jobs if job.missing]
        memory = max(circumstances.limits[job.algorithm.name].memory_gib for job in missing)
        pool = self.cluster.pool(memory)
        if self.device == "cuda":
            pool = replace(pool, resources={"GPU": 1})
        chunk_s = 60 * self.cluster.site.chunk_minutes
        going = self.keep_going
        spread(
            missing,
            circumstances,
            pool,
            report,
            chunk_s=chunk_s,
            keep_going=going,
            remark=self._remark,
        )

    def _remark(self, line: str) -> None:
        """Show a line, and keep it for the report, once."""
        if f"{line}." not in self.notes:
            self.notes.append(f"{line}.")
            self.console.print(line, highlight=False, markup=False)
