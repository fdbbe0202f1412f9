"""Commands that make data: simulated images and series, phantoms, recipes fitted to real images."""

import os
import shutil
from collections import Counter
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from cytosuite.benchmark.cluster.processes import processes
from cytosuite.benchmark.commands.data import make, opened, start_engine
from cytosuite.benchmark.data.dataset import Dataset
from cytosuite.benchmark.data.layouts import nnunet_name, write_hdf5, write_nnunet
from cytosuite.benchmark.data.recipe import DataRequest, recipe
from cytosuite.benchmark.engines.outcome import Engine
from cytosuite.benchmark.options.simulate import (
    CalibrateOptions,
    CombineOptions,
    LabelsOptions,
    PhantomsOptions,
    SimulateOptions,
)
from cytosuite.benchmark.store.csvfile import written
from cytosuite.benchmark.terminal.console import lines_to, new_folder, progress
from cytosuite.benchmark.terminal.options import RunOptions
from cytosuite.contract.manifest import parse
from cytosuite.contract.tasks import ACQUISITION, IMAGE, TASKS
from cytosuite.datasets.recipes import Simulated, files, simulated, simulations, sources
from cytosuite.errors import InputError, at
from cytosuite.files import need_folder, remove, write_json
from cytosuite.folders.conditions import FILE, NAME
from cytosuite.folders.entries import summary
from cytosuite.folders.index import PLAIN
from cytosuite.folders.layouts import LAYOUTS, annotated
from cytosuite.folders.masks import MaskRules, read_rules, sentence
from cytosuite.folders.rois import ENDING as ROIS
from cytosuite.folders.rois import write_rois
from cytosuite.folders.sides import side_by_side
from cytosuite.folders.splits import OBJECTS
from cytosuite.folders.sums import CLIPPED, weighted_sum
from cytosuite.formats import read, write
from cytosuite.formats.imagefiles import case_suffix, image_files, image_name


def simulate_command(options: SimulateOptions, console: Console) -> None:
    """Simulate a dataset, and print its folder."""
    lines_to(console)(f"written: {simulate(options, console)}")


def simulate(options: SimulateOptions, console: Console) -> Path:
    """Simulate a dataset and return its folder."""
    if options.frames is not None:
        return simulate_series(options, options.frames, console)
    data_recipe = recipe(options.request())
    if data_recipe.seed is None:
        raise InputError(
            f"{options.dataset}: a folder of images cannot be simulated; name a dataset"
        )
    name = nnunet_name(options.out or Path()) if options.layout == "nnunet" else ""
    if options.out is not None:
        need_folder(options.out, new=True)
        if options.folder.is_relative_to(options.out.resolve()):
            raise InputError(f"{options.out}: the folder of all results; name another one")
    run = RunOptions()
    engine = start_engine(run, data_recipe.through, console) if data_recipe.through else None
    with opened(options, options.folder) as pool:
        dataset = make(data_recipe, options, run, engine, console, pool=pool)
    missed = [(case.name, case.facts().get("metadata", {}).get("missed")) for case in dataset.cases]
    if lines := [f"{case}: {line}" for case, line in missed if line]:
        lines_to(console)(f"note: {len(lines)} of {len(missed)} cases miss a value: {lines[0]}")
    if options.out is None:
        return dataset.home / "cases"
    with new_folder(options.out) as temporary:
        if name:
            write_nnunet(dataset, temporary, name)
        elif options.layout == "hdf5":
            write_hdf5(dataset, temporary)
        else:
            _lay_out(dataset, temporary)
    return options.out


def _lay_out(dataset: Dataset, folder: Path) -> None:
    """Copy cases into one folder per socket, which a benchmark reads as well."""
    main = TASKS[dataset.task].inputs[0].slug
    for case in dataset.cases:
        for slug in case.facts()["sockets"]:
            path = case.socket(slug)
            if path is not None and slug != ACQUISITION.slug:
                place = "images" if slug == main else PLAIN.get(slug, slug)
                suffix = path.suffix if path.suffix == ".json" else case_suffix(path)
                _copy(path, folder / place / f"{case.name}{suffix}")
        for room in sorted((case.folder / "extras").glob("*")):
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
    if find_spec(path.format(simulation.manifest.name)) is None:
        able = [name for name in simulations() if find_spec(path.format(name))]
        raise InputError(
            f"--frames {frames}: the dataset {simulation.manifest.name} has no time series; those "
            f"that have: {', '.join(able)}"
        )
    module = import_module(path.format(simulation.manifest.name))
    need_folder(options.out, new=True)
    engine = start_engine(RunOptions(), simulation.through, console) if simulation.through else None
    streams = np.random.SeedSequence(options.seed).spawn(cases)
    record = {
        "dataset": simulation.manifest.name,
        "version": simulation.manifest.version,
        "size": simulation.size,
        "seed": options.seed,
        "frames": frames,
        "sequences": cases,
        "parameters": simulation.parameters.model_dump(mode="json"),
        "files": files(simulation.parameters),
        "source": sources(simulation.manifest.name),
        "numpy": np.__version__,
        **({"through": list(simulation.through)} if simulation.through else {}),
    }
    title = f"simulating {simulation.manifest.name} ({simulation.size})"
    with new_folder(options.out) as temporary:
        with progress(console, title) as step:
            for number, stream in enumerate(streams):
                name = f"{number + 1:02d}"
                rng = np.random.default_rng(stream)
                module.write_series(
                    *(temporary, rng, simulation.parameters, frames, name),
                    lambda done, before=number * frames: step(before + done, cases * frames),
                )
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
        lines_to(console)(f"written: {options.out}, {len(learned.depth)} cells")
        return
    size, seed = options.spacing, options.seed
    voxel = None if size is None else (size[0], size[1], size[2])
    if options.outline is not None:
        from cytosuite.datasets.phantoms.outline import SMOOTH_UM, outline_to

        wide = options.smooth or SMOOTH_UM
        for path in outline_to(options.out, options.outline, spacing_um=voxel, smooth_um=wide):
            lines_to(console)(f"written: {path}")
        return
    if options.drawn is not None:
        spacing = voxel or (0.5, 0.25, 0.25)
        phantoms = draw_to(options.out, options.drawn, spacing_um=spacing, seed=seed)
    else:
        assert options.image is not None  # one of both is there
        phantoms = extract_to(
            options.image,
            options.labels,
            options.out,
            cutting=Cutting(spacing_um=voxel, smooth_um=options.smooth),
            augment_copies=options.copies,
            seed=seed,
        )
    skipped = ", ".join(f"{count} {reason}" for reason, count in phantoms.skipped.items())
    lines_to(console)(
        f"written: {phantoms.folder}, {phantoms.nuclei} nuclei and {phantoms.copies} copies, "
        f"median volume {phantoms.median_volume_um3:.0f} µm³"
        + (f"; left out: {skipped}" if skipped else "")
    )


def rules_of(options: LabelsOptions) -> MaskRules:
    """Return the rules of a folder, overridden by the options of their names."""
    typed = {key: getattr(options, key) for key in MaskRules.model_fields}
    overrides = {key: value for key, value in typed.items() if value is not None and value != []}
    if "classes" in overrides:
        overrides["classes"] = dict(text.partition("=")[::2] for text in options.classes)
    return parse("labels", {**read_rules(options.folder).model_dump(), **overrides}, MaskRules)


def labels_command(options: LabelsOptions, console: Console) -> None:
    """Write the labels of a folder of masks, and a table of all objects with their classes."""
    say = lines_to(console)
    need_folder(options.out, new=True)
    rules = rules_of(options)
    annotated_images = annotated(options.folder, rules)
    if options.rois and not annotated_images.items:
        _outline(options, console)
        return
    if not annotated_images.items:
        raise InputError(f"{options.folder}: expected {LAYOUTS}, found none")
    rows: list[tuple[object, ...]] = []
    total = Counter[str]()
    with progress(console, "combining") as step, new_folder(options.out) as temporary:
        for done, (name, image, labels, _) in enumerate(annotated_images.items):
            step(done, len(annotated_images.items), name)
            combined = labels.read()
            write(temporary / "labels" / f"{name}.tif", combined.volume)
            if options.rois:
                write_rois(temporary / "labels" / f"{name}{ROIS}", combined.volume)
            if options.copy_images:
                _copy(image, temporary / "images" / f"{name}{image.suffix}")
            rows += [(name, *row) for row in combined.objects]
            total.update(combined.counts)
        head = ("image", "id", "class", "file", "area", "lost", "pieces")
        with written(temporary / OBJECTS) as add:
            add([head, *rows])
        if columns := dict.fromkeys(key for case in annotated_images.items for key in case.facts):
            with written(temporary / FILE) as add:
                add([(NAME, *columns)])
                add(
                    (case.name, *(case.facts.get(key, "") for key in columns))
                    for case in annotated_images.items
                )
        step(len(annotated_images.items), len(annotated_images.items))
    say(f"{len(annotated_images.items)} images; {sentence(total, rules.overlap)}")
    if annotated_images.skipped:
        say(summary(dict(annotated_images.skipped)))
    say(f"written: {options.out}")


def _outline(options: LabelsOptions, console: Console) -> None:
    """Write the outlines of label images, in a folder or its ``labels``, as ROIs."""
    from cytosuite.metrics.labels.prepare import grey_doubt

    room = options.folder / "labels"
    paths = image_files(room if room.is_dir() else options.folder, pictures=True)
    if not paths:
        raise InputError(f"{options.folder}: expected label images, or {LAYOUTS}, found none")
    with progress(console, "outlining") as step, new_folder(options.out) as temporary:
        for done, path in enumerate(paths):
            step(done, len(paths), path.name)
            with at(path):
                if doubt := grey_doubt((labels := read(path)).array):
                    raise InputError(doubt)
                write_rois(temporary / f"{image_name(path)}{ROIS}", labels)
        step(len(paths), len(paths))
    lines_to(console)(f"written: {options.out}, ROIs of {len(paths)} label images")


def combine_command(options: CombineOptions, console: Console) -> None:
    """Write the weighted sums of images of the same names."""
    need_folder(options.out, new=True)
    pairs, clipped = side_by_side([options.first, options.second]), 0
    with progress(console, "combining") as step, new_folder(options.out) as temporary:
        for done, (name, paths) in enumerate(pairs.items()):
            step(done, len(pairs), name)
            volume = weighted_sum(paths, options.weights)
            clipped += volume.metadata.get(CLIPPED, 0) != 0
            write(temporary / f"{name}.tif", volume)
        step(len(pairs), len(pairs))
    say = lines_to(console)
    if clipped:
        say(f"{clipped} of {len(pairs)} sums are clipped ({CLIPPED} in their metadata)")
    say(f"written: {options.out}, {len(pairs)} images")


def calibrate_command(options: CalibrateOptions, console: Console) -> None:
    """Fit a simulated dataset to real images, and write the recipe with a comparison."""
    from cytosuite.benchmark.data.preview import write_strip
    from cytosuite.datasets.calibration.calibrate import calibrate
    from cytosuite.datasets.calibration.learn import DATASETS, learn

    say = lines_to(console)
    if options.dataset in DATASETS and options.data_root is not None:
        raise InputError("--data-root: labels are read from a file or folder, not from a list")
    with progress(console, "calibrating", minor=True) as step:
        names = ("rounds", "cases", "seed", "pattern", "spacing", "part", "recursive")
        arguments: dict[str, Any] = {name: getattr(options, name) for name in names}
        number = options.workers or os.cpu_count() or 1
        arguments |= {"say": say, "step": step, "draw_strip": write_strip}
        arguments["each"] = processes(number).each
        places = options.dataset, options.real, options.out
        if options.dataset in DATASETS:
            written = learn(*places, **arguments)
        else:
            written = calibrate(*places, data_root=options.data_root, workers=number, **arguments)
    say(f"written: {written}")
