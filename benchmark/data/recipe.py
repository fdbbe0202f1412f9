"""Recipes: the names of a dataset's cases and a way to make each, before any is made."""

import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from cytosuite.benchmark.catalog import PACKAGE, dataset_manifests, pick
from cytosuite.benchmark.data.simulated import Simulated, files, simulated, sources
from cytosuite.benchmark.integrity import foreign_digest
from cytosuite.datasets.folder.collect import Item, collect
from cytosuite.datasets.folder.load import load
from cytosuite.datasets.folder.microscopes import content as content_of
from cytosuite.datasets.folder.part import Part
from cytosuite.datasets.sample import Sample
from cytosuite.errors import InputError
from cytosuite.files import digest, value_digest
from cytosuite.tasks import LABELS

# The modules that decide the bytes on disk.
WRITERS = tuple(
    PACKAGE / name for name in ("formats", "interface.py", "metadata.py", "spacing.py", "volume.py")
)


@dataclass(frozen=True, slots=True)
class DataRequest:
    """A dataset as a user asks for it.

    Parameters
    ----------
    dataset : str
        A name in ``datasets/``, one of its recipes (``spheroid/mouse_embryo``), the path of a
        recipe (``.toml``), or that of a folder with images.
    size : str, optional
        One of the sizes in the manifest, ``default`` without it; for simulated datasets only.
    seed : int
        Of the simulation.
    cases : int, optional
        How many cases to simulate, as size or recipe says without it.
    settings : sequence of str
        Parameters of the simulation like ``camera.photons=5``.
    spacing : tuple of float, optional
        Voxel size in µm (z, y, x) for images in a folder.
    task : str, optional
        Task for which a folder is read.
    reference : Path, optional
        Folder of real images that unpaired outputs are compared with, in place of the recipe's.
    through : sequence of str
        Algorithms that each case passes, after those of the recipe.
    part : Part
        Channel, frame and scene of a folder's files that hold several.
    recursive : bool
        Whether the sub-folders of a folder are searched.
    min_object_voxels : int
        Smaller objects of a folder's labels are ignored in the scores.
    """

    dataset: str
    size: str | None = None
    seed: int = 0
    cases: int | None = None
    settings: Sequence[str] = ()
    spacing: tuple[float, ...] | None = None
    task: str | None = None
    reference: Path | None = None
    through: Sequence[str] = ()
    part: Part = field(default_factory=Part)
    recursive: bool = False
    min_object_voxels: int = 0


@dataclass(frozen=True, slots=True)
class Recipe:
    """A dataset before it is made: names of the cases, and a way to make each.

    Parameters
    ----------
    name, title, size, task, seed, fingerprint, notes
        As of `cytosuite.benchmark.data.dataset.Dataset`.
    makers : tuple of (str, callable)
        Name of each case and a function that returns its sample.
    record : mapping
        How a simulated case is made; empty for given images.
    changed : bool
        Whether the user's own settings differ from those of size or recipe.
    through : tuple of str
        Algorithms that each case passes, one after the other.
    reference : mapping of Path to Path or None
        Real images, and their labels where there are any.
    records : mapping of str to mapping
        The record of each case where these differ, as of several datasets.
    """

    name: str
    title: str
    size: str
    task: str
    seed: int | None
    fingerprint: str
    makers: tuple[tuple[str, Callable[[], Sample]], ...]
    notes: tuple[str, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict)
    changed: bool = False
    through: tuple[str, ...] = ()
    reference: Mapping[Path, Path | None] = field(default_factory=dict)
    records: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


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
    """Return how a dataset is made.

    Raises
    ------
    InputError
        If there is no such dataset, folder, size or recipe, its content is not usable, or there
        are several: `cytosuite.benchmark.data.several.recipe_of_all` joins them.
    """
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
        if wanted.part != Part() or wanted.recursive:
            raise InputError(f"{name} is simulated: it has one channel, one frame and no folders")
        if wanted.min_object_voxels:
            raise InputError(f"MIN_OBJECT_VOXELS: {name} is simulated, no object of it is a defect")
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


def folder_makers(
    items: Sequence[Item],
    spacing: tuple[float, ...] | None,
    part: Part | None = None,
    min_object_voxels: int = 0,
) -> tuple[tuple[str, Callable[[], Sample]], ...]:
    """Return name and maker of each image of a user."""
    return tuple(
        (
            item.name,
            partial(load, item, spacing, part=part, min_object_voxels=min_object_voxels),
        )
        for item in items
    )


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
        (f"{name}_{number:0{width}d}", partial(_simulate, name, stream, parameters))
        for number, stream in enumerate(streams, start=1)
    )
    return Recipe(
        name,
        made.title,
        made.size,
        made.manifest.task,
        wanted.seed,
        _fingerprint(content),
        makers,
        record=record,
        changed=bool(wanted.cases or wanted.settings),
        through=(*made.through, *wanted.through),
        reference=_reference(wanted.reference or made.reference),
    )


def _simulate(name: str, stream: np.random.SeedSequence, parameters: BaseModel) -> Sample:
    """Generate one case from its own random stream."""
    module = importlib.import_module(f"cytosuite.datasets.{name}.generate")
    # A seed sequence counts its children: a fresh one gives the same stream however often.
    fresh = np.random.SeedSequence(stream.entropy, spawn_key=stream.spawn_key)
    sample: Sample = module.generate(np.random.default_rng(fresh), parameters)
    return sample


def _folder_recipe(wanted: DataRequest) -> Recipe:
    """Return the recipe that copies a user's images into cases."""
    folder, manifest = Path(wanted.dataset), dataset_manifests()["folder"]
    found = collect(folder, wanted.task, recursive=wanted.recursive)
    given = [path for item in found.items for path in (item.image, *item.files.values())]
    paths = [file for path in given for file in content_of(path)]
    content: dict[str, Any] = {
        "source": digest(
            [PACKAGE / "datasets" / "folder", PACKAGE / "datasets" / "conditions.py", *WRITERS],
            PACKAGE,
        ),
        "files": foreign_digest(paths, folder),
        "sockets": [[item.name, item.socket, *item.files] for item in found.items],
        "conditions": [dict(item.conditions) for item in found.items],
        "spacing": wanted.spacing,
        "part": asdict(wanted.part),
        "min_object_voxels": wanted.min_object_voxels,
    }
    name = folder.resolve().name or "folder"
    return Recipe(
        name,
        f"{manifest.title}: {name}",
        "own",
        wanted.task or found.task,
        None,
        _fingerprint(content),
        folder_makers(found.items, wanted.spacing, wanted.part, wanted.min_object_voxels),
        (*found.notes, *([f"{found.count}."] if found.skipped else [])),
        through=tuple(wanted.through),
        reference=_reference(wanted.reference),
    )


def _reference(folder: Path | None) -> dict[Path, Path | None]:
    """Return the real images of a reference set, each with its labels where there are any."""
    if folder is None:
        return {}
    return {item.image: item.files.get(LABELS.slug) for item in collect(folder, "segment").items}


def _fingerprint(content: dict[str, Any]) -> str:
    """Return the digest of all that decides a dataset."""
    return value_digest(content)
