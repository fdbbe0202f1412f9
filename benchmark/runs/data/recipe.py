"""Recipes: the names of a dataset's cases and a way to make each, before any is made."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from cytosuite.benchmark.catalog.places import PACKAGE
from cytosuite.benchmark.runs.store.integrity import foreign_digest
from cytosuite.contract.tasks import LABELS, TASKS
from cytosuite.contract.words import ASSUME, SPLITS, Size, SplitName
from cytosuite.datasets.folder.load import load
from cytosuite.datasets.recipes import (
    Simulated,
    dataset_manifests,
    files,
    simulate_case,
    simulated,
    simulations,
    sources,
)
from cytosuite.datasets.sample import Sample
from cytosuite.errors import InputError, pick
from cytosuite.files import Entries, Json, Texts, TextSeq, digest, frozen, value_digest
from cytosuite.folders.entries import home_of
from cytosuite.folders.index import FolderIndex, by_part, index
from cytosuite.folders.masks import Masks
from cytosuite.folders.part import Part
from cytosuite.folders.part import content as content_of
from cytosuite.folders.splits import PART, Placed, read_splits
from cytosuite.formats.lists import SUFFIX

Maker = Callable[[], Sample]  # of a case
# Fields of a request for folders alone, with the error of a simulated dataset.
_ONE_FILE = "{} is simulated: it has one channel, one frame and no folders"
_DIVIDED = "PART and SPLITS divide a folder of images; {} is simulated"
OF_FOLDERS = {
    "spacing": "SPACING: {} is simulated and knows its voxel size",
    **dict.fromkeys(("part", "recursive", "data_root"), _ONE_FILE),
    "min_object_voxels": "MIN_OBJECT_VOXELS: {} is simulated, no object of it is a defect",
    "radius": "RADIUS: {} is simulated, its recipe holds the radius of pairs",
    **dict.fromkeys(("only", "splits"), _DIVIDED),
}
FRAMES = 12  # of a simulated movie where none are set
# The modules that decide the bytes on disk, of a user's images and of all.
READERS = tuple(PACKAGE / name for name in ("folders", "datasets/folder", "datasets/sample.py"))
WRITERS = (
    PACKAGE / "formats",
    PACKAGE / "volume",
    *(PACKAGE / f"contract/{name}.py" for name in ("interface", "metadata", "spacing")),
)


@frozen
class DataRequest:
    """A dataset as a user asks for it."""

    dataset: str  # simulated one, one/recipe, recipe (``.toml``), folder or list of images
    size: str | None = None  # of the manifest; for simulated datasets only
    seed: int = 0  # of the simulation
    cases: int | None = None  # how many cases to simulate, as size or recipe says without it
    settings: TextSeq = ()  # parameters of the simulation like ``camera.photons=5``
    spacing: Size | None = None  # voxel size in µm (z, y, x) for images in a folder
    task: str | None = None  # task for which a folder is read
    reference: Path | None = None  # folder of real images, in place of the recipe's
    through: TextSeq = ()  # algorithms that each case passes after the pipeline of the recipe
    part: Part = field(default_factory=Part)  # channel, frame and scene of a folder's files
    recursive: bool = False  # whether the sub-folders of a folder are searched
    data_root: Path | None = None  # folder in which the names in a list count
    min_object_voxels: int = 0  # smaller objects of a folder's labels are ignored in the scores
    radius: float | None = None  # µm between paired points of a folder, at most
    only: SplitName | None = None  # part of a folder, as its rules say
    splits: Path | None = None  # file with these rules, in place of the folder's own


@frozen
class Recipe:
    """A dataset before it is made: names of the cases, and a way to make each."""

    name: str  # as of `cytosuite.benchmark.runs.data.dataset.Dataset`
    title: str
    size: str
    task: str
    seed: int | None
    fingerprint: str
    makers: tuple[tuple[str, Maker], ...]  # by name of the case
    notes: Texts = ()
    record: Entries = field(default_factory=dict)  # how a case is simulated; or empty
    changed: bool = False  # whether the user changed settings of the size or recipe
    through: Texts = ()  # algorithms that each case passes, one after the other
    # Real images, with their labels.
    reference: Mapping[Path, Path | None] = field(default_factory=dict)
    # Of each case, where they differ.
    records: Mapping[str, Entries] = field(default_factory=dict)
    # Of each image of a folder that is divided.
    parts: Mapping[str, Sequence[Placed]] = field(default_factory=dict)


def named_datasets(text: str) -> list[str]:
    """Return the datasets in a comma-separated text; a comma in the path of one is no separator."""
    pieces = text.split(",")
    names = list[str]()
    while pieces:
        ends = range(len(pieces), 1, -1)
        paths = (",".join(pieces[:n]).strip() for n in ends)
        present = (os.path.exists(path) for path in paths)  # noqa: PTH110 - False of a long name
        end = next((n for n, there in zip(ends, present, strict=True) if there), 1)
        names.append(",".join(pieces[:end]).strip())
        del pieces[:end]
    return [name for name in names if name] or [text]


def recipe(request: DataRequest) -> Recipe:
    """Return how a dataset is made; InputError if there is none of this name, or several."""
    name = request.dataset
    if len(several := named_datasets(name)) > 1:
        raise InputError(
            f"{name}: expected one dataset, found {len(several)}; benchmark alone takes several"
        )
    if request.seed < 0:
        raise InputError(f"SEED={request.seed}: expected a whole number from 0")
    simulation = simulated(name, request.size, request.cases, request.settings)
    if simulation is not None:
        usual = DataRequest(name)
        for field_name, line in OF_FOLDERS.items():
            if getattr(request, field_name) != getattr(usual, field_name):
                raise InputError(line.format(name))
        return _simulated_recipe(simulation, request)
    if os.sep not in name and not Path(name).exists():
        try:
            pick("dataset", [name], simulations())
        except InputError as error:
            raise InputError(f"{error}; or give the path of a folder with images") from None
    typed = {
        "SIZE": request.size,
        "CASES": request.cases,
        "SET": " ".join(request.settings) or None,
    }
    for option, value in typed.items():
        if value is not None:
            raise InputError(f"{option}={value}: a folder has the size it has; leave {option} out")
    return _folder_recipe(request)


def simulation_record(simulation: Simulated, parameters: BaseModel, seed: int) -> Json:
    """Return all that makes a simulation, for its files."""
    return {
        "dataset": simulation.manifest.name,
        "version": simulation.manifest.version,
        "size": simulation.size,
        "seed": seed,
        "parameters": parameters.model_dump(mode="json"),
        "files": files(parameters),
        "source": sources(simulation.manifest.name),
        "numpy": np.__version__,
    }


def _simulated_recipe(simulation: Simulated, request: DataRequest) -> Recipe:
    """Return the recipe of a generated dataset, as it comes or with a user's own settings."""
    name = simulation.manifest.name
    parameters = simulation.parameters
    filmed = request.task is not None and any(s.movie for s in TASKS[request.task].inputs)
    frames = getattr(parameters, "frames", 0)
    if filmed and frames == 1:
        parameters = parameters.model_copy(update={"frames": FRAMES})
        frames = FRAMES
    if frames > 1 and (chain := (*simulation.through, *request.through)):
        raise InputError(
            f"{request.dataset}: a movie in one file does not pass {', '.join(chain)}; make its "
            f"frames first (cytosuite simulate {request.dataset} --frames {frames} "
            "--out series), then name that folder (cytosuite benchmark series --task track)"
        )
    record = simulation_record(simulation, parameters, request.seed)
    content = record | {"cases": simulation.cases, "writers": digest(WRITERS, PACKAGE)}
    streams = np.random.SeedSequence(request.seed).spawn(simulation.cases)
    width = max(2, len(str(simulation.cases)))
    makers = tuple(
        (f"{name}_{number:0{width}d}", partial(simulate_case, name, stream, parameters))
        for number, stream in enumerate(streams, start=1)
    )
    return Recipe(
        name,
        simulation.title,
        simulation.size,
        simulation.task or simulation.manifest.task,
        request.seed,
        value_digest(content),
        makers,
        record=record,
        changed=bool(request.cases or request.settings),
        through=(*simulation.through, *request.through),
        reference=_reference(request.reference or simulation.reference),
    )


def _folder_recipe(request: DataRequest) -> Recipe:
    """Return the recipe that copies a user's images into cases."""
    folder = Path(request.dataset)
    manifest = dataset_manifests()["folder"]
    root = request.data_root or home_of(folder)
    indexed = index(folder, request.task, recursive=request.recursive, root=request.data_root)
    indexed, placed = _divided(indexed, folder, request)
    items = list(by_part(indexed.items, request.part, request.task or indexed.task))
    paths = [file for item in items for path in item.paths for file in content_of(path)]
    content = {
        "source": digest(
            [*READERS, *WRITERS],
            PACKAGE,
        ),
        "files": foreign_digest(paths, root),
        "sockets": [[item.name, item.socket, *item.files] for item in items],
        "stains": items[0].part.stains,
        "conditions": [dict(item.conditions) for item in items],
        "spacing": None if request.spacing == ASSUME else request.spacing,
        "part": asdict(request.part),
        "min_object_voxels": request.min_object_voxels,
        "radius_um": request.radius,
    }
    name = folder.resolve().name.removesuffix(SUFFIX) or "folder"
    if request.only:
        name = f"{name}-{request.only}"
    maker = partial(
        load,
        spacing=request.spacing,
        min_object_voxels=request.min_object_voxels,
        radius_um=request.radius,
    )
    return Recipe(
        name,
        f"{manifest.title}: {name}",
        "own",
        request.task or indexed.task,
        None,
        value_digest(content),
        tuple((item.name, partial(maker, item)) for item in items),
        (*indexed.notes, *([f"{indexed.count}."] if indexed.skipped else [])),
        through=tuple(request.through),
        reference=_reference(request.reference),
        parts={name: placed} if placed else {},
    )


def _divided(
    indexed: FolderIndex, folder: Path, request: DataRequest
) -> tuple[FolderIndex, Sequence[Placed]]:
    """Return the wanted part of a folder, or all with their parts as a condition; and the rules."""
    file = request.splits or home_of(folder) / SPLITS
    place = file if file.is_file() else folder
    division = indexed.divided(
        folder, read_splits(request.splits) if request.splits else None, place
    )
    if division is None and request.only:
        raise InputError(f"PART={request.only}: no such file: {file}; give one, or SPLITS=file")
    if division is None:
        return indexed, []
    part = {image.name: image.part for image in division.placed}
    if request.only not in {None, *part.values()}:
        raise InputError(f"PART={request.only}: {place} names no such part")
    items = []
    for item in indexed.items:
        if request.only in {None, part[item.name]}:
            named = {} if request.only else {PART: part[item.name]}
            items.append(replace(item, conditions={**division.conditions[item.name], **named}))
    scope = f"{request.only} alone is run" if request.only else "all are run, PART=test runs one"
    note = f"Parts by {place.name}, of which {scope}: {'; '.join(division.lines)}."
    return replace(indexed, items=tuple(items), notes=(*indexed.notes, note)), division.placed


def _reference(folder: Path | None) -> dict[Path, Path | None]:
    """Return the real images of a reference set, each with its labels where there are any."""
    if folder is None:
        return {}
    pairs = {i.image: i.files.get(LABELS.slug) for i in index(folder.resolve(), "segment").items}
    files = {image: labels for image, labels in pairs.items() if not isinstance(labels, Masks)}
    if len(files) < len(pairs):
        raise InputError(
            f"{folder}: expected images/ and labels/ as reference, found masks; write labels "
            f"with: cytosuite labels {folder} --copy-images --out FOLDER"
        )
    return files
