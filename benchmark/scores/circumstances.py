"""The circumstances of a run: facts for its reader, and all that decides its report."""

import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import asdict, field
from importlib.metadata import version
from pathlib import Path

from cytosuite import __version__
from cytosuite.benchmark.catalog.places import PACKAGE, ROOT
from cytosuite.benchmark.runs.data.dataset import Dataset
from cytosuite.benchmark.runs.plan import Job
from cytosuite.benchmark.runs.record import RECORD, read_record
from cytosuite.benchmark.runs.store.integrity import foreign_digest, unaltered
from cytosuite.files import TextDict, TextMap, Texts, digest, file_digest, frozen, value_digest

PACKAGES = ("numpy", "scipy", "scikit-image", "tifffile")
# Parts of the package without a part in scores and report; keys of jobs cover the first two.
APART = {"algorithms", "weights", "monai", "training"}


@frozen
class RunFacts:
    """Engine, api, command and limits of a run, and sentences on it for the reader."""

    engine: str
    api: str
    command: str
    limits: str
    notes: Texts = ()
    images: TextMap = field(default_factory=dict)  # of containers of others, by algorithm


def provenance(
    dataset: Dataset, jobs: Sequence[Job], facts: RunFacts, gpus: Iterable[str]
) -> TextDict:
    """Return the facts that one needs to repeat or doubt the run; cases have GPUs, or ""."""
    names = ", ".join(sorted({*gpus} - {""}))
    return {
        "dataset": f"{dataset.name} ({dataset.size}), fingerprint {dataset.fingerprint[:16]}",
        "seed": "none (given images)" if dataset.seed is None else str(dataset.seed),
        "engine": f"{facts.engine}, api {facts.api}",
        "limits": facts.limits,
        "cytosuite": f"{__version__} {revision()}".strip(),
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        **({"GPU": names} if names else {}),
        **{package: version(package) for package in PACKAGES},
        **{
            job.algorithm.name: f"{facts.images.get(job.algorithm.name, job.algorithm.version)}, "
            f"key {job.key[:16]}"
            for job in jobs
        },
    }


def revision() -> str:
    """Return the git revision of the checkout with ``+`` for changes, nothing outside of git."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--abbrev=10"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def origin(dataset: Dataset, jobs: Sequence[Job], facts: RunFacts) -> str:
    """Return the digest of all that decides a report; empty where a table of objects is altered."""
    records = {}
    gpus = set()
    for job in jobs:
        for case in dataset.cases:
            folder = job.folder / case.name
            record = read_record(folder)
            if record is None:
                return ""
            tables = {n: sum for n, sum in record.digests.items() if n not in record.outputs}
            if not unaltered(folder, tables):
                return ""
            records[f"{job.algorithm.name} {case.name}"] = file_digest(folder / RECORD)
            gpus.add(record.gpu)
    sources = [path for path in PACKAGE.iterdir() if path.name not in APART]
    reference = [*dataset.reference, *(dataset.reference_labels or {}).values()]
    return value_digest(
        {
            "sources": digest(sources, PACKAGE),
            "provenance": provenance(dataset, jobs, facts, gpus),
            "records": records,
            "reference": foreign_digest(reference, Path("/")),
            "dataset": [dataset.title, dataset.fingerprint, dataset.notes],
            "facts": asdict(facts),
        }
    )
