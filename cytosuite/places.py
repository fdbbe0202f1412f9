"""Places for results, looked at before the work."""

import os
import stat
from pathlib import Path

from cytosuite.errors import InputError


def need_file(path: Path) -> None:
    """Refuse a place for a file that is none.

    Parameters
    ----------
    path : Path
        New, or a file to replace; missing folders above it can be made.

    Raises
    ------
    InputError
        If it is a folder, device, pipe or a link to nothing, or its folder cannot be written.
    """
    mode = _mode(path)
    if mode is not None and not stat.S_ISREG(mode):
        raise InputError(f"{path}: expected the name of a file to write, found {_kind(mode)}")
    _need_writable(path.absolute().parent)


def need_folder(path: Path, *, new: bool = False) -> None:
    """Refuse a place for a folder that is none.

    Parameters
    ----------
    path : Path
        A folder, or the name of one; missing folders above it can be made.
    new : bool
        Whether it must be empty.

    Raises
    ------
    InputError
        If it is something else, cannot be written, or holds what would be lost.
    """
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
    """Return the kind of thing at a path, None where there is nothing."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        if path.is_symlink():
            raise InputError(
                f"{path}: a link to nothing; remove it, or name another place"
            ) from None
        return None


def _kind(mode: int) -> str:
    """Return the kind of thing in words."""
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a file" if stat.S_ISREG(mode) else "a device, pipe or socket"
