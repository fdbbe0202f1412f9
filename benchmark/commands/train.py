"""Train an algorithm: check, make its data, then run its training as a process of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from cytosuite.benchmark.catalog import PACKAGE, ROOT, algorithms, pick, workplace
from cytosuite.benchmark.commands.data import make, start_engine
from cytosuite.benchmark.commands.options import DataOptions, RunOptions, TrainOptions
from cytosuite.benchmark.data.recipe import Recipe, recipe
from cytosuite.benchmark.data.simulated import simulated
from cytosuite.benchmark.engines.packages import need_packages
from cytosuite.ending import CLOSED, INTERRUPTED, REFUSED
from cytosuite.errors import CytosuiteError, InputError


class TrainingError(CytosuiteError):
    """The training did not come to an end."""

    exit_code = 1


class InterruptedTrainingError(CytosuiteError):
    """The training was interrupted, and can be resumed."""

    exit_code = INTERRUPTED


def train(options: TrainOptions, console: Console) -> Path:
    """Train a model on simulated or annotated data, and return its card.

    Parameters
    ----------
    options : TrainOptions
        Algorithm, datasets by role, name of the model.
    console : Console
        Shows progress.

    Raises
    ------
    InputError
        If there is no such algorithm or dataset, the algorithm is not trained, or a package is
        missing.
    TrainingError
        If the training fails.
    """
    name, home = options.algorithm, ROOT / "algorithms"
    known = [each for each in algorithms() if (home / each / "training" / "train.py").is_file()]
    pick("algorithm that is trained", [name], known)
    need_packages(name, "training.train")
    out = workplace() / "weights" / name
    work = workplace() / "runs" / "training" / options.name
    command = [sys.executable, "-m", "cytosuite.training.command", name, "--name", options.name]
    command += ["--out", str(out), "--work", str(work), *options.passed]
    wanted = [_wanted(text, options) for text in (options.dataset, *options.data)]
    _run([*command, "--check", *chain.from_iterable(map(_announced, wanted))])
    for data in wanted:
        command += ["--data", _made(data, console)]
    _run([*command, "--ends-with", str(os.getpid())])
    return out / f"{options.name}.json"


class _Wanted(NamedTuple):
    """One set of data, with its role."""

    role: str  # "" for the first one of the training
    options: DataOptions
    recipe: Recipe | None  # None for a folder, which the training itself checks

    def named(self, folder: Path) -> str:
        """Return ``folder`` or ``role=folder``."""
        return f"{self.role}{'=' if self.role else ''}{folder.resolve()}"


def _wanted(text: str, options: TrainOptions) -> _Wanted:
    """Return a dataset from ``dataset`` or ``role=dataset``, before it is made."""
    role, sign, dataset = text.rpartition("=")
    # A dataset's name wins over a folder of that name.
    given = Path(dataset).is_dir() and simulated(dataset, None) is None
    beside = given and bool(sign)  # its cases are not simulated, others' are
    data = DataOptions(
        dataset=dataset,
        size=None if beside else options.size,
        cases=None if beside else options.cases,
        settings=[] if beside else options.changes,
        seed=options.seed,
        workers=options.workers,
        runs=options.runs,
    )
    changed = data.size or data.cases or data.settings  # which a recipe refuses for a folder
    return _Wanted(role, data, recipe(data.request()) if changed or not given else None)


def _announced(wanted: _Wanted) -> list[str]:
    """Return a dataset as words for the check of the training, which comes before it is made."""
    made = wanted.recipe
    if made is None:
        return ["--data", wanted.named(Path(wanted.options.dataset))]
    # Of images behind a chain nothing is known yet.
    parameters = None if made.through else made.record["parameters"]
    return ["--recipe", json.dumps([wanted.role, parameters])]


def _made(wanted: _Wanted, console: Console) -> str:
    """Return ``folder`` or ``role=folder`` of a dataset, which is made where it is simulated."""
    made, run = wanted.recipe, RunOptions()
    if made is None:
        return wanted.named(Path(wanted.options.dataset))
    engine = start_engine(run, made.through, console) if made.through else None
    return wanted.named(make(made, wanted.options, run, engine, console).home)


def _run(command: Sequence[str]) -> None:
    """Run a process of the training to its end; raise an error with the last that it says.

    Asked to stop, it still writes its checkpoint; asked again, it is killed.
    """
    with subprocess.Popen(
        command, cwd=PACKAGE.parent, stderr=subprocess.PIPE, process_group=0
    ) as process:
        try:
            said = _said(process)
        finally:
            process.kill()
    if process.returncode == -signal.SIGINT:
        raise KeyboardInterrupt  # before the training itself began
    sys.stderr.writelines(f"{line}\n" for line in said[:-1])
    last = said[-1].removeprefix("cytosuite: ") if said else "without a word"
    if process.returncode == CLOSED:
        raise BrokenPipeError
    if process.returncode == INTERRUPTED:
        raise InterruptedTrainingError(last)
    if process.returncode == REFUSED:
        raise InputError(last)
    if process.returncode:
        raise TrainingError(f"the training ended with code {process.returncode}: {last}")


def _said(process: subprocess.Popen[bytes]) -> list[str]:
    """Return the lines of a process on stderr; Ctrl-C is passed on to it."""
    try:
        _, text = process.communicate()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        _, text = process.communicate()
    return text.decode(errors="replace").splitlines()
