"""Annotated points as people keep them: the platform's JSON, or a table (.csv) of places."""

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cytosuite.contract.points import MOST, Points, read_points
from cytosuite.errors import InputError, at
from cytosuite.files import read_text

SUFFIXES = (".json", ".csv")
PLACES = ("{}_px", "{}", "{}_um", "centroid_{}_um")  # columns of an axis, the first one counts
NAMES = ("name", "id", "label")
CHANCES = ("confidence", "probability")
Rows = Sequence[Mapping[str, str | None]]


def read_annotated(path: Path, spacing: tuple[float, ...]) -> Points:
    """Return the points of a JSON file or a table for an image of a voxel size [µm].

    The columns of a table are ``z, y, x`` (pixels, also ``z_px``) or ``z_um, y_um, x_um``, of
    planes without z; name, cell, photons and confidence as far as there are such columns.
    """
    if path.suffix.lower() != ".csv":
        return read_points(path, spacing)
    with at(path):
        return _points(read_text(path), spacing)


def is_points(path: Path) -> bool:
    """Return whether a file can hold points: JSON, or a table with a column of x."""
    if path.suffix.lower() == ".csv" and path.is_file():
        with path.open(encoding="utf-8-sig", errors="replace") as stream:
            columns = {name.strip().lower() for name in re.split("[,;]", stream.readline(4096))}
        return not columns.isdisjoint(name.format("x") for name in PLACES)
    return path.suffix.lower() == ".json" and path.is_file()


def _points(text: str, spacing: tuple[float, ...]) -> Points:
    """Return the points of a table."""
    head, *lines = text.splitlines() or [""]
    parted = ";" if head.count(";") > head.count(",") else ","
    columns = [name.strip().lower() for name in next(csv.reader([head], delimiter=parted), [])]
    if len(lines) > MOST:
        raise InputError(f"expected at most {MOST} points, found {len(lines)}")
    rows = [*csv.DictReader((line for line in lines if line.strip()), columns, delimiter=parted)]
    places, scales = [], []
    for axis, step in zip("zyx"[3 - len(spacing) :], spacing, strict=True):
        known = [name.format(axis) for name in PLACES if name.format(axis) in columns]
        if not known:
            found = ", ".join(columns[:12])
            wanted = f"expected a column {axis} (pixels) or {axis}_um"
            raise InputError(f"{wanted}, found {found or 'an empty file'}")
        places.append(_numbers(rows, known[0]))
        scales.append(step if known[0].endswith("_um") else 1.0)
    array = np.array(places).T.reshape(-1, len(spacing)) / np.array(scales)
    given: dict[str, Any] = {}
    for key, names, parse in (
        ("cells", ("cell",), _numbers),
        ("photons", ("photons",), _numbers),
        ("confidence", CHANCES, _numbers),
        ("names", NAMES, _texts),
    ):
        column: Callable[[Rows, str], Sequence[Any]] = parse
        for name in [name for name in names if name in columns][:1]:
            given[key] = column(rows, name)
    if not all(cell.is_integer() for cell in given.get("cells", ())):
        raise InputError("expected whole numbers of cells")
    return Points(array, spacing, **given)


def _texts(rows: Rows, name: str) -> list[str]:
    """Return the texts of a column."""
    return [row[name] or str(number) for number, row in enumerate(rows, start=1)]


def _numbers(rows: Rows, name: str) -> list[float]:
    """Return the numbers of a column; an empty cell is NaN of places, photons and confidence."""
    found = []
    for number, row in enumerate(rows, start=2):
        text = row[name] or ("0" if name == "cell" else "nan")
        try:
            found.append(float(text))
        except ValueError:
            line = f"line {number}: expected a number in the column {name}"
            raise InputError(f"{line}, found {text[:40]!r}") from None
    return found
