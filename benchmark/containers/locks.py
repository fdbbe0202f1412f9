"""The locked packages of the bases: `slim` for algorithms without networks, `cpu` and `cuda`."""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Literal

from cytosuite.benchmark.containers.sources import follow, runtime_files
from cytosuite.files import read_text

Device = Literal["cpu", "cuda"]
Base = Literal["slim", "cpu", "cuda"]
PINNED = re.compile(r"(?m)^([A-Za-z0-9._-]+)==")


def lock(root: Path, base: Base) -> Path:
    """Return the path of the list of locked packages of a base."""
    return root / "docker" / f"requirements-{base}.txt"


def lock_files(path: Path) -> list[Path]:
    """Return a list of packages and those that it includes by ``-r``, the included ones first."""
    included = re.findall(r"(?m)^-r\s+(\S+)", read_text(path))
    return [*(file for name in included for file in lock_files(path.parent / name)), path]


def locked(paths: Iterable[Path]) -> set[str]:
    """Return the packages of lists and their included lists; `docker/packages.py` checks a line."""
    files = (file for path in paths if path.is_file() for file in lock_files(path))
    return {plain(name) for file in files for name in PINNED.findall(read_text(file))}


def needed_base(root: Path, algorithm: str, device: Device) -> tuple[Base, str]:
    """Return the base of an image, ``slim`` where it provides all imports, and the reason."""
    folder = root / "algorithms" / algorithm
    there = locked([lock(root, "slim"), folder / "requirements.txt"])
    for module, importer in sorted(run_time_imports(root, algorithm).items()):
        if not providers(module) & there:
            return device, f"{importer} imports {module}"
    return "slim", "its imports need no more"


def run_time_imports(root: Path, algorithm: str) -> Mapping[str, str]:
    """Return the packages of others that an algorithm's image may import, with our importer."""
    folder = root / "algorithms"
    modules = ["cytosuite.container"]
    for path in runtime_files(root, algorithm):
        if path.is_relative_to(folder) and path.suffix == ".py":
            inner = ".".join(path.relative_to(folder).with_suffix("").parts)
            modules.append(f"cytosuite.algorithms.{inner.removesuffix('.__init__')}")
    core = root / "cytosuite"
    return follow(modules, core if core.is_dir() else root, later=True)


def providers(module: str) -> set[str]:
    """Return the packages that provide a top-level module: itself if none is installed here."""
    return {plain(name) for name in _installed().get(module, [module])}


def plain(name: str) -> str:
    """Return the name of a package in its one spelling (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def _installed() -> Mapping[str, list[str]]:
    """Return the packages that provide each module which is installed."""
    return packages_distributions()
