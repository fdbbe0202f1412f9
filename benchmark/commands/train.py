"""Train an algorithm: check, make its data, then run its training as a process of its own."""

import json
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
from cytosuite.benchmark.engines.packages import need_packages
from cytosuite.errors import CytosuiteError, InputError


class TrainingError(CytosuiteError):
    """The training did not come to an end."""

    exit_code = 1


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
    command = [sys.executable, "-m", "cytosuite.training.command", name]
    command += ["--name", options.name, "--out", str(out), *options.passed]
    wanted = [_wanted(text, options) for text in (options.dataset, *options.data)]
    _check([*command, "--check", *chain.from_iterable(map(_announced, wanted))])
    for data in wanted:
        command += ["--data", _made(data, console)]
    command += ["--work", str(workplace() / "runs" / "training" / options.name)]
    code = subprocess.run(command, cwd=PACKAGE.parent, check=False).returncode
    if code == InputError.exit_code:
        raise InputError(f"{name}: the training refused its input, see above")
    if code:
        raise TrainingError(f"{name}: the training ended with code {code}, see above")
    return out / f"{options.name}.json"


class _Wanted(NamedTuple):
    """One set of data, with its role."""

    role: str  # "" for the first one of the training
    options: DataOptions
    recipe: Recipe

    def named(self, folder: Path) -> str:
        """Return ``folder`` or ``role=folder``."""
        return f"{self.role}{'=' if self.role else ''}{folder.resolve()}"


def _wanted(text: str, options: TrainOptions) -> _Wanted:
    """Return a dataset from ``dataset`` or ``role=dataset``, before it is made."""
    role, sign, dataset = text.rpartition("=")
    given = bool(sign) and Path(dataset).is_dir()  # its cases are not simulated, others' are
    data = DataOptions(
        dataset=dataset,
        size=None if given else options.size,
        cases=None if given else options.cases,
        settings=[] if given else options.changes,
        seed=options.seed,
        workers=options.workers,
        runs=options.runs,
    )
    return _Wanted(role, data, recipe(data.request()))


def _announced(wanted: _Wanted) -> list[str]:
    """Return a dataset as words for the check of the training, which comes before it is made."""
    made = wanted.recipe
    if made.seed is None:
        return ["--data", wanted.named(Path(wanted.options.dataset))]
    # Of images behind a chain nothing is known yet.
    parameters = None if made.through else made.record["parameters"]
    return ["--recipe", json.dumps([wanted.role, parameters])]


def _made(wanted: _Wanted, console: Console) -> str:
    """Return ``folder`` or ``role=folder`` of a dataset, which is made where it is simulated."""
    made, run = wanted.recipe, RunOptions()
    if made.seed is None:
        return wanted.named(Path(wanted.options.dataset))
    engine = start_engine(run, made.through, console) if made.through else None
    return wanted.named(make(made, wanted.options, run, engine, console).home)


def _check(command: Sequence[str]) -> None:
    """Run the check of a training; raise an error with the reason of a refusal."""
    ended = subprocess.run(command, cwd=PACKAGE.parent, check=False, stderr=subprocess.PIPE)
    text = ended.stderr.decode(errors="replace").strip()
    if ended.returncode == InputError.exit_code:
        raise InputError(text)
    if ended.returncode:
        raise TrainingError(f"the check of the training failed: {text}")
