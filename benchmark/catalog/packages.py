"""Packages of others: those that the bases lock, and those that an algorithm imports."""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from cytosuite.benchmark.catalog.catalog import algorithms
from cytosuite.benchmark.catalog.places import PACKAGE, ROOT, program_of
from cytosuite.benchmark.catalog.sources import follow, runtime_files
from cytosuite.errors import CytosuiteError, InputError
from cytosuite.errors.packages import needs
from cytosuite.files import TextMap, read_text

Device = Literal["cpu", "cuda"]
Base = Literal["slim", "cpu", "cuda"]  # slim: of algorithms without networks
PINNED = re.compile(r"(?m)^([A-Za-z0-9._-]+)==")


def lock(root: Path, base: Base) -> Path:
    """Return the path of the list of locked packages of a base."""
    return root / f"docker/requirements-{base}.txt"


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
    there = locked([lock(root, "slim"), root / "algorithms" / algorithm / "requirements.txt"])
    for module, importer in sorted(run_time_imports(root, algorithm).items()):
        if not providers(module) & there:
            return device, f"{importer} imports {module}"
    return "slim", "its imports need no more"


def run_time_imports(root: Path, algorithm: str) -> TextMap:
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


def imported(module: str, package: Path = PACKAGE) -> set[str]:
    """Return the packages of others that a module of ours needs to be imported; see `follow`."""
    return set(follow([module], package))


def need_packages(user: str, part: str = "predict") -> None:
    """Check the packages that a part of an algorithm, or a module, imports; else InputError."""
    module = part if part.startswith("cytosuite.") else f"cytosuite.algorithms.{user}.{part}"
    if missing := sorted(name for name in imported(module) if find_spec(name) is None):
        requirements = ROOT / "algorithms" / user / "requirements.txt"
        if requirements.is_file() and set(missing) - {"torch", "monai"}:
            raise InputError(
                f"{user} needs {', '.join(missing)}, not installed here: run its container "
                f"(ENGINE=docker), or install {requirements} in an environment of its own"
            )
        raise InputError(needs(user, missing))


def uses_gpu(algorithm: str) -> bool:
    """Return whether an algorithm may import torch or asks for a GPU, or is of others."""
    manifest = algorithms().get(program_of(algorithm))
    module = f"cytosuite.algorithms.{program_of(algorithm)}.predict"
    return (
        manifest is None
        or manifest.resources.gpu
        or "torch" in follow([module], PACKAGE, later=True)
    )


def refusal(check: Callable[[str], None], algorithm: str) -> str:
    """Return the error by which a check refuses an algorithm, or an empty text."""
    try:
        check(algorithm)
    except CytosuiteError as error:
        return str(error)
    return ""
