"""Engines, clusters and datasets for the commands."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from rich.console import Console

from cytosuite.benchmark.catalog.models import Models, algorithms
from cytosuite.benchmark.catalog.packages import Device
from cytosuite.benchmark.catalog.places import workplace
from cytosuite.benchmark.commands.terminal.console import Cases, progress, say
from cytosuite.benchmark.commands.terminal.options import (
    BuildingOptions,
    ClusterOptions,
    DataOptions,
    RunOptions,
)
from cytosuite.benchmark.engines.choose import choose
from cytosuite.benchmark.engines.images.build import Builder
from cytosuite.benchmark.engines.images.daemon import need_docker
from cytosuite.benchmark.engines.outcome import Engine
from cytosuite.benchmark.runs.data.dataset import Dataset, prepare
from cytosuite.benchmark.runs.data.recipe import Recipe
from cytosuite.benchmark.runs.data.shard import Shard
from cytosuite.benchmark.runs.learning import converted, is_tool
from cytosuite.benchmark.runs.pipeline import links, through
from cytosuite.benchmark.runs.plan import Job
from cytosuite.benchmark.runs.run import run_job
from cytosuite.contract.tasks import TASKS, Task
from cytosuite.errors import InputError
from cytosuite.errors.packages import needed_by
from cytosuite.files import TextSeq

if TYPE_CHECKING:
    from cytosuite.benchmark.runs.cluster.dask_pool import DaskPool


def start_engine(
    options: RunOptions,
    needed: TextSeq,
    console: Console,
    models: Models = MappingProxyType({}),
    *,
    gpu: bool = True,
) -> Engine:
    """Return the engine, ready for the needed algorithms, with the models that the user names."""
    engine, sentence = choose(options.engine, options.device, partial(say, console))
    engine.models = models
    say(console, sentence)
    need(engine, options, needed, gpu=gpu)
    return engine


def builder(options: BuildingOptions, engine: str, root: Path, console: Console) -> Builder:
    """Return the builder of images of an engine of containers, which answers."""
    return Builder(
        need_docker(engine), root, options.device, options.base_image, partial(say, console), engine
    )


def own_model(
    text: str | None, names: TextSeq, options: RunOptions, console: Console
) -> str | None:
    """Return the user's word for a model; of a tool's own file the card, converted once."""
    path = Path(text or "")
    tools = [name for name in names if is_tool(name)]
    if not text or not tools or path.suffix == ".json" or not path.exists():
        return text
    if len(tools) > 1:
        raise InputError(f"MODEL={text}: expected one tool to read it, found {', '.join(tools)}")
    engine = start_engine(options, tools, console)
    card = converted(engine, tools[0], path, workplace() / "runs/models" / tools[0])
    say(console, f"{text}: {card}")
    return str(card)


def need(engine: Engine, options: RunOptions, needed: TextSeq, *, gpu: bool = True) -> None:
    """Build or find images or packages, with `gpu` a working GPU; InputError without."""
    user = next(filter(engine.on_gpu, needed), None) if gpu else None
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
    pool: "DaskPool | None" = None,
    shard: Shard | None = None,
) -> Dataset:
    """Return a dataset on disk, passed through its pipeline by an engine, perhaps a new one."""
    from cytosuite.benchmark.runs.store.pool import Processes

    pipeline = links(recipe.through)
    if pipeline and engine is None:
        engine = start_engine(run, pipeline, console)
    simulated = recipe.seed is not None
    if simulated and Path(name := data.dataset).is_dir():
        say(console, f"note: {name} is the simulated dataset; the folder of this name is ./{name}")
    verb = "generating" if simulated else "reading"
    with progress(console, f"{verb} {recipe.name} ({recipe.size})") as step:
        makers = pool or Processes(data.processes)
        dataset = prepare(recipe, data.folder / "datasets", makers, step, shard)
    for name in pipeline:
        assert engine is not None
        task = TASKS[algorithms()[name].task]
        with progress(console, f"through {name}") as step:
            shown = Cases(step, len(dataset.cases))
            link = partial(run_jobs, task=task, engine=engine, options=run, shown=shown, pool=pool)
            dataset = through(dataset, name, engine, link, retry=retry, shard=shard)
    return dataset


def opened(
    options: ClusterOptions, folder: Path, device: Device = "cpu"
) -> "AbstractContextManager[DaskPool | None]":
    """Open the cluster that the options name, None without; it is closed in any case."""
    if options.cluster is None:
        return nullcontext()
    with needed_by("CLUSTER"):
        from cytosuite.benchmark.runs.cluster.dask_pool import open_pool
    return open_pool(options.cluster, folder / "cluster", device)


def run_jobs(
    jobs: Sequence[Job],
    task: Task,
    engine: Engine,
    options: RunOptions,
    shown: Cases,
    pool: "DaskPool | None",
    *,
    keep_going: bool = False,
) -> None:
    """Run the missing cases of all jobs, here or on the workers of a cluster."""
    externals = engine.externals
    limits = {job.algorithm.name: options.limits(job.algorithm) for job in jobs}
    own_api = options.api or engine.api
    apis = {name: externals[name].api if name in externals else own_api for name in limits}
    if pool is not None:
        from cytosuite.benchmark.runs.cluster.spread import OpenSession, spread

        models = {name: path.resolve() for name, path in engine.models.items()}
        spread(
            jobs,
            OpenSession(
                engine.name,
                options.device,
                task.name,
                limits,
                apis,
                models,
                dict(externals),
                engine.voice,
            ),
            pool,
            shown,
            keep_going=keep_going,
        )
        return
    for job in jobs:
        run_job(
            job,
            task,
            engine,
            limits[job.algorithm.name],
            apis[job.algorithm.name],
            shown,
            shown.inside,
            keep_going=keep_going,
        )
