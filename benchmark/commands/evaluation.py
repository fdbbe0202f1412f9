"""Command ``evaluation``: what an organiser uploads for a phase of a challenge."""

from functools import partial
from pathlib import Path

from rich.console import Console

from cytosuite.benchmark.catalog import need_checkout, pick
from cytosuite.benchmark.commands.challenge import EvaluationOptions
from cytosuite.benchmark.commands.data import make, start_engine
from cytosuite.benchmark.commands.progress import progress
from cytosuite.benchmark.containers.build import Builder
from cytosuite.benchmark.containers.daemon import need_docker
from cytosuite.benchmark.containers.images import evaluation_blueprint
from cytosuite.benchmark.data.chain import links
from cytosuite.benchmark.data.recipe import recipe
from cytosuite.benchmark.submission.export import export_image
from cytosuite.benchmark.submission.judging.ground_truth import (
    LIST,
    write_ground_truth,
    write_inputs,
)
from cytosuite.benchmark.submission.judging.steps import steps
from cytosuite.errors import InputError
from cytosuite.files import atomic
from cytosuite.places import need_file, need_folder
from cytosuite.tasks import TASKS


def write_evaluation(options: EvaluationOptions, console: Console) -> list[Path]:
    """Write ground truth, inputs and steps of a phase, and return them in this order.

    Parameters
    ----------
    options : EvaluationOptions
        Dataset, task and folder.
    console : Console
        Shows progress.

    Returns
    -------
    list of Path
        ``<dataset>-ground-truth.tar.gz``, ``<dataset>-inputs/``, ``<dataset>-evaluation.md``;
        named after the task as well where that is not the dataset's own.

    Raises
    ------
    InputError
        If the dataset cannot be made, lacks inputs of the task or all that is compared with, or a
        place is none.
    """
    made = recipe(options.wanted)
    task = TASKS[pick("task", [options.task or made.task], TASKS)[0]]
    name = made.name if task.name == made.task else f"{made.name}-{task.name}"
    tarball = options.out / f"{name}-ground-truth.tar.gz"
    inputs, text = options.out / f"{name}-inputs", options.out / f"{name}-evaluation.md"
    need_file(tarball)
    need_file(text)
    need_folder(inputs, new=not (inputs / LIST).is_file())
    chain = links(made.through)
    engine = start_engine(options, chain, console) if chain else None
    dataset = make(made, options, options, engine, console)
    if not dataset.serves(task):
        raise InputError(
            f"{dataset.name}: expected the inputs of the task {task.name} in every case, found "
            f"{', '.join(sorted(dataset.offers)) or 'nothing'}"
        )
    evaluation = write_ground_truth(dataset, task, tarball)
    write_inputs(dataset, task, inputs)
    with atomic(text) as temporary:
        temporary.write_text(steps(evaluation, task, tarball.name, inputs.name), encoding="utf-8")
    return [tarball, inputs, text]


def build_evaluation(options: EvaluationOptions, console: Console) -> Path:
    """Build the image of the evaluation, unless it is current, and return its archive.

    Raises
    ------
    InputError
        If no daemon answers, or the build fails.
    """
    say = partial(console.print, highlight=False, markup=False)
    root = need_checkout("a build of containers")
    name = "docker" if options.engine == "auto" else options.engine
    builder = Builder(need_docker(name), root, options.device, options.base_image, say, name)
    tag = builder.build_image(evaluation_blueprint(root))
    with progress(console, "exporting the evaluation") as step:
        path, _, _ = export_image(builder.client, tag, options.out, {}, step=step)
    return path
