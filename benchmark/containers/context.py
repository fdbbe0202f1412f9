"""Build contexts for Docker: tar streams that depend on names and contents alone."""

import io
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

FOLDER_MODE, FILE_MODE = (
    0o755,
    0o644,
)  # whatever the host's umask: a container reads as another user


def pack(files: Mapping[str, Path | bytes | None]) -> IO[bytes]:
    """Return a build context as an uncompressed tar, to be read from its beginning.

    Parameters
    ----------
    files : mapping of str to Path, bytes or None
        By name in the context: a file or its content; None for an empty folder. Folders on the way
        to a file are added.

    Returns
    -------
    binary file
        A temporary file that is gone once it is closed. Owner, time, mode and order are fixed, so
        that equal contents give equal bytes and the builder finds its layers again.
    """
    stream = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    folders: set[str] = set()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(files):
            parents = [parent.as_posix() for parent in reversed(Path(name).parents)][1:]
            content = files[name]
            for folder in [*parents, name] if content is None else parents:
                if folder not in folders:
                    folders.add(folder)
                    archive.addfile(_entry(folder, FOLDER_MODE, tarfile.DIRTYPE))
            if content is not None:
                _add(archive, name, content)
    stream.seek(0)
    return stream


def tree(folder: Path, prefix: str) -> dict[str, Path | bytes | None]:
    """Return all files below a folder by their names in a context.

    Parameters
    ----------
    folder : Path
        Caches and hidden entries in it are passed over; it need not exist.
    prefix : str
        Name of the folder in the context; it is there even if nothing is in it.

    Returns
    -------
    dict of str to Path or None
        As :func:`pack` takes it.
    """
    found: dict[str, Path | bytes | None] = {prefix: None}
    found |= {f"{prefix}/{path.relative_to(folder).as_posix()}": path for path in _files(folder)}
    return found


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder without caches and hidden ones."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name == "__pycache__" or path.name.startswith("."):
            continue
        if path.is_dir():
            yield from _files(path)
        else:
            yield path


def _add(archive: tarfile.TarFile, name: str, content: Path | bytes) -> None:
    """Add a file."""
    entry = _entry(name, FILE_MODE, tarfile.REGTYPE)
    if isinstance(content, bytes):
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
        return
    with content.open("rb") as source:
        entry.size = content.stat().st_size
        archive.addfile(entry, source)


def _entry(name: str, mode: int, kind: bytes) -> tarfile.TarInfo:
    """Return an entry that says nothing of the host."""
    entry = tarfile.TarInfo(name)
    entry.mode, entry.type, entry.mtime = mode, kind, 0
    entry.uid = entry.gid = 0
    return entry
