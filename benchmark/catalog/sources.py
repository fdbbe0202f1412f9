"""The files that an algorithm can import at run time, and the packages that modules import."""

import ast
import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.util import resolve_name
from pathlib import Path

from cytosuite.contract.manifest import read_algorithm
from cytosuite.errors import InputError
from cytosuite.files import TextDict, digest, visible_files

ROOMS = {"algorithms", "benchmark", "datasets", "weights"}  # links in a checkout
# Of the library.
NOT_IN_CORE = {"figures", "folders", "metrics", "monai", "napari", "ranking", "training", *ROOMS}
# Of an algorithm's folder.
NOT_AT_RUN_TIME = {"training", "kernels", "Dockerfile"}


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
    body = ast.parse(source).body
    return frozenset(i for node in _statements(body, later=later) for i in _names(node, parent))


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
