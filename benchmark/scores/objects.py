"""Tables of label objects as CSV: measured ones, judged ones, and all cases in one."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field
from itertools import chain
from pathlib import Path
from typing import TypeVar

import numpy as np

from cytosuite.benchmark.runs.store.csvfile import read_rows, write_rows
from cytosuite.errors import InputError, last_line
from cytosuite.files import TextMap, Texts, TextSeq, frozen
from cytosuite.metrics.labels.object_table import (
    SIZES,
    Columns,
    ObjectErrors,
    object_errors,
    object_table,
)
from cytosuite.metrics.labels.overlap import Overlap
from cytosuite.volume import Volume

Names = TypeVar("Names", bound=Texts)
FILE = "objects.csv"
DIGITS = 6  # of a measured number
AXES = ("z_um", "y_um", "x_um", "_px")  # ends of columns of places
SCORES_FILE = "object_scores.csv"
COLUMNS = ("side", "label", "class", "matched_label", "iou", "share_covered", "seg")
DEPTH, Z = "depth_um", "centroid_z_um"
KIND = "kind"  # class by the annotation: of the object or, of a prediction, of the matched one
PLACE = (Z, "centroid_y_um", "centroid_x_um", *SIZES.values(), "touches_border")


def write_objects(
    path: Path, labels: Volume, image: Volume | None = None, truth: Volume | None = None
) -> None:
    """Write the objects of labels (ZYX or YX) as CSV, measured in the first channel of an image."""
    light = None if image is None else image.channels[0].array
    table = object_table(
        labels.array,
        labels.spacing,
        light if light is not None and light.shape == labels.shape else None,
        None if truth is None else truth.array,
    )
    write_rows(path, [[*table]], texts(table))


@contextmanager
def table_rows(path: Path) -> Iterator[Iterator[list[str]]]:
    """Yield the rows of a table, perhaps a stranger's; InputError if the block cannot read them."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            yield read_rows(stream)
    except (csv.Error, ValueError, LookupError) as error:  # ValueError: also of the encoding
        raise InputError(
            f"{path}: expected a table of {path.stem}, found another ({last_line(error)}); "
            "remove the file"
        ) from None


def join_tables(path: Path, columns: TextSeq, files: Mapping[Names, Path]) -> None:
    """Write several CSV tables as one, after values of first columns; gaps are empty."""
    heads: dict[str, None] = {}
    for table in files.values():
        with table_rows(table) as rows:
            heads |= dict.fromkeys(next(rows, []))
    joined = (_under(heads, values, table) for values, table in files.items())
    write_rows(path, [[*columns, *heads]], chain.from_iterable(joined))


def _under(heads: Iterable[str], values: Names, table: Path) -> Iterator[list[str]]:
    """Yield the rows of a table under some heads, after values of first columns."""
    with table_rows(table) as rows:
        head = next(rows, [])
        places = [head.index(name) if name in head else -1 for name in heads]
        for row in rows:
            yield [*values, *("" if n < 0 else row[n] for n in places)]


def texts(table: Columns) -> Iterator[Texts]:
    """Return the rows as text: whole numbers as they are, others with `DIGITS` digits.

    Places have at least three decimals: a distance of two far from the first voxel stays.
    """
    texts = [
        [str(value) for value in column.tolist()]
        if column.dtype.kind in "iu"
        else [
            np.format_float_positional(
                value,
                max(DIGITS, len(f"{abs(value):.3f}") - 1) if name.endswith(AXES) else DIGITS,
                unique=False,
                fractional=False,
                trim="-",
            )
            for value in column
        ]
        for name, column in table.items()
    ]
    return zip(*texts, strict=True)


@frozen
class ObjectPlaces:
    """Place and size of each object of a volume."""

    columns: Texts = ()  # from `PLACE`; in 2D there is no z
    rows: Mapping[str, Texts] = field(default_factory=dict)  # values by label
    kinds: TextMap = field(default_factory=dict)  # classes by label


def measured_places(labels: Volume) -> ObjectPlaces:
    """Return the places of the objects of a volume (ZYX or YX)."""
    table = object_table(labels.array, labels.spacing)
    return _places(list(table), texts(table))


def written_places(path: Path) -> ObjectPlaces:
    """Return the places of the objects in a table of `write_objects`."""
    with table_rows(path) as rows:
        return _places(next(rows, []), rows)


def _places(head: list[str], rows: Iterable[Iterable[str]]) -> ObjectPlaces:
    """Return the columns of place and size of a table."""
    places = {name: head.index(name) for name in PLACE if name in head}
    label = head.index("label")
    return ObjectPlaces(
        tuple(places),
        {row[label]: tuple(row[n] for n in places.values()) for row in map(list, rows)},
    )


def write_object_scores(
    path: Path, table: Overlap, truth: ObjectPlaces, prediction: ObjectPlaces
) -> None:
    """Write the class, match and score of each object of a truth and of a prediction.

    ``iou`` is the highest with any object of the other side, ``share_covered`` the largest share in
    one, ``seg`` the term of SEG (of the truth), in all digits; ``depth_um`` from the first plane.
    """
    head = dict.fromkeys([*truth.columns, *prediction.columns])
    names = [*COLUMNS, *head, *[DEPTH] * (Z in head), *([KIND] if truth.kinds else [])]
    sides = zip(("truth", "prediction"), object_errors(table), (truth, prediction), strict=True)
    write_rows(path, [names], *(_rows(*side, truth.kinds) for side in sides))


def _rows(side: str, judged: ObjectErrors, places: ObjectPlaces, kinds: TextMap) -> Iterator[Texts]:
    """Return the rows of one side, in the order of the labels."""
    columns = (judged.labels, judged.classes, judged.matched, judged.iou, judged.covered)
    z = places.columns.index(Z) if Z in places.columns else None
    seg = judged.seg.tolist() if side == "truth" else [""] * judged.seg.size
    for *values, term in zip(*map(np.ndarray.tolist, columns), seg, strict=True):
        if (place := places.rows.get(str(values[0]))) is None:
            raise InputError(f"{FILE}: expected a row of object {values[0]}; remove the file")
        more = [] if z is None else [place[z]]
        if kinds:
            more.append(kinds.get(str(values[0 if side == "truth" else 2]), ""))
        yield (side, *map(str, values), str(term), *place, *more)
