"""Files that are either complete or absent, JSON, TOML, and digests."""

import hashlib
import json
import os
import shutil
import tomllib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cytosuite.errors import InputError


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary name that becomes `path` when the block ends without an error.

    Parameters
    ----------
    path : Path
        The final name of a file or folder; its parent is made if it is missing.

    Yields
    ------
    Path
        A hidden name in the same folder, with the same suffix. After an error the file or folder
        of this name is removed, and `path` is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    remove(temporary)
    try:
        yield temporary
        if temporary.is_dir() and path.exists():
            remove(path)
        temporary.replace(path)
    finally:
        remove(temporary)


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all that is in it, if it exists."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)


def link(path: Path, target: Path) -> None:
    """Make a relative symbolic link to a file or folder; parents of `path` are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(os.path.relpath(target.resolve(), path.parent.resolve()))


def write_json(path: Path, value: object) -> None:
    """Write `value` as indented UTF-8 JSON, atomically.

    Raises
    ------
    ValueError
        If a number in it is not finite: JSON has none.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    with atomic(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:  # noqa: ANN401 - any JSON
    """Return the value in a JSON file.

    Raises
    ------
    InputError
        If the file is missing or is not JSON.
    """
    return _load(path, "JSON", json.loads)


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file; see `read_json`."""
    return dict(_load(path, "TOML", tomllib.loads))


def _load(path: Path, form: str, loads: Callable[[str], Any]) -> Any:  # noqa: ANN401 - any JSON
    """Return the content of a text file, parsed by `loads`."""
    try:
        return loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except ValueError as error:  # also of the encoding
        raise InputError(f"{path}: expected {form}, found {error}") from None


def digest(paths: Iterable[Path], root: Path) -> str:
    """Return the SHA-256 of the names (relative to `root`) and contents of files.

    Parameters
    ----------
    paths : iterable of Path
        Files, or folders of which all files count; caches and hidden files are passed over. A
        path that does not exist counts as absent, so that its appearance changes the digest.
    root : Path
        The folder that names are relative to.

    Returns
    -------
    str
        64 hexadecimal digits, independent of the order of `paths`.
    """
    state = hashlib.sha256()
    for path in sorted({file for start in paths for file in visible_files(start)}):
        state.update(path.relative_to(root).as_posix().encode() + b"\0")
        with path.open("rb") as stream:
            state.update(hashlib.file_digest(stream, "sha256").digest())
    return state.hexdigest()


def visible_files(path: Path) -> Iterator[Path]:
    """Yield the file at a path, or all files below a folder except caches and hidden ones.

    Parameters
    ----------
    path : Path
        A path that does not exist yields nothing.
    """
    if path.is_file():
        yield path
    elif path.is_dir():
        for child in path.iterdir():
            if child.name != "__pycache__" and not child.name.startswith("."):
                yield from visible_files(child)
