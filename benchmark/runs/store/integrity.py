"""Integrity of files: their digests, computed again only when a file was touched."""
# A hidden file keeps the stamp of each file with a known digest. While a stamp is the same, so is
# the content: each change sets its second time, and no program can set that one.

import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from cytosuite.benchmark.catalog.places import CACHE
from cytosuite.errors import InputError
from cytosuite.files import (
    YOUNG_NS,
    TextDict,
    TextMap,
    atomic,
    digest,
    file_digest,
    read_head,
    regular,
    value_digest,
    visible_files,
)

SUMS = "SHA256SUMS"
STAMPS = ".stamps"
FOREIGN = CACHE / "stamps"  # of folders in which nothing is written
SUMS_BYTES = 2**28
LINKED = 16  # times so many folders as files may be walked through
LARGE_BYTES = 2**26  # a folder of less is read in 0.2 s


def digests(folder: Path, names: Iterable[str]) -> TextDict:
    """Return the SHA-256 of files that this program has just written, and keep their stamps."""
    sums = {name: file_digest(folder / name) for name in names}
    _keep(folder, {name: f"{sum} {stamp(folder / name)}" for name, sum in sums.items()})
    return sums


def unaltered(folder: Path, sums: Mapping[str, str | None]) -> bool:
    """Return whether all files are there with their SHA-256; one with a kept stamp is not read."""
    stamps = named_lines(folder / STAMPS)
    now = {name: f"{sum} {stamp(folder / name)}" for name, sum in sums.items()}
    touched = {name: line for name, line in now.items() if stamps.get(name) != line}
    begun = time.time_ns() - YOUNG_NS
    if not all((folder / n).is_file() and file_digest(folder / n) == sums[n] for n in touched):
        return False
    if touched and _is_writable(folder):
        _keep(folder, touched, begun)
    return True


def seal(folder: Path) -> None:
    """Write the digests of all files below a folder into it, as ``sha256sum`` does."""
    home = folder.resolve()
    names = sorted(
        path.relative_to(folder).as_posix()
        for path in visible_files(folder)
        if not path.is_symlink() or not path.resolve().is_relative_to(home)
    )
    hashes = digests(folder, (name for name in names if name != SUMS))
    lines = [f"{sum}  {name}\n" for name, sum in hashes.items()]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8", errors="surrogateescape")


def is_whole(folder: Path) -> bool:
    """Return whether a folder is sealed, and each file in it that was is there unaltered."""
    sums = named_lines(folder / SUMS)
    return bool(sums) and unaltered(folder, sums)


def is_covered(folder: Path, file: str, rooms: Iterable[str]) -> bool:
    """Return whether a sealed folder has the digests of a file, and of all files in folders."""
    sums = named_lines(folder / SUMS)
    home = folder.resolve()
    walks = (place for room in rooms for place in os.walk(folder / room, followlinks=True))
    for number, (place, _, names) in enumerate(walks):
        if number > LINKED * len(sums):  # links to folders in a circle
            return False
        for path in (Path(place, name) for name in names):
            safe = path.resolve().is_relative_to(home) if path.is_symlink() else path.name[0] == "."
            if not safe and str(path.relative_to(folder)) not in sums:
                return False
    return file in sums


def foreign_digest(paths: Iterable[Path], root: Path) -> str:
    """Return `files.digest` of a user's files; stamps of large folders are kept in the cache."""
    place = FOREIGN / value_digest(str(root.resolve()))
    stamps, read, begun = named_lines(place / STAMPS), TextDict(), time.time_ns() - YOUNG_NS

    def look(path: Path) -> str:
        """Return the SHA-256 of a file."""
        name = path.relative_to(root).as_posix()
        now = stamp(path)
        hashed, _, before = stamps.get(name, "").partition(" ")
        if before and before == now:
            return hashed
        hashed = file_digest(path)
        read[name] = f"{hashed} {now}"
        return hashed

    total = digest(paths, root, look)
    size = sum(int(line.split(" ")[1] or 0) for line in read.values())
    if size > LARGE_BYTES and _is_writable(place):
        _keep(place, read, begun)
    return total


def forget(*folders: Path) -> None:
    """Remove the stamps below folders, so that every file there is read at the next look."""
    for path in (path for folder in folders for path in folder.rglob(STAMPS)):
        path.unlink(missing_ok=True)


def _is_writable(folder: Path) -> bool:
    """Return whether files can be written in a folder, which may be missing yet."""
    return os.access(next(place for place in (folder, *folder.parents) if place.exists()), os.W_OK)


def stamp(path: Path) -> str:
    """Return size, times and number of a file as a text; empty where there is none."""
    of = regular(path)
    return f"{of.st_size} {of.st_mtime_ns} {of.st_ctime_ns} {of.st_ino}" if of else ""


def _keep(folder: Path, stamped: TextMap, begun: int | None = None) -> None:
    """Keep digests and stamps of files, but for those that could change without another stamp."""
    # A file must have changed before its digest was begun [ns] or, where nobody else writes it,
    # before the stamps were written: within a tick of the clock it could change again.
    with (
        atomic(folder / STAMPS) as temporary,
        temporary.open("w", encoding="utf-8", errors="surrogateescape") as stream,
    ):
        limit = temporary.stat().st_mtime_ns if begun is None else begun
        lines = {
            **named_lines(folder / STAMPS),
            **{n: line for n, line in stamped.items() if _time(line) < limit},
        }
        stream.writelines(f"{line}  {name}\n" for name, line in lines.items())


def _time(line: str) -> int:
    """Return the time [ns] at which a file with this stamp was last changed."""
    return max((int(word) for word in line.split(" ")[2:4]), default=2**63)


def named_lines(path: Path) -> TextDict:
    """Return digests or stamps by the name of their file; none if the list cannot be read."""
    try:
        content = read_head(path, SUMS_BYTES)
    except InputError:
        return {}
    lines = filter(None, content.decode("utf-8", "surrogateescape").split("\n"))
    return {name: words for words, _, name in (line.partition("  ") for line in lines)}
