"""Tables of the measured objects of label outputs, as CSV: one per case, and all in one."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from cytosuite.benchmark.csvfile import read_rows, written
from cytosuite.metrics.labels.object_table import Columns, object_table
from cytosuite.volume import Volume

Names = TypeVar("Names", bound=tuple[str, ...])
FILE = "objects.csv"
DIGITS = 6  # of a measured number


def write_objects(
    path: Path, labels: Volume, image: Volume | None = None, truth: Volume | None = None
) -> None:
    """Write the table of the objects of one volume.

    Parameters
    ----------
    path : Path
        CSV file, complete or absent. The same labels give the same bytes.
    labels : Volume
        Axes ZYX or YX.
    image, truth : Volume, optional
        Intensities and true labels on the same grid; an image with further axes is left out.

    Raises
    ------
    InputError
        If the labels cannot be measured, see `cytosuite.metrics.labels.object_table`.
    """
    fits = image is not None and image.shape == labels.shape
    table = object_table(
        labels.array,
        labels.spacing,
        image.array if image is not None and fits else None,
        None if truth is None else truth.array,
    )
    with written(path) as add:
        add([[*table]])
        add(texts(table))


def join_tables(path: Path, columns: Sequence[str], files: Mapping[Names, Path]) -> None:
    """Write several tables as one, a file at a time in memory.

    Parameters
    ----------
    path : Path
        CSV file, complete or absent.
    columns : sequence of str
        Names of the first columns.
    files : mapping of tuple of str to Path
        Tables with the values of the first columns. A column that one table lacks is empty there.
    """
    heads: dict[str, None] = {}
    for table in files.values():
        heads |= dict.fromkeys(columns_of(table))
    with written(path) as add:
        add([[*columns, *heads]])
        for values, table in files.items():
            with table.open(encoding="utf-8", newline="") as text:
                rows = read_rows(text)
                own = next(rows, [])
                if own == list(heads):
                    add([*values, *row] for row in rows)
                else:
                    places = [own.index(name) if name in own else -1 for name in heads]
                    add([*values, *("" if n < 0 else row[n] for n in places)] for row in rows)


def columns_of(path: Path) -> list[str]:
    """Return the names of the columns of a table, none of an empty file."""
    with path.open(encoding="utf-8", newline="") as stream:
        return next(read_rows(stream), [])


def texts(table: Columns) -> Iterator[tuple[str, ...]]:
    """Return the rows as text: whole numbers as they are, others with `DIGITS` digits."""
    texts = [
        [str(value) for value in column.tolist()]
        if column.dtype.kind in "iu"
        else [
            np.format_float_positional(value, DIGITS, unique=False, fractional=False, trim="-")
            for value in column
        ]
        for column in table.values()
    ]
    return zip(*texts, strict=True)
