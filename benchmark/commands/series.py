"""Time series of a dataset that has them, in the layout of the Cell Tracking Challenge."""

from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
from rich.console import Console

from cytosuite.benchmark.catalog import dataset_manifests
from cytosuite.benchmark.commands.options import SimulateOptions
from cytosuite.benchmark.commands.progress import Step, progress
from cytosuite.benchmark.data.simulated import Simulated, files, simulated, sources
from cytosuite.errors import InputError
from cytosuite.files import atomic, write_json
from cytosuite.places import need_folder


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
        in ``dataset.json``.

    Raises
    ------
    InputError
        If the dataset has no time series, or a chain that its images pass, a parameter is not
        allowed, or the folder to write is missing or not empty.
    """
    if options.out is None or options.layout != "plain":
        found = "no --out" if options.out is None else f"--layout {options.layout}"
        raise InputError(f"--frames {frames}: expected --out FOLDER and no layout, found {found}")
    cases = options.cases or 1
    made = _simulated(options, cases, frames)
    module = _module(made.manifest.name, frames)
    need_folder(options.out, new=True)
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
    }
    title = f"simulating {made.manifest.name} ({made.size})"
    with atomic(options.out) as temporary, progress(console, title) as step:
        for number, stream in enumerate(streams):
            name = f"{number + 1:02d}"
            rng = np.random.default_rng(stream)
            done = partial(_count, step, number * frames, cases * frames)
            module.write_series(temporary, rng, made.parameters, frames, name, done)
        write_json(temporary / "dataset.json", record)
        if options.out.exists():
            options.out.rmdir()  # empty, as was checked; atomic would remove a full one too
    return options.out


def _simulated(options: SimulateOptions, cases: int, frames: int) -> Simulated:
    """Return the dataset of a time series, refused where its images pass a chain."""
    made = simulated(options.dataset, options.size or None, cases, tuple(options.settings))
    if made is None:
        raise InputError(
            f"{options.dataset}: --frames needs a simulated dataset, found no such one"
        )
    if made.through:
        raise InputError(
            f"--frames {frames}: images of {options.dataset} pass {', '.join(made.through)}, which "
            "time series do not; take a recipe without `through`, and send its frames there with "
            "`cytosuite apply`"
        )
    return made


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
