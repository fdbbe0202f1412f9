"""Follow the imports of our modules, without importing any."""

import ast
import sys
from collections.abc import Iterable, Iterator
from importlib.util import resolve_name
from pathlib import Path

from cytosuite.benchmark.containers.sources import ROOMS
from cytosuite.errors import InputError


def follow(modules: Iterable[str], package: Path, *, later: bool = False) -> dict[str, str]:
    """Return the packages of others that modules of ours need.

    Parameters
    ----------
    modules : iterable of str
        Like ``cytosuite.algorithms.watershed.predict``; those of ours that they import are
        followed. For annotations alone (``if TYPE_CHECKING``) none is.
    package : Path
        The folder ``cytosuite``, with the rooms in it or beside it.
    later : bool
        Also imports within functions, of what is needed while a program runs; without it, what
        the modules need to be imported.

    Returns
    -------
    dict of str to str
        Top-level names, of Python's own library none, and for each the module of ours that
        imports it, the first by name.

    Raises
    ------
    InputError
        If a module is no Python.
    """
    found: dict[str, str] = {}
    for name, (_, imported) in reached(modules, package, later=later).items():
        for other in {i.split(".")[0] for i in imported} - {"cytosuite", *sys.stdlib_module_names}:
            found[other] = min(name, found.get(other, name))
    return found


def reached(
    modules: Iterable[str], package: Path, *, later: bool = False
) -> dict[str, tuple[Path, set[str]]]:
    """Return the modules of ours that are imported, each with its file and its own imports.

    Parameters
    ----------
    modules, package, later
        As of `follow`. A module needs the packages that it lies in.

    Raises
    ------
    InputError
        If a module is no Python.
    """
    found: dict[str, tuple[Path, set[str]]] = {}
    seen, todo = set[str](), set(modules)
    while todo - seen:
        seen.add(name := min(todo - seen))
        path = _file(name, package)
        if path is None:
            continue
        parent = name if path.stem == "__init__" else name.rpartition(".")[0]
        try:
            body = ast.parse(path.read_bytes(), str(path)).body
        except SyntaxError as error:
            raise InputError(f"{path}: {error}") from None
        names = {i for node in _statements(body, later=later) for i in _names(node, parent)}
        todo |= {i for i in names if i.split(".")[0] == "cytosuite"}
        todo |= {name.rpartition(".")[0]} - {""}
        found[name] = path, names
    return found


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
