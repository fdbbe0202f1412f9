"""Files that are either complete or absent, strict JSON, TOML, and digests."""

import hashlib
import json
import os
import re
import shutil
import tomllib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import Any

from cytosuite.errors import InputError

DEPTH = 64  # of lists and objects in each other
LARGEST = 2**64  # of an integer: beyond, no array and few programs hold it


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
    """Return the value in a JSON file; see `parse_json`.

    Raises
    ------
    InputError
        If the file is missing or is not JSON.
    """
    return _load(path, "JSON", parse_json)


def parse_json(text: str) -> Any:  # noqa: ANN401 - any JSON
    """Return the value that a text holds, if every program can hold it (I-JSON, RFC 7493).

    Parameters
    ----------
    text : str
        JSON from anywhere: `write_json` can write the value again.

    Raises
    ------
    ValueError
        If it is no JSON, holds NaN, infinity, an integer beyond 64 bits, a lone surrogate or a
        name twice in one object, or has more than 64 lists and objects in each other.
    """
    if "\\u" in text:  # the only way to a lone surrogate: decoded UTF-8 has none
        json.dumps(found := _decode(text), ensure_ascii=False).encode("utf-8")
        return found
    return _decode(text)


def _decode(text: str) -> Any:  # noqa: ANN401 - any JSON
    """Return the value of a JSON text with finite numbers and single names."""
    depth = 0
    for mark in re.sub(r'"(?:[^"\\]++|\\.)*+"|[^][{}"]++|"', "", text):
        depth += 1 if mark in "[{" else -1
        if depth > DEPTH:
            raise ValueError(f"more than {DEPTH} lists and objects in each other")
    return json.loads(
        text,
        parse_constant=_no_number,
        parse_float=_finite,
        parse_int=_bounded,
        object_pairs_hook=_named_once,
    )


def _no_number(text: str) -> float:
    """Refuse NaN and infinities, which are no JSON."""
    raise ValueError(f"{text}, which is no number of JSON")


def _finite(text: str) -> float:
    """Return a number that a float can hold."""
    number = float(text)
    return number if isfinite(number) else _no_number(text[:40])


def _bounded(text: str) -> int:
    """Return an integer of at most 64 bits."""
    if len(text) > 20 or abs(number := int(text)) >= LARGEST:
        raise ValueError(f"an integer of {len(text)} digits; the largest has 64 bits")
    return number


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object in which no name stands twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice[:40]!r} twice in one object")
    return found


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
