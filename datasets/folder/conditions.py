"""Read the table of conditions that a user gives for the images of a folder."""

import csv
import re
from collections.abc import Collection, Mapping
from io import StringIO
from math import isfinite
from pathlib import Path

from cytosuite.errors import InputError
from cytosuite.files import read_text
from cytosuite.volume import Scalar

FILE = "conditions.csv"
NAME = "name"
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
LONGEST = 200  # characters of a cell


def read_conditions(path: Path, cases: Mapping[str, str]) -> dict[str, dict[str, Scalar]]:
    """Return the conditions of each case, by the name of the case.

    Parameters
    ----------
    path : Path
        A table with commas and a head (CSV, UTF-8): the column ``name`` and one per condition,
        whose name may end with its unit (``depth [µm]``). Empty cells are unknown.
    cases : mapping of str to str
        Names of the cases, by the names a user may give: that of the image file, with or without
        its suffix.

    Returns
    -------
    dict of str to dict
        Numbers where a whole column is numbers, words otherwise; a case without a row has none.

    Raises
    ------
    InputError
        If the file is no such table, or a row names no image or one that has a row already.
    """
    try:
        lines = StringIO(read_text(path), newline="")
        head, *rows = [row for row in csv.reader(lines, strict=True) if any(row)] or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: expected a table with commas in UTF-8, found {error}") from None
    columns = [_text(path, column) for column in head]
    _check_head(path, columns)
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        if len(row) > len(columns):
            raise InputError(
                f"{path}: expected {len(columns)} cells as in the head, found {len(row)} in "
                f"{','.join(row)!r}"
            )
        given = dict(zip(columns, row, strict=False))
        name = given.pop(NAME, "").strip()
        if name not in cases:
            example = next(iter(cases), "")
            raise InputError(f"{path}: no image is named {name!r}; expected for example {example}")
        if cases[name] in found:
            raise InputError(f"{path}: {name!r} has two rows; keep one")
        cells = {column: _text(path, cell) for column, cell in given.items()}
        found[cases[name]] = {column: cell for column, cell in cells.items() if cell}
    numbers = {column for column in columns if _all_numbers(found.values(), column)}
    return {
        case: {key: float(cell) if key in numbers else cell for key, cell in cells.items()}
        for case, cells in found.items()
    }


def _check_head(path: Path, columns: list[str]) -> None:
    """Refuse a head without ``name``, or with columns of the same name."""
    if NAME not in columns:
        raise InputError(
            f"{path}: the first line must have the column {NAME!r}, separated by commas, "
            f"found {','.join(columns)!r}"
        )
    for column in columns:
        if not column or columns.count(column) > 1:
            raise InputError(f"{path}: columns need different names, found {','.join(columns)!r}")


def _text(path: Path, cell: str) -> str:
    """Return a cell in one line, refuse one that is not short and printable."""
    line = " ".join(cell.split())
    if len(line) > LONGEST or not line.isprintable():
        raise InputError(
            f"{path}: expected printable cells of at most {LONGEST} characters, found "
            f"{line[:LONGEST]!r}"
        )
    return line


def _all_numbers(rows: Collection[Mapping[str, str]], column: str) -> bool:
    """Return whether a column holds finite numbers only."""
    cells = [row[column] for row in rows if column in row]
    return all(NUMBER.fullmatch(cell) and isfinite(float(cell)) for cell in cells)
