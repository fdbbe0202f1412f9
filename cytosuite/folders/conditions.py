"""Conditions of the images in a folder: facts by the user, in ``conditions.csv``."""

import re
from collections import Counter
from collections.abc import Mapping
from math import isfinite
from pathlib import Path

from cytosuite.errors import InputError
from cytosuite.files import NUMBER, Scalar, Scalars, read_table

FILE = "conditions.csv"
NAME = "name"
LONGEST_CELL = 200  # characters of a condition
ID = re.compile(r"[+-]?(0\d.*|\d{13,})", re.ASCII)  # 001, 20231124093010: digits, no quantity


def read_conditions(path: Path, cases: Mapping[Path, str]) -> dict[str, Scalars]:
    """Return conditions by case, from a CSV table with the column ``name`` of case or image.

    `cases` are names by image.
    """
    head, *rows = [*filter(any, read_table(path))] or [[]]
    columns = [cell_of(path, column) for column in head]
    if NAME not in columns:
        raise InputError(
            f"{path}: the first line must have the column {NAME!r}, separated by commas, "
            f"found {','.join(columns)!r}"
        )
    if "" in columns or len(set(columns)) < len(columns):
        raise InputError(f"{path}: columns need different names, found {','.join(columns)!r}")
    aliases = [
        (alias, name)
        for image, name in cases.items()
        for alias in dict.fromkeys((image.name, image.stem, name, name + image.suffix))
    ]
    times = Counter(alias for alias, _ in aliases)  # names of several images mean none
    names = {alias: name for alias, name in aliases if times[alias] == 1}
    cells_by_case = {}
    for row in rows:
        if len(row) > len(columns):
            raise InputError(
                f"{path}: expected {len(columns)} cells as in the head, found {len(row)} in "
                f"{','.join(row)!r}"
            )
        entries = dict(zip(columns, row, strict=False))
        name = entries.pop(NAME, "").strip()
        if name not in names:
            raise InputError(
                f"{path}: no image is named {name!r}; expected for example {next(iter(names), '')}"
            )
        if names[name] in cells_by_case:
            raise InputError(f"{path}: {name!r} has two rows; keep one")
        cells_by_case[names[name]] = {
            column: line for column, cell in entries.items() if (line := cell_of(path, cell))
        }
    words = {
        column
        for row in cells_by_case.values()
        for column, cell in row.items()
        if ID.fullmatch(cell) or not (NUMBER.fullmatch(cell) and isfinite(float(cell)))
    }
    return {
        case: {key: cell if key in words else float(cell) for key, cell in cells.items()}
        for case, cells in cells_by_case.items()
    }


def text_of(value: Scalar) -> str:
    """Return the value of a condition as a user types it; different numbers of 15 digits differ."""
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def cell_of(place: object, text: str) -> str:
    """Return a text as the cell of a table, one line; InputError for a long or unprintable one."""
    line = " ".join(text.split())
    if len(line) > LONGEST_CELL or not line.isprintable():
        raise InputError(
            f"{place}: expected printable cells of at most {LONGEST_CELL} characters, found "
            f"{line[:LONGEST_CELL]!r}"
        )
    return line
