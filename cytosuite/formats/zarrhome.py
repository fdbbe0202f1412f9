"""Entries of an OME-Zarr: files below a folder, or stored in one zip file; nothing beyond them."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from zipfile import ZIP_STORED, ZipFile, ZipInfo, _EndRecData  # type: ignore[attr-defined]

from cytosuite.errors import InputError, plain
from cytosuite.files import TEXT_BYTES, open_regular, parse_json

ENTRIES = 2**21  # of a zip file; chunks of an image
DIRECTORY = 2**29  # bytes of a zip file's directory
ENTRY, MARK64 = b"PK\1\2", b"PK\6\6"  # of an entry, and of the end record of large files
END64 = 76  # bytes of that record and of its locator
PIECE = 2**24  # bytes that are looked at together


class ZarrEntries(Protocol):
    """Entries of an image by their names, which have ``/`` between their parts."""

    def opened(self, name: str) -> tuple[BinaryIO, int] | None:
        """Return an entry's stream and its bytes, None where there is none of this name."""


class FolderEntries:
    """Files below a folder; a link that leads out of it is refused.

    Parameters
    ----------
    folder : Path
        A link to the folder itself is followed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    def opened(self, name: str) -> tuple[BinaryIO, int] | None:
        """Return a file's stream and its bytes, None where there is none."""
        path = self.folder / name
        real = path.resolve()
        if not real.is_relative_to(self.folder):
            raise InputError(f"{plain(name)}: a link that leads out of the image's folder")
        try:
            stream = open_regular(real)
        except InputError as error:
            if real.exists():
                reason = str(error).removeprefix(plain(f"{real}:")).strip()
                raise InputError(f"{plain(name)}: {reason}") from None
            return None
        return stream, os.fstat(stream.fileno()).st_size


class ZipEntries:
    """Entries of a zip file that are stored as they are.

    Parameters
    ----------
    file : ZipFile
        See `zipped`.
    """

    def __init__(self, file: ZipFile) -> None:
        self.file = file

    def opened(self, name: str) -> tuple[BinaryIO, int] | None:
        """Return an entry's stream and its bytes, None where there is none."""
        try:
            info = self.file.getinfo(name)
        except KeyError:
            return None
        if info.compress_type != ZIP_STORED or info.flag_bits & 1:
            raise InputError(
                f"{plain(name)}: expected entries that are stored as they are (RFC-9 of OME-Zarr), "
                "found a packed or encrypted one; pack the folder with zip -0"
            )
        return self.file.open(info), info.file_size  # type: ignore[return-value]


@contextmanager
def entries(path: Path) -> Iterator[ZarrEntries]:
    """Yield the entries of an OME-Zarr.

    Parameters
    ----------
    path : Path
        A folder, or a zip file.

    Raises
    ------
    InputError
        If it is a zip file with a directory that would fill the memory.
    """
    if path.is_dir():
        yield FolderEntries(path)
        return
    with open_regular(path) as stream:
        _check_directory(stream)
        with ZipFile(stream) as file:
            yield ZipEntries(file)


def sizes_of(path: Path) -> Iterator[int]:
    """Yield the bytes of each file of an OME-Zarr."""
    files: Iterable[Path] = [path]
    if path.is_dir():
        files = (Path(here, name) for here, _, names in os.walk(path) for name in names)
    for file in files:
        with suppress(OSError):  # it is of no use to its image
            yield file.stat().st_size


def _check_directory(stream: BinaryIO) -> None:
    """Refuse a zip file with more entries than an image has chunks.

    Each entry costs far more memory than its bytes in the directory. The record at the end is
    found as `ZipFile` finds it, and entries are counted: the number that it gives may be any.
    """
    record = _EndRecData(stream)
    if record:  # else `ZipFile` says that it is none
        mark, *_, count, length, offset, _, _, place = record
        start = place - length - (END64 if mark == MARK64 else 0)
        if length <= DIRECTORY:
            count = _entries_in(stream, start, length)
        if count > ENTRIES or length > DIRECTORY:
            raise InputError(
                f"a zip file of {count} entries with a directory of {length} bytes; at most "
                f"{ENTRIES} entries are read: write larger chunks"
            )
        if start != offset:
            raise InputError(
                f"a zip file with its directory at byte {start}, which says that it is at byte "
                f"{offset}; pack the folder anew with zip -0"
            )
    stream.seek(0)


def _entries_in(stream: BinaryIO, start: int, length: int) -> int:
    """Return how many entries a part of a file can hold as directory of a zip file."""
    stream.seek(max(0, start))
    count, rest, left = 0, b"", length
    while left > 0 and (part := stream.read(min(left, PIECE))):
        left -= len(part)
        count += (rest + part).count(ENTRY)
        rest = part[-(len(ENTRY) - 1) :]
    return count


def json_of(home: ZarrEntries, name: str) -> dict[str, Any] | None:
    """Return the JSON object in an entry, None without the entry.

    Raises
    ------
    InputError
        If it is no JSON object, or more than 64 MiB.
    """
    found = content(home, name, TEXT_BYTES)
    if found is None:
        return None
    try:
        value = parse_json(found.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{plain(name)}: expected JSON, found {error}") from None
    if not isinstance(value, dict):
        raise InputError(f"{plain(name)}: expected a JSON object, found {type(value).__name__}")
    return value


def content(
    home: ZarrEntries, name: str, limit: int, start: int = 0, stop: int | None = None
) -> bytes | None:
    """Return bytes of an entry, None where there is none of this name.

    Parameters
    ----------
    home : ZarrEntries
    name : str
    limit : int
        Largest number of bytes.
    start, stop : int
        First byte, and the one behind the last; a negative start counts from the end.

    Raises
    ------
    InputError
        If more bytes than `limit` are asked for.
    """
    if (found := home.opened(name)) is None:
        return None
    stream, size = found
    with stream:
        first = max(0, size + start) if start < 0 else start
        wanted = (size if stop is None else min(stop, size)) - first
        if wanted > limit:
            raise InputError(f"{plain(name)}: expected at most {limit} bytes, found {wanted}")
        stream.seek(first)
        return stream.read(max(0, wanted))


def written(path: Path, name: str, data: bytes) -> None:
    """Write an entry into a folder."""
    (path / name).parent.mkdir(parents=True, exist_ok=True)
    (path / name).write_bytes(data)


def stored(file: ZipFile, name: str, data: bytes) -> None:
    """Write an entry into a zip file, as it is and without the time: bytes repeat."""
    info = ZipInfo(name)
    info.external_attr = 0o644 << 16
    file.writestr(info, data)
