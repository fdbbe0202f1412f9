"""Commands that make data: simulated images and series, phantoms, recipes fitted to real images."""

import os
import shutil
from dataclasses import replace
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from rich.console import Console

from cytosuite.benchmark.commands.data import make, opened, start_engine
from cytosuite.benchmark.commands.options.simulate import (
    CalibrateOptions,
    PhantomsOptions,
    SimulateOptions,
)
from cytosuite.benchmark.commands.terminal.console import copied, new_folder, progress, say
from cytosuite.benchmark.commands.terminal.options import RunOptions
from cytosuite.benchmark.engines.outcome import Engine
from cytosuite.benchmark.runs.data.dataset import Dataset
from cytosuite.benchmark.runs.data.layouts import (
    nnunet_name,
    sockets_of,
    write_croissant,
    write_hdf5,
    write_nnunet,
)
from cytosuite.benchmark.runs.data.recipe import DataRequest, recipe, simulation_record
from cytosuite.benchmark.runs.store.pool import Processes
from cytosuite.contract.tasks import ACQUISITION, IMAGE, TASKS
from cytosuite.datasets.recipes import Simulated, simulated, simulations
from cytosuite.errors import InputError
from cytosuite.files import need_folder, remove, write_json
from cytosuite.folders.index import PLAIN
from cytosuite.formats.imagefiles import case_suffix, image_files


def simulate_command(options: SimulateOptions, console: Console) -> None:
    """Simulate a dataset, and print its folder."""
    say(console, f"written: {simulate(options, console)}")


def simulate(options: SimulateOptions, console: Console) -> Path:
    """Simulate a dataset and return its folder."""
    if options.frames is not None:
        return simulate_series(options, options.frames, console)
    data_recipe = recipe(options.request)
    if data_recipe.seed is None:
        raise InputError(
            f"{options.dataset}: a folder of images cannot be simulated; name a dataset"
        )
    frames = data_recipe.record["parameters"].get("frames", 1)
    if options.out is not None and frames > 1:
        raise InputError(
            f"{options.dataset}: a recipe of movies; give --frames {frames} for folders of frames, "
            "or no --out"
        )
    name = nnunet_name(options.out or Path()) if options.layout == "nnunet" else ""
    if options.layout != "plain":
        offers = simulations()[data_recipe.name].offers
        sockets_of(options.layout, data_recipe.name, data_recipe.task, offers)
    if options.out is not None:
        need_folder(options.out, new=True)
        if options.folder.is_relative_to(options.out.resolve()):
            raise InputError(f"{options.out}: the folder of all results; name another one")
    with opened(options, options.folder) as pool:
        dataset = make(data_recipe, options, RunOptions(), None, console, pool=pool)
    missed = [(case.name, case.facts().get("metadata", {}).get("missed")) for case in dataset.cases]
    if lines := [f"{case}: {line}" for case, line in missed if line]:
        say(console, f"note: {len(lines)} of {len(missed)} cases miss a value: {lines[0]}")
    if options.out is None:
        return dataset.home / "cases"
    with new_folder(options.out) as temporary:
        if name:
            write_nnunet(dataset, temporary, name)
        elif options.layout == "hdf5":
            write_hdf5(dataset, temporary)
        else:
            _lay_out(dataset, temporary)
        write_croissant(dataset, temporary)
    return options.out


def _lay_out(dataset: Dataset, folder: Path) -> None:
    """Copy cases into one folder per socket, which a benchmark reads as well."""
    names = {**PLAIN, TASKS[dataset.task].inputs[0].slug: "images"}
    for case in dataset.cases:
        for slug in case.facts()["sockets"]:
            path = case.socket(slug)
            if path is not None and slug != ACQUISITION.slug:
                copied(path, folder / names.get(slug, slug) / f"{case.name}{case_suffix(path)}")
        for room in sorted((case.folder / "extras").glob("*")):
            for path in image_files(room):
                copied(path, folder / room.name / path.name)
        copied(case.folder / "case.json", folder / f"records/{case.name}.json")
        for picture in sorted(case.folder.glob("*.png")):
            copied(picture, folder / f"previews/{case.name}_{picture.name}")
    copied(dataset.home / "dataset.json", folder / "dataset.json")


def simulate_series(options: SimulateOptions, frames: int, console: Console) -> Path:
    """Simulate sequences 01, 02, ... of a dataset and return their folder."""
    if options.out is None or options.layout != "plain":
        option = "no --out" if options.out is None else f"--layout {options.layout}"
        raise InputError(f"--frames {frames}: expected --out FOLDER and no layout, found {option}")
    cases = options.cases or 1
    simulation = simulated(options.dataset, options.size or None, cases, tuple(options.settings))
    if simulation is None:
        raise InputError(
            f"{options.dataset}: --frames needs a simulated dataset, found no such one"
        )
    path = "cytosuite.datasets.{}.series"
    dataset = simulation.manifest.name
    if find_spec(path.format(dataset)) is None:
        able = [name for name in simulations() if find_spec(path.format(name))]
        raise InputError(
            f"--frames {frames}: the dataset {dataset} has no time series; those "
            f"that have: {', '.join(able)}"
        )
    module = import_module(path.format(dataset))
    need_folder(options.out, new=True)
    engine = start_engine(RunOptions(), simulation.through, console) if simulation.through else None
    streams = np.random.SeedSequence(options.seed).spawn(cases)
    record = {
        **simulation_record(simulation, simulation.parameters, options.seed),
        "frames": frames,
        "sequences": cases,
        **({"through": list(simulation.through)} if simulation.through else {}),
    }
    title = f"simulating {dataset} ({simulation.size})"
    with new_folder(options.out) as temporary:
        with progress(console, title) as step:
            for number, stream in enumerate(streams):
                name = f"{number + 1:02d}"
                rng = np.random.default_rng(stream)
                drawn = module.write_series(
                    *(temporary, rng, simulation.parameters, frames, name),
                    lambda done, before=number * frames: step(before + done, cases * frames),
                )
                write_json(temporary / f"records/{name}.json", {"metadata": drawn})
        if engine is not None:
            _pass(temporary, simulation, options, engine, console)
        write_json(temporary / "dataset.json", record)
    return options.out


def _pass(
    folder: Path, simulation: Simulated, options: SimulateOptions, engine: Engine, console: Console
) -> None:
    """Send the frames of all sequences through the pipeline of a recipe; the last images stay."""
    name = simulation.manifest.name
    frames = replace(recipe(DataRequest(str(folder), through=simulation.through)), name=name)
    inner = replace(options, runs=folder / ".through")
    for case in make(frames, inner, RunOptions(), engine, console).cases:
        sequence, frame = case.name.split("_")
        image = case.socket(IMAGE.slug)
        assert image is not None  # each frame has had one
        shutil.copyfile(image, folder / sequence / f"{frame}.tif")
    remove(folder / ".through")


def phantoms_command(options: PhantomsOptions, console: Console) -> None:
    """Cut nuclei out of stacks, or draw them; write a tissue's outline, or places of nuclei."""
    from cytosuite.datasets.phantoms.build import Cutting, draw_to, extract_to

    if options.placement is not None:
        from cytosuite.datasets.cells.placement import learn_to

        assert options.labels is not None  # as was checked
        learned = learn_to(options.out, options.placement, options.labels, options.spacing)
        say(console, f"written: {options.out}, {len(learned.depth)} cells")
        return
    size = options.spacing
    voxel = None if size is None else (size[0], size[1], size[2])
    if options.outline is not None:
        from cytosuite.datasets.phantoms.build import SMOOTH_UM, outline_to

        paths = outline_to(
            options.out, options.outline, spacing_um=voxel, smooth_um=options.smooth or SMOOTH_UM
        )
        say(console, *(f"written: {path}" for path in paths))
        return
    if options.drawn is not None:
        phantoms = draw_to(
            options.out, options.drawn, spacing_um=voxel or (0.5, 0.25, 0.25), seed=options.seed
        )
    else:
        assert options.image is not None  # one of both is there
        phantoms = extract_to(
            options.image,
            options.labels,
            options.out,
            cutting=Cutting(spacing_um=voxel, smooth_um=options.smooth),
            augment_copies=options.copies,
            seed=options.seed,
        )
    skipped = ", ".join(f"{count} {reason}" for reason, count in phantoms.skipped.items())
    say(
        console,
        f"written: {options.out}, {phantoms.nuclei} nuclei and {phantoms.copies} copies, "
        f"median volume {phantoms.median_volume_um3:.0f} µm³"
        + (f"; left out: {skipped}" if skipped else ""),
    )


def calibrate_command(options: CalibrateOptions, console: Console) -> None:
    """Fit a simulated dataset to real images, and write the recipe with a comparison."""
    from cytosuite.benchmark.runs.data.preview import write_strip
    from cytosuite.datasets.calibration.calibrate import calibrate
    from cytosuite.datasets.calibration.learn import DATASETS, learn

    if options.dataset in DATASETS and options.data_root is not None:
        raise InputError("--data-root: labels are read from a file or folder, not from a list")
    with progress(console, "calibrating", minor=True) as step:
        names = ("rounds", "cases", "seed", "pattern", "spacing", "part", "recursive")
        arguments = {name: getattr(options, name) for name in names}
        number = options.workers or os.cpu_count() or 1
        arguments |= {"say": partial(say, console), "step": step, "draw_strip": write_strip}
        arguments |= {"each": Processes(number).each}
        places = options.dataset, options.real, options.out
        if options.dataset in DATASETS:
            written = learn(*places, **arguments)
        else:
            written = calibrate(*places, data_root=options.data_root, workers=number, **arguments)
    say(console, f"written: {written}")
