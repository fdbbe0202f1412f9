"""The command line: each command with its options."""

import sys
from collections.abc import Sequence
from inspect import signature
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, get_args

import typer

from cytosuite import __version__
from cytosuite.benchmark.commands import (
    compare,
    ctc,
    export,
    making,
    preflight,
    rank,
    tables,
    weights,
)
from cytosuite.benchmark.commands.build import build_command
from cytosuite.benchmark.commands.bundle import bundle_command
from cytosuite.benchmark.commands.challenge import EvaluationOptions, RehearseOptions
from cytosuite.benchmark.commands.console import console
from cytosuite.benchmark.commands.fields import takes
from cytosuite.benchmark.commands.options import (
    AUTO,
    ApplyOptions,
    BenchmarkOptions,
    ScoreOptions,
    SelectOptions,
    SimulateOptions,
    TableOptions,
    TrainOptions,
)
from cytosuite.ending import INTERRUPTED
from cytosuite.errors import InputError

app = typer.Typer(name="cytosuite", pretty_exceptions_enable=False)


def _show_version(wanted: bool) -> None:
    """Print the version and end the program, if that is wanted."""
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def common_options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    """Benchmark containerized algorithms on synthetic and real microscopy."""


@app.command("benchmark")
@takes(BenchmarkOptions)
def benchmark_command(options: BenchmarkOptions) -> None:
    """Generate or read a dataset, run the algorithms on it, score them and write a report."""
    from cytosuite.benchmark.commands.benchmark import benchmark

    raise typer.Exit(benchmark(options, console(stderr=options.stdout_is_data)))


@app.command("apply")
@takes(ApplyOptions)
def apply_command(options: ApplyOptions) -> None:
    """Run an algorithm on images: outputs as TIFF, with a record and a picture of each."""
    _apply(options)


@app.command("segment")
@takes(ApplyOptions)
def segment_command(options: ApplyOptions) -> None:
    """Segment images: labels as TIFF, with a record and a picture of each."""
    from cytosuite.benchmark.catalog import algorithms, pick

    known = [name for name, found in algorithms().items() if found.task == "segment"]
    pick("algorithm for the task segment", [options.algorithm], [*known, AUTO])
    _apply(options)


@app.command("select")
@takes(SelectOptions)
def select_command(options: SelectOptions) -> None:
    """Show which model would be taken for images, and why: metadata and costs of all models."""
    from cytosuite.benchmark.commands.select import show_choice

    raise typer.Exit(show_choice(options, console(stderr=options.stdout_is_data)))


@app.command("simulate")
@takes(SimulateOptions)
def simulate_command(options: SimulateOptions) -> None:
    """Simulate annotated images, with a record and a preview of each."""
    from cytosuite.benchmark.commands.simulate import simulate

    typer.echo(f"written: {simulate(options, console())}")


@app.command("train")
@takes(TrainOptions)
def train_command(options: TrainOptions) -> None:
    """Train a model on simulated data, or fine-tune one on your own annotated folder."""
    from cytosuite.benchmark.commands.train import train

    train(options, console())


@app.command("new")
def new_command(
    name: Annotated[str, typer.Argument(help="Of the algorithm, and of its folder.")],
    task: Annotated[str, typer.Option(help="segment, enhance, synthesise or fuse.")] = "segment",
) -> None:
    """Start a new algorithm: a folder that builds, runs and passes its checks."""
    from cytosuite.benchmark.commands.new import new

    for folder in new(name, task):
        typer.echo(f"written: {folder}")
    typer.echo(f"next: cytosuite check {name}")


@app.command("rehearse")
@takes(RehearseOptions)
def rehearse_command(options: RehearseOptions) -> None:
    """Rehearse a submission: both interfaces under a platform's limits, outputs by its rules."""
    from cytosuite.benchmark.commands.rehearse import rehearse

    raise typer.Exit(0 if rehearse(options, console()) else 1)


@app.command("check")
def check_command(
    name: Annotated[str, typer.Argument(help="Name in algorithms/.")],
) -> None:
    """Check an algorithm against its contract, in seconds and without containers."""
    from cytosuite.benchmark.commands.check import check_algorithm

    raise typer.Exit(0 if check_algorithm(name, console()) else 1)


@app.command("list")
@takes(TableOptions)
def list_command(options: TableOptions) -> None:
    """List the algorithms, their models with scores, the datasets and recipes there are."""
    from cytosuite.benchmark.commands.listing import show_list

    show_list(options, console())


@app.command("score")
@takes(ScoreOptions)
def score_command(options: ScoreOptions) -> None:
    """Score predictions on disk: files, folders, or Cell Tracking Challenge layouts."""
    from cytosuite.benchmark.commands.progress import progress
    from cytosuite.benchmark.commands.score import score_files, table
    from cytosuite.benchmark.commands.table import give

    screen = console(stderr=options.stdout_is_data)
    with progress(screen, "scoring", minor=True) as step:
        scores = score_files(options, step)
        step(1, 1)
    give(table(scores), options, screen, scores.as_json())
    for line in scores.doubts:
        screen.print(line, highlight=False, markup=False, soft_wrap=True)
    for case in scores.failed:
        screen.print(f"no prediction: {case}", highlight=False, markup=False)
    raise typer.Exit(1 if scores.failed else 0)


@app.command("evaluation")
@takes(EvaluationOptions)
def evaluation_command(options: EvaluationOptions) -> None:
    """Write the uploads of an organiser to judge submissions, and rehearse them on a run."""
    from cytosuite.benchmark.commands.evaluation import (
        build_evaluation,
        rehearse_evaluation,
        write_evaluation,
    )

    paths = write_evaluation(options, console())
    for path in paths:
        typer.echo(f"written: {path}")
    if options.image:
        typer.echo(f"written: {build_evaluation(options, console())}")
    if options.run is not None:
        raise typer.Exit(0 if rehearse_evaluation(options.run, paths[0], options, console()) else 1)


for name, command in (
    ("build", build_command),
    ("phantoms", making.phantoms_command),
    ("calibrate", making.calibrate_command),
    ("migrate", making.migrate_command),
    ("weights", weights.weights_command),
    ("adopt", weights.adopt_command),
    ("export", export.export_command),
    ("ctc", ctc.ctc_command),
    ("preflight", preflight.preflight_command),
    ("bundle", bundle_command),
    ("compare", compare.compare_command),
    ("accept", compare.accept_command),
    ("tables", tables.tables_command),
    ("rank", rank.rank_command),
):
    app.command(name)(command)


def _apply(options: ApplyOptions) -> None:
    """Run an algorithm on images; exit code 1 if one failed."""
    from cytosuite.benchmark.commands.apply import apply

    results = apply(options, console())
    raise typer.Exit(1 if any(found.status == "failed" for found in results) else 0)


def _refuse_empty_paths(words: Sequence[str]) -> None:
    """Refuse options with an empty path: it would mean the current folder."""
    paths = {
        f"--{name.replace('_', '-')}"
        for known in app.registered_commands
        for name, given in signature(known.callback or run).parameters.items()
        if (kind := get_args(given.annotation)) and Path in (kind[0], *get_args(kind[0]))
    }
    for word, following in zip_longest(words, words[1:]):
        name, given, value = word.partition("=")
        if name in paths and not (value if given else following is None or following):
            raise InputError(f"{name}: expected a path, found nothing")


def run() -> int | None:
    """Run the command line, and return its exit code.

    Raises
    ------
    InputError
        If the words make no command; see also the commands.
    """
    try:
        _refuse_empty_paths(sys.argv[1:])
        code: int | None = app(sys.argv[1:] or ["--help"], standalone_mode=False)
    except typer.TyperException as error:
        raise InputError(f"{error.format_message()} (see --help)") from None
    if code == INTERRUPTED:  # typer's own end of it
        raise KeyboardInterrupt
    return code
