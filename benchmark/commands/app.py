"""The command line: all commands by name; options load with the help, the rest with a run."""

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from inspect import signature
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_args

import typer

from cytosuite import __version__
from cytosuite.errors import InputError
from cytosuite.errors.ending import INTERRUPTED


class Command(NamedTuple):
    """A command, its module here and among the options, and its line in the help."""

    name: str
    module: str
    help: str

    @property
    def options(self) -> Any:  # noqa: ANN401 - a dataclass
        """The class of its options."""
        home = import_module(f"cytosuite.benchmark.commands.options.{self.module}")
        return getattr(home, f"{self.name.title().replace('-', '')}Options")

    def load(self) -> Callable[..., int | None]:
        """Return the function of options and console that is the command."""
        home = import_module(f"cytosuite.benchmark.commands.{self.module}")
        function: Callable[..., int | None] = getattr(
            home, f"{self.name.replace('-', '_')}_command"
        )
        return function


COMMANDS = {
    "Use": (
        Command("benchmark", "benchmark", "Make or read data, run algorithms, score, report."),
        Command("segment", "apply", "Segment images: labels, records and pictures."),
        Command("apply", "apply", "Run an algorithm of any task on images."),
        Command("simulate", "simulate", "Simulate annotated images, with records and previews."),
        Command("list", "algorithms", "List algorithms, models with scores, datasets, recipes."),
        Command("doctor", "doctor", "Look at this machine: what runs, what lacks, and its remedy."),
    ),
    "Train": (
        Command("train", "train", "Train a model on simulated data, or fine-tune one on yours."),
        Command("calibrate", "simulate", "Fit a simulated dataset to real images: a recipe."),
        Command("phantoms", "simulate", "Make a library of nuclei, cut out of stacks or drawn."),
        Command("labels", "labels", "Write label images of masks, COCO or ROIs; or ROIs."),
        Command("combine", "labels", "Add the images of two folders, name by name."),
    ),
    "Challenge": (
        Command("new", "algorithms", "Start an algorithm: a folder that builds, runs and passes."),
        Command("check", "algorithms", "Check an algorithm against its contract, in seconds."),
        Command("build", "export", "Build the containers of algorithms."),
        Command("rehearse", "evaluation", "Run an algorithm under a platform's limits and rules."),
        Command("export", "export", "Write the files to upload: image, models, export.json."),
        Command("preflight", "export", "Check files before their upload, without Docker."),
        Command("build-evaluation", "evaluation", "Write what an organiser uploads."),
    ),
    "Scores": (
        Command("score", "score", "Score files, folders, or Cell Tracking Challenge layouts."),
        Command("compare", "compare", "Compare two runs; exit code 1 at a regression."),
        Command("report", "report", "Report runs and folders of predictions; run nothing."),
        Command("rank", "compare", "Rank the algorithms of any table of scores."),
    ),
}
MAINTAIN = (
    Command("accept", "maintain", "Accept the scores of a run, for compare --accepted."),
    Command("tables", "maintain", "Write the tables in the documents, of make's variables too."),
    Command("bundle", "maintain", "Pack models as MONAI bundles: <algorithm>-<model>.zip."),
    Command("migrate", "maintain", "Translate parameters of the published simulators."),
    Command("compile", "maintain", "Compile loops, once per machine: first calls are fast."),
)
MODEL = (
    Command("add", "model", "Make a model of a file of weights: a card like another, tested."),
    Command("use", "model", "Take a model before all others, for all images or some."),
    Command("pack", "model", "Pack a model for a colleague: one zip."),
    Command("install", "model", "Install a model that a colleague packed, once it is tested."),
    Command("remove", "model", "Remove a model of your own."),
)
GROUPS = {
    "model": ("Train", "Models of your own and of colleagues.", MODEL),
    "maintain": ("Maintain", "Commands for those who keep the repository.", MAINTAIN),
}


def _show_version(show: bool) -> None:
    """Print the version and end the program, where the option is given."""
    if show:
        typer.echo(__version__)
        raise typer.Exit


def common_options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    """Benchmark containerized algorithms on synthetic and real microscopy."""


def application(words: Sequence[str]) -> typer.Typer:
    """Return the program, with the options of the command that the words name alone."""
    app = typer.Typer(name="cytosuite", pretty_exceptions_enable=False)
    app.callback()(common_options)
    first, second = (*words, "", "")[:2]
    for title, commands in COMMANDS.items():
        for command in commands:
            _add(app, command, first, words, title)
    for name, (title, text, commands) in GROUPS.items():
        inner = typer.Typer(help=text)
        for command in commands:
            _add(inner, command, second if first == name else "", words)
        app.add_typer(inner, name=name, rich_help_panel=title)
    return app


def _add(
    app: typer.Typer, command: Command, chosen: str, words: Sequence[str], panel: str | None = None
) -> None:
    """Add a command to a program, with its options only where it is chosen."""
    callback = common_options
    if command.name == chosen:
        from cytosuite.benchmark.commands.terminal.options import as_callback

        callback = as_callback(command.options, command.load)
        _refuse_empty(callback, words)
    app.command(command.name, help=command.help, rich_help_panel=panel)(callback)


def _refuse_empty(command: Callable[..., None], words: Sequence[str]) -> None:
    """Refuse empty paths and arguments: they would mean the current folder, or everything."""
    kinds = {
        f"--{name.replace('_', '-')}": (kind[0], *get_args(kind[0]))
        for name, parameter in signature(command).parameters.items()
        if (kind := get_args(parameter.annotation))
    }
    for before, word, following in zip_longest(("", *words[:-1]), words, words[1:]):
        # An option that is no flag and has no value yet takes the next word.
        asks = before.startswith("--") and "=" not in before and bool not in kinds.get(before, ())
        if not word and not asks:
            raise InputError("expected a name or path as each argument, found none (see --help)")
        name, sign, value = word.partition("=")
        if Path in kinds.get(name, ()) and not (value if sign else following is None or following):
            raise InputError(f"{name}: expected a path, found nothing")


def run() -> int | None:
    """Run the command line, and return its exit code; InputError if the words make no command."""
    words = sys.argv[1:] or ["--help"]
    try:
        code: int | None = application(words)(words, standalone_mode=False)
    except typer.TyperException as error:
        reason = f"{error.format_message()} (see --help)"
        raise InputError(reason.replace("Value error, ", "")) from None  # pydantic's
    if code == INTERRUPTED:  # as typer ends by itself
        raise KeyboardInterrupt
    return code
