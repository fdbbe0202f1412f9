"""Archives (.zip): written with the same bytes each time, and read from strangers."""

import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from zipfile import ZipFile, ZipInfo

from cytosuite.errors import InputError, last_line
from cytosuite.files import atomic, open_regular

DATE = (1980, 1, 1, 0, 0, 0)  # of all members: the earliest that a zip file can hold
MOST_MEMBERS = 1000
MOST_GROWTH = 100  # of a member against its packed size, beyond `SMALL`; weights shrink to a half
SMALL = 2**20  # bytes


def write_zip(path: Path, contents: Mapping[str, bytes]) -> Path:
    """Write files into an archive, the same bytes each time, and return its path."""
    with atomic(path) as temporary, ZipFile(temporary, "w") as archive:
        for member in sorted(contents):
            info = ZipInfo(member, DATE)
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o100644 << 16
            archive.writestr(info, contents[member])
    return path


@contextmanager
def opened_zip(path: Path) -> Iterator[tuple[ZipFile, Mapping[PurePosixPath, ZipInfo]]]:
    """Open an archive of a stranger and yield its files by path; InputError, also within.

    Links, encrypted files, paths out of the archive, and files that grow too much are refused.
    """
    try:
        with open_regular(path) as stream, ZipFile(stream) as archive:
            infos = archive.infolist()
            if len(infos) > MOST_MEMBERS:
                raise InputError(f"{path}: expected at most {MOST_MEMBERS} files in it")
            for info in infos:
                if reason := _unsafe(info):
                    found = f"found {reason}: {info.filename[:100]!r}"
                    raise InputError(f"{path}: expected plain files in an archive, {found}")
            yield archive, {PurePosixPath(i.filename): i for i in infos if not i.is_dir()}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeError) as error:
        raise InputError(f"{path}: cannot be unpacked ({last_line(error)})") from None


def _unsafe(info: ZipInfo) -> str:
    """Return why a member is refused, empty where it is not."""
    name = PurePosixPath(info.filename)
    if name.is_absolute() or ".." in name.parts or "\\" in info.filename:
        return "a path out of it"
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "a link or device"
    if info.flag_bits & 1:
        return "an encrypted file"
    if info.file_size > SMALL + MOST_GROWTH * info.compress_size:
        return f"a file that grows from {info.compress_size} to {info.file_size} bytes"
    return ""


def unpack_member(archive: ZipFile, info: ZipInfo, path: Path) -> None:
    """Write a member of an archive to a path; no more bytes than the archive says."""
    with archive.open(info) as source, path.open("xb") as target:
        shutil.copyfileobj(source, target, 2**20)
