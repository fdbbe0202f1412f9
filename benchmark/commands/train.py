"""Train an algorithm in a process of its own, which waits for its data after a check."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from cytosuite.benchmark.catalog.models import algorithms, named_models
from cytosuite.benchmark.catalog.packages import need_packages
from cytosuite.benchmark.catalog.places import PACKAGE, ROOT, workplace
from cytosuite.benchmark.commands.data import make, start_engine
from cytosuite.benchmark.commands.options.train import TrainOptions
from cytosuite.benchmark.commands.terminal.console import progress
from cytosuite.benchmark.commands.terminal.options import DataOptions, RunOptions
from cytosuite.benchmark.runs.data.recipe import Recipe, recipe
from cytosuite.benchmark.runs.learning import (
    DAYS_S,
    OUTPUT_GIB,
    is_tool,
    settings_of,
    trained,
)
from cytosuite.contract.weights import new_card, user
from cytosuite.datasets.recipes import simulated
from cytosuite.errors import CytosuiteError, InputError, pick
from cytosuite.errors.ending import CLOSED, INTERRUPTED, REFUSED
from cytosuite.files.working import alone
from cytosuite.formats.lists import is_list


class TrainingError(CytosuiteError):
    """The training did not come to an end."""

    exit_code = 1


class InterruptedTrainingError(CytosuiteError):
    """The training was interrupted, and can be resumed."""

    exit_code = INTERRUPTED


def train_command(options: TrainOptions, console: Console) -> None:
    """Train a model."""
    train(options, console)


def train(options: TrainOptions, console: Console) -> Path:
    """Train a model and return its card; InputError of options, TrainingError if it fails."""
    name = options.algorithm
    home = ROOT / "algorithms"
    if is_tool(name):
        return _by_its_tool(options, console)
    trainable = [e for e in algorithms() if (home / e / "training").is_dir() or is_tool(e)]
    pick("algorithm that is trained", [name], trainable)
    network = (home / name / "training/train.py").is_file()
    need_packages(name, "training.train" if network else "cytosuite.training.command")
    out = workplace() / "weights" / name
    work = workplace() / "runs/training" / name / options.name
    command = [sys.executable, "-m", "cytosuite.training.command", name, "--name", options.name]
    command += ["--out", str(out), "--work", str(work), *options.passed]
    if options.start:
        command += ["--from", str(named_models(options.start, [name])[name].resolve())]
    if options.restart:
        command.append("--restart")
    if options.settings:
        command += ["--settings", str(_settings(options.settings, home / name / "training"))]
    requests = [_training_data(text, options) for text in (options.dataset, *options.data)]
    command += ["--wait", "--ends-with", str(os.getpid())]
    command += chain.from_iterable(map(_announced, requests))
    _run(command, lambda: [_made(data, options.run, console) for data in requests])
    return out / f"{options.name}.json"


def _by_its_tool(options: TrainOptions, console: Console) -> Path:
    """Train a tool of others by its own code, in its container or a process; return the card."""
    name = options.algorithm
    run = options.run
    ours = ("data", "steps", "start", "splits", "data_root", "group")
    if strange := [key for key in ours if getattr(options, key) not in (None, "", [], ())]:
        flag = strange[0].replace("start", "from").replace("_", "-")
        raise InputError(f"--{flag} is for our networks; {name} has its own learn.toml")
    card = new_card(workplace() / "weights" / name, options.name)
    settings = settings_of(name, options.settings)
    request = _training_data(options.dataset, options)
    folder = replace(request.options.request, recursive=options.recursive)
    data_recipe = request.recipe or recipe(folder)
    work = workplace() / "runs/training" / name / options.name
    busy = f"{work}: another training is running here; wait for it or give another --name"
    with alone(work, busy):
        new_card(card.parent, card.stem)  # another training may just have ended
        engine = start_engine(run, list(dict.fromkeys([*data_recipe.through, name])), console)
        dataset = make(data_recipe, request.options, run, engine, console)
        limits = replace(
            run.limits(algorithms()[name]),
            timeout_s=DAYS_S,
            output_gib=OUTPUT_GIB,
            cpus=float(options.threads),
        )
        with progress(console, f"training {name}") as step:
            return trained(
                engine,
                name,
                dataset,
                card,
                settings,
                limits,
                options.seed or 0,
                options.authors or user(),
                lambda share: step(int(100 * share), 100),
            )


def _settings(file: Path, home: Path) -> Path:
    """Return a file of settings by its path, else by the name of one of the algorithm's own."""
    if file.suffix or file.is_file():
        return file.resolve()
    (name,) = pick("settings", [str(file)], (path.stem for path in home.glob("*.toml")))
    return home / f"{name}.toml"


class _TrainingData(NamedTuple):
    """One set of data, with its role."""

    role: str  # "" for the first one of the training
    options: DataOptions
    recipe: Recipe | None  # None for a folder, which the training itself checks

    def named(self, folder: Path) -> str:
        """Return ``folder`` or ``role=folder``."""
        return f"{self.role}{'=' if self.role else ''}{folder.resolve()}"


def _training_data(text: str, options: TrainOptions) -> _TrainingData:
    """Return a dataset from ``dataset`` or ``role=dataset``, before it is made."""
    role, sign, dataset = text.partition("=")
    if not sign or "/" in role or Path(text).exists():
        role, sign, dataset = "", "", text
    # A dataset's name wins over a folder of that name.
    files = (Path(dataset).is_dir() or is_list(Path(dataset))) and simulated(dataset, None) is None
    beside = files and bool(sign)  # its cases are not simulated, others' are
    data = DataOptions(
        dataset=dataset,
        size=None if beside else options.size,
        cases=None if beside else options.cases,
        settings=[] if beside else options.changes,
        seed=options.seed or 0,
        workers=options.workers,
        runs=options.runs,
    )
    changed = data.size or data.cases or data.settings  # which a recipe refuses for a folder
    return _TrainingData(role, data, recipe(data.request) if changed or not files else None)


def _announced(request: _TrainingData) -> list[str]:
    """Return a dataset as words for the check of the training, which comes before it is made."""
    data_recipe = request.recipe
    if data_recipe is None:
        return ["--data", request.named(Path(request.options.dataset))]
    # Of images behind a pipeline nothing is known yet.
    parameters = None if data_recipe.through else data_recipe.record["parameters"]
    return ["--recipe", json.dumps([request.role, parameters])]


def _made(request: _TrainingData, run: RunOptions, console: Console) -> str:
    """Return ``folder`` or ``role=folder`` of a dataset, which is made where it is simulated."""
    options = request.options
    made = request.recipe
    folder = make(made, options, run, None, console).home if made else Path(options.dataset)
    return request.named(folder)


def _run(command: Sequence[str], make: Callable[[], list[str]]) -> None:
    """Run a training, its data made once checked; one stop leaves a checkpoint, two kill it."""
    pipe, data, lines = subprocess.PIPE, "", list[str]()
    with subprocess.Popen(
        command, cwd=PACKAGE.parent, stdin=pipe, stderr=pipe, process_group=0, bufsize=0
    ) as process:
        try:
            for line in process.stderr or ():
                if line == b"checked\n":
                    data = json.dumps(make())
                    break
                lines += _texts(line)
            try:
                _, text = process.communicate(data.encode())
            except KeyboardInterrupt:  # which is passed on to it
                process.send_signal(signal.SIGINT)
                _, text = process.communicate()
            lines += _texts(text)
        finally:
            process.kill()
    if process.returncode == -signal.SIGINT:
        raise KeyboardInterrupt  # before the training itself began
    sys.stderr.writelines(f"{line}\n" for line in lines[:-1])
    last = lines[-1].removeprefix("cytosuite: ") if lines else "without a word"
    if process.returncode == CLOSED:
        raise BrokenPipeError
    if process.returncode == INTERRUPTED:
        raise InterruptedTrainingError(last)
    if process.returncode == REFUSED:
        raise InputError(last)
    if process.returncode:
        raise TrainingError(f"the training ended with code {process.returncode}: {last}")


def _texts(shown: bytes) -> list[str]:
    """Return the lines in the output of a training."""
    return shown.decode(errors="replace").splitlines()
