"""How a dataset is made, before it is: the names of its cases and a way to make each."""

import importlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from benchmark.catalog import ROOT, dataset_manifests, pick
from cytosuite.errors import InputError
from cytosuite.files import digest
from cytosuite.manifest import DatasetManifest, DatasetSize, parse
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


def recipe(
    wanted: str, size: str | None, seed: int, spacing: tuple[float, ...] | None = None
) -> Recipe:
    """Return how a dataset is made.

    Parameters
    ----------
    wanted : str
        A name in ``datasets/``, or the path of a folder with images.
    size : str, optional
        One of the sizes in the manifest, ``default`` without it; for simulated datasets only.
    seed : int
        Of the simulation.
    spacing : tuple of float, optional
        Voxel size in µm for images in a folder.

    Raises
    ------
    InputError
        If there is no such dataset, folder or size, or what is in it is not usable.
    """
    manifests = dataset_manifests()
    simulated = {name for name, found in manifests.items() if found.kind == "simulated"}
    if wanted not in simulated and (os.sep in wanted or Path(wanted).exists()):
        if size is not None:
            raise InputError(f"SIZE={size}: a folder has the size it has; leave SIZE out")
        return _folder_recipe(Path(wanted), manifests["folder"], spacing)
    if wanted not in simulated:
        try:
            pick("dataset", [wanted], simulated)
        except InputError as error:
            raise InputError(f"{error}; or give the path of a folder with images") from None
    if spacing is not None:
        raise InputError(f"SPACING: {wanted} is simulated and knows its voxel size")
    return _simulated_recipe(manifests[wanted], size or "default", seed)


def _simulated_recipe(manifest: DatasetManifest, size: str, seed: int) -> Recipe:
    """Return the recipe of a generated dataset."""
    place = f"datasets/{manifest.name}/dataset.toml"
    if size not in manifest.sizes:
        pick(f"size of {manifest.name}", [size], manifest.sizes)
    chosen: DatasetSize = manifest.sizes[size]
    module = importlib.import_module(f"datasets.{manifest.name}.generate")
    parameters: BaseModel = parse(
        f"{place}: sizes.{size}", manifest.parameters | chosen.parameters, module.Parameters
    )
    sources = [ROOT / "datasets" / manifest.name, *(ROOT / "datasets").glob("*.py")]
    content = {
        "source": digest([*sources, *WRITERS], ROOT),
        "parameters": parameters.model_dump(mode="json"),
        "cases": chosen.cases,
        "seed": seed,
        "numpy": np.__version__,
    }
    streams = np.random.SeedSequence(seed).spawn(chosen.cases)
    width = max(2, len(str(chosen.cases)))
    makers = tuple(
        (
            f"{manifest.name}_{number:0{width}d}",
            partial(_simulate, manifest.name, stream, parameters),
        )
        for number, stream in enumerate(streams, start=1)
    )
    return Recipe(
        manifest.name, manifest.title, size, manifest.task, seed, _fingerprint(content), makers
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
        "source": digest([ROOT / "datasets" / "folder", *WRITERS], ROOT),
        "files": digest(files, folder),
        "pairs": [[item.name, item.labels is not None] for item in found.items],
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
