"""Annotated points as people keep them: the platform's JSON, or a table (.csv) of places."""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from cytosuite.contract.interface import LARGEST
from cytosuite.contract.points import MOST, Points, read_points
from cytosuite.contract.tasks import POINTS
from cytosuite.errors import InputError, at
from cytosuite.files import NUMBER, Json, Paths, TextMap, delimiter_of, read_table
from cytosuite.folders.entries import key_of, one_per_name
from cytosuite.formats.imagefiles import is_readable
from cytosuite.volume.arrays import Lengths

SUFFIXES = (".json", ".csv")
HEAD = 4096  # characters at the start of a file that show its kind
PLACES = ("{}_px", "{}", "{}_um", "centroid_{}_um")  # columns of an axis, the first one counts
NAMES = ("name", "id", "label")
FRAMES = ("frame", "t")
CHANCES = ("confidence", "probability")
WHOLE = re.compile(r"(\d{1,19})(?:\.0*)?", re.ASCII)  # pandas writes 3.0 where a cell is empty
END = f"-{POINTS.slug}"  # of the names that `apply` writes
Rows = Sequence[TextMap]


def read_annotated(path: Path, spacing: Lengths) -> Points:
    """Return the points of a JSON file or a table for an image of a voxel size [µm].

    The columns of a table are ``z, y, x`` (pixels, also ``z_px``) or ``z_um, y_um, x_um``, of
    planes without z; name, cell, photons and confidence as far as there are such columns.
    """
    if path.suffix.lower() != ".csv":
        return read_points(path, spacing)
    with at(path):
        return _points(read_table(path, delimiter_of), spacing)


def is_points(path: Path) -> bool:
    """Return whether a file can hold points: JSON that has some, or a table with a column of x."""
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        return False
    with path.open(encoding="utf-8-sig", errors="replace") as stream:
        if path.suffix.lower() == ".json":
            return '"points"' in stream.read(HEAD)
        head = stream.readline(HEAD)
    columns = {
        name.strip().lower() for name in next(csv.reader([head], delimiter=delimiter_of(head)), [])
    }
    return not columns.isdisjoint(name.format("x") for name in PLACES)


def tables_of(folder: Path) -> list[Path]:
    """Return the files in a folder that can hold points, of a name without any other tables."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    tables = [path for path in paths if path.suffix.lower() == ".json" or is_points(path)]
    stems = {path.stem for path in tables}
    return [path for path in paths if path.stem not in stems or path in tables]


def point_files(path: Path) -> Paths:
    """Return the files of points of a path or its ``points`` folder by name; none among images."""
    if path.is_dir() and is_readable(path):
        return {}  # an OME-Zarr
    home = path / "points" if (path / "points").is_dir() else path
    files = [home] if home.is_file() else sorted(home.glob("*"))
    applied = [file for file in files if file.stem.endswith(END)]  # among records and tables
    images = home is path and any(map(is_readable, files))
    tables = applied or [file for file in files if not images and is_points(file)]
    return one_per_name(home, ((key_of(file).removesuffix(END), file) for file in tables))


def _points(table: Iterator[list[str]], spacing: Lengths) -> Points:
    """Return the points of a table."""
    columns = [name.strip().lower() for name in next(table, [])]
    if len(named := [*filter(None, columns)]) > len({*named}):
        raise InputError(f"expected columns of different names, found {', '.join(named)}")
    filled = [*islice((row for row in table if any(map(str.strip, row))), MOST + 1)]
    if len(filled) > MOST:
        raise InputError(f"expected at most {MOST} points, found more")
    for number, row in enumerate(filled, 2):
        if any(map(str.strip, row[len(columns) :])):  # R's tables have names before all columns
            raise InputError(
                f"line {number}: expected {len(columns)} cells like the first line, found "
                f"{len(row)}; name every column there"
            )
    rows = [dict(zip(columns, row, strict=False)) for row in filled]
    depth = [name.format("z") for name in PLACES if len(spacing) == 2]
    for name in [name for name in (*FRAMES, *depth) if name in columns]:
        if len(values := {row.get(name, "").strip() for row in rows}) > 1:
            raise InputError(
                f"expected the points of one image, so one value in the column {name}, found "
                f"{len(values)}; give each a table of its own"
            )
    places = []
    scales = []
    for axis, step in zip("zyx"[3 - len(spacing) :], spacing, strict=True):
        fitting = [name.format(axis) for name in PLACES if name.format(axis) in columns]
        if not fitting:
            names = ", ".join(name[:40] for name in columns[:12])
            raise InputError(
                f"expected a column {axis} (pixels) or {axis}_um, found {names or 'an empty file'}"
            )
        places.append(_column(rows, fitting[0], A_NUMBER))
        scales.append(step if fitting[0].endswith("_um") else 1.0)
    array = np.array(places).T.reshape(-1, len(spacing)) / np.array(scales)
    fields: Json = {}
    for key, choices, kind in (
        ("cells", ("cell",), A_WHOLE),
        ("photons", ("photons",), A_NUMBER),
        ("confidence", CHANCES, A_NUMBER),
    ):
        for name in [name for name in choices if name in columns][:1]:
            fields[key] = _column(rows, name, kind)
    for name in [name for name in NAMES if name in columns][:1]:
        fields["names"] = [row.get(name) or str(n) for n, row in enumerate(rows, start=1)]
    return Points(array, spacing, **fields)


def _column(rows: Rows, name: str, kind: "Kind") -> list[Any]:
    """Return the values of a column; InputError with the line of another kind."""
    values, (parse, empty, words) = [], kind
    for number, row in enumerate(rows, start=2):
        text = row.get(name, "").strip() or empty
        if (value := parse(text)) is None:
            raise InputError(
                f"line {number}: expected {words} in the column {name}, found {text[:40]!r}"
            )
        values.append(value)
    return values


def _number(text: str) -> float | None:
    """Return a number, also NaN; None of other texts and of one that is too large."""
    number = float(text) if text.lower() == "nan" or NUMBER.fullmatch(text) else np.inf
    return None if abs(number) > LARGEST else number


def _whole(text: str) -> int | None:
    """Return a whole number; None of other texts."""
    match = WHOLE.fullmatch(text)
    return int(match[1]) if match else None


Kind = tuple[Callable[[str], float | None], str, str]  # parser, an empty cell, words
A_NUMBER: Kind = (_number, "nan", f"a number up to {LARGEST:g}")
A_WHOLE: Kind = (_whole, "0", "a whole number")
