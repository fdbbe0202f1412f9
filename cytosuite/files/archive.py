"""Archives (.zip): written with the same bytes each time, and read from strangers."""

import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from errno import EINVAL
from operator import itemgetter
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from zipfile import ZipFile, ZipInfo, _EndRecData  # type: ignore[attr-defined]

from cytosuite.errors import InputError, last_line
from cytosuite.files import atomic, open_regular

DATE = (1980, 1, 1, 0, 0, 0)  # of all members: the earliest that a zip file can hold
MOST_MEMBERS = 1000
MOST_BYTES = 2**34  # of all members together
DIRECTORY = 2**28  # bytes of a zip file's directory
MOST_GROWTH = 100  # of members against their packed size, beyond `SMALL`; weights shrink to a half
SMALL = 2**20  # bytes
# Errors of the library for altered bytes.
BROKEN = (
    *(ArithmeticError, EOFError, LookupError, OSError, RuntimeError, ValueError),
    *(struct.error, zipfile.BadZipFile, zlib.error),
)


def write_zip(path: Path, contents: Mapping[str, bytes | Path]) -> Path:
    """Write bytes and files into an archive, the same each time, and return its path."""
    with atomic(path) as temporary, ZipFile(temporary, "w") as archive:
        for member, content in sorted(contents.items(), key=itemgetter(0)):
            info = ZipInfo(member, DATE)
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o100644 << 16
            if isinstance(content, bytes):
                archive.writestr(info, content)
                continue
            with content.open("rb") as file, archive.open(info, "w", force_zip64=True) as target:
                shutil.copyfileobj(file, target, 2**20)
    return path


class ZipReader:
    """Files in an archive of a stranger, of bounded number and size, by path; else InputError.

    Links, encrypted files, paths out of the archive, names that stand twice and files that grow too
    much are refused. Of a program's model only the files of some names count.
    """

    def __init__(
        self,
        path: Path,
        stream: BinaryIO,
        most: int = MOST_MEMBERS,
        together: int = MOST_BYTES,
        names: Collection[str] | None = None,
    ) -> None:
        self.path = path
        with self._legible():
            self.archive = zip_of(path, stream)
        infos = [
            info
            for info in self.archive.infolist()
            if names is None or PurePosixPath(info.filename).name in names
        ]
        if len(infos) > most or sum(info.file_size for info in infos) > together:
            raise InputError(f"{path}: expected at most {most} files of {together} bytes together")
        self.members: dict[PurePosixPath, ZipInfo] = {}
        packed = size = 0
        for info in infos:
            name = PurePosixPath(info.filename)
            packed += info.compress_size
            size += info.file_size
            reason = _unsafe(info) or ("a second file" if name in self.members else "")
            if size > SMALL + MOST_GROWTH * packed:
                reason = reason or f"files that grow from {packed} to {size} bytes together"
            if reason:
                raise InputError(
                    f"{path}: expected plain files in an archive, found {reason}: "
                    f"{info.filename[:100]!r}"
                )
            if not info.is_dir():
                self.members[name] = info

    def read(self, name: PurePosixPath) -> bytes:
        """Return the bytes of a file, no more than the archive says."""
        with self._legible():
            return self.archive.read(self.members[name])

    def unpack(self, name: PurePosixPath, target: Path) -> None:
        """Write a file to a new path, no more bytes than the archive says."""
        with (
            target.open("xb") as sink,
            self._legible(),
            self.archive.open(self.members[name]) as source,
        ):
            shutil.copyfileobj(source, sink, 2**20)

    @contextmanager
    def _legible(self) -> Iterator[None]:
        """Turn the library's errors for altered bytes into one line; errors of disks stay."""
        try:
            yield
        except BROKEN as error:
            if isinstance(error, OSError) and error.errno not in (None, EINVAL):  # of a wrong place
                raise
            raise InputError(f"{self.path}: cannot be unpacked ({last_line(error)})") from None


@contextmanager
def opened_zip(
    path: Path,
    most: int = MOST_MEMBERS,
    together: int = MOST_BYTES,
    names: Collection[str] | None = None,
) -> Iterator[ZipReader]:
    """Open an archive of at most so many files and bytes, see `ZipReader`."""
    with open_regular(path) as stream:
        yield ZipReader(path, stream, most, together, names)


def zip_of(path: Path, stream: BinaryIO) -> ZipFile:
    """Open a zip file; refuse a directory that would fill the memory: entries cost ten times it."""
    record = _EndRecData(stream)  # as `ZipFile` finds it
    if record and record[5] > DIRECTORY:
        raise InputError(
            f"{path}: a zip file with a directory of {record[5]} bytes; at most {DIRECTORY} "
            "are read: write larger chunks or fewer files"
        )
    return ZipFile(stream)


def _unsafe(info: ZipInfo) -> str:
    """Return why a member is refused, empty where it is not."""
    name = PurePosixPath(info.filename)
    if not name.parts:
        return "a file without a name"
    if name.is_absolute() or ".." in name.parts or "\\" in info.filename:
        return "a path out of it"
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "a link or device"
    if info.flag_bits & 1:
        return "an encrypted file"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "a file that is neither stored nor deflated"
    return ""
