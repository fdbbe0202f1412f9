"""Datasets on disk: generated or collected once, found again by their fingerprint."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from cytosuite.benchmark.runs.data.loops import compiled
from cytosuite.benchmark.runs.data.recipe import Maker, Recipe
from cytosuite.benchmark.runs.data.shard import Shard
from cytosuite.benchmark.runs.store.integrity import is_covered, is_whole, seal
from cytosuite.benchmark.runs.store.pool import Lost, Pool
from cytosuite.contract.interface import TABLE, in_files, write_case, write_value
from cytosuite.contract.manifest import (
    MOST_BYTES,
    MOST_CASES,
    AlgorithmManifest,
    Digest,
    PlainName,
    Sentence,
    TaskName,
    parse,
)
from cytosuite.contract.metadata import acquisition
from cytosuite.contract.tasks import ACQUISITION, LABELS, TASKS, Socket, Task
from cytosuite.errors import InputError, listed
from cytosuite.files import (
    Entries,
    IntDict,
    Json,
    Paths,
    Scalars,
    TextDict,
    Texts,
    atomic,
    frozen,
    link,
    object_in,
    read_json,
    sweep,
    write_json,
)
from cytosuite.files.working import alone, is_locked
from cytosuite.folders.masks import sentence
from cytosuite.formats import write
from cytosuite.formats.imagefiles import CASE_SUFFIXES, case_suffix
from cytosuite.volume import Volume
from cytosuite.volume.pieces import slabs_of

Progress = Callable[[int, int], None]
SUMMARY = "dataset.json"
FACTS = "case.json"  # facts of a case
ROOMS = ("sockets", "extras")  # folders of a case that its readers look at
NAMED = 5  # files that are unfit in one line
STAGE = "step-"  # names of extras that are stages of the image


class _File(BaseModel):
    """Base of the files of a dataset, as far as its reader needs them."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class DatasetFile(_File):
    """``dataset.json``."""

    name: Annotated[Sentence, Field(max_length=MOST_BYTES)]
    title: Sentence = ""
    size: Sentence
    task: TaskName
    seed: int | None
    fingerprint: Digest
    cases: tuple[PlainName, ...] = Field(min_length=1, max_length=MOST_CASES)
    notes: tuple[Sentence, ...]


class _Masks(_File):
    classes: TextDict = {}  # of the true labels, by their number


class _Ignored(_File):
    min_object_voxels: int = Field(0, ge=0)  # smaller true objects are ignored in the scores


class CaseFile(_File):
    """``case.json``."""

    sockets: Texts
    conditions: Scalars
    dataset: str = ""  # its name in a run over several
    radius_um: float | None = Field(None, gt=0, le=1e6)  # of paired points, at most
    masks: _Masks = _Masks()
    ignored: _Ignored = _Ignored()


@frozen
class Case:
    """One case on disk; of its sockets an algorithm sees the inputs of its task alone."""

    name: str
    folder: Path

    def path(self, slug: str, suffix: str = ".tif") -> Path:
        """Return the place of an image or label socket; see `interface.case_suffix`."""
        return self.folder / "sockets/images" / slug / f"{self.name}{suffix}"

    def socket(self, slug: str) -> Path | None:
        """Return the file, or folder of OME-Zarr, of a socket; None where the case has none."""
        home = f"{self.folder}/sockets"
        places = [f"{home}/images/{slug}/{self.name}{suffix}" for suffix in CASE_SUFFIXES]
        places += [f"{home}/{slug}{suffix}" for suffix in (".json", TABLE)]
        return next(filter(Path.exists, map(Path, places)), None)

    def inputs(self, task: Task) -> Paths:
        """Return the input images and labels that a case holds for a task, the main one first."""
        return self._files(socket for socket in task.inputs if socket.is_volume)

    def main(self, task: Task) -> Path | None:
        """Return the main input: the first image or labels of the task that the case holds."""
        return next(iter(self.inputs(task).values()), None)

    def truth(self, task: Task) -> Paths:
        """Return the true outputs by slug; empty where the case is not annotated."""
        return self._files(task.outputs)

    def _files(self, sockets: Iterable[Socket]) -> Paths:
        """Return the files of the case by the slugs of the sockets."""
        return {s.slug: path for s in sockets if (path := self.socket(s.slug)) is not None}

    def channels(self) -> Paths:
        """Return other images of the case by the name of their channel."""
        images = sorted((self.folder / "extras").glob("*-image/*"))
        return {path.parent.name.removesuffix("-image"): path for path in images}

    def input(self, task: Task) -> Path:
        """Return the folder that becomes ``/input``, with links to the inputs of the task."""
        folder = self.folder / "inputs" / task.name
        if folder.is_dir():
            return folder
        with alone(self.folder):  # another run may want them at the same time
            if not folder.is_dir():
                self.write_input(task)
        return folder

    def write_input(self, task: Task) -> None:
        """Write the folder of `input`."""
        with atomic(self.folder / "inputs" / task.name) as temporary:
            write_case(temporary, task, self.name, self._files(task.inputs))

    def facts(self) -> Json:
        """Return the content of ``case.json``."""
        facts: Json = read_json(self.folder / FACTS)
        return facts

    def stated(self) -> CaseFile:
        """Return ``case.json`` as scores take it; a ground truth states no conditions."""
        return CaseFile.model_validate({"conditions": {}, **self.facts()})

    def conditions(self) -> Scalars:
        """Return the facts by which results are broken down, as the dataset states them."""
        conditions: Scalars = self.facts()["conditions"]
        return conditions


def cases_in(home: Path, names: Iterable[str]) -> tuple[Case, ...]:
    """Return cases by their names in the folder of a dataset."""
    return tuple(Case(name, home / "cases" / name) for name in names)


# How a case is made: its place, its maker, and its record.
Making = tuple[Case, Maker, Entries]


@dataclass(frozen=True)
class Dataset:
    """A dataset that lies whole on disk."""

    name: str  # of the recipe; the size is ``own`` for a user's folder
    title: str
    size: str
    task: str  # the task that runs where the user names none
    fingerprint: str  # digest of all that makes it
    seed: int | None  # of the simulation; None for given images
    home: Path  # its folder
    cases: tuple[Case, ...]
    notes: Texts = ()  # sentences that a reader of the scores must know
    reference: tuple[Path, ...] = ()  # real images that unpaired outputs are compared with
    reference_labels: Mapping[Path, Path] | None = None  # of the reference images

    @cached_property
    def offers(self) -> frozenset[str]:
        """Slugs of the sockets that every case holds."""
        held = [frozenset(case.facts()["sockets"]) for case in self.cases]
        return frozenset.intersection(*held) if held else frozenset()

    def serves(self, task: Task, algorithm: AlgorithmManifest | None = None) -> bool:
        """Return whether every case holds the inputs of a task, and those an algorithm needs."""
        return serves(self.offers, task, algorithm.needs if algorithm is not None else ())

    def mains(self, task: Task) -> list[Path]:
        """Return the main inputs of all cases that hold one."""
        return [*filter(None, (case.main(task) for case in self.cases))]

    def summary(self) -> Json:
        """Return the content of ``dataset.json``."""
        return {
            **{
                name: getattr(self, name)
                for name in ("name", "title", "size", "task", "seed", "fingerprint")
            },
            "offers": sorted(self.offers),
            "cases": [case.name for case in self.cases],
            "notes": list(self.notes),
        }


def prepare(
    recipe: Recipe, folder: Path, pool: Pool, progress: Progress, shard: Shard | None = None
) -> Dataset:
    """Make the missing or altered cases of a dataset in `folder`; a second run waits for this.

    A shard makes its own cases, while others make theirs.
    """
    if shard:
        recipe = replace(recipe, makers=shard.share(recipe.makers))
    dataset = _expected(recipe, folder)
    if shard:
        _make_missing(dataset, recipe, pool, progress)
        return dataset
    if not all(is_whole(case.folder) for case in dataset.cases) or (
        is_locked(dataset.home) and os.access(dataset.home, os.W_OK)
    ):
        with alone(dataset.home):  # a program killed at its end has left its lock
            _make_missing(dataset, recipe, pool, progress)
    dataset = replace(dataset, notes=(*dataset.notes, *_notes(dataset.cases, dataset.task)))
    place = dataset.home / SUMMARY
    summary = dataset.summary()
    if object_in(place) != summary:
        write_json(place, summary)
    return dataset


def stored(home: Path) -> Dataset:
    """Return a dataset as it was written, without its reference set; its cases must be whole."""
    path = home / SUMMARY
    summary = parse(path, read_json(path), DatasetFile)
    cases = cases_in(home, summary.cases)
    for case in cases:
        if not (is_whole(case.folder) and is_covered(case.folder, FACTS, ROOMS)):
            raise InputError(f"{case.folder}: not as it was made; run the benchmark again")
        parse(case.folder / FACTS, case.facts(), CaseFile)
    return Dataset(
        home=home,
        **summary.model_dump() | {"title": summary.title or summary.name, "cases": cases},
    )


def serves(offers: frozenset[str], task: Task, needs: Iterable[str] = ()) -> bool:
    """Return whether sockets hold the inputs of a task, and more that are needed."""
    images = {socket.slug for socket in task.inputs if socket.is_volume}
    needed = {socket.slug for socket in task.inputs if not socket.optional} | set(needs)
    return needed <= offers and (not images or bool(images & offers))


def _make_missing(dataset: Dataset, recipe: Recipe, pool: Pool, progress: Progress) -> None:
    """Make the cases that are missing, in a folder that no other run writes into."""
    total = len(dataset.cases)
    folder = dataset.home / "cases"
    missing = [
        (case, maker, recipe.records.get(case.name, recipe.record))
        for case, (_, maker) in zip(dataset.cases, recipe.makers, strict=True)
        if not is_whole(case.folder)
    ]
    sweep(folder, depth=1)  # half-made cases of ended processes
    there = total - len(missing)
    progress(there, total)
    try:
        make = partial(_make_whole, TASKS[recipe.task])
        if recipe.seed is not None and missing and not compiled():  # else every worker compiles
            if reason := make(missing.pop(0)):
                raise InputError(reason)
            progress(there := there + 1, total)
        unfit = []
        for done, (number, ended) in enumerate(pool.each(make, missing), start=1):
            if isinstance(ended, Lost):
                raise InputError(f"{missing[number][0].name}: not made, {ended.reason}; run again")
            if ended and recipe.seed is None:
                unfit.append(ended)  # of a user's files: all that are unfit are named at once
            elif ended:
                raise InputError(ended)
            progress(there + done, total)
        if unfit:
            raise InputError(listed(sorted(unfit), NAMED, "; "))
    finally:
        sweep(folder, depth=1)


def _make_whole(task: Task, making: Making) -> str:
    """Make one case with the inputs of the task if it serves that, and seal it, or say why not."""
    case, maker, record = making
    try:
        with atomic(case.folder, partial(is_whole, case.folder)) as temporary:
            part = Case(case.name, temporary)
            if serves(make_case(part, maker, record), task):
                part.write_input(task)
            seal(temporary)
    except InputError as error:
        return str(error)
    return ""


def make_case(case: Case, maker: Maker, record: Entries) -> frozenset[str]:
    """Make one case, renamed once it is whole, and return its sockets.

    A simulated one has a record and previews.
    """
    sample = maker()
    sockets = in_files(sample.sockets)
    volumes = {slug: v for slug, v in sockets.items() if isinstance(v, Volume)}
    with atomic(case.folder) as temporary:
        part = Case(case.name, temporary)
        for slug, volume in volumes.items():
            if (file := sample.files.get(slug)) is not None:
                link(part.path(slug, case_suffix(file)), file)
            else:
                write(part.path(slug, case_suffix(volume)), volume)
        values = {slug: v for slug, v in sockets.items() if not isinstance(v, Volume)}
        first = next(iter(volumes.values()), None)
        if first is not None:
            values.setdefault(ACQUISITION.slug, acquisition(first))
        for slug, value in values.items():
            suffix = TABLE if isinstance(value, list) else ".json"
            write_value(temporary / f"sockets/{slug}{suffix}", value)
        for name, volume in sample.extras.items():
            write(temporary / "extras" / name / f"{case.name}{case_suffix(volume)}", volume)
        facts = {
            "sockets": sorted([*volumes, *values]),
            "spacing_assumed": first is not None and first.spacing_is_assumed,
            "conditions": dict(sample.conditions),
            "metadata": dict(sample.metadata),
        }
        labels = volumes.get(LABELS.slug)
        if labels is not None and sample.conditions.get("objects", 1) == 1:
            from cytosuite.metrics.labels.prepare import mask_doubt  # numba

            if doubt := mask_doubt(labels.array):
                facts["doubt"] = doubt
        least = sample.min_object_voxels
        stated = {
            "dataset": sample.dataset,
            "masks": dict(sample.masks),
            "radius_um": sample.radius_um,
            "ignored": _small(labels, least) if least else None,
            "recipe": dict(record),
        }
        facts |= {name: value for name, value in stated.items() if value}
        write_json(temporary / FACTS, facts)
        if record:
            from cytosuite.benchmark.runs.data.preview import write_preview  # Pillow

            stages = {n: v for n, v in sample.extras.items() if n.startswith(STAGE)}
            write_preview(temporary, case.name, volumes, labels, stages)
    return frozenset([*volumes, *values])


def _expected(recipe: Recipe, folder: Path) -> Dataset:
    """Return the dataset as it will lie on disk."""
    home = folder / f"{recipe.name}-{recipe.size}-{recipe.fingerprint[:12]}"
    return Dataset(
        recipe.name,
        recipe.title,
        recipe.size,
        recipe.task,
        recipe.fingerprint,
        recipe.seed,
        home,
        cases_in(home, (name for name, _ in recipe.makers)),
        recipe.notes,
        tuple(recipe.reference),
        {image: labels for image, labels in recipe.reference.items() if labels is not None},
    )


def _notes(cases: tuple[Case, ...], task: str) -> Iterator[str]:
    """Yield notes on images without a voxel size, and on true objects that are not judged."""
    facts = [case.facts() for case in cases]
    if assumed := sum(record["spacing_assumed"] for record in facts):
        yield (
            f"{assumed} of {len(cases)} images give no voxel size: 1 µm was assumed (SPACING=z,y,x "
            "in µm sets it)."
        )
    if masked := [n for n, record in enumerate(facts) if "doubt" in record]:
        yield (
            f"{facts[masked[0]]['doubt']} in {listed([cases[n].name for n in masked], NAMED)}: "
            "number the pieces."
        )
    if drawn := [record["masks"] for record in facts if record.get("masks")]:
        total = sum((Counter(record["counts"]) for record in drawn), Counter[str]())
        if any(number for key, number in total.items() if key != "objects"):
            yield sentence(total, drawn[0]["overlap"])
    ignored = [record["ignored"] for record in facts if record.get("ignored")]
    if ignored and TASKS[task].main_output is LABELS:
        objects, of = (sum(record[key] for record in ignored) for key in ("objects", "of"))
        yield (
            f"{objects} of {of} true objects have fewer than {ignored[0]['min_object_voxels']} "
            "voxels: the scores ignore them, and the predictions that match them alone."
        )


def _small(labels: Volume | None, min_object_voxels: int) -> IntDict:
    """Return the limit, and how many of all objects are below it, as ``case.json`` keeps them."""
    sizes = Counter[int]()
    for slab in () if labels is None else slabs_of(labels.array):
        sizes.update(
            dict(zip(*map(np.ndarray.tolist, np.unique(slab, return_counts=True)), strict=True))
        )
    del sizes[0]  # the background
    small = sum(size < min_object_voxels for size in sizes.values())
    return {"min_object_voxels": min_object_voxels, "objects": small, "of": len(sizes)}
