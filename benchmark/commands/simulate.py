"""Annotated images without a benchmark: simulate a dataset and lay it out as plain folders."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from benchmark.catalog import ROOT
from benchmark.data.dataset import Dataset, prepare
from benchmark.commands.progress import progress
from benchmark.data.recipe import recipe
from cytosuite.errors import InputError
from cytosuite.files import atomic


@dataclass(frozen=True, slots=True)
class Order:
    """What a user wants simulated.

    Parameters
    ----------
    dataset : str
        Name in ``datasets/``, one of its recipes, or the path of a recipe.
    size : str or None
        Size of the dataset.
    cases : int or None
        How many; as size or recipe says without it.
    settings : sequence of str
        Parameters like ``camera.photons=5``.
    seed : int
        Of the simulation.
    out : Path or None
        Folder for plain ``images/`` and ``labels/``; without it the cases stay where a benchmark
        would look for them.
    workers : int
        Processes; what is written does not depend on it.
    runs : Path
        Folder for everything that is generated.
    """

    dataset: str
    size: str | None = None
    cases: int | None = None
    settings: Sequence[str] = ()
    seed: int = 0
    out: Path | None = None
    workers: int = 1
    runs: Path = field(default=ROOT / "runs")


def simulate(order: Order, console: Console) -> Path:
    """Simulate a dataset and return the folder where it lies.

    Parameters
    ----------
    order : Order
    console : Console
        Where to show progress.

    Raises
    ------
    InputError
        If the dataset is not a simulated one, a parameter is not allowed, or the folder to write
        exists and is not empty.
    """
    made = recipe(order.dataset, order.size, order.seed, None, order.cases, order.settings)
    if made.seed is None:
        raise InputError(f"{order.dataset}: a folder of images cannot be simulated; name a dataset")
    if order.out is not None and order.out.exists() and any(order.out.iterdir()):
        raise InputError(f"{order.out}: the folder is not empty; name a new one")
    with progress(console, f"simulating {made.name} ({made.size})") as step:
        dataset = prepare(made, order.runs / "datasets", order.workers, step)
    if order.out is None:
        return dataset.home / "cases"
    return _lay_out(dataset, order.out)


def _lay_out(dataset: Dataset, out: Path) -> Path:
    """Copy cases into one folder per kind of file, which a benchmark reads as well."""
    task = dataset.task
    slug = task.outputs[0].relative_path
    with atomic(out) as temporary:
        for case in dataset.cases:
            name = f"{case.name}.tif"
            wanted = {"images": case.image(task), "labels": case.folder / "truth" / slug / name}
            beside = sorted((case.folder / "companions").glob(f"*/{name}"))
            wanted |= {path.parent.name: path for path in beside}
            for folder, path in wanted.items():
                _copy(path, temporary / folder / name)
            _copy(case.folder / "case.json", temporary / "records" / f"{case.name}.json")
            for picture in sorted(case.folder.glob("*.png")):
                _copy(picture, temporary / "previews" / f"{case.name}_{picture.name}")
        _copy(dataset.home / "dataset.json", temporary / "dataset.json")
        if out.exists():
            out.rmdir()  # empty, as was checked; atomic would remove a full one too
    return out


def _copy(source: Path, target: Path) -> None:
    """Copy a file into a folder that is made if it is missing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
