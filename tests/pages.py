"""Commands on pages, run as they are written where their reader stands."""

import os
import re
import shutil
import sys
from typing import Any, NamedTuple

import house

PROGRAMS = r"(?:\.venv/bin/)?cytosuite|make|napari|from cytosuite\S*"
SPAN = re.compile(rf"`((?:{PROGRAMS}) [^`]+)`")
ROW = re.compile(r"^\|.*$", re.MULTILINE)
FENCE = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)
NAMED = re.compile(r"(?:\bNAME=|--name )(\S+)")  # a model
PLAIN = {"DOCKER_HOST": "unix:///nowhere", "DEVICE": "cpu"}  # processes in place of containers
# After the words of a command those of $SMALL, which make its job small; a training has one step.
SMALL = """#!/bin/sh
case "$1 $* $SMALL " in "train "*" --steps "*) ;; "train "*) SMALL="$SMALL --steps 1" ;; esac
exec "{python}" -m cytosuite.benchmark "$@" $SMALL
"""


class Row(NamedTuple):
    """A part of commands of a page: what lies there before, words that make it small, a need."""

    part: str
    before: Any = ""  # commands, or by name the function that writes it and its arguments
    small: str = ""
    needs: str = ""  # docker or cluster; else why it is not run


def commands(text):
    """Return the commands of a page in their order: lines of blocks, and code in rows of tables."""
    blocks = [(block.start(), block[1].splitlines()) for block in FENCE.finditer(text)]
    rows = [(line.start(), SPAN.findall(line[0])) for line in ROW.finditer(text)]
    lines = (line for _, part in sorted(blocks + rows) for line in part)
    return [re.sub(r"\s+# .*", "", line).strip() for line in lines if line.strip()]


def checkout(folder):
    """Return a copy of the checkout; a folder that is one, set up by make, is taken as it is."""
    home = folder if (folder / ".venv").is_dir() else house.checkout(folder)
    python = home / ".venv/bin/python"
    program = python.with_name("cytosuite")
    program.unlink()
    program.write_text(SMALL.format(python=python))
    program.chmod(0o755)
    return home


def run(command, home, folder, **environment):
    """Run a command in bash, with the programs of a checkout, as on a terminal of 100 columns."""
    words = {"PATH": f"{home}/.venv/bin:{os.environ['PATH']}", "PYTHONPATH": str(home)}
    words["COLUMNS"] = "100"
    return house.ran("bash", "-euc", command, cwd=folder, **words, **environment)


def prepare(command, row, home, **environment):
    """Lay out what a command reads; a model of its name makes room."""
    for name in NAMED.findall(command):
        for end in ("", "-back"):
            for path in home.glob(f"weights/*/{name}{end}.*"):
                path.unlink()
        for path in home.glob(f"runs/training/*/{name}"):
            shutil.rmtree(path)
    if isinstance(row.before, str):
        done = run(row.before, home, home, **environment)
        assert done.returncode == 0, f"{row.before}\n{done.stdout}{done.stderr}"
        return
    for place, (write, *words) in row.before.items():
        shutil.rmtree(home / place, ignore_errors=True)
        write(home / place, *words)


def follow(text, rows, home, reachable=(), **environment):
    """Run the commands of a page in their order; return those that failed, with their words.

    Of those that need more than `reachable` only the options are read.
    """
    for place in ("applied", "labels", "made", "segmented"):  # of the page before
        shutil.rmtree(home / place, ignore_errors=True)
    failed = []
    left = list(rows)
    for command in commands(text):
        row = next((entry for entry in left if entry.part in command), Row(command))
        left = [entry for entry in left if entry is not row]
        runs = not row.needs or row.needs in reachable
        words = re.sub(r"^(from .*)", r'python -c "\1"', command)
        if not runs:
            words = re.sub("^make ", "make --dry-run ", re.sub("^napari .*", "true", words))
        try:
            if runs:
                prepare(command, row, home, **environment)
            done = run(words, home, home, **environment, SMALL=row.small if runs else "--help")
            said = f"{done.stdout}{done.stderr}"[-900:] if done.returncode else ""
        except Exception as error:
            said = repr(error)
        failed += [f"{command}\n{said}"] if said else []
        print("FAILED" if said else "passed", command, said, file=sys.stderr, flush=True)  # noqa: T201
    return failed + [f"no command has {entry.part!r}" for entry in left]
