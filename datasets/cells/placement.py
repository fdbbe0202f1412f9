"""Nuclei in given cells: place, size and turn by ranges, or by a table learned from labels."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, TypeVar

import numpy as np
from pydantic import Field, model_validator
from scipy import ndimage
from scipy.spatial import cKDTree

from cytosuite.bodies.grid import Grid, Labels, Lengths
from cytosuite.bodies.harmonics import ball
from cytosuite.contract.manifest import Described, parse
from cytosuite.datasets.cells.given import NAME, on_grid, read_labels
from cytosuite.datasets.cells.parameters import Placing, Ratio
from cytosuite.datasets.physics.labels import moments
from cytosuite.datasets.physics.shapes import of_length_1
from cytosuite.datasets.physics.sketch import signed_distance
from cytosuite.datasets.ranges import NotNegative, Positive, Share
from cytosuite.errors import InputError
from cytosuite.files import frozen, need_file, read_json, write_json
from cytosuite.folders.sides import side_by_side
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Bools, Box, Columns, Doubles, Image, Rng, Rows
from cytosuite.volume.objects import on_face, shared

NEIGHBOURS, FEWEST = 0.1, 5  # of the rows, those nearest to a cell, from which it draws, at least
ALIKE, LEAST = 0.1, 0.02  # and all this near, in standard deviations of a ln, which is at least
NEAR = 0.015  # of depth and offset: places that are as good as the best
TRIES = 32  # places and turns to try: a nucleus takes the one with most room
INSIDE = 0.95  # of a nucleus before its cell cuts it, at least
SHRINK, SMALLEST = 0.96, 0.2  # one step, and all of them
POINTS = ball(128).T.astype(np.float64)
MARKERS = 4  # voxels: smaller objects have no axes
T = TypeVar("T")
Column = Annotated[tuple[T, ...], Field(max_length=1_000_000)]


class Placement(Described):
    """A row per cell that was measured; lengths are relative to the cell's."""

    axes: Literal["ZYX", "YX"]
    radius_um: Column[Positive]  # of the disc (ball) of the cell's area (volume)
    cell_elongation: Column[Positive]  # longest axis / mean of the others
    depth: Column[Share]  # distance of the nucleus' middle to the cell's border / the largest one
    offset: Column[NotNegative]  # distance of the middles of nucleus and cell / radius of the cell
    ratio: Column[Ratio]  # area (volume) of nucleus / cell
    elongation: Column[Positive]  # of the nucleus
    angle_deg: Column[Annotated[float, Field(ge=0, le=90)]]  # between both longest axes

    @model_validator(mode="after")
    def _agree(self) -> "Placement":
        """Refuse columns of different lengths, and empty ones."""
        if len(set(map(len, self.columns.values()))) > 1 or not self.depth:
            raise ValueError("all columns must have the same number of values, 1 at least")
        return self

    @property
    def columns(self) -> Columns:
        """The columns (R,) by name."""
        return {name: np.array(getattr(self, name)) for name in COLUMNS}

    def draw(self, rng: Rng, cells: "Objects") -> Columns:
        """Return whole rows (N,), of cells like each in size and elongation."""
        columns = self.columns
        points = np.log([columns["radius_um"], columns["cell_elongation"]]).T
        scale = np.maximum(points.std(axis=0), LEAST)
        few = min(max(int(np.ceil(NEIGHBOURS * len(points))), FEWEST), len(points))
        goals = np.log([cells.radius_um, cells.elongation]).T / scale
        tree = cKDTree(points / scale)
        reach = np.maximum(tree.query(goals, k=[few])[0][:, 0] * (1 + 1e-9), ALIKE)
        rows = np.empty(len(goals), np.int64)
        for number, share in enumerate(rng.random(len(goals))):
            near = np.sort(tree.query_ball_point(goals[number], reach[number]))
            rows[number] = near[int(share * len(near))]
        return {name: values[rows] for name, values in columns.items()}


COLUMNS = tuple(name for name in Placement.model_fields if name != "axes")


@frozen
class Objects(Rows):
    """Objects 1 to N of labels by their second moments."""

    centres_um: Doubles  # (N, 3)
    radius_um: Doubles  # (N,), of the disc (ball) of the same area (volume)
    elongation: Doubles  # (N,), longest axis / geometric mean of the others
    rotations: Doubles  # (N, 3, 3), directions of the axes in columns, longest last
    boxes: tuple[Box, ...]


def measure(labels: Labels, grid: Grid) -> Objects:
    """Return the objects of labels (Z, Y, X) without gaps; one plane is a section."""
    plane = labels.shape[0] == 1
    sizes, centres, spread = moments(labels, grid)
    if plane:  # z is the first axis, however small the object is
        spread[:, 0] = spread[:, :, 0] = 0.0
    values, turns = np.linalg.eigh(spread)
    axes = np.sqrt(np.maximum(values, 0))
    others = axes[:, 1] if plane else np.sqrt(axes[:, 0] * axes[:, 1])
    areas = sizes / grid.spacing[0]
    radius = np.sqrt(areas / np.pi) if plane else (sizes * 3 / 4 / np.pi) ** (1 / 3)
    return Objects(centres, radius, axes[:, 2] / others, turns, tuple(ndimage.find_objects(labels)))


def depth_um(labels: Labels, grid: Grid) -> Image:
    """Return the distance (Z, Y, X) in µm to the next label, below 0 in the background."""
    return signed_distance(Volume(labels, grid.spacing)).array


def learn_to(out: Path, cells: Path, nuclei: Path, spacing_um: Lengths | None = None) -> Placement:
    """Write the placement learned from labels, files or folders with files of the same names."""
    need_file(out)
    pairs = side_by_side([cells, nuclei]).values()
    placement = learn(tuple(read_labels(path, spacing_um) for path in pair) for pair in pairs)
    write_json(out, placement.model_dump(mode="json"))
    return placement


def learn(pairs: Iterable[tuple[Volume, ...]]) -> Placement:
    """Return the placement of nuclei in cells, pairs of labels; InputError without any.

    Cells count that no face of the image cuts and that hold most of one nucleus.
    """
    rows = [np.zeros((0, len(COLUMNS)))]
    axes = ""
    for cells, nuclei in pairs:
        axes = axes or cells.axes
        if cells.axes != axes or nuclei.shape != cells.shape:
            raise InputError(
                f"{cells.metadata.get(NAME, 'labels')}: expected cells and nuclei of the same "
                f"shape, {axes} like others, found {cells.axes} of {cells.shape} and {nuclei.shape}"
            )
        if cells.array.any() and nuclei.array.any():
            rows.append(_rows(cells, nuclei))
    table = np.concatenate(rows)
    if not len(table):
        raise InputError(
            "expected cells with one nucleus each, clear of the faces of their image, found none"
        )
    columns = dict(zip(COLUMNS, table.T.round(5).tolist(), strict=True))
    return parse("placement", {"axes": axes, **columns}, Placement)


def _rows(cells: Volume, nuclei: Volume) -> Doubles:
    """Return a row (R, columns) for each whole cell with one nucleus."""
    grid = Grid((1, *cells.shape)[-3:], (1.0, *cells.spacing)[-3:])
    outer, inner = (
        on_grid(replace(labels, spacing=cells.spacing), grid) for labels in (cells, nuclei)
    )
    around, cores, plane = measure(outer, grid), measure(inner, grid), outer.shape[0] == 1
    covered = inner > 0
    core, cell, counts = shared(inner[covered], outer[covered])
    home = np.zeros(len(cores), np.int64)
    order = np.argsort(counts, kind="stable")
    home[core[order] - 1] = cell[order]  # of several the last stays, which holds most
    home[np.bincount(inner.ravel())[1:] < MARKERS] = 0
    whole = [not on_face(box[plane:], outer.shape[plane:]) for box in around.boxes]
    once = np.bincount(home, minlength=len(around) + 1) == 1
    chosen = np.flatnonzero((home > 0) & once[home] & np.append(False, whole)[home])
    hosts = home[chosen] - 1
    away = depth_um(outer, grid)
    deepest = ndimage.maximum(away, outer, np.arange(1, len(around) + 1))
    at = tuple(grid.index_of(cores.centres_um[chosen]).clip(0, np.array(outer.shape) - 1).T)
    depth = np.where(outer[at] == hosts + 1, away[at] / deepest[hosts], 0.0)
    offset = np.linalg.norm(cores.centres_um[chosen] - around.centres_um[hosts], axis=1)
    ratio = (cores.radius_um[chosen] / around.radius_um[hosts]) ** (2 if plane else 3)
    cosine = np.abs((cores.rotations[chosen, :, 2] * around.rotations[hosts, :, 2]).sum(axis=1))
    columns = {
        "radius_um": around.radius_um[hosts],
        "cell_elongation": around.elongation[hosts],
        "depth": depth,
        "offset": offset / around.radius_um[hosts],
        "ratio": np.minimum(ratio, 1),
        "elongation": cores.elongation[chosen],
        "angle_deg": np.rad2deg(np.arccos(np.minimum(cosine, 1))),
    }
    return np.stack([columns[name] for name in COLUMNS], axis=1)


class Poses(NamedTuple):
    """Ellipsoids of nuclei at their places."""

    centres_um: Doubles  # (N, 3)
    semi_axes_um: Doubles  # (N, 3), height, width, length
    rotations: Doubles  # (N, 3, 3), their directions in columns
    shrunk: int  # that found no room otherwise


def poses(
    rng: Rng,
    placing: Placing,
    labels: Labels,
    grid: Grid,
    axes: Doubles,
    *,
    parts: Doubles | float = 1.0,
    rigid: Bools | bool = False,
) -> Poses:
    """Return a nucleus in each cell of labels (Z, Y, X), of semi-axes (N, 3) where none are wanted.

    Those that are wanted are multiplied by `parts` (N,); rigid ones keep their own proportions.
    """
    for_rows, for_place = rng.spawn(2)
    cells = measure(labels, grid)
    plane = labels.shape[0] == 1
    rows = _drawn(for_rows, placing, cells, plane)
    depth = depth_um(labels, grid)
    if "ratio" in rows:
        root = 1 / 2 if plane else 1 / 3
        long = rows["elongation"]
        size = parts * cells.radius_um * rows["ratio"] ** root
        thin = size / long**root
        new = np.stack([axes[:, 0] if plane else thin, thin, thin * long], axis=1)
        same = (new / axes)[:, int(plane) :].prod(axis=1) ** root
        axes = np.where(np.reshape(rigid, (-1, 1)), axes * same[:, None], new)
    centres, turns, scales = cells.centres_um.copy(), cells.rotations.copy(), np.ones(len(cells))
    for i, box in enumerate(cells.boxes):
        mask = labels[box] == i + 1
        away = depth[box][mask]
        middles = grid.place_of(np.argwhere(mask) + [span.start for span in box])
        error = np.abs(away / away.max() - rows["depth"][i])
        if "offset" in rows:
            apart = np.linalg.norm(middles - cells.centres_um[i], axis=1) / cells.radius_um[i]
            error = np.hypot(error, apart - rows["offset"][i])
        near = np.flatnonzero(error <= error.min() + NEAR)
        places = np.resize(middles[for_place.permutation(near)[:TRIES]], (TRIES, 3))
        turned = _turned(for_place, cells.rotations[i], rows["angle_deg"][i], plane)
        shares = _inside(places, turned, axes[i], labels, i + 1, grid)
        best = [int(shares.argmax())]
        centres[i], turns[i], share = places[best], turned[best], shares.max()
        while share < INSIDE and scales[i] > SMALLEST:
            scales[i] *= SHRINK
            share = _inside(places[best], turned[best], axes[i] * scales[i], labels, i + 1, grid)[0]
    return Poses(centres, axes * scales[:, None], turns, int(np.count_nonzero(scales < 1)))


def _drawn(rng: Rng, placing: Placing, cells: Objects, plane: bool) -> Columns:
    """Return the wanted columns (N,), learned ones by whole rows; without those left open."""
    if placing.learned:
        path = Path(placing.learned)
        axes = "YX" if plane else "ZYX"
        table = parse(path, read_json(path), Placement)
        if table.axes != axes:
            raise InputError(f"{path}: learned from labels {table.axes}, but the cells are {axes}")
        return table.draw(rng, cells)
    wanted = {
        "depth": placing.depth,
        "elongation": placing.elongation,
        "angle_deg": placing.align_deg,
        "offset": placing.offset,
        "ratio": placing.ratio,
    }
    return {
        name: rng.uniform(*limits, len(cells))
        for name, limits in wanted.items()
        if limits != "auto"
    }


def _turned(rng: Rng, frame: Doubles, angle_deg: float, plane: bool) -> Doubles:
    """Return rotations (TRIES, 3, 3) with longest axes at an angle to a cell's, any side."""
    around = rng.uniform(0, 2 * np.pi, TRIES)
    if plane:
        around = np.where(around < np.pi, 0.0, np.pi)
    side = np.cos(around)[:, None] * frame[:, 1] + np.sin(around)[:, None] * frame[:, 0]
    angle = np.deg2rad(angle_deg)
    long = np.cos(angle) * frame[:, 2] + np.sin(angle) * side
    width = np.cross(frame[:, 0], long)
    # Those upright in their cell:
    width[np.linalg.norm(width, axis=1) < 1e-6] = frame[:, 1]
    width = of_length_1(width)
    return np.stack([np.cross(width, long), width, long], axis=2)


def _inside(
    places: Doubles, turns: Doubles, axes: Doubles, labels: Labels, number: int, grid: Grid
) -> Doubles:
    """Return the share (n,) of ellipsoids that lies in a cell, which goes on beyond the image."""
    points = places[:, None] + (POINTS * axes) @ turns.transpose(0, 2, 1)
    index = grid.index_of(points).clip(0, np.array(labels.shape) - 1)
    return np.asarray((labels[tuple(np.moveaxis(index, 2, 0))] == number).mean(axis=1))
