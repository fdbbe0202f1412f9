"""The command that repeats a run, in the words of a user."""

from dataclasses import MISSING, fields
from shlex import quote
from typing import Any

from cytosuite.benchmark.catalog import CHECKOUT
from cytosuite.benchmark.commands.options import BenchmarkOptions

NAMES = {"settings": "set"}  # of options that are called otherwise on the command line
WITHOUT_EFFECT = {"runs", "workers", "retry", "verify", "cluster", "site"}  # on the results


def command_of(options: BenchmarkOptions, engine: str) -> str:
    """Return the command that repeats a run: every option that is not as it is without a word.

    Parameters
    ----------
    options : BenchmarkOptions
        Of the run.
    engine : str
        The engine that was used, in place of ``auto``.

    Returns
    -------
    str
        Of ``make`` in a checkout, of ``cytosuite`` elsewhere; quoted for a shell.
    """
    words = _given(options) | {"engine": engine if options.engine == "auto" else options.engine}
    if CHECKOUT:
        typed = {name: "1" if value == str(True) else quote(value) for name, value in words.items()}
        return " ".join(["make benchmark", *(f"{k.upper()}={v}" for k, v in typed.items())])
    dataset, *rest = words.items()
    flags = (
        f"--{name.replace('_', '-')}" + ("" if value == str(True) else f" {quote(value)}")
        for name, value in rest
    )
    return " ".join(["cytosuite benchmark", quote(dataset[1]), *flags])


def _given(options: BenchmarkOptions) -> dict[str, str]:
    """Return the options that decide the results and were given, the dataset first."""
    found = {"dataset": str(options.dataset)}
    for field in fields(options):
        value, default = getattr(options, field.name), field.default
        if default is MISSING and field.default_factory is not MISSING:
            default = field.default_factory()
        if field.name not in WITHOUT_EFFECT and value != default and (value or value == 0):
            found[NAMES.get(field.name, field.name)] = _text(field.name, value)
    return found


def _text(name: str, value: Any) -> str:  # noqa: ANN401 - of any option
    """Return the value of an option as a user types it."""
    if isinstance(value, (list, tuple)):
        return (" " if name == "settings" else ",").join(_text(name, part) for part in value)
    return f"{value:.12g}" if isinstance(value, float) else str(value)
