"""The files that an algorithm can import, and packages of others: imported, and locked by bases."""

import ast
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, lru_cache
from importlib.metadata import packages_distributions
from importlib.util import find_spec, resolve_name
from pathlib import Path
from typing import Literal

from cytosuite.benchmark.catalog.models import algorithms
from cytosuite.benchmark.catalog.places import PACKAGE, ROOT, program_of
from cytosuite.contract.manifest import read_algorithm
from cytosuite.errors import CytosuiteError, InputError
from cytosuite.errors.packages import needs
from cytosuite.files import TextDict, TextMap, digest, read_text, visible_files

ROOMS = {"algorithms", "benchmark", "datasets", "weights"}  # links in a checkout
# Of the library.
NOT_IN_CORE = {"figures", "folders", "metrics", "monai", "napari", "ranking", "training", *ROOMS}
# Of an algorithm's folder.
NOT_AT_RUN_TIME = {"training", "kernels", "Dockerfile"}
Device = Literal["cpu", "cuda"]
Base = Literal["slim", "cpu", "cuda"]  # slim: of algorithms without networks
PINNED = re.compile(r"(?m)^([A-Za-z0-9._-]+)==")


def runtime_files(root: Path, algorithm: str) -> list[Path]:
    """Return the files of an image: core, algorithms without training, cards and weights."""
    core = root / "cytosuite"
    home = root / "algorithms"
    manifest = home / algorithm / "algorithm.toml"
    used = read_algorithm(manifest).uses if manifest.is_file() else ()
    return sorted(
        [
            *_below(core if core.is_dir() else root, NOT_IN_CORE),
            home / "__init__.py",
            *(file for name in (algorithm, *used) for file in _below(home / name, NOT_AT_RUN_TIME)),
            *visible_files(root / "weights" / algorithm),
        ]
    )


def runtime_digest(root: Path, algorithm: str) -> str:
    """Return the SHA-256 of names and contents of an algorithm's files, see `runtime_files`."""
    return digest(runtime_files(root, algorithm), root)


def _below(folder: Path, without: set[str]) -> list[Path]:
    """Return the files below a folder but its pages, without entries of these names in it."""
    files = [file for file in visible_files(folder) if file.name not in ("README.md", "trials.md")]
    return [file for file in files if file.relative_to(folder).parts[0] not in without]


# Loads the modules of its folder by name: a format when a file of it is met.
LOADER = "cytosuite.formats.imagefiles"


def follow(modules: Iterable[str], package: Path, *, later: bool = False) -> TextDict:
    """Return the packages of others that our modules import, with the first importer of each."""
    importers: TextDict = {}
    for name, (_, imported) in reached(modules, package, later=later).items():
        for foreign in {i.split(".")[0] for i in imported} - {
            "cytosuite",
            *sys.stdlib_module_names,
        }:
            importers[foreign] = min(name, importers.get(foreign, name))
    return importers


def reached(
    modules: Iterable[str], package: Path, *, later: bool = False
) -> dict[str, tuple[Path, frozenset[str]]]:
    """Return the modules of ours that are imported, each with its file and its own imports."""
    by_name = {}
    seen = set[str]()
    todo = set(modules)
    while todo - seen:
        seen.add(name := min(todo - seen))
        path = _file(name, package)
        if path is None:
            continue
        parent = name if path.stem == "__init__" else name.rpartition(".")[0]
        names = imports_in(path, parent, later=later)
        todo |= {i for i in names if i.split(".")[0] == "cytosuite"}
        todo |= {name.rpartition(".")[0]} - {""}
        if name == LOADER and later:
            todo |= {f"{parent}.{file.stem}" for file in path.parent.glob("[!_]*.py")}
        by_name[name] = path, names
    return by_name


def imports_in(path: Path, parent: str, *, later: bool) -> frozenset[str]:
    """Return the modules and names that a file in a package imports; else InputError."""
    try:
        return _imports(path.read_bytes(), parent, later=later)
    except SyntaxError as error:
        raise InputError(f"{path}: {error}") from None


@lru_cache(maxsize=1000)
def _imports(source: bytes, parent: str, *, later: bool) -> frozenset[str]:
    """Return the imports of a source; cached, as algorithms share most of them."""
    return frozenset(
        i for node in _statements(ast.parse(source).body, later=later) for i in _names(node, parent)
    )


def _statements(body: Iterable[ast.AST], *, later: bool) -> Iterator[ast.AST]:
    """Yield the statements of a module, with `later` those within blocks and functions too."""
    for node in body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _statements(node.orelse, later=later)
            continue
        yield node
        if later:
            yield from _statements(ast.iter_child_nodes(node), later=True)


def _names(statement: ast.AST, parent: str) -> set[str]:
    """Return the names that a statement in a module of a package imports, if any."""
    if isinstance(statement, ast.Import):
        return {alias.name for alias in statement.names}
    if not isinstance(statement, ast.ImportFrom):
        return set()
    start = resolve_name("." * statement.level + (statement.module or ""), parent)
    return {start, *(f"{start}.{alias.name}" for alias in statement.names)}


def _file(module: str, package: Path) -> Path | None:
    """Return the file of one of our modules, None for a name within a module."""
    parts = module.split(".")[1:]
    places = [package, package.parent] if parts and parts[0] in ROOMS else [package]
    paths = [place.joinpath(*parts) for place in places]
    files = [file for p in paths for file in (p.with_suffix(".py"), p / "__init__.py")]
    return next((file for file in files if file.is_file()), None)


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


def need_packages(user: str, part: str = "predict") -> None:
    """Check the packages that a part of an algorithm, or a module, imports; else InputError."""
    module = part if part.startswith("cytosuite.") else f"cytosuite.algorithms.{user}.{part}"
    if missing := sorted(name for name in follow([module], PACKAGE) if find_spec(name) is None):
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
