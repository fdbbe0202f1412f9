"""Datasets on disk: generated or collected once, found again by their fingerprint."""

import importlib
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from benchmark.catalog import ROOT, dataset_manifests, pick
from cytosuite.errors import InputError
from cytosuite.files import atomic, digest, read_json, remove, write_json
from cytosuite.formats import write
from cytosuite.interface import write_case
from cytosuite.manifest import DatasetManifest, DatasetSize, parse
from cytosuite.tasks import TASKS, Task
from datasets.folder.collect import Item, collect
from datasets.folder.load import load
from datasets.sample import Sample

Progress = Callable[[int, int], None]
# The modules that decide what lies on disk.
WRITERS = tuple(ROOT / "cytosuite" / f"{name}.py" for name in ("formats", "interface", "tiff"))


@dataclass(frozen=True, slots=True)
class Case:
    """One case on disk: ``input/`` is what a container sees, ``truth/`` stays with the runner."""

    name: str
    folder: Path

    @property
    def input(self) -> Path:
        """The folder that becomes ``/input``."""
        return self.folder / "input"

    def image(self, task: Task) -> Path:
        """Return the main input image."""
        return self.input / task.main_input.relative_path / f"{self.name}.tif"

    def truth(self, task: Task) -> Path | None:
        """Return the true output, None where the case is not annotated."""
        path = self.folder / "truth" / task.outputs[0].relative_path / f"{self.name}.tif"
        return path if path.is_file() else None


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset that lies whole on disk."""

    name: str
    title: str
    size: str
    task: Task
    fingerprint: str
    seed: int | None
    cases: tuple[Case, ...]
    notes: tuple[str, ...]


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


def prepare(recipe: Recipe, folder: Path, workers: int, progress: Progress) -> Dataset:
    """Make the cases of a dataset that are not there yet, and return it.

    Parameters
    ----------
    recipe : Recipe
        How it is made.
    folder : Path
        Where datasets lie; this one gets a folder named after it and its fingerprint.
    workers : int
        Processes; what is written does not depend on it.
    progress : callable
        Called with the numbers of cases done and in all.

    Raises
    ------
    InputError
        If a case cannot be made.

    Notes
    -----
    A case is renamed to its name once it is whole, ``dataset.json`` is written last: after an
    interruption the missing cases are made, and the bytes are the same.
    """
    home = folder / f"{recipe.name}-{recipe.size}-{recipe.fingerprint[:12]}"
    task = TASKS[recipe.task]
    cases = tuple(Case(name, home / "cases" / name) for name, _ in recipe.makers)
    made = Dataset(
        recipe.name,
        recipe.title,
        recipe.size,
        task,
        recipe.fingerprint,
        recipe.seed,
        cases,
        recipe.notes,
    )
    if (home / "dataset.json").is_file():
        notes = tuple(read_json(home / "dataset.json")["notes"])
        return replace(made, notes=notes)
    for leftover in (home / "cases").glob(".*.part"):
        remove(leftover)
    missing = [
        (case, maker)
        for case, (_, maker) in zip(cases, recipe.makers, strict=True)
        if not case.folder.is_dir()
    ]
    done = len(cases) - len(missing)
    progress(done, len(cases))
    for _ in _make_all(missing, task, workers):
        done += 1
        progress(done, len(cases))
    notes = recipe.notes + _assumptions(cases)
    write_json(
        home / "dataset.json",
        {
            "name": recipe.name,
            "size": recipe.size,
            "task": recipe.task,
            "seed": recipe.seed,
            "fingerprint": recipe.fingerprint,
            "cases": [case.name for case in cases],
            "notes": list(notes),
        },
    )
    return replace(made, notes=notes)


def _make_all(
    missing: list[tuple[Case, Callable[[], Sample]]], task: Task, workers: int
) -> Iterator[None]:
    """Make cases, in this process if one worker is enough."""
    if workers <= 1 or len(missing) <= 1:
        for case, maker in missing:
            _make(case, maker, task.name)
            yield
        return
    with ProcessPoolExecutor(min(workers, len(missing))) as pool:
        futures = [pool.submit(_make, case, maker, task.name) for case, maker in missing]
        try:
            for future in as_completed(futures):
                future.result()
                yield
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _make(case: Case, maker: Callable[[], Sample], task_name: str) -> None:
    """Make one case and give it its name once it is whole."""
    sample = maker()
    task = TASKS[task_name]
    with atomic(case.folder) as temporary:
        write_case(temporary / "input", task, case.name, sample.inputs)
        for slug, volume in sample.truth.items():
            write(temporary / "truth" / "images" / slug / f"{case.name}.tif", volume)
        image = sample.inputs[task.main_input.slug]
        facts = {"spacing_assumed": image.spacing_is_assumed, "metadata": dict(sample.metadata)}
        write_json(temporary / "case.json", facts)


def _assumptions(cases: tuple[Case, ...]) -> tuple[str, ...]:
    """Return what had to be assumed of the images."""
    facts = [read_json(case.folder / "case.json") for case in cases]
    assumed = sum(fact["spacing_assumed"] for fact in facts)
    if not assumed:
        return ()
    images = f"{assumed} of {len(cases)} images give no voxel size"
    return (f"{images}: 1 µm was assumed (SPACING=z,y,x in µm sets it).",)


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
