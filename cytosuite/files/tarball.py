"""Read tar archives of strangers from their first byte to their last, once, in bounded memory."""

import gzip
import hashlib
import io
import lzma
import os
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, cast

from cytosuite.errors import InputError, last_line, plain
from cytosuite.files import atomic, open_regular

Compression = Literal["", "gzip", "xz", "zstd", "bzip2"]
MAGIC: dict[bytes, Compression] = {
    b"\x1f\x8b": "gzip",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
}
CHUNK = 2**18
HEADER_BYTES = 2**20  # of a member with its long names and extended attributes
GLOBAL_HEADERS = 64
DICTIONARY_BYTES = 2**28  # of xz; its largest setting, -9, takes 65 MiB
ENTRIES = 300_000  # some seconds; images with networks and conda have half of it
LEAST_BYTES, RATIO = 2**32, 100  # limit of an expanded file, at least and in parts of its size
BROKEN = (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, OSError, ValueError)


class ArchiveError(InputError):
    """An archive that cannot be taken as one, with the id of the rule it breaks."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


@dataclass
class Budget:
    """Bytes and members that may still be read, of an archive and those inside it together."""

    bytes: int  # expanded
    entries: int = ENTRIES  # members, inner archives included

    @classmethod
    def of(cls, size: int) -> "Budget":
        """Return the budget of a file of this size [bytes]."""
        return cls(max(LEAST_BYTES, RATIO * size))

    def spend(self, size: int) -> None:
        """Count expanded bytes; ArchiveError beyond the budget."""
        self.bytes -= size
        if self.bytes < 0:
            reason = f"expands to more than {LEAST_BYTES // 2**30} GiB and {RATIO} times its size"
            raise ArchiveError("archive.bomb", f"{reason}; no image or model does")

    def count(self) -> None:
        """Count a member; ArchiveError beyond the budget."""
        self.entries -= 1
        if self.entries < 0:
            raise ArchiveError("archive.bomb", f"more than {ENTRIES} files in it")


class Forward(io.RawIOBase):
    """A stream tarfile reads once, at most 1 MiB by `read` between members, contents by `take`."""

    def __init__(
        self, source: BinaryIO, budget: Budget, form: Compression, *, inner: bool = False
    ) -> None:
        self.source, self.form = expanded(source, form), form
        self.budget, self.inner = budget, inner
        self.position = 0
        self.header_bytes = 0
        self.block = b""  # the last header, or the bytes in its place
        self.hash = hashlib.sha256()

    @property
    def ended(self) -> bool:
        """Whether the archive had the closing block of zeros, once its members were read."""
        return len(self.block) == tarfile.BLOCKSIZE

    def take(self, size: int) -> bytes:
        """Return the next bytes, fewer at the end."""
        data = self.source.read(size) if size > 0 else b""
        self.position += len(data)
        if self.form or not self.inner:
            self.budget.spend(len(data))
        if self.inner:
            self.hash.update(data)
        return data

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes of a header."""
        self.header_bytes += size
        if size < 0 or self.header_bytes > HEADER_BYTES:
            raise ArchiveError("archive.bomb", f"a header of more than {HEADER_BYTES} bytes")
        data = self.take(size)
        if size == tarfile.BLOCKSIZE:
            self.block = data
        return data

    def seek(self, position: int, whence: int = 0) -> int:
        """Skip to a later place."""
        if whence or position < self.position:
            raise ArchiveError("archive.damaged", f"byte {self.position}: a header leads back")
        while self.position < position and self.take(min(CHUNK, position - self.position)):
            pass
        return self.position

    def tell(self) -> int:
        """Return the number of bytes read."""
        return self.position


class _Part(io.RawIOBase):
    """The next bytes of a stream as a file, with some that were read already put back."""

    def __init__(self, head: bytes, source: Forward, size: int) -> None:
        self.head, self.source, self.left = head, source, size - len(head)

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, fewer at the end."""
        if self.head:
            data, self.head = self.head[:size], self.head[size:]
            return data
        with legible():
            data = self.source.take(min(size, self.left))
        self.left -= len(data)
        return data


class _Xz(io.RawIOBase):
    """Expanded bytes of xz streams, one after the other, with a bounded dictionary."""

    def __init__(self, source: BinaryIO) -> None:
        self.source, self.rest = source, b""
        self.state = self._fresh()

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer, at least in part; 0 at the end."""
        data = b""
        while not data:
            if self.state.eof:
                self.rest = self.state.unused_data.lstrip(b"\0") or self.source.read(CHUNK)
                if not self.rest:
                    return 0
                self.state = self._fresh()
            elif self.state.needs_input and not self.rest:
                self.rest = self.source.read(CHUNK)
                if not self.rest:
                    raise EOFError("it ends within a compressed block")
            data, self.rest = self.state.decompress(self.rest, len(buffer)), b""
        buffer[: len(data)] = data
        return len(data)

    @staticmethod
    def _fresh() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=DICTIONARY_BYTES)


def compression(head: bytes) -> Compression:
    """Return the compression of data by their first bytes, empty without one that is known."""
    return next((name for mark, name in MAGIC.items() if head.startswith(mark)), "")


def expanded(source: BinaryIO, form: Compression) -> BinaryIO:
    """Return a file of the expanded bytes of another; ArchiveError for another compression."""
    if form == "gzip":
        return cast(BinaryIO, gzip.GzipFile(fileobj=source))
    if form == "xz":
        return cast(BinaryIO, io.BufferedReader(_Xz(source), CHUNK))
    if form:
        raise ArchiveError("archive.compression", f"expected tar, gzip or xz, found {form}")
    return source


def looks_like_tar(head: bytes) -> bool:
    """Return whether 512 bytes are the header of a tar archive, or the end of an empty one."""
    try:
        tarfile.TarInfo.frombuf(head, tarfile.ENCODING, "surrogateescape")
    except tarfile.EOFHeaderError:  # type: ignore[attr-defined] # blocks of zeros
        return True
    except (tarfile.HeaderError, ValueError):
        return False
    return True


def members(stream: Forward) -> Iterator[tarfile.TarInfo]:
    """Yield the members of a tar archive, each to be taken before the next, or ArchiveError."""
    with legible():
        archive = tarfile.TarFile(
            fileobj=cast(BinaryIO, stream), encoding="utf-8", errors="surrogateescape"
        )
    while True:
        with legible():
            member = archive.next()
        archive.members = []  # type: ignore[attr-defined] # it would keep them all
        if member is None:
            break
        stream.budget.count()
        if len(archive.pax_headers) > GLOBAL_HEADERS:
            raise ArchiveError("archive.bomb", f"more than {GLOBAL_HEADERS} global headers")
        yield member
        stream.header_bytes = 0
    if stream.block.strip(b"\0"):  # `tarfile` ends at a header that is none, without an error
        place = f"byte {stream.position - len(stream.block)}"
        if len(stream.block) < tarfile.BLOCKSIZE:
            raise ArchiveError("archive.cut", f"{place}: it ends within a header")
        raise ArchiveError("archive.damaged", f"{place}: expected a header of tar, found none")
    with legible():
        while stream.take(CHUNK):
            pass


@contextmanager
def opened_tar(path: Path, budget: Budget | None = None) -> Iterator[Forward]:
    """Open an archive in a file; ArchiveError where it is compressed by neither gzip nor xz."""
    with open_regular(path) as source:
        form = compression(source.read(8))
        source.seek(0)
        with legible():
            stream = Forward(source, budget or Budget.of(os.fstat(source.fileno()).st_size), form)
        yield stream


@contextmanager
def legible() -> Iterator[None]:
    """Turn the errors of the libraries for cut and altered data into one ArchiveError."""
    try:
        yield
    except ArchiveError:
        raise
    except EOFError as error:
        raise ArchiveError("archive.cut", f"cut: {last_line(error)}") from None
    except tarfile.ReadError as error:
        rule = "archive.cut" if "end of data" in str(error) else "archive.damaged"
        raise ArchiveError(rule, f"cannot be read as tar ({last_line(error)})") from None
    except lzma.LZMAError as error:
        rule = "archive.bomb" if "emory" in str(error) else "archive.damaged"
        raise ArchiveError(rule, f"cannot be expanded ({last_line(error)})") from None
    except BROKEN as error:
        raise ArchiveError("archive.damaged", f"cannot be read ({last_line(error)})") from None
    except RecursionError:
        raise ArchiveError("archive.damaged", "a chain of headers without a member") from None


def unpack(path: Path, folder: Path) -> Path:
    """Unpack a tarball into a new folder that any user can read, whole or not; else InputError."""
    try:
        with atomic(folder) as temporary, opened_tar(path) as stream:
            temporary.mkdir()
            for member in members(stream):
                _unpack_member(member, stream, temporary)
            for place in (temporary, *temporary.rglob("*")):
                place.chmod(0o755 if place.is_dir() else 0o644)
    except ArchiveError as error:
        raise ArchiveError(error.rule, f"{path}: cannot be unpacked: {error}") from None
    return folder


def _unpack_member(member: tarfile.TarInfo, stream: Forward, folder: Path) -> None:
    """Write a file or folder below a folder; a size beyond the budget is refused unread."""
    if member.size > stream.budget.bytes:
        stream.budget.spend(member.size)
    if member.issparse() or not (member.isreg() or member.isdir()):
        reason = f"{plain(member.name, 90)}: expected files and folders, found a link or another"
        raise ArchiveError("tarball.link", f"{reason}; pack with tar --dereference")
    with legible():
        path = folder / tarfile.data_filter(member, os.fspath(folder)).name
        (path if member.isdir() else path.parent).mkdir(parents=True, exist_ok=True)
        if member.isreg():
            with path.open("wb") as file:
                shutil.copyfileobj(_Part(b"", stream, member.size), file, CHUNK)


def inner(stream: Forward, head: bytes, size: int) -> Forward | None:
    """Open a member's content, after its first 512 bytes `head`, as an archive if it is one."""
    form = compression(head)
    part = cast(BinaryIO, _Part(head, stream, size))
    if form in ("zstd", "bzip2") or (not form and not looks_like_tar(head)):
        return None
    return Forward(part, stream.budget, form, inner=True)
