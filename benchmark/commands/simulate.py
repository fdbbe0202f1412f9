"""Annotated images without a benchmark: a dataset laid out as plain folders."""

import shutil
from pathlib import Path

from rich.console import Console

from cytosuite.benchmark.commands.cluster import opened
from cytosuite.benchmark.commands.data import make, start_engine
from cytosuite.benchmark.commands.options import RunOptions, SimulateOptions
from cytosuite.benchmark.commands.series import simulate_series
from cytosuite.benchmark.data.dataset import Dataset
from cytosuite.benchmark.data.nnunet import nnunet_name, write_nnunet
from cytosuite.benchmark.data.recipe import recipe
from cytosuite.errors import InputError
from cytosuite.files import atomic
from cytosuite.imagefiles import case_suffix, image_files
from cytosuite.places import need_folder
from cytosuite.tasks import ACQUISITION, LABELS, TASKS

FOLDERS = {LABELS.slug: "labels"}  # of sockets that have another name in plain folders


def simulate(options: SimulateOptions, console: Console) -> Path:
    """Simulate a dataset and return its folder.

    Parameters
    ----------
    options : SimulateOptions
        Dataset and folder. Without a folder the cases stay where a benchmark looks for them. With
        frames, time series are made instead, see `simulate_series`.
    console : Console
        Shows progress.

    Raises
    ------
    InputError
        If the dataset is not a simulated one, a parameter is not allowed, or the folder to write
        exists and is not empty, or has no name that its layout demands.
    """
    if options.frames is not None:
        return simulate_series(options, options.frames, console)
    made = recipe(options.request())
    if made.seed is None:
        raise InputError(
            f"{options.dataset}: a folder of images cannot be simulated; name a dataset"
        )
    name = nnunet_name(options.out or Path()) if options.layout == "nnunet" else ""
    if options.out is not None:
        need_folder(options.out, new=True)
        if options.folder.is_relative_to(options.out.resolve()):
            raise InputError(f"{options.out}: the folder of all results; name another one")
    run = RunOptions()
    engine = start_engine(run, made.through, console) if made.through else None
    with opened(options, options.folder, console) as cluster:
        dataset = make(made, options, run, engine, console, cluster=cluster)
    if options.out is None:
        return dataset.home / "cases"
    with atomic(options.out) as temporary:
        if name:
            write_nnunet(dataset, temporary, name)
        else:
            _lay_out(dataset, temporary)
        if options.out.exists():
            options.out.rmdir()  # empty, as was checked; atomic would remove a full one too
    return options.out


def _lay_out(dataset: Dataset, folder: Path) -> None:
    """Copy cases into one folder per socket, which a benchmark reads as well."""
    main = TASKS[dataset.task].inputs[0].slug
    for case in dataset.cases:
        for slug in case.facts()["sockets"]:
            path = case.socket(slug)
            if path is not None and slug != ACQUISITION.slug:
                place = "images" if slug == main else FOLDERS.get(slug, slug)
                suffix = path.suffix if path.suffix == ".json" else case_suffix(path)
                _copy(path, folder / place / f"{case.name}{suffix}")
        for room in sorted((case.folder / "companions").glob("*")):
            for path in image_files(room):
                _copy(path, folder / room.name / path.name)
        _copy(case.folder / "case.json", folder / "records" / f"{case.name}.json")
        for picture in sorted(case.folder.glob("*.png")):
            _copy(picture, folder / "previews" / f"{case.name}_{picture.name}")
    _copy(dataset.home / "dataset.json", folder / "dataset.json")


def _copy(source: Path, target: Path) -> None:
    """Copy a file, or a folder of OME-Zarr, into a folder that is made if it is missing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)
