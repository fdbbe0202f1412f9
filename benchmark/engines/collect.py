"""Copy the output of an untrusted container without following any of its links."""

import os
import stat
import subprocess
from itertools import islice
from pathlib import Path

ENTRIES, DEPTH = 1000, 16
CHUNK = 2**20


class Refused(Exception):  # noqa: N818 - a finding about the output, not a failure of this program
    """Reason in one line why an output is refused."""


def take(source: Path, target: Path, limit_bytes: int) -> int:
    """Copy the files below a folder that a container may still write to.

    Parameters
    ----------
    source : Path
        The container's output folder.
    target : Path
        An empty folder. Files and folders in it get the plain modes of this process.
    limit_bytes : int
        Limit for the sum of the sizes.

    Returns
    -------
    int
        Number of files.

    Raises
    ------
    Refused
        At the first link, device, pipe, socket or second name of a file, at more than
        `limit_bytes`, 1000 entries or 16 folders in each other.

    Notes
    -----
    Every entry is opened relative to its opened folder and never through a link, so that no
    change during the copy leads out of `source`.
    """
    counts = {"entries": 0, "bytes": 0, "files": 0}
    handle = os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        _take_folder(handle, target, Path(), limit_bytes, counts)
    finally:
        os.close(handle)
    return counts["files"]


def give(source: Path, target: Path) -> None:
    """Copy a case's input for a container, readable by any user.

    Parameters
    ----------
    source : Path
        Folder of the case. Links in it are followed: they are the user's own.
    target : Path
        An empty folder.
    """
    for folder, names, files in os.walk(source, followlinks=True):
        here = target / Path(folder).relative_to(source)
        for name in names:
            (here / name).mkdir()
            (here / name).chmod(0o755)
        for name in files:
            copy = here / name
            with (Path(folder) / name).open("rb") as stream, copy.open("xb") as sink:
                while chunk := stream.read(CHUNK):
                    sink.write(chunk)
            copy.chmod(0o644)


def empty(folder: Path) -> None:
    """Remove all entries of a folder, of any depth and mode; the folder stays.

    Raises
    ------
    OSError
        If an entry cannot be removed.
    """
    entries = [str(entry) for entry in folder.iterdir()]
    for start in range(0, len(entries), 500):
        part = entries[start : start + 500]
        done = subprocess.run(["rm", "-rf", "--", *part], capture_output=True, check=False)
        if done.returncode:  # a folder without write permission
            subprocess.run(["chmod", "-R", "u+rwX", "--", *part], capture_output=True, check=False)
            subprocess.run(["rm", "-rf", "--", *part], capture_output=True, check=False)
    if left := next(folder.iterdir(), None):
        raise OSError(f"{left} cannot be removed")


def size(folder: Path, enough: int) -> int:
    """Return the space that the files below a folder occupy on the disk [bytes].

    Parameters
    ----------
    folder : Path
        Output folder of a running container; entries that vanish during the count are ignored.
    enough : int
        Counting ends once the sum exceeds this, or after 100000 entries.
    """
    total = seen = 0
    pending = [folder]
    while pending and total <= enough and seen < 100 * ENTRIES:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    seen += 1
                    info = entry.stat(follow_symlinks=False)
                    total += info.st_blocks * 512
                    if stat.S_ISDIR(info.st_mode):
                        pending.append(Path(entry.path))
        except OSError:
            continue
    return total


def _take_folder(
    handle: int, target: Path, name: Path, limit_bytes: int, counts: dict[str, int]
) -> None:
    """Copy the entries of an opened folder."""
    if len(name.parts) > DEPTH:
        raise Refused(f"more than {DEPTH} folders in each other")
    with os.scandir(handle) as found:
        entries = sorted(entry.name for entry in islice(found, ENTRIES + 1))
    for entry in entries:
        counts["entries"] += 1
        if counts["entries"] > ENTRIES:
            raise Refused(f"more than {ENTRIES} files of output")
        where = name / entry
        mode = os.stat(entry, dir_fd=handle, follow_symlinks=False).st_mode
        if stat.S_ISDIR(mode):
            inner = _open(entry, handle, where, os.O_DIRECTORY)
            try:
                (target / entry).mkdir()
                _take_folder(inner, target / entry, where, limit_bytes, counts)
            finally:
                os.close(inner)
        elif stat.S_ISREG(mode):
            _take_file(_open(entry, handle, where, 0), target / entry, where, limit_bytes, counts)
        else:
            raise Refused(f"{where}: {_kind(mode)} where only files and folders may be")


def _take_file(
    handle: int, target: Path, where: Path, limit_bytes: int, counts: dict[str, int]
) -> None:
    """Copy an opened file and close it."""
    with os.fdopen(handle, "rb") as stream:
        info = os.fstat(handle)
        if not stat.S_ISREG(info.st_mode):
            raise Refused(f"{where}: {_kind(info.st_mode)} where only files and folders may be")
        if info.st_nlink > 1:
            raise Refused(f"{where}: a file with more than one name")
        if counts["bytes"] + info.st_size > limit_bytes:  # holes count: a reader would fill them
            raise Refused(f"{where}: more than {limit_bytes} bytes of output")
        with target.open("xb") as sink:
            while chunk := stream.read(CHUNK):
                counts["bytes"] += len(chunk)
                if counts["bytes"] > limit_bytes:
                    raise Refused(f"{where}: more than {limit_bytes} bytes of output")
                sink.write(chunk)
    counts["files"] += 1


def _open(entry: str, folder: int, where: Path, flag: int) -> int:
    """Open an entry of an opened folder, but no link and without waiting for a pipe."""
    try:
        return os.open(entry, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | flag, dir_fd=folder)
    except OSError as error:
        raise Refused(f"{where}: cannot be read ({error.strerror})") from None


def _kind(mode: int) -> str:
    """Return the kind of an entry in words."""
    kinds = {stat.S_IFLNK: "a link", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")
