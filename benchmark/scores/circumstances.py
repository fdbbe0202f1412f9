"""The circumstances of a run: facts for its reader, digests of all that decides scores and page."""

import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import asdict, field, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from cytosuite import __version__
from cytosuite.benchmark.catalog.places import PACKAGE, ROOT
from cytosuite.benchmark.runs.data.dataset import Dataset, prepare
from cytosuite.benchmark.runs.data.recipe import DataRequest, named_datasets, recipe
from cytosuite.benchmark.runs.plan import Job
from cytosuite.benchmark.runs.record import RECORD, read_record
from cytosuite.benchmark.runs.store.integrity import SUMS, foreign_digest, named_lines, unaltered
from cytosuite.benchmark.runs.store.pool import Processes
from cytosuite.contract.manifest import ModelCard
from cytosuite.contract.weights import read_cards
from cytosuite.files import (
    Entries,
    Json,
    TextDict,
    TextMap,
    Texts,
    digest,
    file_digest,
    frozen,
    value_digest,
)

PACKAGES = ("numpy", "scipy", "scikit-image", "tifffile")
# Parts of the package without a part in scores and report; keys of jobs cover the first two.
APART = {"algorithms", "weights", "monai", "training"}
SOCKETS = "sockets/"  # files of a case that algorithms and metrics read
SHORT = 16  # digits of a digest: they tell runs apart, they protect nothing
WORDS = ("dataset", "size", "seed", "cases", "settings", "through", "spacing", "min_object_voxels")


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


@cache
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


def request_facts(request: DataRequest) -> Json:
    """Return the words that make a dataset again; of a folder its name alone, never its path."""
    facts = {key: value for key, value in asdict(request).items() if key in WORDS and value}
    names = named_datasets(request.dataset)
    # os.path.isdir is False of a name that is too long
    shown = (Path(n).resolve().name if os.path.isdir(n) else n for n in names)  # noqa: PTH112
    return facts | {"dataset": ",".join(shown)}


def case_digests(dataset: Dataset) -> TextDict:
    """Return a digest of the sealed images and labels of each case; their origin does not count."""
    lines = {case.name: named_lines(case.folder / SUMS).items() for case in dataset.cases}
    return {
        case: value_digest(digests)[:SHORT]
        for case, sums in lines.items()
        if (digests := sorted(f"{sum}  {name}" for name, sum in sums if name.startswith(SOCKETS)))
    }


def model_digest(card: ModelCard) -> str:
    """Return the digest of all in a model that decides its outputs: parameters and weights."""
    return value_digest([card.parameters, card.sha256])[:SHORT]


def models_today(algorithm: str) -> TextDict:
    """Return the digests of the models of an algorithm in the checkout, by name."""
    return {
        card.name: model_digest(card)
        for card in read_cards(ROOT / "weights" / algorithm, algorithm)
    }


def simulation_today(words: Entries) -> str:
    """Return the digest of a simulation's parameters and sources; empty for images."""
    simulation = recipe(DataRequest(**words))
    facts = {key: value for key, value in simulation.record.items() if key != "numpy"}
    return value_digest([facts, [name for name, _ in simulation.makers]]) if facts else ""


def cases_today(words: Entries) -> TextDict:
    """Return the digests of the first and last case of a simulation, made now.

    Cases that pass algorithms first have none: `models_today` tells what these are.
    """
    simulation = recipe(DataRequest(**words))
    if simulation.through:
        return {}
    ends = dict(simulation.makers[:1] + simulation.makers[-1:])
    with TemporaryDirectory() as folder:
        part = replace(simulation, makers=tuple(ends.items()))
        return case_digests(prepare(part, Path(folder), Processes(), lambda *_: None))
