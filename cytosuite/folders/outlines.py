"""Objects drawn on an image of bounded size, and outlines of labels along borders of pixels.

Pixel 0 lies from 0 to 1, as in ImageJ: an outline of labels has whole numbers, and is exact.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby, product
from math import prod

import numpy as np

from cytosuite.errors import InputError
from cytosuite.volume.arrays import Array, Indices, Shape

Pixels = Indices  # places in the flat image
COVERED = 8  # times that the objects of an image cover it
CORNERS = 2**19  # of an object
Path = Array  # corners (n, 2) as x, y; the last one leads to the first
Box = tuple[int, int, int, int]  # top, left, bottom, right
FARTHEST = 2.0**24  # pixels from the origin: float32 holds whole numbers up to there
CROSSINGS = 2**22  # of a region's outline with the middles of rows
EDGE = 1e-8  # pixels by which ImageJ shifts outlines: centres on a left edge are outside


class Canvas:
    """An image that its objects cover `COVERED` times at most; beyond, `InputError`."""

    def __init__(self, shape: Shape) -> None:
        self.shape, self.left = shape, COVERED * prod(shape)

    def take(self, pixels: Pixels, cost: int = 0) -> Pixels:
        """Return the pixels of an object, which count, at least as many as its cost."""
        self.left -= max(pixels.size, cost)
        if self.left < 0:
            raise InputError(f"expected objects that cover an image {COVERED} times at most")
        return pixels

    def runs(self, starts: Pixels, ends: Pixels) -> Pixels:
        """Return the pixels of runs; each run counts as one pixel at least."""
        lengths = ends - starts
        return self.take(
            np.repeat(ends - np.cumsum(lengths), lengths) + np.arange(lengths.sum()), lengths.size
        )


def trace(plane: Array) -> Iterator[tuple[int, list[Path]]]:
    """Yield the labels of a plane in ascending order with their outlines, also of holes.

    Pixels that touch at a corner have one outline.
    """
    window = np.pad(plane, 1)
    height, width = (size + 1 for size in plane.shape)

    def pixels(south: int, east: int) -> Array:
        """Return the pixel at one side of every corner of the grid."""
        return window[south : south + height, east : east + width]

    by_side = []
    for south, east in product((0, 1), (0, 1)):
        centre = pixels(south, east)
        beside = centre == pixels(south, 1 - east)
        below = centre == pixels(1 - south, east)
        whole = beside & (
            centre == pixels(1 - south, 1 - east)
        )  # no corner: a straight line or none
        y, x = np.nonzero((centre != 0) & (beside == below) & ~whole)
        by_side.append((centre[y, x], y, x, 2 * y - south, 2 * x + east))
    label, y, x, down, right = (np.concatenate(parts) for parts in zip(*by_side, strict=True))
    # Sorted along a line of the grid, every second corner begins an edge of its label.
    across, along = (_paired(np.lexsort(k)) for k in ((right, y, label), (down, x, label)))
    first, order = _cycles(along[across])
    edges = np.flatnonzero(first < first[across])  # each outline is a cycle, and its reverse
    edges = edges[np.lexsort((order[edges], first[edges], label[edges]))]
    corners = np.stack([edges, across[edges]], 1).ravel()
    points = np.stack([x[corners], y[corners]], 1)
    starts = np.flatnonzero(np.diff(first[edges], prepend=-1))
    parts = zip(label[edges[starts]], np.split(points, 2 * starts)[1:], strict=True)
    for name, group in groupby(parts, key=lambda part: int(part[0])):
        yield name, [path for _, path in group]


def _paired(order: Indices) -> Indices:
    """Return the partner of each corner: neighbours in an order."""
    partner = np.empty_like(order)
    partner[order[::2]], partner[order[1::2]] = order[1::2], order[::2]
    return partner


def _cycles(following: Indices) -> tuple[Indices, Indices]:
    """Return the least member of each one's cycle, and a number that rises along the cycle.

    Steps are doubled until they reach around the longest cycle.
    """
    first = np.arange(following.size)
    step = following
    while True:
        nearer = np.minimum(first, first[step])
        if np.array_equal(nearer, first):
            break
        first = nearer
        step = step[step]
    ends = first == np.arange(following.size)
    left = (~ends).astype(np.intp)
    step = np.where(ends, first, following)
    while not ends[step].all():
        left = left + left[step]
        step = step[step]
    return first, -(left + left[step])


def box_of(paths: Sequence[Path]) -> Box:
    """Return the box of outlines: whole numbers."""
    points = np.concatenate(paths)
    (left, top), (right, bottom) = np.floor(points.min(0)), np.ceil(points.max(0))
    return int(top), int(left), int(bottom), int(right)


def fill(paths: Sequence[Path], shape: Shape, canvas: Canvas | None = None) -> Pixels:
    """Return the places in a flat plane of pixels with their centres in outlines (even-odd).

    ImageJ fills the same pixels, but where a horizontal edge goes through centres. They count on
    the canvas, of which the plane is a part. InputError for an outline that no program draws.
    """
    start = np.concatenate(paths).astype(np.float64)
    if not (np.abs(start) < FARTHEST).all():
        raise InputError(f"expected corners nearer than {FARTHEST:g} pixels")
    end = np.concatenate([np.roll(path, -1, 0) for path in paths]).astype(np.float64)
    rows = np.clip(np.ceil(np.stack([start[:, 1], end[:, 1]]) - 0.5), 0, shape[0]).astype(np.intp)
    rows.sort(0)
    times = rows[1] - rows[0]
    if times.sum() > CROSSINGS:
        raise InputError(f"expected an outline that crosses rows less than {CROSSINGS} times")
    edge = np.repeat(np.arange(len(times)), times)
    row = np.arange(edge.size) - np.repeat(np.cumsum(times) - times - rows[0], times)
    (x, y), (dx, dy) = start[edge].T, (end - start)[edge].T
    place = np.floor(x + (row + 0.5 - y) * (dx / dy) + 0.5 + EDGE)
    turns = np.sort(row * shape[1] + np.clip(place, 0, shape[1]).astype(np.intp))
    return (canvas or Canvas(shape)).runs(turns[::2], turns[1::2])
