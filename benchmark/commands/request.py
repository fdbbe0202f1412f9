"""Data, algorithms and engine that the options of a benchmark name."""

from collections.abc import Sequence
from typing import NamedTuple

from rich.console import Console

from cytosuite.benchmark.catalog import packages, places
from cytosuite.benchmark.catalog.models import (
    ALL,
    Models,
    algorithms,
    is_tarball,
    lacks_model,
    named_models,
    need_model,
    need_weights,
    own_models,
)
from cytosuite.benchmark.commands import data, external
from cytosuite.benchmark.commands.options.benchmark import BenchmarkOptions
from cytosuite.benchmark.commands.terminal.console import say
from cytosuite.benchmark.engines import choose
from cytosuite.benchmark.engines import external as images
from cytosuite.benchmark.engines import outcome as engines
from cytosuite.benchmark.runs.data import dataset as datasets
from cytosuite.benchmark.runs.data import recipe as recipes
from cytosuite.benchmark.runs.data import several
from cytosuite.benchmark.runs.finished import RESERVED, need_free
from cytosuite.benchmark.runs.pipeline import links
from cytosuite.contract.manifest import AlgorithmManifest, read_card
from cytosuite.contract.tasks import TASKS, Task
from cytosuite.errors import CytosuiteError, InputError, ModelError, pick
from cytosuite.formats import header


class Request(NamedTuple):
    """The data, algorithms and engine that the options name, before any work."""

    recipe: recipes.Recipe
    task: Task
    ours: list[AlgorithmManifest]
    externals: list[AlgorithmManifest]  # images of others
    models: Models  # that the user names
    engine: engines.Engine
    named: bool  # whether the user names the algorithms


def requested(options: BenchmarkOptions, console: Console) -> Request:
    """Return the request of a run, with an engine that is ready for it."""
    recipe = several.recipe_of_all(options.request)
    others = list(dict.fromkeys(filter(images.is_external, options.algorithm)))
    external.need_externals(others, options.sockets)
    task, ours, models = chosen(options, recipe.task)
    free = [algorithm.name for algorithm in ours if algorithm.name not in models]
    if options.model and models and not free:
        raise InputError(f"MODEL={options.model} is for an algorithm without a model of its own")
    model = None if others and is_tarball(options.model) else options.model
    model = data.own_model(model, free, options, console)
    models = {**models, **named_models(model, free)}
    named = not {ALL}.issuperset(options.algorithm)
    ours = _ready(ours, models, options, console, named=named)
    passed = links(recipe.through)
    names = [algorithm.name for algorithm in ours]
    need_weights([*passed, *names], models)
    needed = list(dict.fromkeys([*passed, *map(places.program_of, names)]))
    here = options.cluster is None or options.cluster.get("kind") == "local"
    engine = data.start_engine(options, needed, console, models, gpu=here)
    externals = external.take_in(others, [*algorithms(), *RESERVED], task, engine, options, console)
    return Request(recipe, task, ours, externals, models, engine, named)


def _ready(
    ours: Sequence[AlgorithmManifest],
    models: Models,
    options: BenchmarkOptions,
    console: Console,
    *,
    named: bool,
) -> list[AlgorithmManifest]:
    """Return the algorithms that have a model, and as plain processes their packages.

    Where the user names none, optional ones are left out with a line.
    """
    plain = not named and choose.engine_name(options.engine)[0] == "process"
    ready = []
    for algorithm in ours:
        try:
            need_model(algorithm.name, models)
            if plain and algorithm.optional:
                packages.need_packages(algorithm.name)
        except CytosuiteError as error:
            if named or not algorithm.optional:
                raise
            say(console, f"left out: {error}")
        else:
            ready.append(algorithm)
    return ready


def chosen(options: BenchmarkOptions, default: str) -> tuple[Task, list[AlgorithmManifest], Models]:
    """Return the task and our algorithms, all without names, with the models named with them."""
    manifests = algorithms()
    every = ALL in options.algorithm
    words = [word for word in options.algorithm if not images.is_external(word) and word != ALL]
    names = pick("algorithm", map(places.program_of, words), manifests) if words else []
    tasks = {*filter(None, [options.task]), *(manifests[name].task for name in names)}
    if len(tasks) > 1:
        raise InputError(f"algorithms of one task are compared, found {', '.join(sorted(tasks))}")
    task = next(iter(tasks), default)
    if not words and (every or not options.algorithm):  # else images of others alone
        names = [n for n, m in manifests.items() if m.task == task and (every or not m.optional)]
        if not (names or every):
            raise InputError(f"there is no algorithm for the task {task} yet; add one (README)")
    for name in names:
        need_free(name)
    cards = own_models(words or names)
    ours = []
    for name, card in cards.items():
        said = {"description": read_card(card).description} if card else {}
        ours.append(manifests[places.program_of(name)].model_copy(update={"name": name, **said}))
    return TASKS[task], ours, {name: card for name, card in cards.items() if card}


def runnable(
    request: Request, dataset: datasets.Dataset
) -> tuple[list[AlgorithmManifest], list[str]]:
    """Return the algorithms that can run on the dataset, and a note on each other one."""
    task = request.task
    chosen = [*request.ours, *request.externals]
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
        raise InputError(
            f"task {task.name} needs {', '.join(dict.fromkeys(some))}; {offers}{remedy}"
        )
    axes = sorted({header(main).axes for main in dataset.mains(task)})
    ours = [algorithm for algorithm in served if algorithm in request.ours]
    models = request.models
    lost = {a.name: reason for a in ours if (reason := lacks_model(a, axes, models))}
    if lost and (request.named or len(lost) == len(ours)):
        raise ModelError(next(iter(lost.values())))
    left = {a.name: f"it needs {', '.join(a.needs)}; {offers}" for a in chosen if a not in served}
    left |= {name: reason.removeprefix(f"{name}: ") for name, reason in lost.items()}
    notes = [f"{name} did not run: {reason}." for name, reason in left.items()]
    return [algorithm for algorithm in served if algorithm.name not in left], notes


def run_name(request: Request) -> str:
    """Return the name of the run's folder: dataset, pipeline, task where it is another, engine."""
    recipe = request.recipe
    size = f"-{recipe.size}" if recipe.seed is not None else ""
    seed = f"-seed{recipe.seed}" if recipe.seed else ""
    digest = f"-{recipe.fingerprint[:8]}" if recipe.changed else ""
    pipeline = "".join(f"-{name}" for name in recipe.through)
    for_task = f"-{request.task.name}" if request.task.name != recipe.task else ""
    return f"{recipe.name}{size}{seed}{digest}{pipeline}{for_task}-{request.engine.name}"
