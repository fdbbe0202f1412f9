"""The terms of a method: the facts of a record, and whether it was trained on this domain."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from cytosuite.benchmark.runs.data.dataset import Dataset
from cytosuite.benchmark.runs.record import Record
from cytosuite.datasets.recipes import dataset_manifests

COLUMNS = ("domain", "trained", "weights", "size", "tool")  # of `Record.facts`
TIMES = ("cpu_seconds", "network_seconds")
SAME, NEAR, OTHER = "this", "same simulator", "other"
UNSAID = "not said"
NONE = "no training"


def with_domain(records: Mapping[Any, Record], dataset: Dataset) -> dict[Any, Record]:
    """Return the records, each with the fact whether its model was trained on its dataset."""
    whole = f"{dataset.name}/{dataset.size}" if dataset.seed is not None else dataset.name
    names = {case.name: case.stated().dataset or whole for case in dataset.cases}
    stated = {}
    for key, record in records.items():
        if record.facts and record.case in names:
            domain = domain_of(record.facts.get("trained", ""), names[record.case])
            record = record.model_copy(update={"facts": {**record.facts, "domain": domain}})
        stated[key] = record
    return stated


def domain_of(trained: str, dataset: str) -> str:
    """Return whether a training on comma-separated datasets was on this one, or why not known.

    >>> domain_of("nuclei-diffusion/culture", "nuclei/culture")
    'this'
    >>> domain_of("spheroid/mini", "spheroid/default"), domain_of("spheroid/mini", "nuclei")
    ('this', 'other')
    >>> domain_of("spheroid/tissue", "spheroid/mini")
    'same simulator'
    """
    if trained in ("", UNSAID, NONE):
        return trained or UNSAID
    target = _plain(dataset)
    sources = [_plain(name) for name in trained.split(", ")]
    if target in sources:
        return SAME
    return (
        NEAR if target.partition("/")[0] in {name.partition("/")[0] for name in sources} else OTHER
    )


@cache  # it reads all manifests, and a run has a few names alone
def _plain(name: str) -> str:
    """Return the dataset, and the recipe if it is one, without its size and its pipeline."""
    whole, _, part = name.partition("/")
    base = whole.partition("-")[0]
    if (manifest := dataset_manifests().get(base)) is None:
        return name
    return base if part in manifest.sizes or not part else f"{base}/{part}"
