"""The terms of a method: training on this domain, weights, size of objects, time by part."""

from collections.abc import Mapping
from functools import cache
from statistics import median
from typing import Any, NamedTuple

from cytosuite.benchmark.data.dataset import Dataset
from cytosuite.benchmark.runs.record import Record
from cytosuite.datasets.recipes import dataset_manifests

COLUMNS = ("domain", "trained", "weights", "size", "tool")  # of `Record.facts`
TIMES = ("cpu_seconds", "network_seconds")
SAME, NEAR, OTHER = "this", "same simulator", "other"
UNSAID, NONE = "not said", "no training"


class Terms(NamedTuple):
    """One model of one algorithm in a run; times are medians over its cases [s]."""

    algorithm: str
    model: str
    facts: Mapping[str, str]  # by `COLUMNS`; ``tool`` may be missing
    seconds: float
    network: float | None  # None without a network
    rest: float | None
    cpu: float | None
    memory: int | None  # peak of all cases [bytes]


def with_domain(records: Mapping[Any, Record], dataset: Dataset) -> dict[Any, Record]:
    """Return the records, each with the fact whether its model was trained on its dataset."""
    whole = f"{dataset.name}/{dataset.size}" if dataset.seed is not None else dataset.name
    names = {case.name: case.dataset() or whole for case in dataset.cases}
    found = {}
    for key, record in records.items():
        if record.facts and record.case in names:
            domain = domain_of(record.facts.get("trained", ""), names[record.case])
            record = record.model_copy(update={"facts": {**record.facts, "domain": domain}})
        found[key] = record
    return found


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
    own, found = _plain(dataset), [_plain(name) for name in trained.split(", ")]
    if own in found:
        return SAME
    return NEAR if own.partition("/")[0] in {name.partition("/")[0] for name in found} else OTHER


@cache  # it reads all manifests, and a run has a few names alone
def _plain(name: str) -> str:
    """Return the dataset, and the recipe if it is one, without its size and its pipeline."""
    whole, _, part = name.partition("/")
    base = whole.partition("-")[0]
    if (known := dataset_manifests().get(base)) is None:
        return name
    return base if part in known.sizes or not part else f"{base}/{part}"


def terms_of(records: Mapping[Any, Record]) -> list[Terms]:
    """Return the terms of each model of each algorithm, over the cases that ran and state facts."""
    parts: dict[tuple[str, str], list[Record]] = {}
    for record in records.values():
        if record.ok and record.facts:
            parts.setdefault((record.algorithm, record.model), []).append(record)
    found = []
    for (algorithm, model), own in parts.items():
        inside = [one.seconds if one.inside_seconds is None else one.inside_seconds for one in own]
        nets = [one.network_seconds for one in own if one.network_seconds is not None]
        times = [one.cpu_seconds for one in own if one.cpu_seconds is not None]
        peaks = [one.peak_memory for one in own if one.peak_memory is not None]
        network = median(nets) if nets else None
        found.append(
            Terms(
                algorithm,
                model,
                own[0].facts,
                median(inside),
                network,
                None if network is None else max(0.0, median(inside) - network),
                median(times) if times else None,
                max(peaks, default=None),
            )
        )
    return found
