"""Recipes: the names of a dataset's cases and a way to make each, before any is made."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cytosuite.benchmark.catalog.places import PACKAGE
from cytosuite.benchmark.store.integrity import foreign_digest
from cytosuite.contract.tasks import LABELS
from cytosuite.contract.words import ASSUME, SPLITS, Size, SplitName
from cytosuite.datasets.folder.load import load
from cytosuite.datasets.recipes import (
    Simulated,
    dataset_manifests,
    files,
    simulate_case,
    simulated,
    sources,
)
from cytosuite.datasets.sample import Sample
from cytosuite.errors import InputError, pick
from cytosuite.files import digest, value_digest
from cytosuite.folders.index import FolderIndex, by_part, index
from cytosuite.folders.masks import Masks
from cytosuite.folders.names import home_of
from cytosuite.folders.part import Part
from cytosuite.folders.part import content as content_of
from cytosuite.folders.splits import PART, Placed, read_splits
from cytosuite.formats.lists import SUFFIX

# The modules that decide the bytes on disk, of a user's images and of all.
READERS = tuple(PACKAGE / name for name in ("folders", "datasets/folder", "datasets/conditions.py"))
WRITERS = (
    PACKAGE / "formats",
    PACKAGE / "volume",
    *(PACKAGE / "contract" / f"{name}.py" for name in ("interface", "metadata", "spacing")),
)


@dataclass(frozen=True, slots=True)
class DataRequest:
    """A dataset as a user asks for it."""

    dataset: str  # simulated one, one/recipe, recipe (``.toml``), folder or list of images
    size: str | None = None  # of the manifest; for simulated datasets only
    seed: int = 0  # of the simulation
    cases: int | None = None  # how many cases to simulate, as size or recipe says without it
    settings: Sequence[str] = ()  # parameters of the simulation like ``camera.photons=5``
    spacing: Size | None = None  # voxel size in µm (z, y, x) for images in a folder
    task: str | None = None  # task for which a folder is read
    reference: Path | None = None  # folder of real images, in place of the recipe's
    through: Sequence[str] = ()  # algorithms that each case passes, after those of the recipe
    part: Part = field(default_factory=Part)  # channel, frame and scene of a folder's files
    recursive: bool = False  # whether the sub-folders of a folder are searched
    data_root: Path | None = None  # folder in which the names in a list count
    min_object_voxels: int = 0  # smaller objects of a folder's labels are ignored in the scores
    radius_um: float | None = None  # between paired points of a folder, at most
    only: SplitName | None = None  # part of a folder, as its rules say
    splits: Path | None = None  # file with these rules, in place of the folder's own


@dataclass(frozen=True, slots=True)
class Recipe:
    """A dataset before it is made: names of the cases, and a way to make each."""

    name: str  # as of `cytosuite.benchmark.data.dataset.Dataset`
    title: str
    size: str
    task: str
    seed: int | None
    fingerprint: str
    makers: tuple[tuple[str, Callable[[], Sample]], ...]  # by name of the case
    notes: tuple[str, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict)  # how a case is simulated; or empty
    changed: bool = False  # whether the user's own settings differ from those of size or recipe
    through: tuple[str, ...] = ()  # algorithms that each case passes, one after the other
    # Real images, with their labels.
    reference: Mapping[Path, Path | None] = field(default_factory=dict)
    # Of each case, where they differ.
    records: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    # Of each image of a folder that is divided.
    parts: Mapping[str, Sequence[Placed]] = field(default_factory=dict)


def named_datasets(text: str) -> list[str]:
    """Return the datasets in a comma-separated text; a comma in the path of one is no separator."""
    pieces, found = text.split(","), list[str]()
    while pieces:
        ends = range(len(pieces), 1, -1)
        paths = (",".join(pieces[:n]).strip() for n in ends)
        known = (os.path.exists(path) for path in paths)  # noqa: PTH110 - False of a long name
        end = next((n for n, there in zip(ends, known, strict=True) if there), 1)
        found.append(",".join(pieces[:end]).strip())
        del pieces[:end]
    return [name for name in found if name] or [text]


def recipe(wanted: DataRequest) -> Recipe:
    """Return how a dataset is made; InputError if there is none of this name, or several."""
    name = wanted.dataset
    if len(several := named_datasets(name)) > 1:
        raise InputError(
            f"{name}: expected one dataset, found {len(several)}; benchmark alone takes several"
        )
    if wanted.seed < 0:
        raise InputError(f"SEED={wanted.seed}: expected a whole number from 0")
    found = simulated(name, wanted.size, wanted.cases, wanted.settings)
    if found is not None:
        if wanted.spacing is not None:
            raise InputError(f"SPACING: {name} is simulated and knows its voxel size")
        if wanted.part != Part() or wanted.recursive or wanted.data_root:
            raise InputError(f"{name} is simulated: it has one channel, one frame and no folders")
        if wanted.min_object_voxels:
            raise InputError(f"MIN_OBJECT_VOXELS: {name} is simulated, no object of it is a defect")
        if wanted.radius_um is not None:
            raise InputError(f"RADIUS: {name} is simulated, its recipe holds the radius of pairs")
        if wanted.only or wanted.splits:
            raise InputError(f"PART and SPLITS divide a folder of images; {name} is simulated")
        return _simulated_recipe(found, wanted)
    manifests = dataset_manifests()
    if os.sep not in name and not Path(name).exists():
        names = [name for name, manifest in manifests.items() if manifest.kind == "simulated"]
        try:
            pick("dataset", [name], names)
        except InputError as error:
            raise InputError(f"{error}; or give the path of a folder with images") from None
    given = {"SIZE": wanted.size, "CASES": wanted.cases, "SET": " ".join(wanted.settings) or None}
    for option, value in given.items():
        if value is not None:
            raise InputError(f"{option}={value}: a folder has the size it has; leave {option} out")
    return _folder_recipe(wanted)


def _simulated_recipe(made: Simulated, wanted: DataRequest) -> Recipe:
    """Return the recipe of a generated dataset, as it comes or with a user's own settings."""
    name, parameters = made.manifest.name, made.parameters
    record = {
        "dataset": name,
        "version": made.manifest.version,
        "size": made.size,
        "seed": wanted.seed,
        "parameters": parameters.model_dump(mode="json"),
        "files": files(parameters),
        "source": sources(name),
        "numpy": np.__version__,
    }
    content = record | {"cases": made.cases, "writers": digest(WRITERS, PACKAGE)}
    streams = np.random.SeedSequence(wanted.seed).spawn(made.cases)
    width = max(2, len(str(made.cases)))
    makers = tuple(
        (f"{name}_{number:0{width}d}", partial(simulate_case, name, stream, parameters))
        for number, stream in enumerate(streams, start=1)
    )
    return Recipe(
        name,
        made.title,
        made.size,
        made.task or made.manifest.task,
        wanted.seed,
        value_digest(content),
        makers,
        record=record,
        changed=bool(wanted.cases or wanted.settings),
        through=(*made.through, *wanted.through),
        reference=_reference(wanted.reference or made.reference),
    )


def _folder_recipe(wanted: DataRequest) -> Recipe:
    """Return the recipe that copies a user's images into cases."""
    folder, manifest = Path(wanted.dataset), dataset_manifests()["folder"]
    root = wanted.data_root or home_of(folder)
    found = index(folder, wanted.task, recursive=wanted.recursive, root=wanted.data_root)
    found, placed = _divided(found, folder, wanted)
    items = list(by_part(found.items, wanted.part, wanted.task or found.task))
    paths = [file for item in items for path in item.paths for file in content_of(path)]
    content: dict[str, Any] = {
        "source": digest(
            [*READERS, *WRITERS],
            PACKAGE,
        ),
        "files": foreign_digest(paths, root),
        "sockets": [[item.name, item.socket, *item.files] for item in items],
        "stains": items[0].part.stains,
        "conditions": [dict(item.conditions) for item in items],
        "spacing": None if wanted.spacing == ASSUME else wanted.spacing,
        "part": asdict(wanted.part),
        "min_object_voxels": wanted.min_object_voxels,
        "radius_um": wanted.radius_um,
    }
    name = folder.resolve().name.removesuffix(SUFFIX) or "folder"
    name = f"{name}-{wanted.only}" if wanted.only else name
    small, radius = wanted.min_object_voxels, wanted.radius_um
    made = partial(load, spacing=wanted.spacing, min_object_voxels=small, radius_um=radius)
    makers = [(item.name, partial(made, item)) for item in items]
    return Recipe(
        name,
        f"{manifest.title}: {name}",
        "own",
        wanted.task or found.task,
        None,
        value_digest(content),
        tuple(makers),
        (*found.notes, *([f"{found.count}."] if found.skipped else [])),
        through=tuple(wanted.through),
        reference=_reference(wanted.reference),
        parts={name: placed} if placed else {},
    )


def _divided(
    found: FolderIndex, folder: Path, wanted: DataRequest
) -> tuple[FolderIndex, Sequence[Placed]]:
    """Return the wanted part of a folder, or all with their parts as a condition; and the rules."""
    place = wanted.splits or home_of(folder) / SPLITS
    rules = read_splits(wanted.splits) if wanted.splits else None
    division = found.divided(folder, rules, place if place.is_file() else folder)
    if division is None and wanted.only:
        raise InputError(f"PART={wanted.only}: no such file: {place}; give one, or SPLITS=file")
    if division is None:
        return found, []
    place = place if place.is_file() else folder
    part = {each.name: each.part for each in division.placed}
    if wanted.only not in {None, *part.values()}:
        raise InputError(f"PART={wanted.only}: {place} names no such part")
    items = [
        replace(item, conditions={**known, **({} if wanted.only else {PART: part[item.name]})})
        for item, known in ((item, division.known[item.name]) for item in found.items)
        if wanted.only in {None, part[item.name]}
    ]
    scope = f"{wanted.only} alone is run" if wanted.only else "all are run, PART=test runs one"
    note = f"Parts by {place.name}, of which {scope}: {'; '.join(division.lines)}."
    return replace(found, items=tuple(items), notes=(*found.notes, note)), division.placed


def _reference(folder: Path | None) -> dict[Path, Path | None]:
    """Return the real images of a reference set, each with its labels where there are any."""
    if folder is None:
        return {}
    found = {i.image: i.files.get(LABELS.slug) for i in index(folder.resolve(), "segment").items}
    files = {image: own for image, own in found.items() if not isinstance(own, Masks)}
    if len(files) < len(found):
        raise InputError(
            f"{folder}: expected images/ and labels/ as reference, found masks; write labels "
            f"with: cytosuite labels {folder} --copy-images --out FOLDER"
        )
    return files
