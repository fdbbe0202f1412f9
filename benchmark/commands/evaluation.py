"""Commands ``build-evaluation``, for an organiser, and ``rehearse``, for a participant."""

import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from cytosuite.benchmark.catalog.places import ROOT, need_checkout
from cytosuite.benchmark.commands.data import builder, make
from cytosuite.benchmark.commands.external import subject
from cytosuite.benchmark.commands.options.evaluation import BuildEvaluationOptions, RehearseOptions
from cytosuite.benchmark.commands.terminal.console import progress, say
from cytosuite.benchmark.commands.terminal.options import DataOptions
from cytosuite.benchmark.engines.choose import engine_name
from cytosuite.benchmark.engines.images.blueprints import evaluation_blueprint, image_digest
from cytosuite.benchmark.engines.images.build import Builder
from cytosuite.benchmark.runs.data.dataset import serves
from cytosuite.benchmark.runs.data.recipe import recipe
from cytosuite.benchmark.submission.export import export_image
from cytosuite.benchmark.submission.judging.ground_truth import (
    LIST,
    ground_truth,
    steps,
    write_bundle,
    write_inputs,
)
from cytosuite.benchmark.submission.profiles import PROFILES, smallest
from cytosuite.benchmark.submission.rehearsal import (
    Rehearsal,
    all_checks,
    rehearse_evaluation,
    write_record,
)
from cytosuite.contract.manifest import AlgorithmManifest
from cytosuite.contract.tasks import TASKS
from cytosuite.datasets.recipes import dataset_manifests
from cytosuite.errors import InputError, pick
from cytosuite.files import need_file, need_folder, write_text

SECRET = 10**14  # seeds from which on nobody tries all
USUAL = "spheroid"  # of several datasets that serve a task


def build_evaluation_command(options: BuildEvaluationOptions, console: Console) -> int:
    """Write the uploads of a phase; with a run exit code 1 if its scores differ."""
    paths = write_evaluation(options, console)
    if options.image:
        images, tag = _built(options, console)
        with progress(console, "exporting the evaluation") as step:
            path, _, _ = export_image(images.client, tag, options.out, {}, step=step)
        paths.append(path)
    say(console, *(f"written: {path}" for path in paths))
    if options.run is None:
        return 0
    run = options.run if options.run.exists() else options.folder / options.run
    process = engine_name(options.engine)[0] == "process"
    built = None if process else partial(_built, options, console)
    return (
        0 if rehearse_evaluation(run, paths[0], options.folder, built, partial(say, console)) else 1
    )


def write_evaluation(options: BuildEvaluationOptions, console: Console) -> list[Path]:
    """Write ground truth, inputs and steps of a phase, and return them in this order."""
    data_recipe = recipe(options.request)
    task = TASKS[options.task or data_recipe.task]
    name = data_recipe.name if task.name == data_recipe.task else f"{data_recipe.name}-{task.name}"
    tarball = options.out / f"{name}-ground-truth.tar.gz"
    inputs = options.out / f"{name}-inputs"
    text = options.out / f"{name}-evaluation.md"
    need_file(tarball)
    need_file(text)
    need_folder(inputs, new=not (inputs / LIST).is_file())
    dataset = make(data_recipe, options, options, None, console)
    if not dataset.serves(task):
        raise InputError(
            f"{dataset.name}: expected the inputs of the task {task.name} in every case, found "
            f"{', '.join(sorted(dataset.offers)) or 'nothing'}"
        )
    if data_recipe.seed is not None and data_recipe.seed < SECRET:
        say(
            console,
            f"note: who simulates with the seeds from 0 on finds {data_recipe.seed}, and with it "
            "the truth: give a seed of 15 to 18 digits",
        )
    truth = ground_truth(dataset, task)
    truth.write(tarball)
    write_inputs(dataset, task, inputs)
    write_text(text, steps(truth.evaluation, task, tarball.name, inputs.name))
    paths = [tarball, inputs, text]
    if options.codabench:
        paths.append(options.out / f"{name}-codabench.zip")
        write_bundle(truth, inputs, options.codabench, paths[-1])
    return paths


def _built(options: BuildEvaluationOptions, console: Console) -> tuple[Builder, str]:
    """Build the image of the evaluation, unless it is current, and return its tag."""
    root = need_checkout("a build of containers")
    images = builder(
        options, "docker" if options.engine == "auto" else options.engine, root, console
    )
    return images, images.build_image(evaluation_blueprint(root))


def rehearse_command(options: RehearseOptions, console: Console) -> int:
    """Rehearse a submission, print and record the checks; exit code 1 if one fails."""
    named_profile = options.profile and PROFILES[pick("profile", [options.profile], PROFILES)[0]]
    engine, manifest = subject(options, console)
    external = engine.externals.get(manifest.name)
    api = external.api if external else options.api or engine.api
    profile = named_profile or smallest(manifest)
    name = options.dataset or dataset_for(manifest)
    data = DataOptions(dataset=name, size=None if options.dataset else "mini", runs=options.runs)
    request = replace(
        data.request,
        task=manifest.task,
        spacing=options.spacing,
        part=options.part,
        recursive=options.recursive,
        data_root=options.data_root,
    )
    dataset = make(recipe(request), data, options, engine, console)
    limits = profile.limits(os.cpu_count() or 1, options.timeout)
    if options.memory:
        limits = replace(limits, memory_gib=options.memory)
    say(console, f"{manifest.name} on {profile.name} ({profile.title}), {dataset.name}")
    with TemporaryDirectory() as folder:
        cases = dataset.cases[: options.cases]
        rehearsal = Rehearsal(engine, manifest, cases, limits, Path(folder), external is not None)
        done = []
        for check in all_checks(rehearsal, api, profile):
            done.append(check)
            say(console, check.line)
    passed = all(check.result != "FAIL" for check in done)
    record = {
        "algorithm": manifest.name,
        "identity": external.identity
        if external
        else image_digest(ROOT, manifest.name, options.device),
        "api": api,
        "site": profile.name,
        "dataset": dataset.name,
        "passed": passed,
        **rehearsal.figures(),
        "checks": {check.title: f"{check.result} {check.reason}".strip() for check in done},
    }
    path = write_record(data.folder, manifest.name, record)
    say(console, f"rehearsal {'passed' if passed else 'FAILED'}: {path}")
    return 0 if passed else 1


def dataset_for(manifest: AlgorithmManifest) -> str:
    """Return the name of a simulated dataset that holds the inputs of an algorithm."""
    task = TASKS[manifest.task]
    ranked = [
        (dataset.task != manifest.task, dataset.name != USUAL, dataset.name)
        for dataset in dataset_manifests().values()
        if dataset.kind == "simulated"
        and serves(frozenset(dataset.offers + dataset.movies), task, manifest.needs)
    ]
    if not ranked:
        needed = {socket.slug for socket in task.inputs if not socket.optional}
        needed |= set(manifest.needs)
        raise InputError(
            f"no simulated dataset offers {', '.join(sorted(needed))}, as {manifest.name} needs; "
            "give DATASET=<folder of images>"
        )
    return min(ranked)[2]
