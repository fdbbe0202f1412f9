"""How a dataset is made, before it is: the names of its cases and a way to make each."""

import importlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from benchmark.catalog import ROOT, dataset_manifests, pick
from benchmark.data.simulated import Simulated, files, simulated, sources
from cytosuite.errors import InputError
from cytosuite.files import digest
from cytosuite.manifest import DatasetManifest
from datasets.folder.collect import Item, collect
from datasets.folder.load import load
from datasets.sample import Sample

# The modules that decide what lies on disk.
WRITERS = tuple(ROOT / "cytosuite" / f"{name}.py" for name in ("formats", "interface", "tiff"))


@dataclass(frozen=True, slots=True)
class Recipe:
    """What makes a dataset, before it is made: names of the cases, and a way to make each."""

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


def recipe(
    wanted: str,
    size: str | None,
    seed: int,
    spacing: tuple[float, ...] | None = None,
    cases: int | None = None,
    settings: Sequence[str] = (),
) -> Recipe:
    """Return how a dataset is made.

    Parameters
    ----------
    wanted : str
        A name in ``datasets/``, one of its recipes (``spheroid/mouse_embryo``), the path of a
        recipe (``.toml``), or that of a folder with images.
    size : str, optional
        One of the sizes in the manifest, ``default`` without it; for simulated datasets only.
    seed : int
        Of the simulation.
    spacing : tuple of float, optional
        Voxel size in µm for images in a folder.
    cases : int, optional
        How many cases to simulate, as size or recipe says without it.
    settings : sequence of str
        Parameters of the simulation like ``camera.photons=5``.

    Raises
    ------
    InputError
        If there is no such dataset, folder, size or recipe, or what is in it is not usable.
    """
    found = simulated(wanted, size, cases, settings)
    if found is not None:
        if spacing is not None:
            raise InputError(f"SPACING: {wanted} is simulated and knows its voxel size")
        return _simulated_recipe(found, seed, changed=bool(cases or settings))
    manifests = dataset_manifests()
    if os.sep not in wanted and not Path(wanted).exists():
        names = [name for name, manifest in manifests.items() if manifest.kind == "simulated"]
        try:
            pick("dataset", [wanted], names)
        except InputError as error:
            raise InputError(f"{error}; or give the path of a folder with images") from None
    for name, value in (("SIZE", size), ("CASES", cases), ("SET", " ".join(settings) or None)):
        if value is not None:
            raise InputError(f"{name}={value}: a folder has the size it has; leave {name} out")
    return _folder_recipe(Path(wanted), manifests["folder"], spacing)


def _simulated_recipe(made: Simulated, seed: int, *, changed: bool) -> Recipe:
    """Return the recipe of a generated dataset, as it comes or with a user's own settings."""
    name, parameters = made.manifest.name, made.parameters
    record = {
        "dataset": name,
        "version": made.manifest.version,
        "size": made.size,
        "seed": seed,
        "parameters": parameters.model_dump(mode="json"),
        "files": files(parameters),
        "source": sources(name),
        "numpy": np.__version__,
    }
    content = record | {"cases": made.cases, "writers": digest(WRITERS, ROOT)}
    streams = np.random.SeedSequence(seed).spawn(made.cases)
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
        seed,
        _fingerprint(content),
        makers,
        record=record,
        changed=changed,
    )


def _simulate(name: str, stream: np.random.SeedSequence, parameters: BaseModel) -> Sample:
    """Generate one case from its own random stream."""
    module = importlib.import_module(f"datasets.{name}.generate")
    # A seed sequence counts its children: a fresh one gives the same stream however often.
    fresh = np.random.SeedSequence(stream.entropy, spawn_key=stream.spawn_key)
    sample: Sample = module.generate(np.random.default_rng(fresh), parameters)
    return sample


def _folder_recipe(
    folder: Path, manifest: DatasetManifest, spacing: tuple[float, ...] | None
) -> Recipe:
    """Return the recipe that copies a user's images into cases."""
    found = collect(folder)
    files = [path for item in found.items for path in (item.image, item.labels) if path]
    content: dict[str, Any] = {
        "source": digest(
            [ROOT / "datasets" / "folder", ROOT / "datasets" / "conditions.py", *WRITERS], ROOT
        ),
        "files": digest(files, folder),
        "pairs": [[item.name, item.labels is not None] for item in found.items],
        "conditions": [dict(item.conditions) for item in found.items],
        "spacing": spacing,
    }
    name = folder.resolve().name or "folder"
    makers = tuple((item.name, partial(_load, item, spacing)) for item in found.items)
    return Recipe(
        name,
        f"{manifest.title}: {name}",
        "own",
        manifest.task,
        None,
        _fingerprint(content),
        makers,
        found.notes,
    )


def _load(item: Item, spacing: tuple[float, ...] | None) -> Sample:
    """Load one of a user's images."""
    return load(item, spacing)


def _fingerprint(content: dict[str, Any]) -> str:
    """Return the digest of all that makes a dataset what it is."""
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
