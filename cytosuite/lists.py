"""Lists of images and what belongs to them, in the CSV files of published training programs."""

import csv
from io import StringIO
from pathlib import Path, PurePosixPath

from cytosuite.errors import InputError, last_line
from cytosuite.files import read_text
from cytosuite.imagefiles import IMAGE_SUFFIXES

SUFFIXES = (*IMAGE_SUFFIXES, ".h5", ".hdf5")

_SHOWN = 100  # letters of a name in a message

Pair = tuple[Path, Path | None]


def list_of(folder: Path) -> Path | None:
    """Return the list of the images to train on in a folder, ``*_train.csv``, if there is one.

    Raises
    ------
    InputError
        If there are several.
    """
    lists = sorted(folder.glob("*_train.csv"))
    if len(lists) > 1:
        names = ", ".join(path.name for path in lists[:3])
        raise InputError(
            f"{folder}: expected one list *_train.csv, found {len(lists)}: {names}; leave one of "
            "them there"
        )
    return lists[0] if lists else None


def first_of(path: Path) -> PurePosixPath | None:
    """Return the first image that a CSV file names; None where it is no list of images."""
    try:
        row = next(filter(None, map(str.strip, read_text(path).splitlines())), "")
    except (InputError, UnicodeDecodeError):
        return None
    name = PurePosixPath(row.partition(";")[0].strip(' "').replace("\\", "/"))
    return name if name.suffix.lower() in SUFFIXES else None


def read_list(path: Path) -> list[Pair]:
    """Return the images of a list with their masks, where there are any, by name.

    Parameters
    ----------
    path : Path
        CSV without header, columns separated by semicolons: image, and mask (or what else belongs
        to it, like the fused image of a view) or nothing. Paths are relative to the folder of the
        list; empty rows are passed over.

    Raises
    ------
    InputError
        If it is no such list, is empty, or an image is named twice, does not exist, or lies in
        another place; the message names the row.

    References
    ----------
    Eschweiler et al., PLoS Comput Biol 20 (2024) e1011890, doi:10.1371/journal.pcbi.1011890, and
    its program, which splits its files into ``_train.csv``, ``_val.csv`` and ``_test.csv``.
    """
    found: dict[Path, Path | None] = {}
    try:
        rows = csv.reader(StringIO(read_text(path)), delimiter=";")
        for row in rows:
            if any(row):
                image, mask = _pair(f"{path}: row {rows.line_num}", path.parent, row)
                if image in found:
                    raise InputError(f"{path}: row {rows.line_num}: {row[0]} stands in it twice")
                found[image] = mask
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected a list of files as CSV, found {error}") from None
    if not found:
        raise InputError(f"{path}: expected rows like images/a.h5;masks/a.h5, found none")
    return sorted(found.items())


def _pair(where: str, root: Path, row: list[str]) -> Pair:
    """Return the files of a row."""
    if len(row) > 2 or not row[0]:
        raise InputError(
            f"{where}: expected image;mask or the image alone, found {len(row)} columns: "
            f"{';'.join(row)}"
        )
    image, *masks = (_file(where, root, name) for name in row if name)
    if image in masks:
        raise InputError(f"{where}: expected a mask in a file of its own, found the image {row[0]}")
    return image, masks[0] if masks else None


def _file(where: str, root: Path, name: str) -> Path:
    """Return a file by its name in a list, which may have been written on Windows."""
    file = root / name.strip().replace("\\", "/")
    name = name[:_SHOWN]
    if file.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"{where}: expected the path of an image ({', '.join(SUFFIXES)}), found {name!r}; a "
            "list has no header, and its columns are separated by semicolons"
        )
    try:
        inside = file.resolve().is_relative_to(root.resolve())
        there = file.is_file()
    except (OSError, RuntimeError, ValueError) as error:  # of names that no file can have
        raise InputError(f"{where}: {name!r} cannot be opened ({last_line(error)})") from None
    if not inside:
        raise InputError(
            f"{where}: expected a path relative to the folder of the list and in it, found {name!r}"
        )
    if not there:
        raise InputError(
            f"{where}: no such file: {name!r}; paths are relative to the folder of the list"
        )
    return file
