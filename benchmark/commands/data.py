"""Datasets for the commands: made with progress, and sent through the algorithms of a chain."""

from collections.abc import Sequence
from functools import partial
from types import MappingProxyType

from rich.console import Console

from cytosuite.benchmark.catalog import ROOT, algorithms
from cytosuite.benchmark.cluster.opened import OpenCluster
from cytosuite.benchmark.cluster.processes import processes
from cytosuite.benchmark.commands.cluster import ClusterRun, engine_word
from cytosuite.benchmark.commands.options import DataOptions, RunOptions
from cytosuite.benchmark.commands.progress import Cases, progress
from cytosuite.benchmark.containers.build import Builder
from cytosuite.benchmark.data.chain import links, through
from cytosuite.benchmark.data.dataset import Dataset, prepare
from cytosuite.benchmark.data.recipe import Recipe
from cytosuite.benchmark.engines.apptainer import ApptainerEngine
from cytosuite.benchmark.engines.choose import choose
from cytosuite.benchmark.engines.docker import DockerEngine
from cytosuite.benchmark.engines.gpu import gpus
from cytosuite.benchmark.engines.gpu_check import check_gpu
from cytosuite.benchmark.engines.outcome import Engine
from cytosuite.benchmark.engines.packages import need_packages, uses_gpu
from cytosuite.benchmark.models import Models
from cytosuite.benchmark.run import run_job


def start_engine(
    options: RunOptions,
    needed: Sequence[str],
    console: Console,
    models: Models = MappingProxyType({}),
    cluster: OpenCluster | None = None,
) -> Engine:
    """Return the engine, ready for the needed algorithms, with the models that the user names.

    Parameters
    ----------
    options : RunOptions
        Engine and device.
    needed : sequence of str
        Algorithms.
    console : Console
        Gets a line on the choice.
    models : mapping of str to Path
        Cards that the user names, by algorithm.
    cluster : OpenCluster, optional
        Its nodes run them: its site may name the engine, and this machine needs no GPU.

    Raises
    ------
    InputError
        If the engine cannot be used; see also `need`.
    """
    say = partial(console.print, highlight=False, markup=False)
    engine, sentence = choose(engine_word(options, cluster), options.device, say)
    engine.models = models
    say(sentence)
    need(engine, options, needed, console, gpu=cluster is None or cluster.word == "local")
    return engine


def need(
    engine: Engine,
    options: RunOptions,
    needed: Sequence[str],
    console: Console,
    *,
    gpu: bool = True,
) -> None:
    """Build or look for the images of algorithms, or for their packages, and for a GPU.

    Parameters
    ----------
    engine, options, needed, console
        As of `start_engine`.
    gpu : bool
        Whether a GPU is looked for.

    Raises
    ------
    InputError
        If an image cannot be built or found, a plain process would miss a package, or
        there is no GPU where one is asked for.
    """
    on_gpu = gpu and options.device == "cuda" and any(uses_gpu(name) for name in needed)
    if on_gpu:
        gpus()  # before images are built
    say = partial(console.print, highlight=False, markup=False)
    if isinstance(engine, DockerEngine):
        wanted = (options.device, options.base_image, say, engine.name)
        Builder(engine.client, ROOT, *wanted).ensure(needed)
    elif isinstance(engine, ApptainerEngine):
        for name in needed:
            engine.need(name)
    else:
        for name in needed:
            need_packages(name)
    if on_gpu:
        check_gpu(engine, needed)


def make(
    recipe: Recipe,
    data: DataOptions,
    run: RunOptions,
    engine: Engine | None,
    console: Console,
    *,
    retry: bool = False,
    cluster: OpenCluster | None = None,
) -> Dataset:
    """Return a dataset on disk, passed through the algorithms of its chain.

    Parameters
    ----------
    recipe : Recipe
        How it is made.
    data, run : options
        Workers, folder, limits.
    engine : Engine or None
        Runs the chain; None for a recipe without one.
    console : Console
        Shows the progress.
    retry : bool
        Whether a chain runs failed cases again.
    cluster : OpenCluster, optional
        Its workers do it.

    Raises
    ------
    InputError
        If a case cannot be made, or fails in the chain.
    """
    verb = "generating" if recipe.seed is not None else "reading"
    with progress(console, f"{verb} {recipe.name} ({recipe.size})") as step:
        pool = processes(data.processes) if cluster is None else cluster.pool()
        dataset = prepare(recipe, data.folder / "datasets", pool, step)
    for name in links(recipe.through):
        assert engine is not None
        limits = run.limits(algorithms()[name])
        runner = ClusterRun(cluster, run.device, console) if cluster is not None else run_job
        with progress(console, f"through {name}") as step:
            cases = Cases(step, len(dataset.cases))
            dataset = through(
                dataset,
                name,
                engine,
                limits,
                api=run.own_api(engine.name),
                retry=retry,
                report=cases,
                inside=cases.inside,
                run=runner,
            )
    return dataset
