"""Datasets on disk: generated or collected once, found again by their fingerprint."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmark.pictures.preview import write_previews
from benchmark.data.recipe import Recipe
from cytosuite.files import atomic, read_json, remove, write_json
from cytosuite.formats import write
from cytosuite.interface import write_case
from cytosuite.tasks import TASKS, Task
from cytosuite.volume import Scalar
from datasets.sample import Sample

Progress = Callable[[int, int], None]


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

    def conditions(self) -> dict[str, Scalar]:
        """Return the facts by which results are broken down, as the dataset said them."""
        said: dict[str, Scalar] = read_json(self.folder / "case.json")["conditions"]
        return said


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset that lies whole on disk."""

    name: str
    title: str
    size: str
    task: Task
    fingerprint: str
    seed: int | None
    home: Path
    cases: tuple[Case, ...]
    notes: tuple[str, ...]

    def facts(self) -> dict[str, Any]:
        """Return what ``dataset.json`` says of it."""
        return {
            "name": self.name,
            "size": self.size,
            "task": self.task.name,
            "seed": self.seed,
            "fingerprint": self.fingerprint,
            "cases": [case.name for case in self.cases],
            "notes": list(self.notes),
        }


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
    made = _expected(recipe, folder)
    facts = made.home / "dataset.json"
    if facts.is_file():
        return replace(made, notes=tuple(read_json(facts)["notes"]))
    for leftover in (made.home / "cases").glob(".*.part"):
        remove(leftover)
    missing = [
        (case, maker)
        for case, (_, maker) in zip(made.cases, recipe.makers, strict=True)
        if not case.folder.is_dir()
    ]
    done = len(made.cases) - len(missing)
    progress(done, len(made.cases))
    for _ in _make_all(missing, made.task, workers, recipe.record):
        done += 1
        progress(done, len(made.cases))
    made = replace(made, notes=made.notes + _assumptions(made.cases))
    write_json(facts, made.facts())
    return made


def _expected(recipe: Recipe, folder: Path) -> Dataset:
    """Return the dataset as it will lie on disk."""
    home = folder / f"{recipe.name}-{recipe.size}-{recipe.fingerprint[:12]}"
    return Dataset(
        recipe.name,
        recipe.title,
        recipe.size,
        TASKS[recipe.task],
        recipe.fingerprint,
        recipe.seed,
        home,
        tuple(Case(name, home / "cases" / name) for name, _ in recipe.makers),
        recipe.notes,
    )


def _make_all(
    missing: list[tuple[Case, Callable[[], Sample]]],
    task: Task,
    workers: int,
    record: Mapping[str, Any],
) -> Iterator[None]:
    """Make cases, in this process if one worker is enough."""
    if workers <= 1 or len(missing) <= 1:
        for case, maker in missing:
            _make(case, maker, task.name, record)
            yield
        return
    with ProcessPoolExecutor(min(workers, len(missing))) as pool:
        futures = [pool.submit(_make, case, maker, task.name, record) for case, maker in missing]
        try:
            for future in as_completed(futures):
                future.result()
                yield
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _make(
    case: Case, maker: Callable[[], Sample], task_name: str, record: Mapping[str, Any]
) -> None:
    """Make one case and give it its name once it is whole."""
    sample = maker()
    task = TASKS[task_name]
    with atomic(case.folder) as temporary:
        write_case(temporary / "input", task, case.name, sample.inputs)
        for slug, volume in sample.truth.items():
            write(temporary / "truth" / "images" / slug / f"{case.name}.tif", volume)
        for slug, volume in sample.companions.items():
            write(temporary / "companions" / slug / f"{case.name}.tif", volume)
        image = sample.inputs[task.main_input.slug]
        facts = {
            "spacing_assumed": image.spacing_is_assumed,
            "conditions": dict(sample.conditions),
            "metadata": dict(sample.metadata),
        }
        write_json(temporary / "case.json", facts | {"recipe": dict(record)} if record else facts)
        if record:
            write_previews(temporary, case.name, sample, task)


def _assumptions(cases: tuple[Case, ...]) -> tuple[str, ...]:
    """Return what had to be assumed of the images."""
    facts = [read_json(case.folder / "case.json") for case in cases]
    assumed = sum(fact["spacing_assumed"] for fact in facts)
    if not assumed:
        return ()
    images = f"{assumed} of {len(cases)} images give no voxel size"
    return (f"{images}: 1 µm was assumed (SPACING=z,y,x in µm sets it).",)
