"""Files that are either complete or absent, strict JSON, TOML, and digests."""

import csv
import ctypes
import errno
import hashlib
import json
import os
import re
import shutil
import stat
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache, lru_cache
from hashlib import sha256
from io import StringIO
from itertools import chain
from math import isfinite
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, dataclass_transform

from cytosuite.errors import CytosuiteError, InputError
from cytosuite.files.working import LEFTOVER, full_disk, is_abandoned, working_name

Scalar = str | int | float  # in a cell of a table, or of metadata
Scalars = dict[str, Scalar]
Json = dict[str, Any]  # an object in JSON or TOML, to be written
Entries = Mapping[str, Any]  # of one, to be read
Paths = Mapping[str, Path]  # by name
PathDict = dict[str, Path]  # the same, to be written
PathLists = dict[str, list[Path]]  # several of them by name
Lists = dict[str, list[str]]  # several words by name
Texts = tuple[str, ...]  # names or lines, in order
TextSeq = Sequence[str]  # the same, in a tuple or a list
TextDict = dict[str, str]  # by name, as all below; dicts are written, maps read
TextMap = Mapping[str, str]
FloatDict = dict[str, float]
FloatMap = Mapping[str, float]
IntDict = dict[str, int]
IntMap = Mapping[str, int]
ScalarMap = Mapping[str, Scalar]
TextPair = tuple[str, str]
IntPair = tuple[int, int]
IntTriple = tuple[int, int, int]
FloatPair = tuple[float, float]
FloatTriple = tuple[float, float, float]
FloatTuple = tuple[float, ...]
Kind = TypeVar("Kind")
DEPTH = 64  # of lists and objects in each other
DOTTED = re.compile(  # a key of TOML: parts, each with its dot
    r"""(?<![^\s[{,])(?:(?:[\w-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+)"""
    rf"{{{DEPTH}}}"
)
# Of digits that every program takes for a number, so no 1_000 and no wide ones.
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
LARGEST = 2**64  # of an integer: beyond, no array and few programs hold it
TEXT_BYTES = 2**26
LONGEST_SUFFIX = 32  # bytes
YOUNG_NS = 2 * 10**9  # the coarsest clock of a file system (FAT)
TRIES = 100  # of a name that other programs take again and again
OCCUPIED = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)  # a folder never replaces these
NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # of linux/fcntl.h and linux/fs.h


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(kind: type[Kind]) -> type[Kind]:
    """Make a class a dataclass with slots and fields that cannot be set again."""
    return dataclass(frozen=True, slots=True)(kind)


@contextmanager
def atomic(path: Path, stays: Callable[[], bool] | None = None) -> Iterator[Path]:
    """Yield a temporary name that becomes `path` at the end of the block, unless it `stays`.

    A folder is exchanged in one step. Nothing is flushed: digests tell of a crash of the machine.
    A new file in a folder that is itself temporary has its own name at once: nobody looks there.
    """
    unseen = stays is None and any(map(LEFTOVER.fullmatch, path.parts[:-1]))
    if unseen and not os.path.lexists(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield path
        except BaseException:
            remove(path)
            raise
        return
    mark = sha256(os.fsencode(path.name)).hexdigest()[:16]  # of names of any length and bytes
    temporary = path.with_name(
        working_name(mark, path.suffix if len(os.fsencode(path.suffix)) <= LONGEST_SUFFIX else "")
    )
    former = path.with_name(working_name(mark, former=True))
    with full_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _tidy(path.parent)
        remove(temporary)  # of an ended process with the same number
        try:
            yield temporary
            if stays is None or not stays():
                _place(temporary, path, former)
        finally:
            if os.path.lexists(former) and not os.path.lexists(path):
                _put(former, path)
            remove(temporary)
            remove(former)


def _place(temporary: Path, path: Path, former: Path) -> None:
    """Rename a file or folder to `path`; replace any file or folder there."""
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
    rename = getattr(_system(), "renameat2", None)  # absent in other systems
    here = (_AT_FDCWD, os.fsencode(one))
    return bool(rename and rename(*here, *(_AT_FDCWD, os.fsencode(other)), _RENAME_EXCHANGE) == 0)


@cache
def _system() -> ctypes.CDLL:
    """Return the functions of the system's library."""
    return ctypes.CDLL(None)


def sweep(folder: Path, depth: int = 2) -> None:
    """Remove the half-written files of ended programs in a folder, see `is_abandoned`."""
    try:
        with os.scandir(folder) as listing:
            entries = list(listing)
    except FileNotFoundError:
        return
    for entry in entries:
        if LEFTOVER.fullmatch(entry.name):
            if is_abandoned(path := Path(entry.path)):
                remove(path)
        elif depth and entry.is_dir(follow_symlinks=False):
            sweep(Path(entry.path), depth - 1)


@contextmanager
def work_folder(parent: Path) -> Iterator[Path]:
    """Make a hidden folder until the end of the block; of a killed program the next removes it."""
    sweep(parent, depth=0)
    folder = parent.resolve() / working_name("work")
    with full_disk(parent):
        folder.mkdir(0o700)
        try:
            yield folder
        finally:
            remove(folder)


@lru_cache(maxsize=1000)
def _tidy(folder: Path) -> None:
    """Sweep a folder once: of 100,000 cases in it, each would list all others."""
    sweep(folder, depth=0)


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading; pipes and devices, which may block for ever, are refused."""
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


def read_head(path: Path, most: int) -> bytes:
    """Return the first bytes of a regular file, with no more memory than it fills."""
    with open_regular(path) as stream:
        return stream.read(min(os.fstat(stream.fileno()).st_size + 1, most))


def read_tail(path: Path, most: int) -> str:
    """Return the last bytes of a regular file as text."""
    with open_regular(path) as stream:
        stream.seek(max(0, os.fstat(stream.fileno()).st_size - most))
        return stream.read(most).decode("utf-8", errors="replace")


def regular(path: Path) -> os.stat_result | None:
    """Return size, times and number of a regular file; None of all else."""
    with suppress(OSError, ValueError):  # ValueError: of a NUL in the name
        if stat.S_ISREG((status := path.stat()).st_mode):
            return status
    return None


def settled(path: Path) -> tuple[int, ...]:
    """Return place, size and times of a regular file: they change with its content.

    Empty where there is none, or where it has changed so lately that it could again without a sign.
    """
    if not (status := regular(path)):
        return ()
    times = status.st_mtime_ns, status.st_ctime_ns
    if time.time_ns() - max(times) < YOUNG_NS:
        return ()
    return status.st_dev, status.st_ino, status.st_size, *times


def read_text(path: Path) -> str:
    """Return the text in a regular UTF-8 file, without the mark of UTF-8 that it may begin with."""
    content = read_head(path, TEXT_BYTES + 1)
    if len(content) > TEXT_BYTES:
        raise InputError(f"{path}: expected a text of at most {TEXT_BYTES // 2**20} MiB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: expected a text in UTF-8, found the byte {content[error.start]:#x} at "
            f"{error.start}; save it as UTF-8"
        ) from None


def delimiter_of(text: str) -> str:
    """Return the sign that the first line has most of: a comma, a semicolon or a tab."""
    head, _, _ = text.partition("\n")
    return max(",;\t", key=head.count)


def read_table(path: Path, delimiter: Callable[[str], str] = lambda _: ",") -> Iterator[list[str]]:
    """Yield the rows of cells in a CSV file; `delimiter` finds it in the text.

    A quote that nobody closes would hide all rows after it: it is refused, as letters behind one.
    """
    text = read_text(path)
    try:
        rows = csv.reader(StringIO(text, newline=""), delimiter=delimiter(text), strict=True)
        yield from rows
    except csv.Error as error:
        raise InputError(
            f"{path}: expected a table, found {error} in line {rows.line_num}; mend its quotes"
        ) from None


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all that is in it, if it exists."""
    while os.path.lexists(path):
        with suppress(FileNotFoundError):  # another program removes it at the same time
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def link(path: Path, target: Path) -> None:
    """Make a relative symbolic link to a file or folder; parents of `path` are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.symlink_to(os.path.relpath(target.resolve(), path.parent.resolve()))
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        raise CytosuiteError(
            f"{path.parent}: expected a file system with symbolic links, found {error.strerror}; "
            "give another folder"
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write a text as UTF-8, atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    """Write `value` as indented UTF-8 JSON, atomically."""
    write_text(path, json_text(value) + "\n")


def json_text(value: object) -> str:
    """Return `value` as JSON that is indented by two."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)


def rounded(value: object, digits: int) -> Any:  # noqa: ANN401 - any JSON
    """Return JSON, also of arrays, with numbers of so many digits, null where not finite."""
    return json.loads(
        json.dumps(value, default=lambda array: array.tolist()),
        parse_float=lambda text: float(f"{float(text):.{digits}g}"),
        parse_constant=lambda _: None,
    )


def read_json(path: Path) -> Any:  # noqa: ANN401 - any JSON
    """Return the value in a JSON file; see `parse_json`."""
    return _load(path, "JSON", parse_json)


def object_in(path: Path) -> Json:
    """Return the object in a JSON file; empty where none can be read."""
    with suppress(InputError):
        if isinstance(value := read_json(path), dict):
            return value
    return {}


def parse_json(text: str) -> Any:  # noqa: ANN401 - any JSON
    """Return the value that a text holds, if every program can hold it (I-JSON, RFC 7493)."""
    depth = 0
    for mark in re.sub(r'"(?:[^"\\]++|\\.)*+"?|[^][{}"]++', "", text):  # in linear time
        depth += 1 if mark in "[{" else -1
        if depth > DEPTH:
            raise ValueError(f"more than {DEPTH} lists and objects in each other")
    value = json.loads(
        text,
        parse_constant=_no_number,
        parse_float=_finite,
        parse_int=_bounded,
        object_pairs_hook=named_once,
    )
    if "\\u" in text:  # the only way to a lone surrogate: decoded UTF-8 has none
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


def _no_number(text: str) -> float:
    raise ValueError(f"{text}, which is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    return number if isfinite(number) else _no_number(text[:40])


def _bounded(text: str) -> int:
    if len(text) > 20 or abs(number := int(text)) >= LARGEST:
        raise ValueError(f"an integer of {len(text)} digits; the largest has 64 bits")
    return number


def named_once(pairs: list[tuple[str, Any]]) -> Json:
    """Return the object of a parser's pairs, or raise `ValueError` for a name that stands twice."""
    entries = dict(pairs)
    if len(entries) < len(pairs):
        [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"the name {twice[:40]!r} twice in one object")
    return entries


def read_toml(path: Path) -> Json:
    """Return the content of a TOML file; see `read_json`."""
    return dict(_load(path, "TOML", _toml))


def _toml(text: str) -> Any:  # noqa: ANN401 - any TOML
    """Return the content of a text, within the limits of `parse_json`."""
    if DOTTED.search(text):  # tomllib goes over all parts for each part
        raise ValueError(f"more than {DEPTH} lists and tables in each other")
    level = [content := tomllib.loads(text)]
    for _ in range(DEPTH):
        if any(isinstance(value, int) and abs(value) >= LARGEST for value in level):
            raise ValueError("an integer of more than 64 bits")
        lists = [
            value.values() if isinstance(value, dict) else value
            for value in level
            if isinstance(value, dict | list)
        ]
        level = [*chain.from_iterable(lists)]
    if level:
        raise ValueError(f"more than {DEPTH} lists and tables in each other")
    return content


def _load(path: Path, form: str, loads: Callable[[str], Any]) -> Any:  # noqa: ANN401 - any JSON
    try:
        return loads(read_text(path))
    except ValueError as error:
        raise InputError(f"{path}: expected {form}, found {error}") from None
    except RecursionError:
        raise InputError(f"{path}: expected {form}, found too many levels") from None


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's content: 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest(
    paths: Iterable[Path], root: Path, digest_of: Callable[[Path], str] = file_digest
) -> str:
    """Return the SHA-256 of the names (relative to `root`) and contents of files, in any order."""
    state = sha256()
    for path in sorted({*chain.from_iterable(map(visible_files, paths))}):
        state.update(os.fsencode(path.relative_to(root)) + b"\0")
        state.update(bytes.fromhex(digest_of(path)))
    return state.hexdigest()


def value_digest(value: object) -> str:
    """Return the SHA-256 of a JSON value, in any order of its keys: 64 hexadecimal digits."""
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def visible_files(path: Path) -> Iterator[Path]:
    """Yield the file at a path, or all files below a folder except caches and hidden ones."""
    if path.is_file():
        yield path
    elif path.is_dir():
        for child in path.iterdir():
            if child.name != "__pycache__" and not child.name.startswith("."):
                yield from visible_files(child)


def need_file(path: Path) -> None:
    """Refuse a place where no file can be written, with an `InputError`."""
    mode = _mode(path)
    if mode is not None and not stat.S_ISREG(mode):
        raise InputError(f"{path}: expected the name of a file to write, found {_kind(mode)}")
    _need_writable(path.absolute().parent)


def need_folder(path: Path, *, new: bool = False) -> None:
    """Refuse a place where no folder can be written; with `new` one that is not empty."""
    mode = _mode(path)
    if mode is not None and not stat.S_ISDIR(mode):
        raise InputError(f"{path}: expected a folder, found {_kind(mode)}; name another one")
    _need_writable(path.absolute())
    if new and mode is not None and any(path.iterdir()):
        raise InputError(f"{path}: the folder is not empty; name a new one")


def _need_writable(folder: Path) -> None:
    """Refuse a folder in which nothing can be made, now or once it is there."""
    place = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    if not place.is_dir():
        raise InputError(f"{place}: expected a folder, found something else; name another place")
    if not os.access(place, os.W_OK | os.X_OK):
        raise InputError(f"{place}: this folder cannot be written; name another place")


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        if path.is_symlink():
            raise InputError(
                f"{path}: a link to nothing; remove it, or name another place"
            ) from None
        return None


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a file" if stat.S_ISREG(mode) else "a device, pipe or socket"
