"""Link cells over time by assignment: frame to frame, then long steps, then divisions and gaps.

Jaqaman et al., Nature Methods 5 (2008), doi:10.1038/nmeth.1237: a link has a cost, an end and a
begin have one too, and the sum over all cells is the least there is. The costs are minus the
logarithm of normal densities, and the movie itself gives their widths.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from pydantic import Field
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, min_weight_full_bipartite_matching
from scipy.spatial import cKDTree

from cytosuite.algorithms.linking.cells import CellTable
from cytosuite.contract.manifest import Described, NotNegative, Positive, Whole
from cytosuite.contract.tracks import Track
from cytosuite.files import frozen
from cytosuite.volume.arrays import Doubles, Longs
from cytosuite.volume.points import neighbour

MEDIAN = {2: 1.386, 3: 2.366}  # quantile 0.5 of chi²
TAIL = {2: 4.605, 3: 6.251}  # quantile 0.9
HALF_NORMAL = 0.6745  # its median
LEAST_SIZE = 0.05  # spread of ln(size)
LEAST_STEP = 0.05  # relative to the radius
FAR = 4.0  # steps within which pairs are looked for
HALVES = 0.35  # standard deviation of ln(size) between two daughters
APART = 2.5  # largest distance of the centres of mother and daughter, radii of the mother
OFF = 0.3  # radii between a mother and the middle of her daughters, a standard deviation
LEAST_SUM = 0.1  # the same of ln(size) between a mother and both daughters
SMALL = 1e-6  # added to costs: a sparse matrix takes 0 for no edge
EDGES = 2000  # candidates that are assigned together


class Parameters(Described):
    """How unusual links may be."""

    farthest: Positive = 5.0  # longest step in standard deviations
    overlap: NotNegative = 4.0  # cost of a link where no voxel is shared
    gap: int = Field(2, ge=0, le=20)  # frames that a track may miss
    gap_cost: NotNegative = 2.0  # cost of each missed frame
    mend: Whole = 10  # frames that merged or broken cells may last; 0: stay
    division: NotNegative = 10.0  # highest cost of a division; 0: none

    @property
    def limit(self) -> float:
        """The cost from which two cells are not one."""
        return self.farthest**2 / 2 + self.overlap


@frozen
class Motion:
    """Cells without their drift, and how they move and change from frame to frame."""

    places: Doubles  # (N, D) µm
    frame: Longs  # (N,)
    pairs: Longs  # (P, 2) near each other in neighbouring frames
    apart_um: float  # median distance of neighbours in a frame
    step_um: float  # standard deviation along an axis
    size: float  # of ln(size)


def link(cells: CellTable, parameters: Parameters) -> tuple[Longs, Longs]:
    """Return the next cell of each cell, (N,), and its mother or itself before a gap; else -1."""
    motion = measure(cells)
    after, source = np.full((2, len(cells.labels)), -1)
    for _ in range(2):
        rows, columns = assign(
            motion.pairs, _costs(cells, motion, parameters.overlap), parameters.limit
        )
        # The nearest cell is nearer than the same cell: links show the usual steps.
        motion = _measured(cells, motion, np.stack([rows, columns], axis=1))
    after[rows] = columns
    rows, columns = assign(*_left(cells, motion, after), parameters.limit)
    after[rows] = columns
    rows, columns = assign(*_later(cells, motion, after, parameters), parameters.limit)
    source[columns] = rows % len(after)
    mothers = rows[rows >= len(after)] - len(after)
    source[after[mothers]] = mothers  # their tracks end
    after[mothers] = -1
    return after, source


def measure(cells: CellTable) -> Motion:
    """Return the motion of cells, as those nearest to each other in neighbouring frames show it."""
    frame = cells.frame
    none = np.zeros((0, 2), np.int64)
    motion = _measured(cells, Motion(cells.centres, frame, none, _apart(cells), 0.0, 0.0), none)
    drift = np.zeros((len(cells.first) - 1, cells.centres.shape[1]))
    steps, near = _steps(cells.centres, motion.pairs)
    for number, some in _runs(frame[near[:, 1]]):
        drift[number] = np.median(steps[some], axis=0)
    places = cells.centres - np.cumsum(drift, axis=0)[frame]
    motion = replace(motion, places=places)
    for _ in range(2):  # steps of near pairs show how far to look
        motion = _measured(cells, motion, _steps(places, motion.pairs)[1])
    return motion


def _measured(cells: CellTable, motion: Motion, same: Longs) -> Motion:
    """Return the motion that pairs (P, 2) of one cell each show, with all pairs in its reach."""
    places, axes, radius = motion.places, motion.places.shape[1], cells.radii
    every = np.arange(len(places))
    middle_um = float(np.median(radius)) if len(radius) else 1.0
    step = size = 0.0
    if len(same):
        squares = ((places[same[:, 1]] - places[same[:, 0]]) ** 2).sum(axis=1)
        middle, tail = np.quantile(squares, [0.5, 0.9])
        step = float(np.sqrt(max(middle / MEDIAN[axes], tail / TAIL[axes])))
        growth = np.log(cells.sizes[same[:, 1]] / cells.sizes[same[:, 0]])
        size = float(np.median(np.abs(growth))) / HALF_NORMAL
    pairs = _neighbours(
        motion.frame, places, max(motion.apart_um, 2 * middle_um, FAR * step), 1, every, every
    )
    return replace(
        motion,
        pairs=pairs,
        step_um=max(step, LEAST_STEP * middle_um),
        size=max(size, LEAST_SIZE),
    )


def assign(pairs: Longs, cost: Doubles, limit: float) -> tuple[Longs, Longs]:
    """Return the rows and columns of the least sum; each one alone costs half of `limit`."""
    pairs = pairs[cost < limit]
    cost = cost[cost < limit]
    names, row = np.unique(pairs[:, 0], return_inverse=True)
    others, column = np.unique(pairs[:, 1], return_inverse=True)
    size = len(names) + len(others)
    graph = csr_array((np.ones(len(cost)), (row, len(names) + column)), shape=(size, size))
    piece = connected_components(graph, directed=False)[1][row]
    order = np.argsort(piece, kind="stable")
    ends = np.flatnonzero(np.diff(piece[order], append=-1)) + 1
    some = [np.zeros(0, np.int64)]
    begin = 0
    for end in ends.tolist():
        if end - begin >= EDGES or end == len(order):
            part = order[begin:end]
            some.append(part[_matched(row[part], column[part], cost[part], limit)])
            begin = end
    taken = pairs[np.concatenate(some)]
    return taken[:, 0], taken[:, 1]


def _matched(row: Longs, column: Longs, cost: Doubles, limit: float) -> Longs:
    """Return which edges a sparse assignment takes, see `assign`."""
    row, column = (np.unique(side, return_inverse=True)[1] for side in (row, column))
    here = row.max() + 1
    there = column.max() + 1
    ends = np.arange(here)
    begins = np.arange(there)
    # Jaqaman's matrix: links, ends, begins, and the links transposed, which make it square.
    rows = np.concatenate([row, ends, here + begins, here + column])
    columns = np.concatenate([column, there + ends, begins, there + row])
    costs = np.concatenate([cost, np.full(here + there, limit / 2), np.zeros(len(row))])
    costs += SMALL - min(0.0, float(cost.min()))
    matrix = csr_array((costs, (rows, columns)), shape=(here + there,) * 2)
    partner = np.full(here + there, -1)
    partner[:] = min_weight_full_bipartite_matching(matrix)[1]
    return np.flatnonzero(partner[row] == column)


def _apart(cells: CellTable) -> float:
    """Return the median distance of a cell from the nearest one of its frame [µm]."""
    frames = np.split(cells.centres, cells.first[1:-1])
    gaps = [neighbour(places) for places in frames if len(places) > 1]
    return float(np.median(np.concatenate(gaps))) if gaps else 0.0


def _neighbours(frame: Longs, places: Doubles, reach: float, later: int, *sides: Longs) -> Longs:
    """Return the pairs (P, 2) of cells of two sides within a reach [µm], so many frames apart."""
    trees, others = (
        {number: (side[some], cKDTree(places[side[some]])) for number, some in _runs(frame[side])}
        for side in sides
    )
    pairs = [np.zeros((0, 2), np.int64)]
    for number, (rows, tree) in trees.items():
        if number + later in others:
            columns, later_tree = others[number + later]
            near = tree.sparse_distance_matrix(later_tree, reach, output_type="ndarray")
            pairs.append(np.stack([rows[near["i"]], columns[near["j"]]], axis=1))
    return np.concatenate(pairs)


def _steps(places: Doubles, pairs: Longs) -> tuple[Doubles, Longs]:
    """Return the steps [µm] of the pairs that are nearest to each other, and these."""
    steps = places[pairs[:, 1]] - places[pairs[:, 0]]
    squares = (steps**2).sum(axis=1)
    mutual = np.ones(len(pairs), np.bool_)
    for side in pairs.T:
        least = np.full(len(places), np.inf)
        np.minimum.at(least, side, squares)
        mutual &= squares == least[side]
    return steps[mutual], pairs[mutual]


def _runs(values: Longs) -> Iterator[tuple[int, slice]]:
    """Yield each value of an ascending array with its places."""
    names, first = np.unique(values, return_index=True)
    yield from zip(names.tolist(), map(slice, first, [*first[1:], len(values)]), strict=True)


def _costs(cells: CellTable, motion: Motion, overlap: float) -> Doubles:
    """Return the cost of each pair of neighbouring frames to be one cell.

    Shared voxels tell as much as cells of the movie usually share with themselves.
    """
    share = _shares(cells, motion.pairs)
    usual = _shares(cells, _steps(motion.places, motion.pairs)[1])
    if len(usual):
        overlap *= float(np.median(usual))
    return _unlikely(cells, motion, motion.pairs, 1) + overlap * (1 - share)


def _shares(cells: CellTable, pairs: Longs) -> Doubles:
    """Return the share of voxels that pairs (P, 2) of cells have in common."""
    count = len(cells.labels)
    keys = cells.pairs @ [count, 1]  # ascending
    wanted = pairs @ [count, 1]
    place = np.searchsorted(keys, wanted)
    return np.where(np.append(keys, -1)[place] == wanted, np.append(cells.shares, 0)[place], 0)


def _unlikely(cells: CellTable, motion: Motion, pairs: Longs, frames: int) -> Doubles:
    """Return the cost of steps and growth between pairs (P, 2) of cells some frames apart."""
    a, b = pairs.T
    squares = ((motion.places[b] - motion.places[a]) ** 2).sum(axis=1) / motion.step_um**2
    trust = np.minimum(cells.trust[a], cells.trust[b])
    growth = trust * np.log(cells.sizes[b] / cells.sizes[a]) / motion.size
    # Student's t with 3 degrees of freedom: segmenters lose parts of cells.
    cost: Doubles = squares / (2 * frames) + 2 * np.log1p(growth**2 / (4 * frames))
    return cost


def _left(cells: CellTable, motion: Motion, after: Longs) -> tuple[Longs, Doubles]:
    """Return ends near begins of the next frame, with costs of steps that few cells take."""
    a, b = motion.pairs.T
    pairs = motion.pairs[(after[a] < 0) & np.isin(b, _begins(cells, after))]
    return pairs, 2 * np.log1p(_unlikely(cells, motion, pairs, 1) / 2)


def _begins(cells: CellTable, after: Longs) -> Longs:
    """Return the cells after the first frame's that nothing leads to."""
    begins = np.ones(len(after), np.bool_)
    begins[after[after >= 0]] = False
    begins[: cells.first[1]] = False
    return np.flatnonzero(begins)


def _division(cells: CellTable, motion: Motion, mother: Longs, a: Longs, b: Longs) -> Doubles:
    """Return the cost of cells to be the daughters of a mother, by their sum and their likeness."""
    sizes = cells.sizes
    places = motion.places
    both = sizes[a] + sizes[b]
    trust = np.minimum(cells.trust[a], cells.trust[b])
    share = np.where(trust < 1, 0.5, sizes[a] / both)
    middle = places[b] + share[:, None] * (places[a] - places[b])
    squares = ((middle - places[mother]) ** 2).sum(axis=1)
    width = motion.step_um**2 / 2 + (OFF * cells.radii[mother]) ** 2  # the mean of two steps
    grown = np.log(both / sizes[mother]) / max(2 * motion.size, LEAST_SUM)
    unlike = trust * np.log(sizes[a] / sizes[b]) / HALVES
    # A mother and her daughters condense in frames of their own: sizes change much.
    cost: Doubles = (squares / width + unlike**2) / 2 + 2 * np.log1p((trust * grown) ** 2 / 4)
    return cost


def _later(
    cells: CellTable, motion: Motion, after: Longs, parameters: Parameters
) -> tuple[Longs, Doubles]:
    """Return sources of tracks that begin, with costs: ends before gaps, or N + dividing cells."""
    begins = _begins(cells, after)
    places = motion.places
    going = np.flatnonzero(after >= 0)
    ended = np.flatnonzero(after < 0)
    reach = APART * cells.radii + 3 * motion.step_um
    pairs = _neighbours(motion.frame, places, float(reach.max(initial=0)), 1, going, begins)
    mother, daughter = pairs.T
    cost = _division(cells, motion, mother, after[mother], daughter)
    few = cost < parameters.division * cells.trust[daughter]  # at the border it may enter, too
    few &= ((places[mother] - places[daughter]) ** 2).sum(axis=1) < reach[mother] ** 2
    found = [pairs[few] + np.array([len(after), 0])]
    costs = [cost[few]]
    for missed in range(1, parameters.gap + 1):
        far_um = parameters.farthest * motion.step_um * np.sqrt(missed + 1)
        found.append(_neighbours(motion.frame, places, far_um, missed + 1, ended, begins))
        costs.append(_unlikely(cells, motion, found[-1], missed + 1) + parameters.gap_cost * missed)
    return np.concatenate(found), np.concatenate(costs)


def tracks_of(cells: CellTable, after: Longs, source: Longs) -> tuple[Longs, list[Track]]:
    """Return the new label of each cell, from 1 on by their begin, and the tracks."""
    names = [0] * len(after)
    begins = list[int]()
    for cell, later in enumerate(after.tolist()):  # ascending: the one before has named it
        if not names[cell]:
            begins.append(cell)
            names[cell] = len(begins)
        if later >= 0:
            names[later] = names[cell]
    label = np.array(names, np.int64)
    end = np.zeros(len(begins) + 1, np.int64)
    np.maximum.at(end, label, cells.frame)
    parents = np.where(source[begins] >= 0, label[source[begins]], 0)
    rows = zip(cells.frame[begins].tolist(), end[1:].tolist(), parents.tolist(), strict=True)
    return label, [Track(number, *row) for number, row in enumerate(rows, 1)]
