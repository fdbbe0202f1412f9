"""Catalog of the algorithms, datasets and recipes."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from cytosuite.benchmark.catalog.places import ROOT, pick
from cytosuite.contract.manifest import (
    AlgorithmManifest,
    DatasetManifest,
    read_algorithm,
    read_dataset,
)

ALL = "all"  # in place of names: the optional algorithms too
Manifest = TypeVar("Manifest", AlgorithmManifest, DatasetManifest)


def algorithms(root: Path = ROOT) -> dict[str, AlgorithmManifest]:
    """Return the manifests of all algorithms in the checkout, by name."""
    return _found(root / "algorithms", "algorithm.toml", read_algorithm)


def asked_for(words: Sequence[str], known: Mapping[str, AlgorithmManifest]) -> list[str]:
    """Return the named algorithms; of ``all`` every one, without words those not optional."""
    if list(words) == [ALL]:
        return list(known)
    return pick("algorithm", words, known) if words else [n for n in known if not known[n].optional]


def dataset_manifests(root: Path = ROOT) -> dict[str, DatasetManifest]:
    """Return the manifests of all datasets in the checkout, by name."""
    return _found(root / "datasets", "dataset.toml", read_dataset)


def recipes(root: Path = ROOT) -> dict[str, Path]:
    """Return the recipes that come with the datasets: ``spheroid/<recipe>`` and their files."""
    found = sorted((root / "datasets").glob("*/recipes/*.toml"))
    return {f"{path.parent.parent.name}/{path.stem}": path for path in found}


def _found(folder: Path, file: str, reader: Callable[[Path], Manifest]) -> dict[str, Manifest]:
    """Return the manifests in the folders below one folder."""
    return {path.parent.name: reader(path) for path in sorted(folder.glob(f"*/{file}"))}
