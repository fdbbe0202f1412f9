"""Catalog of the algorithms."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from cytosuite.benchmark.catalog.places import ROOT
from cytosuite.contract.manifest import AlgorithmManifest, read_algorithm
from cytosuite.errors import pick

ALL = "all"  # in place of names: the optional algorithms too


def algorithms(root: Path = ROOT) -> dict[str, AlgorithmManifest]:
    """Return the manifests of all algorithms in the checkout, by name."""
    paths = sorted((root / "algorithms").glob("*/algorithm.toml"))
    return {path.parent.name: read_algorithm(path) for path in paths}


def asked_for(words: Sequence[str], manifests: Mapping[str, AlgorithmManifest]) -> list[str]:
    """Return the named algorithms; of ``all`` every one, without words those not optional."""
    if list(words) == [ALL]:
        return list(manifests)
    return (
        pick("algorithm", words, manifests)
        if words
        else [n for n in manifests if not manifests[n].optional]
    )
