"""Copy and remove the output of an untrusted container, by handles, never by a link."""
# The container may change the meaning of a path below the output at any time; only the output
# folder itself, which a container cannot rename, is opened by its path.

import errno
import os
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from cytosuite.benchmark.engines.outcome import Ending, Limits, Outcome
from cytosuite.errors import plain, printable
from cytosuite.files import IntPair
from cytosuite.files.working import abandoned_sessions, working_name
from cytosuite.formats.imagefiles import FOLDER_SUFFIX

ENTRIES = 1000
DEPTH = 16
LIVING = 100  # times so many entries may lie in the output of a case that runs
CHUNK = 2**20
SHARED = 2**26  # bytes of an input that is not copied where that can be helped
LOG_CHARACTERS = 2**20
SPARE = 2**28  # bytes that a running case must leave on a disk
SPARE_SHARE = 16  # or, where that is less, one part in so many of the disk
REMOVE_S = 600.0  # longest time to empty a folder: a program that goes on writing never ends it
SAFE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
OWN = 0o700


class Refused(Exception):  # noqa: N818 - a finding about the output, not a failure of this program
    """Reason in one line why an output is refused."""

    def __init__(self, reason: str) -> None:
        super().__init__(plain(reason))


def collect(outcome: Outcome, source: Path, target: Path, limits: Limits) -> Outcome:
    """Copy the output of a case that ended well, see `take`; return the outcome, perhaps bad."""
    if outcome.status != "ok":
        return outcome
    try:
        files = take(source, target, int(limits.output_gib * 2**30))
    except Refused as finding:
        return replace(outcome, status="bad output", message=str(finding))
    except OSError as error:  # of the copy: a disk without room
        message = f"the output cannot be copied ({error.strerror})"
        return replace(outcome, status="engine error", message=message)
    if files == 0:
        message = "exit code 0, but nothing in /output"
        return replace(outcome, status="missing output", message=message)
    return outcome


def take(source: Path, target: Path, limit_bytes: int) -> int:
    """Copy the files below a folder that a container may still write to; return their number."""
    # Refused: link, device, pipe, socket, second or unprintable name, above a limit (also holes).
    files = 0
    with ExitStack() as stack:
        try:
            handle = stack.enter_context(_folder(source))
        except PermissionError as error:  # it took its own rights, which may not be ours to give
            raise Refused(f"{source.name}: cannot be read ({error.strerror})") from None
        for place in (None, target):  # the sum of all sizes comes before the first byte
            copy = _Copy(limit_bytes)
            copy.folder(handle, place, Path())
            files = copy.files
    return files


def need_plain(folder: Path) -> None:
    """Raise `Refused` unless a folder and all in it are files and folders, not links."""
    try:
        with _folder(folder) as handle:
            _Copy(sys.maxsize, names=sys.maxsize).folder(handle, None, Path())
    except OSError as error:
        raise Refused(f"expected a folder, found another thing ({error.strerror})") from None


def give(source: Path, target: Path) -> None:
    """Copy a case's input for a container, readable by any user; large files by hard links."""
    # Links are the user's own; in an OME-Zarr, perhaps a stranger's, they must stay in its folder.
    for folder, names, files in os.walk(source, followlinks=True):
        here = target / Path(folder).relative_to(source)
        inside = [p for p in (Path(folder), *Path(folder).parents) if p.is_relative_to(source)]
        zarr = next((p.resolve() for p in inside if p.suffix.lower() == FOLDER_SUFFIX), None)
        if zarr is not None:
            for kind in (names, files):
                kind[:] = [n for n in kind if Path(folder, n).resolve().is_relative_to(zarr)]
        for name in names:
            (here / name).mkdir()
            (here / name).chmod(0o755)
        for name in files:
            path = Path(folder) / name
            copy = here / name
            if not _named_again(path, copy, SHARED if zarr is None else 0):
                with path.open("rb") as stream, copy.open("xb") as sink:
                    while chunk := stream.read(CHUNK):
                        sink.write(chunk)
                copy.chmod(0o644)


def _named_again(path: Path, copy: Path, least: int) -> bool:
    """Give a file of at least so many bytes a second name; return whether that was possible."""
    info = path.stat()
    if not stat.S_ISREG(info.st_mode) or info.st_size < least or not info.st_mode & stat.S_IROTH:
        return False
    with suppress(OSError):  # another disk, or one without hard links
        copy.hardlink_to(path.resolve())
        return True
    return False


def empty(folder: Path) -> None:
    """Remove all entries of a folder; those deeper than 16 are moved to the top. Else OSError."""
    with _writable(folder) as top:
        _Remover(top).content(top, 0)
        if left := _names(top, 1):
            raise OSError(plain(f"{folder / left[0]} cannot be removed"))


def clear(folder: Path) -> None:
    """Remove a folder that a container could write to, if it exists; see `empty`."""
    with suppress(FileNotFoundError):  # another program removes it at the same time
        if folder.is_dir() and not folder.is_symlink():
            empty(folder)
            folder.rmdir()


def clear_abandoned(home: Path) -> None:
    """Remove the sessions that engines of ended programs left in a folder, as far as it goes."""
    for folder in abandoned_sessions(home):
        with suppress(OSError):  # the next program tries again
            clear(folder)


def size(folder: Path, enough: int) -> int:
    """Return the disk space [bytes] of a running container's files, counted until `enough`."""
    # Files that it holds open and has removed have no name: only the disk tells of them.
    try:
        with _writable(folder) as handle:
            disk = shutil.disk_usage(handle)
            if disk.free < (spare := min(SPARE, disk.total // SPARE_SHARE)):
                raise Refused(
                    f"{os.strerror(errno.ENOSPC)}: less than {spare} bytes are left on the disk "
                    "of the output"
                )
            return _Count(enough).folder(handle, 0)
    except FileNotFoundError:
        return 0


def overfull(folder: Path, room_gib: float, exceeded: Ending) -> Ending | None:
    """Return the ending of a running case if its folder has no room, or cannot be measured."""
    room = int(room_gib * 2**30)
    try:
        return exceeded if size(folder, room) > room else None
    except Refused as finding:
        return "bad output", str(finding)


def add_log(log: Path, text: str) -> None:
    """Append the last million characters of a container's output to a log, escape codes as text."""
    if len(text) > LOG_CHARACTERS:
        left = -(-(len(text) - LOG_CHARACTERS) // 2**10)
        text = f"[the first {left} KiB are left out]\n{text[-LOG_CHARACTERS:]}"
    with log.open("a", encoding="utf-8") as stream:
        stream.writelines(f"{printable(line)}\n" for line in text.splitlines())


@dataclass
class _Copy:
    """Copy of an output so far, or without a target its count."""

    limit_bytes: int
    names: int = 1  # that a file may have
    entries: int = 0
    bytes: int = 0
    files: int = 0

    def folder(self, handle: int, target: Path | None, name: Path) -> None:
        """Copy or count the entries of an opened folder."""
        if len(name.parts) > DEPTH:
            raise Refused(f"more than {DEPTH} folders in each other")
        for entry in sorted(_names(handle, ENTRIES + 1)):
            self.entries += 1
            if self.entries > ENTRIES:
                raise Refused(f"more than {ENTRIES} files of output")
            where = name / entry
            if not entry.isprintable():
                raise Refused(f"{where}: a name that is no printable UTF-8")
            with _opened(entry, handle, where) as (inner, info):
                place = None if target is None else target / entry
                if stat.S_ISDIR(info.st_mode):
                    if place is not None:
                        place.mkdir()
                    self.folder(inner, place, where)
                else:
                    self.file(info, where)
                    if place is not None:
                        _copy_file(inner, info.st_size, place)

    def file(self, info: os.stat_result, where: Path) -> None:
        """Count an opened file."""
        if info.st_nlink > self.names:
            raise Refused(f"{where}: a file with more than one name")
        self.bytes += info.st_size  # holes count: a reader would fill them
        if self.bytes > self.limit_bytes:
            raise Refused(f"{where}: more than {self.limit_bytes} bytes of output")
        self.files += 1


@dataclass
class _Count:
    """Space of an output so far."""

    enough: int
    bytes: int = 0
    entries: int = 0

    def folder(self, handle: int, depth: int) -> int:
        """Count the entries of an opened folder; return the sum so far."""
        if depth > DEPTH:
            raise Refused(f"more than {DEPTH} folders in each other")
        with os.scandir(handle) as entries:
            for entry in entries:
                self.entries += 1
                if self.entries > LIVING * ENTRIES:
                    raise Refused(f"more than {LIVING * ENTRIES} files of output")
                with suppress(OSError):
                    info = os.stat(entry.name, dir_fd=handle, follow_symlinks=False)
                    self.bytes += info.st_blocks * 512
                    if stat.S_ISDIR(info.st_mode):
                        with _writable(entry.name, handle) as inner:
                            self.folder(inner, depth + 1)
                if self.bytes > self.enough:
                    break
        return self.bytes


@dataclass
class _Remover:
    """Removal of all that is in an opened folder."""

    top: int
    deadline: float = field(default_factory=lambda: time.monotonic() + REMOVE_S)

    def content(self, handle: int, depth: int) -> None:
        """Remove the entries of an opened folder as long as any goes."""
        while time.monotonic() < self.deadline and (names := _names(handle, ENTRIES)):
            if not sum(self.entry(name, handle, depth) for name in names):
                return

    def entry(self, name: str, parent: int, depth: int) -> bool:
        """Remove an entry of an opened folder, or move it to the top; return whether it went."""
        try:
            if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
                os.unlink(name, dir_fd=parent)
                return True
            with _writable(name, parent) as inner:  # also for a move, which changes its `..`
                if depth < DEPTH:
                    self.content(inner, depth + 1)
                    os.rmdir(name, dir_fd=parent)
                else:
                    os.rename(name, working_name("deep"), src_dir_fd=parent, dst_dir_fd=self.top)
        except OSError:  # it is another thing by now, or not ours: the next look shows which
            return False
        return True


@contextmanager
def _folder(name: str | Path, parent: int | None = None) -> Iterator[int]:
    """Open a folder, but not through a link."""
    handle = os.open(name, SAFE | os.O_DIRECTORY, dir_fd=parent)
    try:
        yield handle
    finally:
        os.close(handle)


@contextmanager
def _opened(name: str, parent: int, where: Path) -> Iterator[tuple[int, os.stat_result]]:
    """Open a file or folder of an opened folder, and nothing else."""
    try:
        before = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if not (stat.S_ISREG(before.st_mode) or stat.S_ISDIR(before.st_mode)):
            raise Refused(f"{where}: {_kind(before.st_mode)} where only files and folders may be")
        handle = os.open(name, SAFE, dir_fd=parent)
    except OSError as error:
        raise Refused(f"{where}: cannot be read ({error.strerror})") from None
    try:
        after = os.fstat(handle)
        alike = stat.S_IFMT(after.st_mode) == stat.S_IFMT(before.st_mode)  # numbers are used again
        if not (alike and os.path.samestat(before, after)):
            raise Refused(f"{where}: changed while it was read")
        yield handle, after
    finally:
        os.close(handle)


def _copy_file(handle: int, size: int, target: Path) -> None:
    """Copy so many bytes of an opened file; its holes are passed over."""
    with target.open("xb") as sink:
        start, end = _data(handle, 0, size)
        while start < size:
            os.lseek(handle, start, os.SEEK_SET)
            sink.seek(start)
            while start < end and (chunk := os.read(handle, min(CHUNK, end - start))):
                start += sink.write(chunk)
            start, end = _data(handle, end, size)
        sink.truncate(size)


def _data(handle: int, start: int, size: int) -> IntPair:
    """Return begin and end of the next data in a file, its size where none follow."""
    try:
        begin = os.lseek(handle, start, os.SEEK_DATA)
        return begin, min(os.lseek(handle, begin, os.SEEK_HOLE), size)
    except OSError as error:
        if error.errno not in (errno.ENXIO, errno.EINVAL):
            raise
        return (size if error.errno == errno.ENXIO else start), size  # EINVAL: no holes are known


def _names(handle: int, number: int) -> list[str]:
    """Return the first names in an opened folder."""
    with os.scandir(handle) as entries:
        return [entry.name for entry in islice(entries, number)]


@contextmanager
def _writable(name: str | Path, parent: int | None = None) -> Iterator[int]:
    """Open a folder after this user has got all rights to it, and to nothing else."""
    # A folder without rights can be opened as a mere place; its mode changes through that handle.
    place = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=parent)
    try:
        if os.fstat(place).st_mode & OWN != OWN:
            with suppress(PermissionError):  # of another user, and perhaps readable
                Path(f"/proc/self/fd/{place}").chmod(OWN)
        with _folder(".", place) as handle:
            yield handle
    finally:
        os.close(place)


def _kind(mode: int) -> str:
    """Return the kind of an entry in words."""
    kinds = {stat.S_IFLNK: "a link", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")
