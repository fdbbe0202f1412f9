"""Command ``evaluation``: what an organiser uploads for a phase of a challenge."""

import tarfile
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from cytosuite.benchmark.catalog import need_checkout, pick
from cytosuite.benchmark.commands.challenge import EvaluationOptions
from cytosuite.benchmark.commands.data import make, start_engine
from cytosuite.benchmark.commands.progress import progress
from cytosuite.benchmark.comparison.scored import read_scored
from cytosuite.benchmark.containers.build import Builder
from cytosuite.benchmark.containers.daemon import daemon_errors, find_docker, need_docker
from cytosuite.benchmark.containers.images import evaluation_blueprint
from cytosuite.benchmark.data.chain import links
from cytosuite.benchmark.data.recipe import recipe
from cytosuite.benchmark.submission.export import export_image
from cytosuite.benchmark.submission.judging.evaluation import read_evaluation
from cytosuite.benchmark.submission.judging.ground_truth import (
    LIST,
    write_ground_truth,
    write_inputs,
)
from cytosuite.benchmark.submission.judging.steps import steps
from cytosuite.benchmark.submission.judging.submission import (
    differences,
    own_scores,
    write_submission,
)
from cytosuite.errors import InputError, plain
from cytosuite.files import atomic, read_json
from cytosuite.places import need_file, need_folder
from cytosuite.tasks import TASKS

SHOWN = 5  # scores that differ
METRICS, TRUTH = "metrics.json", "/opt/ml/input/data/ground_truth"
SHUT = {  # as the steps for organisers say
    "network_mode": "none",
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "tmpfs": {"/tmp": ""},
}


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
    builder, tag = _built(options, console)
    with progress(console, "exporting the evaluation") as step:
        path, _, _ = export_image(builder.client, tag, options.out, {}, step=step)
    return path


def rehearse_evaluation(
    run: Path, tarball: Path, options: EvaluationOptions, console: Console
) -> bool:
    """Judge each algorithm of a run by the evaluation, and return whether its scores are the run's.

    It runs in its container where a daemon answers, else in this process.

    Raises
    ------
    InputError
        If the run is of other data or not finished, or the evaluation ends with an error.
    """
    say = partial(console.print, highlight=False, markup=False, soft_wrap=True)
    scored, equal = read_scored(run if run.exists() else options.folder / run), True
    process = options.engine == "process"
    process |= options.engine == "auto" and isinstance(find_docker(), str)
    with TemporaryDirectory(dir=options.folder) as name:
        truth = Path(name) / "truth"
        with tarfile.open(tarball) as archive:
            archive.extractall(truth, filter="data")
        evaluation = read_evaluation(truth)
        if scored.said("fingerprint") != evaluation.fingerprint:
            raise InputError(
                f"{scored.place}: a run on other data than {evaluation.dataset} "
                f"({evaluation.size}) as asked for here; it was made by: {scored.said('command')}"
            )
        judge = partial(_judge, truth) if process else partial(_judge_shut, truth, options, console)
        for algorithm, key in scored.table("jobs").items():
            folder = Path(name) / algorithm
            write_submission(scored.place / algorithm, key, evaluation, folder / "input")
            judge(folder)
            judged: Any = read_json(folder / "output" / METRICS)
            own = own_scores(scored.place, algorithm, evaluation.task)
            count, lines = differences(own, judged, evaluation)
            for line in lines[:SHOWN]:
                say(f"differs: {algorithm}: {line}")
            found = (
                f"{len(lines)} of {count} scores differ from" if lines else f"{count} scores, as in"
            )
            place = "as a plain process" if process else "in its container"
            say(f"evaluation {place}: {algorithm}: {found} the run")
            equal &= not lines
    return equal


def _built(options: EvaluationOptions, console: Console) -> tuple[Builder, str]:
    """Build the image of the evaluation, unless it is current, and return its tag."""
    say = partial(console.print, highlight=False, markup=False)
    root = need_checkout("a build of containers")
    name = "docker" if options.engine == "auto" else options.engine
    builder = Builder(need_docker(name), root, options.device, options.base_image, say, name)
    return builder, builder.build_image(evaluation_blueprint(root))


def _judge(truth: Path, folder: Path) -> None:
    """Judge a submission by the evaluation in this process."""
    from cytosuite.benchmark.submission.judging.evaluate import Evaluator

    Evaluator(folder / "input", folder / "output", truth).run_case()


def _judge_shut(truth: Path, options: EvaluationOptions, console: Console, folder: Path) -> None:
    """Judge a submission by the evaluation in its container."""
    builder, tag = _built(options, console)
    output = folder / "output"
    output.mkdir()
    output.chmod(0o777)  # the user of the image is another one
    places = {folder / "input": ("/input", "ro"), output: ("/output", "rw"), truth: (TRUTH, "ro")}
    volumes = {str(own): {"bind": to, "mode": mode} for own, (to, mode) in places.items()}
    with daemon_errors("rehearsal of the evaluation"):
        container = builder.client.containers.run(tag, "exec", volumes=volumes, detach=True, **SHUT)
        try:
            code = container.wait()["StatusCode"]
            log = container.logs().decode(errors="replace")
        finally:
            container.remove(force=True)
    if code:
        reason = plain((log.strip().splitlines() or ["no word"])[-1])
        raise InputError(f"{tag}: the evaluation ended with exit code {code}: {reason}")
