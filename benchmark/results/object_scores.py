"""Tables of the judged objects of label outputs, as CSV: class, match, score and place of each."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, takewhile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cytosuite.benchmark.csvfile import read_rows, written
from cytosuite.benchmark.results.objects import texts
from cytosuite.metrics.labels.object_errors import ObjectErrors, object_errors
from cytosuite.metrics.labels.object_table import SIZES, object_table
from cytosuite.metrics.labels.overlap import Overlap
from cytosuite.volume import Volume

SCORES_FILE = "object_scores.csv"
COLUMNS = ("side", "label", "class", "matched_label", "iou", "share_covered", "seg")
DEPTH, Z = "depth_um", "centroid_z_um"
PLACE = (Z, "centroid_y_um", "centroid_x_um", *SIZES.values(), "touches_border")


@dataclass(frozen=True, slots=True)
class ObjectPlaces:
    """Place and size of each object of a volume.

    Parameters
    ----------
    columns : tuple of str
        Those of `PLACE` that there are; in 2D there is no z.
    rows : mapping of str to tuple of str
        Values by label.
    """

    columns: tuple[str, ...] = ()
    rows: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def measured_places(labels: Volume) -> ObjectPlaces:
    """Return the places of the objects of a volume (ZYX or YX).

    Raises
    ------
    InputError
        If they cannot be measured, see `cytosuite.metrics.labels.object_table`.
    """
    table = object_table(labels.array, labels.spacing)
    return _places(list(table), texts(table))


def written_places(path: Path) -> ObjectPlaces:
    """Return the places of the objects in a table of `write_objects`."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows = read_rows(stream)
        return _places(next(rows, []), rows)


def _places(head: list[str], rows: Iterable[Iterable[str]]) -> ObjectPlaces:
    """Return the columns of place and size of a table."""
    wanted = {name: head.index(name) for name in PLACE if name in head}
    label = head.index("label")
    own = (list(row) for row in rows)
    return ObjectPlaces(
        tuple(wanted), {row[label]: tuple(row[n] for n in wanted.values()) for row in own}
    )


def write_object_scores(
    path: Path, table: Overlap, truth: ObjectPlaces, prediction: ObjectPlaces
) -> None:
    """Write the class, match and score of each object of a truth and of a prediction.

    Parameters
    ----------
    path : Path
        CSV file, complete or absent. The same labels give the same bytes.
    table : Overlap
        The one that the scores of the case are computed from.
    truth, prediction : ObjectPlaces
        Of the objects in the table; those of an empty answer are none.

    Notes
    -----
    Columns: ``side`` (truth or prediction), ``label``, ``class`` and ``matched_label`` as in
    `cytosuite.metrics.labels.object_errors`, ``iou`` (the highest with any object of the other
    side), ``share_covered`` (the largest share of the object in one of the other side), ``seg``
    (the object's term of SEG: IoU with the match or 0; of the truth alone), place and size as in
    ``objects.csv``, and ``depth_um``, the distance of the centroid from the first plane. The
    three shares are written with all their digits, so that SEG follows from the file.
    """
    found = object_errors(table)
    head = dict.fromkeys([*truth.columns, *prediction.columns])
    depth = [DEPTH] if Z in head else []
    with written(path) as add:
        add([[*COLUMNS, *head, *depth]])
        sides = zip(("truth", "prediction"), found, (truth, prediction), strict=True)
        add(chain.from_iterable(_rows(*side) for side in sides))


def _rows(side: str, judged: ObjectErrors, places: ObjectPlaces) -> Iterator[tuple[str, ...]]:
    """Return the rows of one side, in the order of the labels."""
    columns = (judged.labels, judged.classes, judged.matched, judged.iou, judged.covered)
    z = places.columns.index(Z) if Z in places.columns else None
    seg = judged.seg.tolist() if side == "truth" else [""] * judged.seg.size
    for *values, term in zip(*map(np.ndarray.tolist, columns), seg, strict=True):
        place = places.rows[str(values[0])]
        yield (side, *map(str, values), str(term), *place, *([] if z is None else [place[z]]))


def true_objects(path: Path) -> tuple[NDArray[np.str_], NDArray[np.float64]]:
    """Return the classes (N,), and depths [µm] and sizes [µm³ or µm²] (N, 2), of the true objects.

    Parameters
    ----------
    path : Path
        Table of `write_object_scores`; a depth is NaN in 2D.
    """
    with path.open(encoding="utf-8", newline="") as stream:
        rows = read_rows(stream)
        head = {name: place for place, name in enumerate(next(rows, []))}
        kind, depth = head.get("class", 0), head.get(DEPTH)
        size = next((head[name] for name in SIZES.values() if name in head), None)
        own = [
            (row[kind], *(float("nan" if n is None else row[n]) for n in (depth, size)))
            for row in takewhile(lambda row: row[0] == "truth", rows)
        ]
    values = np.array([row[1:] for row in own], np.float64).reshape(len(own), 2)
    return np.array([row[0] for row in own], np.str_), values
