"""Plan of a run: jobs, their keys, and the cases whose results are missing."""

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cytosuite.benchmark.catalog import PACKAGE
from cytosuite.benchmark.containers.sources import runtime_digest
from cytosuite.benchmark.data.dataset import Case, Dataset
from cytosuite.benchmark.engines.outcome import PASSING, Engine
from cytosuite.benchmark.integrity import unaltered
from cytosuite.benchmark.record import read_record
from cytosuite.files import value_digest
from cytosuite.manifest import AlgorithmManifest

FULL = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT))


@dataclass(frozen=True, slots=True)
class Job:
    """One algorithm on one dataset.

    Parameters
    ----------
    algorithm : AlgorithmManifest
        The algorithm.
    key : str
        Digest of all that decides its outputs: a result with another key is stale.
    folder : Path
        Where its results lie, one folder per case.
    missing : tuple of Case
        The cases to run.
    present : int
        Number of cases whose results are there.
    named : bool
        Whether the user names the model.
    guest : bool
        Whether it is a container of others, whose labels may lose the voxel size.
    fingerprint : str
        Of the data, from which another machine makes the key anew.
    remarks : tuple of str
        Lines for the warnings of each record.
    """

    algorithm: AlgorithmManifest
    key: str
    folder: Path
    missing: tuple[Case, ...]
    present: int
    named: bool = False
    guest: bool = False
    fingerprint: str = ""
    remarks: tuple[str, ...] = ()


def plan(
    dataset: Dataset,
    chosen: Sequence[AlgorithmManifest],
    engine: Engine,
    run_folder: Path,
    *,
    retry: bool = False,
) -> list[Job]:
    """Return one job per algorithm with the cases that are missing.

    Parameters
    ----------
    dataset : Dataset
        On disk.
    chosen : sequence of AlgorithmManifest
        Algorithms of one task.
    engine : Engine
        The engine that will run them; it counts in the key, ``invoke`` or ``exec`` do not: both
        must give the same.
    run_folder : Path
        Where results lie.
    retry : bool
        Whether to run again the cases that failed in the algorithm.

    Notes
    -----
    A case is left when its record has the job's key and its output is there unaltered, or when it
    failed in the algorithm. Time-outs, kills, full disks and errors of the engine are tried again.
    """
    jobs = []
    for algorithm in chosen:
        folder = run_folder / algorithm.name
        key = job_key(dataset.fingerprint, algorithm.name, engine)
        missing = tuple(
            case for case in dataset.cases if not is_done(folder / case.name, key, retry=retry)
        )
        present, named = len(dataset.cases) - len(missing), algorithm.name in engine.models
        guest = algorithm.name in engine.guests
        data = dataset.fingerprint
        jobs.append(Job(algorithm, key, folder, missing, present, named, guest, data))
    return jobs


def job_key(fingerprint: str, algorithm: str, engine: Engine) -> str:
    """Return the digest of all that decides outputs: data, run-time sources, weights, engine.

    Parameters
    ----------
    fingerprint : str
        Of the data.
    algorithm : str
        Its name.
    engine : Engine
        The engine that runs it; a container of others has no sources here, its identity alone.
    """
    ours = algorithm not in engine.guests
    content = {
        "dataset": fingerprint,
        "source": runtime_digest(PACKAGE, algorithm) if ours else "",
        "engine": engine.name,
        "identity": engine.identity(algorithm),
    }
    return value_digest(content)


def is_done(folder: Path, key: str, *, retry: bool) -> bool:
    """Return whether a case's result can be left as it is.

    Parameters
    ----------
    folder : Path
        Of the case.
    key : str
        Of the job.
    retry : bool
        Whether what failed in the algorithm is run again.
    """
    record = read_record(folder)
    if record is None or record.key != key:
        return False
    if record.ok:
        sums = {path: record.digests.get(slug) for slug, path in record.outputs.items()}
        return unaltered(folder, sums)
    passing = record.status in PASSING or any(reason in record.message for reason in FULL)
    return not passing and not retry
