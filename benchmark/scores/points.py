"""Tables of points as CSV: detected ones, and judged ones of both sides; see `objects`."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from cytosuite.benchmark.runs.store.csvfile import write_rows
from cytosuite.benchmark.scores.objects import DEPTH, texts
from cytosuite.contract.points import Points
from cytosuite.metrics.labels.object_table import FALSE, MATCHED, MISSED
from cytosuite.metrics.points.cells import cell_at
from cytosuite.metrics.points.matching import MatchedPoints
from cytosuite.volume.arrays import Array, Doubles, Longs

COLUMNS = ("side", "label", "class", "matched_label", "distance_um")
Labels = Array | None  # (Z, Y, X) or (Y, X), of the cells


def write_points(path: Path, points: Points, labels: Labels = None) -> None:
    """Write detected points as CSV, complete or absent: places, and other columns where known."""
    columns = {"label": np.arange(1, len(points) + 1), **_places(points, labels)}
    axes = "zyx"[3 - len(points.spacing) :]
    columns |= {f"{axis}_px": points.array[:, n] for n, axis in enumerate(axes)}
    for name in ("confidence", "photons"):
        column = getattr(points, name)
        if np.isfinite(column).any():
            columns[name] = column
    rows = zip(texts(columns), points.names, strict=True)
    write_rows(path, [[*columns, "name"]], ([*row, name] for row, name in rows))


def write_point_scores(
    path: Path, matched: MatchedPoints, truth: Points, prediction: Points, labels: Labels = None
) -> None:
    """Write class, partner and distance of each point of a truth and of a prediction."""
    pairs = matched.truth_index, matched.prediction_index
    sides = (("truth", truth, *pairs, MISSED), ("prediction", prediction, *pairs[::-1], FALSE))
    parts = (_rows(*side, matched.distances, labels) for side in sides)
    write_rows(
        path,
        [[*COLUMNS, *_places(truth, labels), *([DEPTH] if len(truth.spacing) == 3 else [])]],
        *parts,
    )


def write_cell_counts(path: Path, images: Mapping[str, tuple[Points, Array]]) -> None:
    """Write voxels and number of points of each cell of images with labels of their cells."""
    rows: list[Sequence[str]] = [("image", "cell", "voxels", "points")]
    for name, (points, labels) in images.items():
        cells, voxels = np.unique(labels[labels > 0], return_counts=True)
        inside = cell_at(points.array, labels)
        counts = np.bincount(np.searchsorted(cells, inside[inside > 0]), minlength=len(cells))
        rows += [(name, *row) for row in texts({"cell": cells, "voxels": voxels, "points": counts})]
    write_rows(path, rows)


def _places(points: Points, labels: Labels) -> dict[str, Array]:
    """Return columns of the places in µm, and of the cells where they are known."""
    axes = "zyx"[3 - len(points.spacing) :]
    columns = {f"centroid_{axis}_um": points.um[:, n] for n, axis in enumerate(axes)}
    return columns | {"cell": points.cells if labels is None else cell_at(points.array, labels)}


def _rows(
    side: str,
    points: Points,
    index: Longs,
    partners: Longs,
    alone: str,
    distances: Doubles,
    labels: Labels,
) -> Iterator[list[str]]:
    """Yield the rows of one side; `index` are its matched points, `alone` the class of others."""
    pairs = zip(*map(np.ndarray.tolist, (index, partners, distances)), strict=True)
    matches = {n: (MATCHED, f"{partner + 1}", f"{um:.6g}") for n, partner, um in pairs}
    for n, place in enumerate(texts(_places(points, labels))):
        depth = place[:1] if len(place) == 4 else ()  # z, y, x, cell
        yield [side, f"{n + 1}", *matches.get(n, (alone, "0", "")), *place, *depth]
