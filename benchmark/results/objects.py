"""Tables of the measured objects of label outputs, as CSV: one per case, and all in one."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from cytosuite.files import atomic
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
    with atomic(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(table)
        writer.writerows(_rows(table))


def joined(columns: Sequence[str], files: Mapping[Names, Path]) -> str:
    """Return several tables as one CSV text.

    Parameters
    ----------
    columns : sequence of str
        Names of the first columns.
    files : mapping of tuple of str to Path
        Tables with the values of the first columns. A column that one table lacks is empty there.
    """
    heads: dict[str, None] = {}
    for path in files.values():
        heads |= dict.fromkeys(columns_of(path))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, [*columns, *heads], restval="", lineterminator="\n")
    writer.writeheader()
    for values, path in files.items():
        own = dict(zip(columns, values, strict=True))
        with path.open(encoding="utf-8", newline="") as rows:
            writer.writerows({**own, **row} for row in csv.DictReader(rows))
    return stream.getvalue()


def columns_of(path: Path) -> list[str]:
    """Return the names of the columns of a table, none of an empty file."""
    with path.open(encoding="utf-8", newline="") as stream:
        return next(csv.reader(stream), [])


def _rows(table: Columns) -> Iterator[tuple[str, ...]]:
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
