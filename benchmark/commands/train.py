"""Train an algorithm: make its data, then run its training as a process of its own."""

import subprocess
import sys
from pathlib import Path

from rich.console import Console

from cytosuite.benchmark.catalog import ROOT, algorithms, pick
from cytosuite.benchmark.commands.data import make, start_engine
from cytosuite.benchmark.commands.options import DataOptions, RunOptions, TrainOptions
from cytosuite.benchmark.data.recipe import recipe
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
        If there is no such algorithm or dataset, or the algorithm is not trained.
    TrainingError
        If the training fails.
    """
    name, home = options.algorithm, ROOT / "algorithms"
    known = [each for each in algorithms() if (home / each / "training" / "train.py").is_file()]
    pick("algorithm that is trained", [name], known)
    out = ROOT / "weights" / name
    command = [sys.executable, "-m", "cytosuite.training.command", name]
    for text in (options.dataset, *options.data):
        command += ["--data", _folder(text, options, console)]
    command += ["--name", options.name, "--out", str(out), *options.passed]
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    if code == InputError.exit_code:
        raise InputError(f"{name}: the training refused its input, see above")
    if code:
        raise TrainingError(f"{name}: the training ended with code {code}, see above")
    return out / f"{options.name}.json"


def _folder(text: str, options: TrainOptions, console: Console) -> str:
    """Return ``folder`` or ``role=folder`` of a dataset, which is made where it is simulated."""
    role, sign, dataset = text.rpartition("=")
    given = bool(sign) and Path(dataset).is_dir()  # its cases are not simulated, others' are
    data = DataOptions(
        dataset=dataset,
        cases=None if given else options.cases,
        seed=options.seed,
        workers=options.workers,
        runs=options.runs,
    )
    made = recipe(data.request())
    folder = Path(dataset)
    if made.seed is not None:
        run = RunOptions()
        engine = start_engine(run, made.through, console) if made.through else None
        folder = make(made, data, run, engine, console).home
    return f"{role}{sign}{folder.resolve()}"
