"""Plan of a run: jobs, their keys, and the cases without a result."""

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cytosuite.benchmark.catalog.packages import runtime_digest
from cytosuite.benchmark.catalog.places import PACKAGE, folder_of, program_of
from cytosuite.benchmark.engines.outcome import PASSING, Engine
from cytosuite.benchmark.runs.data.dataset import Case, Dataset
from cytosuite.benchmark.runs.record import read_record
from cytosuite.benchmark.runs.store.integrity import unaltered
from cytosuite.contract.manifest import AlgorithmManifest
from cytosuite.errors import InputError
from cytosuite.files import value_digest

FULL = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT))


class Answerer(NamedTuple):
    """An algorithm, a folder of files or a submission, by its results, which are scored."""

    name: str
    version: str
    key: str  # digest of all that decides its outputs: a result with another key is stale
    folder: Path  # where its results lie, one folder per case
    named: bool = False  # whether the user names the model


class Job(NamedTuple):
    """One algorithm on one dataset."""

    algorithm: AlgorithmManifest  # the algorithm
    key: str  # as of `Answerer`
    folder: Path
    missing: tuple[Case, ...]  # the cases to run
    present: int  # number of cases with a result
    named: bool = False  # whether the user names the model
    external: bool = (
        False  # whether it is a container of others: its labels may lose the voxel size
    )
    fingerprint: str = ""  # of the data, from which another machine makes the key anew

    @property
    def answerer(self) -> Answerer:
        """Its results."""
        return Answerer(
            self.algorithm.name, self.algorithm.version, self.key, self.folder, self.named
        )


def plan(
    dataset: Dataset,
    chosen: Sequence[AlgorithmManifest],
    engine: Engine,
    run_folder: Path,
    *,
    retry: bool = False,
) -> list[Job]:
    """Return the job of each algorithm, with the cases that have no result under its key.

    InputError where these would be written through a link, into another run.
    """
    jobs = []
    for algorithm in chosen:
        folder = run_folder / folder_of(algorithm.name)
        key = job_key(dataset.fingerprint, algorithm.name, engine)
        missing = tuple(
            case for case in dataset.cases if not is_done(folder / case.name, key, retry=retry)
        )
        if missing and folder.is_symlink():  # as `finished.gathered` makes them
            raise InputError(
                f"{folder}: expected a folder for results, found a link to those of another run; "
                "name another run or --out"
            )
        jobs.append(
            Job(
                algorithm,
                key,
                folder,
                missing,
                len(dataset.cases) - len(missing),
                algorithm.name in engine.models,
                algorithm.name in engine.externals,
                dataset.fingerprint,
            )
        )
    return jobs


def job_key(fingerprint: str, algorithm: str, engine: Engine) -> str:
    """Return the digest of all that decides outputs: data, run-time sources, weights, engine."""
    ours = algorithm not in engine.externals
    return value_digest(
        {
            "dataset": fingerprint,
            "source": runtime_digest(PACKAGE, program_of(algorithm)) if ours else "",
            "engine": engine.name,
            "identity": engine.identity(algorithm),
        }
    )


def is_done(folder: Path, key: str, *, retry: bool) -> bool:
    """Return whether a case's result can be left as it is."""
    record = read_record(folder, key)
    if record is None:
        return False
    if record.ok:
        return unaltered(
            folder, {path: record.digests.get(slug) for slug, path in record.outputs.items()}
        )
    passing = record.status in PASSING or any(reason in record.message for reason in FULL)
    return not passing and not retry
