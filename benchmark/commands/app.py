"""The command line: all commands by name; options load with the help, the rest with a run."""

import sys
import tomllib
from collections.abc import Callable
from importlib import import_module
from inspect import signature
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_args

import typer

from cytosuite import __version__
from cytosuite.errors import InputError
from cytosuite.errors.ending import INTERRUPTED
from cytosuite.files import TextSeq


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


_TABLE = tomllib.loads(Path(__file__).with_name("commands.toml").read_text("utf-8"))
COMMANDS = {
    group: tuple(Command(name, *entry) for name, entry in entries.items())
    for group, entries in _TABLE.items()
}
MAINTAIN = COMMANDS.pop("maintain")
MODEL = COMMANDS.pop("model")
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


def application(words: TextSeq) -> typer.Typer:
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
    app: typer.Typer, command: Command, chosen: str, words: TextSeq, panel: str | None = None
) -> None:
    """Add a command to a program, with its options only where it is chosen."""
    callback = common_options
    if command.name == chosen:
        from cytosuite.benchmark.commands.terminal.options import as_callback

        callback = as_callback(command.options, command.load)
        _refuse_empty(callback, words)
    app.command(command.name, help=command.help, rich_help_panel=panel)(callback)


def _refuse_empty(command: Callable[..., None], words: TextSeq) -> None:
    """Refuse empty paths and arguments: they would mean the current folder, or everything."""
    kinds = {
        f"--{name.replace('_', '-')}": (kind[0], *get_args(kind[0]))
        for name, parameter in signature(command).parameters.items()
        if (kind := get_args(parameter.annotation))
    }
    for before, word in pairwise(("", *words)):
        name, sign, value = word.partition("=")
        option, value = (name, value) if sign else (before, word)
        if not value and Path in kinds.get(option, ()):
            raise InputError(f"{option}: expected a path, found nothing")
        # An option that is no flag and has no value yet takes the next word.
        asks = before.startswith("--") and "=" not in before and bool not in kinds.get(before, ())
        if not (word or asks):
            raise InputError("expected a name or path as each argument, found none (see --help)")


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
