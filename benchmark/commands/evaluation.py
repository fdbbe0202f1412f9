"""Commands ``build-evaluation``, for an organiser, and ``rehearse``, for a participant."""

import os
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from cytosuite.benchmark.catalog.catalog import algorithms
from cytosuite.benchmark.catalog.contract import Check
from cytosuite.benchmark.catalog.models import named_models
from cytosuite.benchmark.catalog.places import ROOT, need_checkout
from cytosuite.benchmark.commands.data import make, start_engine
from cytosuite.benchmark.commands.external import need_externals, take_in
from cytosuite.benchmark.comparison.scored import read_scored
from cytosuite.benchmark.containers.build import Builder
from cytosuite.benchmark.containers.daemon import daemon_errors, need_docker
from cytosuite.benchmark.containers.images import evaluation_blueprint, image_digest
from cytosuite.benchmark.data.dataset import serves
from cytosuite.benchmark.data.recipe import recipe
from cytosuite.benchmark.engines.choose import engine_name
from cytosuite.benchmark.engines.external import is_external
from cytosuite.benchmark.engines.outcome import Engine, Limits
from cytosuite.benchmark.engines.sandbox import sandbox, watch
from cytosuite.benchmark.options.evaluation import (
    BuildEvaluationOptions,
    RehearseOptions,
)
from cytosuite.benchmark.runs.pipeline import links
from cytosuite.benchmark.submission.export import export_image
from cytosuite.benchmark.submission.judging.evaluation import read_evaluation
from cytosuite.benchmark.submission.judging.ground_truth import (
    LIST,
    steps,
    write_ground_truth,
    write_inputs,
)
from cytosuite.benchmark.submission.judging.submission import (
    differences,
    own_scores,
    write_submission,
)
from cytosuite.benchmark.submission.profiles import PROFILES, PlatformProfile, smallest
from cytosuite.benchmark.submission.rehearsal import Rehearsal, write_record
from cytosuite.benchmark.terminal.console import lines_to, progress
from cytosuite.benchmark.terminal.options import DataOptions
from cytosuite.contract.manifest import AlgorithmManifest
from cytosuite.contract.tasks import TASKS
from cytosuite.contract.words import Api
from cytosuite.datasets.recipes import dataset_manifests
from cytosuite.errors import InputError, pick, plain
from cytosuite.files import atomic, need_file, need_folder, read_json, work_folder
from cytosuite.metrics.boards import CONTROLS

SHOWN = 5  # scores that differ
METRICS, TRUTH = "metrics.json", "/opt/ml/input/data/ground_truth"
SHUT = {  # as the steps for organisers say
    "network_mode": "none",
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "tmpfs": {"/tmp": ""},
}
USUAL = "spheroid"  # of several datasets that serve a task


def build_evaluation_command(options: BuildEvaluationOptions, console: Console) -> int:
    """Write the uploads of a phase; with a run exit code 1 if its scores differ."""
    paths = write_evaluation(options, console)
    if options.image:
        paths = [*paths, build_evaluation(options, console)]
    for path in paths:
        lines_to(console)(f"written: {path}")
    if options.run is None:
        return 0
    return 0 if rehearse_evaluation(options.run, paths[0], options, console) else 1


def rehearse_command(options: RehearseOptions, console: Console) -> int:
    """Rehearse a submission; exit code 1 if a check fails."""
    return 0 if rehearse(options, console) else 1


def write_evaluation(options: BuildEvaluationOptions, console: Console) -> list[Path]:
    """Write ground truth, inputs and steps of a phase, and return them in this order."""
    data_recipe = recipe(options.data_request)
    task = TASKS[pick("task", [options.task or data_recipe.task], TASKS)[0]]
    name = data_recipe.name if task.name == data_recipe.task else f"{data_recipe.name}-{task.name}"
    tarball = options.out / f"{name}-ground-truth.tar.gz"
    inputs, text = options.out / f"{name}-inputs", options.out / f"{name}-evaluation.md"
    need_file(tarball)
    need_file(text)
    need_folder(inputs, new=not (inputs / LIST).is_file())
    pipeline = links(data_recipe.through)
    engine = start_engine(options, pipeline, console) if pipeline else None
    dataset = make(data_recipe, options, options, engine, console)
    if not dataset.serves(task):
        raise InputError(
            f"{dataset.name}: expected the inputs of the task {task.name} in every case, found "
            f"{', '.join(sorted(dataset.offers)) or 'nothing'}"
        )
    evaluation = write_ground_truth(dataset, task, tarball)
    write_inputs(dataset, task, inputs)
    with atomic(text) as temporary:
        temporary.write_text(steps(evaluation, task, tarball.name, inputs.name), "utf-8")
    return [tarball, inputs, text]


def build_evaluation(options: BuildEvaluationOptions, console: Console) -> Path:
    """Build the image of the evaluation, unless it is current, and return its archive."""
    builder, tag = _built(options, console)
    with progress(console, "exporting the evaluation") as step:
        path, _, _ = export_image(builder.client, tag, options.out, {}, step=step)
    return path


def rehearse_evaluation(
    run: Path, tarball: Path, options: BuildEvaluationOptions, console: Console
) -> bool:
    """Judge a run by the evaluation, contained where possible; whether the scores agree."""
    say = lines_to(console)
    scored, equal = read_scored(run if run.exists() else options.folder / run), True
    process = engine_name(options.engine)[0] == "process"
    with work_folder(options.folder) as scratch:
        truth = scratch / "truth"
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
            folder = scratch / algorithm
            write_submission(scored.place / algorithm, key, evaluation, folder / "input")
            judge(folder)
            judged: Any = read_json(folder / "output" / METRICS)
            scores = own_scores(scored.place, algorithm, evaluation.task)
            count, lines = differences(scores, judged, evaluation)
            for line in lines[:SHOWN]:
                say(f"differs: {algorithm}: {line}")
            verdict = (
                f"{len(lines)} of {count} scores differ from" if lines else f"{count} scores, as in"
            )
            place = "as a plain process" if process else "in its container"
            say(f"evaluation {place}: {algorithm}: {verdict} the run")
            equal &= not lines
    return equal


def _built(options: BuildEvaluationOptions, console: Console) -> tuple[Builder, str]:
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


def _judge_shut(
    truth: Path, options: BuildEvaluationOptions, console: Console, folder: Path
) -> None:
    """Judge a submission by the evaluation in its container."""
    builder, tag = _built(options, console)
    output = folder / "output"
    output.mkdir()
    output.chmod(0o777)  # the user of the image is another one
    places = {"/input": folder / "input", "/output": output, TRUTH: truth}
    with (
        daemon_errors("rehearsal of the evaluation"),
        sandbox(builder.client, tag, ["exec"], places, Limits(), SHUT) as box,
    ):
        code = watch(box.exit_code, lambda _: False, 0.0)
        _, line = box.new_log()
    if code:
        raise InputError(f"{tag}: the evaluation ended with exit code {code}: {plain(line)}")


def rehearse(options: RehearseOptions, screen: Console) -> bool:
    """Rehearse a submission, print and record the checks, and return whether all are passed."""
    named_profile = options.profile and PROFILES[pick("profile", [options.profile], PROFILES)[0]]
    engine, manifest = _subject(options, screen)
    external = engine.externals.get(manifest.name)
    api = external.api if external else options.api or engine.api
    profile = named_profile or smallest(manifest)
    name = options.dataset or dataset_for(manifest)
    size = None if options.dataset else "mini"
    data = DataOptions(dataset=name, size=size, runs=options.runs)
    data_recipe = recipe(data.request(task=manifest.task, spacing=options.spacing))
    dataset = make(data_recipe, data, options, engine, screen)
    limits = profile.limits(os.cpu_count() or 1, options.timeout)
    if options.memory:
        limits = replace(limits, memory_gib=options.memory)
    lines_to(screen)(f"{manifest.name} on {profile.name} ({profile.title}), {dataset.name}")
    with TemporaryDirectory() as folder:
        cases = dataset.cases[: options.cases]
        rehearsal = Rehearsal(engine, manifest, cases, limits, Path(folder), external is not None)
        done = []
        for check in _checks(rehearsal, api, profile, limits, options):
            done.append(check)
            lines_to(screen)(check.line)
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
    lines_to(screen)(f"rehearsal {'passed' if passed else 'FAILED'}: {path}")
    return passed


def dataset_for(manifest: AlgorithmManifest) -> str:
    """Return the name of a simulated dataset that holds the inputs of an algorithm."""
    task = TASKS[manifest.task]
    ranked = [
        (dataset.task != manifest.task, dataset.name != USUAL, dataset.name)
        for dataset in dataset_manifests().values()
        if dataset.kind == "simulated" and serves(frozenset(dataset.offers), task, manifest.needs)
    ]
    if not ranked:
        needed = {socket.slug for socket in task.inputs if not socket.optional}
        needed |= set(manifest.needs)
        raise InputError(
            f"no simulated dataset offers {', '.join(sorted(needed))}, as {manifest.name} needs; "
            "give DATASET=<folder of images>"
        )
    return min(ranked)[2]


def _subject(options: RehearseOptions, screen: Console) -> tuple[Engine, AlgorithmManifest]:
    """Return the engine with the image to rehearse, ours or others', and its description."""
    word, manifests = options.algorithm, algorithms()
    if not is_external(word):
        pick("algorithm", [word], manifests)
    elif not options.task:
        raise InputError(f"{word}: give the TASK of an image of others: {', '.join(TASKS)}")
    ours = [] if is_external(word) else [word]
    need_externals([] if ours else [word], options.sockets)
    engine = start_engine(options, ours, screen, named_models(options.model, ours) if ours else {})
    if engine.client is None:
        raise InputError("a rehearsal runs containers; start Docker, or use ENGINE=podman")
    if ours:
        return engine, manifests[word]
    task = TASKS[pick("task", [str(options.task)], TASKS)[0]]
    (manifest,) = take_in([word], [*manifests, *CONTROLS], task, engine, options, screen)
    return engine, manifest


def _checks(
    rehearsal: Rehearsal,
    api: Api,
    profile: PlatformProfile,
    limits: Limits,
    options: RehearseOptions,
) -> Iterator[Check]:
    """Yield the checks of a rehearsal, and those that this machine cannot make."""
    yield from rehearsal.checks(api)
    if profile.gpu and options.device == "cpu":
        yield Check(
            f"GPU: {profile.gpu}", "skip", "run without one; DEVICE=cuda uses this machine's"
        )
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    if total < limits.memory_gib:
        yield Check(
            f"memory up to {limits.memory_gib:g} GiB", "skip", f"this machine has {total:.0f} GiB"
        )
