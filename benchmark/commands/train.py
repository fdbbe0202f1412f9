"""Train an algorithm: make its data, then run its own training script on it."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmark.catalog import ROOT, algorithms, pick
from benchmark.commands.progress import progress
from benchmark.data.dataset import prepare
from benchmark.data.recipe import recipe
from cytosuite.errors import CytosuiteError, InputError


class TrainingError(CytosuiteError):
    """The training script did not come to an end."""

    exit_code = 1


def train(
    algorithm: str,
    data: str,
    name: str,
    *,
    options: Sequence[str] = (),
    cases: int | None = None,
    seed: int = 0,
    workers: int = 1,
    runs: Path = ROOT / "runs",
    console: Console,
) -> Path:
    """Return the card of a model that was trained on simulated or annotated data.

    Parameters
    ----------
    algorithm : str
        Name in ``algorithms/``; it needs a ``train.py``.
    data : str
        A simulated dataset or recipe, or a folder with ``images/`` and ``labels/``.
    name : str
        Of the model; its card and weights go to ``weights/<algorithm>/``.
    options : sequence of str
        Passed on to the script.
    cases, seed : int
        Of the simulation.
    workers : int
        Processes that simulate.
    runs : Path
        Folder for everything that is generated.
    console : Console
        Where to show progress.

    Raises
    ------
    InputError
        If there is no such algorithm or dataset, or the algorithm is not trained.
    TrainingError
        If the script fails.
    """
    known = [found for found in algorithms() if (ROOT / "algorithms" / found / "train.py").exists()]
    pick("algorithm that is trained", [algorithm], known)
    made = recipe(data, None, seed, None, cases)
    folder = Path(data)
    if made.seed is not None:
        with progress(console, f"simulating {made.name} ({made.size})") as step:
            folder = prepare(made, runs / "datasets", workers, step).home
    out = ROOT / "weights" / algorithm
    command = [sys.executable, "-m", f"algorithms.{algorithm}.train"]
    command += ["--data", str(folder.resolve()), "--name", name, "--out", str(out), *options]
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    if code == InputError.exit_code:
        raise InputError(f"{algorithm}: the training script refused its input, see above")
    if code:
        raise TrainingError(f"{algorithm}: the training script ended with code {code}, see above")
    return out / f"{name}.json"
