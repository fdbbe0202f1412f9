"""Time series of a dataset that has them, in the layout of the Cell Tracking Challenge."""

import shutil
from dataclasses import replace
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
from rich.console import Console

from cytosuite.benchmark.catalog import dataset_manifests
from cytosuite.benchmark.commands.data import make, start_engine
from cytosuite.benchmark.commands.options import RunOptions, SimulateOptions
from cytosuite.benchmark.commands.progress import Step, progress
from cytosuite.benchmark.data.recipe import DataRequest, recipe
from cytosuite.benchmark.data.simulated import Simulated, files, simulated, sources
from cytosuite.benchmark.engines.outcome import Engine
from cytosuite.errors import InputError
from cytosuite.files import atomic, remove, write_json
from cytosuite.places import need_folder
from cytosuite.tasks import IMAGE


def simulate_series(options: SimulateOptions, frames: int, console: Console) -> Path:
    """Simulate sequences 01, 02, ... of a dataset and return their folder.

    Parameters
    ----------
    options : SimulateOptions
        Dataset, folder and, as its cases, the number of sequences, 1 if not given.
    frames : int
        Of each sequence.
    console : Console
        Shows progress.

    Returns
    -------
    Path
        Appears only when all is written: ``01/``, ``01_GT/``, ``01_SKETCH/``, and the whole recipe
        in ``dataset.json``. Images of a recipe with a chain are those that its algorithms made.

    Raises
    ------
    InputError
        If the dataset has no time series, a parameter is not allowed, the folder to write is
        missing or not empty, or a frame fails in the chain.
    """
    if options.out is None or options.layout != "plain":
        found = "no --out" if options.out is None else f"--layout {options.layout}"
        raise InputError(f"--frames {frames}: expected --out FOLDER and no layout, found {found}")
    cases = options.cases or 1
    made = _simulated(options, cases)
    module = _module(made.manifest.name, frames)
    need_folder(options.out, new=True)
    engine = start_engine(RunOptions(), made.through, console) if made.through else None
    streams = np.random.SeedSequence(options.seed).spawn(cases)
    record = {
        "dataset": made.manifest.name,
        "version": made.manifest.version,
        "size": made.size,
        "seed": options.seed,
        "frames": frames,
        "sequences": cases,
        "parameters": made.parameters.model_dump(mode="json"),
        "files": files(made.parameters),
        "source": sources(made.manifest.name),
        "numpy": np.__version__,
        **({"through": list(made.through)} if made.through else {}),
    }
    title = f"simulating {made.manifest.name} ({made.size})"
    with atomic(options.out) as temporary:
        with progress(console, title) as step:
            for number, stream in enumerate(streams):
                name = f"{number + 1:02d}"
                rng = np.random.default_rng(stream)
                done = partial(_count, step, number * frames, cases * frames)
                module.write_series(temporary, rng, made.parameters, frames, name, done)
        if engine is not None:
            _pass(temporary, made, options, engine, console)
        write_json(temporary / "dataset.json", record)
        if options.out.exists():
            options.out.rmdir()  # empty, as was checked; atomic would remove a full one too
    return options.out


def _simulated(options: SimulateOptions, cases: int) -> Simulated:
    """Return the dataset of a time series."""
    made = simulated(options.dataset, options.size or None, cases, tuple(options.settings))
    if made is None:
        raise InputError(
            f"{options.dataset}: --frames needs a simulated dataset, found no such one"
        )
    return made


def _pass(
    folder: Path, made: Simulated, options: SimulateOptions, engine: Engine, console: Console
) -> None:
    """Send the frames of all sequences through the chain of a recipe; the last images stay."""
    name = made.manifest.name
    frames = replace(recipe(DataRequest(str(folder), through=made.through)), name=name)
    own = replace(options, runs=folder / ".through")
    for case in make(frames, own, RunOptions(), engine, console).cases:
        sequence, frame = case.name.split("_")
        image = case.socket(IMAGE.slug)
        assert image is not None  # each frame has had one
        shutil.copyfile(image, folder / sequence / f"{frame}.tif")
    remove(folder / ".through")


def _count(step: Step, before: int, total: int, done: int) -> None:
    """Show how many frames of all sequences are written."""
    step(before + done, total)


def _module(name: str, frames: int) -> ModuleType:
    """Return the module of a dataset that writes time series."""
    path = f"cytosuite.datasets.{name}.series"
    if find_spec(path) is None:
        simulated_ones = [n for n, m in dataset_manifests().items() if m.kind == "simulated"]
        able = [n for n in simulated_ones if find_spec(f"cytosuite.datasets.{n}.series")]
        raise InputError(
            f"--frames {frames}: the dataset {name} has no time series; those that have: "
            f"{', '.join(able)}"
        )
    return import_module(path)
