"""Finished runs as they lie on disk: data, algorithms with results, and the cases they share."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from cytosuite.benchmark.catalog.catalog import algorithms, folder_of, program_of
from cytosuite.benchmark.data.dataset import Dataset, stored
from cytosuite.benchmark.data.several import distinct
from cytosuite.benchmark.runs.plan import Job, is_done
from cytosuite.benchmark.runs.record import read_record
from cytosuite.contract.manifest import AlgorithmManifest, Resources, TaskName, parse
from cytosuite.contract.tasks import TASKS, Task
from cytosuite.errors import InputError, plain
from cytosuite.files import link, read_json, remove

FACTS, DATA, TRUTH = "run.json", "datasets", "truth"  # of a run, or beside it
RESERVED = {"report", "blind", DATA, TRUTH}  # folders of a run that are no algorithm's


class RunFile(BaseModel):
    """``run.json``, as far as a report over finished runs needs it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    task: TaskName
    dataset: str
    fingerprint: str
    jobs: dict[str, str]  # keys by algorithm
    cases: dict[str, str]  # digests of images and labels by name
    engine: str = ""
    api: str = ""
    machine: str = ""
    versions: dict[str, str] = {}
    request: dict[str, Any] = {}
    reference: int = 0  # real images that unpaired outputs were compared with


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A run that needs no algorithm any more."""

    folder: Path
    facts: RunFile
    dataset: Dataset

    @property
    def task(self) -> Task:
        """The task that all its algorithms solve."""
        return TASKS[self.facts.task]

    def job(self, algorithm: str, name: str, folder: Path) -> Job:
        """Return the job of an algorithm by another name, with its results in a folder."""
        version = plain(self.facts.versions.get(algorithm, ""), 100)
        made = algorithms().get(program_of(algorithm)) or AlgorithmManifest.model_construct(
            name=name,
            version=version,
            title=algorithm,
            description="",
            task=self.facts.task,
            authors=(),
            license="",
            resources=Resources(),
        )
        made = made.model_copy(update={"name": name, "version": version})
        number = len(self.dataset.cases)
        return Job(made, self.facts.jobs[algorithm], folder, (), number, guest=True)


def read_run(place: Path) -> FinishedRun:
    """Return a run by its folder; InputError where its data or a result is not there."""
    path = place / FACTS
    facts = parse(path, read_json(path), RunFile)
    whole = stored(data_of(place, facts.dataset, facts.fingerprint))
    cases = tuple(case for case in whole.cases if case.name in facts.cases)
    run = FinishedRun(place, facts, replace(whole, cases=cases))
    for algorithm, key in facts.jobs.items():
        name = folder_of(algorithm)
        if Path(name).name != name or name in RESERVED or plain(algorithm) != algorithm:
            raise InputError(f"{path}: expected names of algorithms, found {plain(algorithm)}")
        for case in cases:
            folder = place / folder_of(algorithm) / case.name
            record = read_record(folder)
            kept = record is not None and (not record.ok or is_done(folder, key, retry=True))
            if record is None or record.key != key or not kept:
                reason = f"{algorithm} has no whole result for {case.name}"
                raise InputError(f"{place}: {reason}; run its benchmark to the end")
    return run


def data_of(run: Path, name: str, fingerprint: str) -> Path:
    """Return the folder of the dataset that a run was made on."""
    if (home := find_data(run, fingerprint)) is None:
        reason = f"the dataset of this run, {plain(name)} ({plain(fingerprint[:12])}), is not there"
        raise InputError(f"{run.resolve().parent / DATA}: {reason}; run the benchmark again")
    return home


def find_data(run: Path, fingerprint: str) -> Path | None:
    """Return the folder of a run's dataset, in the run or among its neighbours; None without."""
    rooms, digest = (run / DATA, run.resolve().parent / DATA), plain(fingerprint[:12])
    homes = (home for room in rooms for home in room.glob(f"*-{digest}/dataset.json"))
    return next((home.parent for home in homes), None)


def shared(runs: Sequence[FinishedRun]) -> tuple[Dataset, list[str]]:
    """Return the data of the first run, or the cases that all share, with a note on the others."""
    first, *others = runs
    for run in others:
        if run.task != first.task:
            found = f"{first.task.name} in {first.folder} and {run.task.name} in {run.folder}"
            raise InputError(f"runs of one task are compared, found {found}")
    known = first.facts.cases
    names = {n for n, own in known.items() if all(r.facts.cases.get(n) == own for r in others)}
    cases = tuple(case for case in first.dataset.cases if case.name in names)
    if not cases:
        places = " and ".join(str(run.folder) for run in runs)
        raise InputError(f"{places}: expected cases with the same images and labels, found none")
    most = max(len(run.facts.cases) for run in runs)
    note = f"The {len(cases)} of {most} cases that all runs share are compared"
    notes = [f"{note}; the others are left out."] if len(cases) < most else []
    return replace(first.dataset, cases=cases), notes


def gathered(runs: Sequence[FinishedRun], out: Path) -> list[Job]:
    """Return the jobs of all runs, linked into a folder; twins are called after their runs too."""
    every = [(run, algorithm) for run in runs for algorithm in run.facts.jobs]
    titles = distinct([run.folder.resolve().name for run in runs])
    named = {run.folder: title for run, title in zip(runs, titles, strict=True)}
    jobs = []
    for run, algorithm in every:
        twins = sum(other == algorithm for _, other in every) > 1
        name = f"{algorithm} ({named[run.folder]})" if twins else algorithm
        place = out / folder_of(name)
        if place.exists() and not place.is_symlink():  # results of its own
            raise InputError(f"{place}: expected no other results here; name another --out")
        _linked(place, run.folder / folder_of(algorithm))
        jobs.append(run.job(algorithm, name, place))
    home = runs[0].dataset.home.resolve()
    _linked(out / DATA / home.name, home)
    return jobs


def _linked(place: Path, target: Path) -> None:
    """Make a link, in place of one that is there."""
    if place.resolve() != target.resolve():
        remove(place)
        link(place, target)
