"""Commands in this process."""

import io
import shlex
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from toys import put
from typer.testing import CliRunner

from cytosuite.benchmark.__main__ import main
from cytosuite.benchmark.commands.app import application


def _typed(words):
    """Return the words of texts, as a shell reads them, and paths as they are."""
    texts = ([str(w)] if isinstance(w, Path) else shlex.split(str(w)) for w in words)
    return [word for text in texts for word in text]


@pytest.fixture
def cli():
    """Return a function that runs a command; errors come out as they are."""

    def run(*words, **environment):
        arguments = _typed(words)
        return CliRunner().invoke(
            application(arguments), arguments, catch_exceptions=False, env=environment
        )

    return run


@pytest.fixture
def here(monkeypatch, capsys):
    """Return a function that runs the program: exit code, stdout and stderr."""

    def run(*words):
        monkeypatch.setattr("sys.argv", ["cytosuite", *_typed(words)])
        with pytest.raises(SystemExit) as caught:
            main()
        return caught.value.code, *capsys.readouterr()

    return run


@pytest.fixture
def quiet():
    """Return a console that shows nothing and records it."""
    return Console(file=io.StringIO(), width=1000, record=True)


@pytest.fixture
def use(monkeypatch):
    """Return a function that makes the commands use an engine."""

    def use(engine):
        monkeypatch.setattr(
            "cytosuite.benchmark.commands.data.choose", lambda *_: (engine, "engine: fake")
        )
        return engine

    return use


@pytest.fixture
def out(tmp_path):
    """Return a folder for results, which is not there yet."""
    return tmp_path / "out"


@pytest.fixture
def runs(tmp_path):
    """Return the folder of all results, which is not there yet."""
    return tmp_path / "runs"


@pytest.fixture
def planes(tmp_path):
    """Return a folder of three annotated planes, of 1, 2 and 3 squares."""
    for number, name in enumerate("abc", 1):
        array = np.zeros((24, 24), np.uint16)
        for square in range(number):
            array[4:9, 7 * square : 7 * square + 5] = square + 1
        for room in ("images", "labels"):
            put(tmp_path / f"planes/{room}/{name}.tif", array)
    return tmp_path / "planes"
