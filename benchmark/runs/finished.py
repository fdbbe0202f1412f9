"""Finished runs as they lie on disk: data, algorithms with results, and the cases they share."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from cytosuite.benchmark.catalog.models import ALL, algorithms
from cytosuite.benchmark.catalog.places import folder_of, program_of
from cytosuite.benchmark.engines.collect import Refused, need_plain
from cytosuite.benchmark.runs.data.dataset import SUMMARY, Dataset, stored
from cytosuite.benchmark.runs.data.recipe import DataRequest
from cytosuite.benchmark.runs.data.several import distinct
from cytosuite.benchmark.runs.plan import Job, is_done
from cytosuite.benchmark.runs.record import Record, read_record
from cytosuite.contract.manifest import (
    AlgorithmManifest,
    Digest,
    Resources,
    Sentence,
    TaskName,
    file_name,
    parse,
)
from cytosuite.contract.tasks import TASKS, Task
from cytosuite.errors import InputError, plain
from cytosuite.files import TextDict, frozen, link, read_json, remove
from cytosuite.metrics.boards import CONTROLS

FACTS, DATA, TRUTH = "run.json", "datasets", "truth"  # of a run, or in the folder above
RESERVED = {FACTS, "report", "blind", DATA, TRUTH, *CONTROLS}  # of a run, and no algorithm's


def algorithm_name(name: str) -> str:
    """Return a name that an algorithm can have in a run and its files, else ValueError."""
    if plain(name) != name or file_name(folder_of(name)) in RESERVED:
        raise ValueError("must be the name of an algorithm")
    return name


def need_free(name: str) -> None:
    """Refuse the name of a control, of a part of runs, or ``all``, for an algorithm of ours."""
    if name in {ALL, *RESERVED}:
        raise InputError(f"algorithms/{name}: a control or a part of runs is named so; rename it")


class RunFile(BaseModel):
    """``run.json``, as far as a report over finished runs needs it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    task: TaskName
    dataset: Sentence
    fingerprint: Digest
    jobs: dict[Annotated[str, AfterValidator(algorithm_name)], str] = Field(min_length=1)  # keys
    cases: TextDict  # digests of images and labels by name
    engine: Sentence = ""
    api: Sentence = ""
    machine: Sentence = ""
    versions: TextDict = {}
    request: DataRequest | None = None
    reference: int = 0  # real images that unpaired outputs were compared with


@frozen
class FinishedRun:
    """A run that needs no algorithm any more."""

    folder: Path
    facts: RunFile
    dataset: Dataset
    name: str = ""  # of a single algorithm of it, which may be by the user

    @property
    def task(self) -> Task:
        """The task that all its algorithms solve."""
        return TASKS[self.facts.task]

    def result(self, algorithm: str, case: str) -> Record | None:
        """Return the record of a case, None without a whole one; InputError for links in it."""
        folder = self.folder / folder_of(algorithm) / case
        key = self.facts.jobs[algorithm]
        record = read_record(folder, key)
        if record is None:
            return None
        try:
            need_plain(folder)
        except Refused as finding:
            raise InputError(f"{folder}: {finding}; make its results again") from None
        return record if not record.ok or is_done(folder, key, retry=True) else None

    def need_results(self, algorithms: Iterable[str]) -> None:
        """Refuse algorithms without a whole result for each case."""
        for algorithm in algorithms:
            for case in self.dataset.cases:
                if self.result(algorithm, case.name) is None:
                    raise InputError(
                        f"{self.folder}: {algorithm} has no whole result for {case.name}; run its "
                        "benchmark to the end"
                    )

    def job(self, algorithm: str, name: str, folder: Path) -> Job:
        """Return the job of an algorithm by another name, with its results in a folder."""
        manifest = algorithms().get(program_of(algorithm)) or AlgorithmManifest.model_construct(
            name=name,
            version="",
            title=algorithm,
            description="",
            task=self.facts.task,
            authors=(),
            license="",
            resources=Resources(),
        )
        version = plain(self.facts.versions.get(algorithm, ""), 100)
        return Job(
            manifest.model_copy(update={"name": name, "version": version}),
            self.facts.jobs[algorithm],
            folder,
            (),
            len(self.dataset.cases),
            external=True,
        )


def read_run(place: Path) -> FinishedRun:
    """Return a run by its folder, perhaps a stranger's; InputError where its data are not there."""
    path = place / FACTS
    facts = parse(path, read_json(path), RunFile)
    rooms = (place / DATA, place.resolve().parent / DATA)
    mark = facts.fingerprint[:12]
    homes = (path.parent for room in rooms for path in room.glob(f"*-{mark}/{SUMMARY}"))
    whole = stored(home) if (home := next(homes, None)) else None
    if whole is None or whole.fingerprint != facts.fingerprint:
        raise InputError(
            f"{rooms[1]}: the dataset of this run, {facts.dataset} ({mark}), is not there; run the "
            "benchmark again"
        )
    cases = tuple(case for case in whole.cases if case.name in facts.cases)
    for algorithm in facts.jobs:
        folder = place / folder_of(algorithm)
        if folder.is_symlink() and not (folder.resolve().parent / FACTS).is_file():
            raise InputError(f"{folder}: expected a folder, or a link to one of another run")
    return FinishedRun(place, facts, replace(whole, cases=cases))


def shared(runs: Sequence[FinishedRun]) -> tuple[Dataset, list[str]]:
    """Return the data of the first run, or the cases that all share, with a note on the others."""
    first, *others = runs
    for run in others:
        if run.task != first.task:
            raise InputError(
                f"runs of one task are compared, found {first.task.name} in {first.folder} and "
                f"{run.task.name} in {run.folder}"
            )
    digests = first.facts.cases
    names = {
        n for n, digest in digests.items() if all(r.facts.cases.get(n) == digest for r in others)
    }
    cases = tuple(case for case in first.dataset.cases if case.name in names)
    if not cases:
        raise InputError(
            f"{' and '.join(str(run.folder) for run in runs)}: expected cases with the same "
            "images and labels, found none"
        )
    most = max(len(run.facts.cases) for run in runs)
    note = (
        f"The {len(cases)} of {most} cases that all runs share are compared; the others are left "
        "out."
    )
    notes = [note] if len(cases) < most else []
    stated = [{c.name: c.stated() for c in run.dataset.cases if c.name in names} for run in runs]
    if any(facts != stated[0] for facts in stated):
        notes.append(
            "Runs state other conditions of cases, or ignore other objects, or pair points within "
            f"another radius: as {first.folder.resolve().name}, the first, does counts for all."
        )
    return replace(first.dataset, cases=cases), notes


def gathered(runs: Sequence[FinishedRun], out: Path) -> list[Job]:
    """Return the jobs of all runs, linked into a folder; twins are called after their runs too."""
    words = zip(runs, distinct([run.folder.resolve().name for run in runs]), strict=True)
    every = [(run, word, name, run.name or name) for run, word in words for name in run.facts.jobs]
    homes = [folder_of(title) for *_, title in every]
    names = distinct(
        [
            f"{title} ({word})" if homes.count(folder_of(title)) > 1 else title
            for _, word, _, title in every
        ]
    )
    jobs = []
    for (run, _, algorithm, _), name in zip(every, names, strict=True):
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
