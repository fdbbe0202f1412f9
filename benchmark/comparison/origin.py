"""The origin of scores in ``run.json``: data, models and revision, by digests that can be compared.

They say less than the keys of results, on purpose: a key changes with every edited comment, these
with what decides the scores.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cytosuite.benchmark.catalog import ROOT
from cytosuite.benchmark.cluster.processes import processes
from cytosuite.benchmark.data.dataset import Dataset, prepare
from cytosuite.benchmark.data.recipe import DataRequest, named_datasets, recipe
from cytosuite.benchmark.integrity import SUMS
from cytosuite.files import value_digest
from cytosuite.manifest import ModelCard
from cytosuite.weights import read_cards

SOCKETS = "sockets/"  # files of a case that algorithms and metrics read
SHORT = 16  # digits of a digest: they tell runs apart, they protect nothing
WORDS = ("dataset", "size", "seed", "cases", "settings", "through", "spacing", "min_object_voxels")


def request_facts(request: DataRequest) -> dict[str, Any]:
    """Return the words that make a dataset again; of a folder its name alone, never its path.

    Parameters
    ----------
    request : DataRequest
        As the user gave it.
    """
    found = {key: value for key, value in asdict(request).items() if key in WORDS and value}
    names = named_datasets(request.dataset)
    return found | {"dataset": ",".join(_without_path(name) for name in names)}


def case_digests(dataset: Dataset) -> dict[str, str]:
    """Return a digest of the images and labels of each case, by the sums that seal it.

    The code that made them, the recipe and the versions in ``case.json`` do not count.
    """
    return {case.name: found for case in dataset.cases if (found := _sums(case.folder))}


def model_digest(card: ModelCard) -> str:
    """Return the digest of all in a model that decides its outputs: parameters and weights."""
    return value_digest([card.parameters, card.sha256])[:SHORT]


def models_today(algorithm: str, root: Path = ROOT) -> dict[str, str]:
    """Return the digests of the models of an algorithm in the checkout, by name."""
    cards = read_cards(root / "weights" / algorithm, algorithm)
    return {card.name: model_digest(card) for card in cards}


def simulation_today(words: Mapping[str, Any]) -> str:
    """Return the digest of a simulation: parameters and sources, not the version of numpy.

    Parameters
    ----------
    words : mapping
        Of `request_facts`.

    Returns
    -------
    str
        Empty for given images.

    Raises
    ------
    InputError
        If there is no such simulated dataset.
    """
    made = recipe(DataRequest(**words))
    facts = {key: value for key, value in made.record.items() if key != "numpy"}
    return value_digest([facts, [name for name, _ in made.makers]]) if facts else ""


def cases_today(words: Mapping[str, Any]) -> dict[str, str]:
    """Return the digests of the first and last case of a simulation, made now.

    Parameters
    ----------
    words : mapping
        Of `request_facts`.
    """
    made = recipe(DataRequest(**words))
    ends = dict(made.makers[:1] + made.makers[-1:])
    with TemporaryDirectory() as folder:
        part = replace(made, makers=tuple(ends.items()))
        return case_digests(prepare(part, Path(folder), processes(1), lambda *_: None))


def _without_path(name: str) -> str:
    """Return the name of a folder, and that of anything else as it is."""
    return Path(name).resolve().name if Path(name).is_dir() else name


def _sums(folder: Path) -> str:
    """Return the digest of the sealed images and labels of a case; empty if it is not sealed."""
    path = folder / SUMS
    if not path.is_file():
        return ""
    lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    own = sorted(line for line in lines if line.partition("  ")[2].startswith(SOCKETS))
    return value_digest(own)[:SHORT] if own else ""
