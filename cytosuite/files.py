"""Files that are either complete or absent, strict JSON, TOML, and digests."""

import ctypes
import errno
import hashlib
import json
import os
import re
import shutil
import stat
import tomllib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from hashlib import sha256
from math import isfinite
from pathlib import Path
from typing import Any, BinaryIO

from cytosuite.errors import CytosuiteError, InputError
from cytosuite.working import LEFTOVER, is_abandoned, working_name

DEPTH = 64  # of lists and objects in each other
LARGEST = 2**64  # of an integer: beyond, no array and few programs hold it
TEXT_BYTES = 2**26
LONGEST_SUFFIX = 32  # bytes
TRIES = 100  # of a name that other programs take again and again
OCCUPIED = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)  # a folder never replaces these
NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # of linux/fcntl.h and linux/fs.h


@contextmanager
def atomic(path: Path, stays: Callable[[], bool] = lambda: False) -> Iterator[Path]:
    """Yield a temporary name that becomes `path` when the block ends without an error.

    Parameters
    ----------
    path : Path
        The final name of a file or folder; its parent is made if it is missing.
    stays : callable, optional
        Asked at the end whether that stays which another program has put there meanwhile.

    Yields
    ------
    Path
        A hidden name in the same folder, with the same suffix. After an error the file or folder
        of this name is removed, and `path` is as it was.

    Raises
    ------
    CytosuiteError
        If the disk is full or can only be read.

    Notes
    -----
    Programs that write the same `path` do not disturb each other: the last one stays. What ended
    programs left in the folder is removed when a process first writes into it, see `is_abandoned`.
    A folder that stands there is exchanged in one step; on network file systems, which cannot do
    this, nothing has the name for an instant.

    Nothing is flushed to the disk: this would cost more than a small case. After a crash of the
    machine, not of the program, the last files may be empty, short or absent. Those of datasets
    and results are known by digests, and are made again.
    """
    mark = sha256(os.fsencode(path.name)).hexdigest()[:16]  # of names of any length and bytes
    suffix = path.suffix if len(os.fsencode(path.suffix)) <= LONGEST_SUFFIX else ""
    temporary = path.with_name(working_name(mark, suffix))
    former = path.with_name(working_name(mark, former=True))
    with full_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _tidy(path.parent)
        remove(temporary)  # of an ended process with the same number
        try:
            yield temporary
            if not stays():
                _place(temporary, path, former)
        finally:
            if os.path.lexists(former) and not os.path.lexists(path):
                _put(former, path)
            remove(temporary)
            remove(former)


def _place(temporary: Path, path: Path, former: Path) -> None:
    """Give a file or folder its name, whatever stands there and whoever else wants it."""
    for _ in range(TRIES):
        if _put(temporary, path) or _exchange(temporary, path):
            return
        remove(former)
        with suppress(FileNotFoundError):  # another program has moved it
            path.rename(former)
    raise InputError(f"{path}: other programs write it all the time; end them")


def _put(source: Path, path: Path) -> bool:
    """Rename a file or folder; return False where a folder would replace another."""
    try:
        source.replace(path)
    except OSError as error:
        if error.errno not in OCCUPIED:
            raise
        return False
    return True


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; return False where system or file system cannot."""
    try:
        rename = ctypes.CDLL(None).renameat2
    except AttributeError:  # of another system
        return False
    names = os.fsencode(one), os.fsencode(other)
    return bool(rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0)


@contextmanager
def full_disk(path: Path) -> Iterator[None]:
    """Turn the errors of a disk without space, which name no file, into one line.

    Parameters
    ----------
    path : Path
        The file or folder that the block writes.

    Raises
    ------
    CytosuiteError
        If the disk is full or can only be read.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise
        reason = f"{path}: cannot be written ({os.strerror(error.errno)})"
        raise CytosuiteError(f"{reason}; make room or give another folder") from error


def sweep(folder: Path, depth: int = 2) -> None:
    """Remove the half-written files of ended programs in a folder, see `is_abandoned`.

    Parameters
    ----------
    folder : Path
        Others may write there at the same time.
    depth : int
        How many folders in each other are looked into; links are not followed.
    """
    try:
        with os.scandir(folder) as found:
            entries = list(found)
    except FileNotFoundError:
        return
    for entry in entries:
        if LEFTOVER.fullmatch(entry.name):
            if is_abandoned(path := Path(entry.path)):
                remove(path)
        elif depth and entry.is_dir(follow_symlinks=False):
            sweep(Path(entry.path), depth - 1)


@lru_cache(maxsize=1000)
def _tidy(folder: Path) -> None:
    """Sweep a folder once: of 100,000 cases in it, each would list all others."""
    sweep(folder, depth=0)


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading; pipes and devices, which may block for ever, are refused.

    Raises
    ------
    InputError
        If it is no regular file, is missing, or may not be read.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:  # ValueError: of a NUL in the name
        reason = getattr(error, "strerror", error)
        raise InputError(f"{path}: cannot be opened ({reason})") from None
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return os.fdopen(handle, "rb")
    os.close(handle)
    raise InputError(f"{path}: expected a file, found a folder, a pipe or a device")


def read_text(path: Path) -> str:
    """Return the text in a regular UTF-8 file, without the mark of UTF-8 that it may begin with.

    Raises
    ------
    InputError
        If it is no regular file, is missing, may not be read, or has more than 64 MiB.
    UnicodeDecodeError
        If it is not UTF-8.
    """
    with open_regular(path) as stream:
        content = stream.read(TEXT_BYTES + 1)
    if len(content) > TEXT_BYTES:
        raise InputError(f"{path}: expected a text of at most {TEXT_BYTES // 2**20} MiB")
    return content.decode("utf-8-sig")


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all that is in it, if it exists.

    Another program may remove it at the same time.
    """
    while os.path.lexists(path):
        with suppress(FileNotFoundError):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def link(path: Path, target: Path) -> None:
    """Make a relative symbolic link to a file or folder; parents of `path` are made.

    Raises
    ------
    CytosuiteError
        If the file system has no symbolic links: copies would need the disk twice.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.symlink_to(os.path.relpath(target.resolve(), path.parent.resolve()))
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        reason = f"{path.parent}: expected a file system with symbolic links"
        raise CytosuiteError(f"{reason}, found {error.strerror}; give another folder") from error


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
        object_pairs_hook=named_once,
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


def named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of a parser's pairs, or raise `ValueError` for a name that stands twice."""
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
        return loads(read_text(path))
    except ValueError as error:  # also of the encoding
        raise InputError(f"{path}: expected {form}, found {error}") from None
    except RecursionError:
        raise InputError(f"{path}: expected {form}, found too many levels") from None


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's content: 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest(paths: Iterable[Path], root: Path, each: Callable[[Path], str] = file_digest) -> str:
    """Return the SHA-256 of the names (relative to `root`) and contents of files.

    Parameters
    ----------
    paths : iterable of Path
        Files, or folders of which all files count; caches and hidden files are passed over. A
        path that does not exist counts as absent, so that its appearance changes the digest.
    root : Path
        The folder that names are relative to.
    each : callable, optional
        Returns the SHA-256 of a file.

    Returns
    -------
    str
        64 hexadecimal digits, independent of the order of `paths`.
    """
    state = sha256()
    for path in sorted({file for start in paths for file in visible_files(start)}):
        state.update(os.fsencode(path.relative_to(root)) + b"\0")
        state.update(bytes.fromhex(each(path)))
    return state.hexdigest()


def value_digest(value: object) -> str:
    """Return the SHA-256 of a JSON value, whatever the order of its keys: 64 hexadecimal digits."""
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


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
