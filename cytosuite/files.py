"""Files that are either complete or absent, strict JSON, TOML, and digests."""

import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import stat
import tomllib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from math import isfinite
from pathlib import Path
from typing import Any, BinaryIO

from cytosuite.errors import CytosuiteError, InputError

DEPTH = 64  # of lists and objects in each other
LARGEST = 2**64  # of an integer: beyond, no array and few programs hold it
TEXT_BYTES = 2**26
PART, SESSION = ".part", ".session"  # of what is being written, of an engine at work
LEFTOVER = re.compile(rf"\..*\{PART}(\..*)?", re.DOTALL)
LONGEST_SUFFIX = 32  # bytes
SUMS = "SHA256SUMS"
_HOST = f"{sha256(os.uname().nodename.encode()).hexdigest()[:8]}-"  # folders may be shared


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
        of this name is removed, and `path` is as it was. Half-written ones of the same `path`, by
        programs of this machine that were killed, are removed.

    Raises
    ------
    CytosuiteError
        If the disk is full or can only be read.
    """
    mark = sha256(os.fsencode(path.name)).hexdigest()[:16]  # of names of any length and bytes
    suffix = path.suffix if len(os.fsencode(path.suffix)) <= LONGEST_SUFFIX else ""
    temporary = path.with_name(f".{mark}.{_HOST}{os.getpid()}{PART}{suffix}")
    former = path.with_name(f".{mark}.{_HOST}{os.getpid()}.former{PART}")
    with full_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path.parent, f".{mark}.{_HOST}")
        remove(temporary)
        try:
            yield temporary
            if temporary.is_dir() and os.path.lexists(path):  # no single step replaces it
                path.rename(former)
            temporary.replace(path)
        finally:
            if os.path.lexists(former) and not os.path.lexists(path):
                former.rename(path)
            remove(temporary)
            remove(former)


def _remove_abandoned(folder: Path, start: str) -> None:
    """Remove half-written files under names with this start and the id of an ended program."""
    with os.scandir(folder) as found:
        names = [entry.name for entry in found if entry.name.startswith(start)]
    for name in names:
        owner = name.removeprefix(start).partition(".")[0]
        if owner.isdigit() and not _runs(int(owner)):
            remove(folder / name)


def _runs(process: int) -> bool:
    """Return whether a process of this machine runs."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is another user's
        return True
    return True


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


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a folder against other programs that ask for it too; wait until it is free.

    Parameters
    ----------
    folder : Path
        Made if it is missing; that it can be read suffices. It is let go when the program ends,
        however it ends.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def sweep(folder: Path, depth: int = 2) -> None:
    """Remove all that killed programs left half-written in a folder.

    Parameters
    ----------
    folder : Path
        Held by the caller, so that no other program writes there.
    depth : int
        How many folders in each other are looked into; links are not followed.
    """
    with os.scandir(folder) as found:
        entries = list(found)
    for entry in entries:
        if entry.name == SESSION or LEFTOVER.fullmatch(entry.name):
            remove(Path(entry.path))
        elif depth and entry.is_dir(follow_symlinks=False):
            sweep(Path(entry.path), depth - 1)


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
    state = sha256()
    for path in sorted({file for start in paths for file in visible_files(start)}):
        state.update(os.fsencode(path.relative_to(root)) + b"\0")
        state.update(bytes.fromhex(file_digest(path)))
    return state.hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's content: 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def value_digest(value: object) -> str:
    """Return the SHA-256 of a JSON value, whatever the order of its keys: 64 hexadecimal digits."""
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def unaltered(path: Path, expected: str | None) -> bool:
    """Return whether a file is there and has the expected SHA-256."""
    return path.is_file() and file_digest(path) == expected


def seal(folder: Path) -> None:
    """Write the digests of all files below a folder into it, as ``sha256sum`` does.

    Parameters
    ----------
    folder : Path
        Links out of it are followed; links within, caches and hidden files are passed over.
    """
    home = folder.resolve()
    names = sorted(
        path.relative_to(folder).as_posix()
        for path in visible_files(folder)
        if not path.is_symlink() or not path.resolve().is_relative_to(home)
    )
    lines = [f"{file_digest(folder / name)}  {name}\n" for name in names if name != SUMS]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8", errors="surrogateescape")


def is_whole(folder: Path) -> bool:
    """Return whether a folder is sealed, and each file in it that was is there unaltered.

    Parameters
    ----------
    folder : Path
        See `seal`; files that came later do not count.
    """
    try:
        text = (folder / SUMS).read_text(encoding="utf-8", errors="surrogateescape")
    except (OSError, ValueError):
        return False
    lines = [line.partition("  ") for line in text.splitlines()]
    return bool(lines) and all(unaltered(folder / name, sum) for sum, _, name in lines)


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
