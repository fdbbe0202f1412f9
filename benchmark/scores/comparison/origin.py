"""The origin of scores in ``run.json``: digests that change when the scores may, and only then."""

import os
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from cytosuite.benchmark.catalog.places import ROOT
from cytosuite.benchmark.runs.data.dataset import Dataset, prepare
from cytosuite.benchmark.runs.data.recipe import DataRequest, named_datasets, recipe
from cytosuite.benchmark.runs.store.integrity import SUMS, named_lines
from cytosuite.benchmark.runs.store.pool import Processes
from cytosuite.contract.manifest import ModelCard
from cytosuite.contract.weights import read_cards
from cytosuite.files import Entries, Json, TextDict, value_digest

SOCKETS = "sockets/"  # files of a case that algorithms and metrics read
SHORT = 16  # digits of a digest: they tell runs apart, they protect nothing
WORDS = ("dataset", "size", "seed", "cases", "settings", "through", "spacing", "min_object_voxels")


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
