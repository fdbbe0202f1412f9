"""Cells that a segmenter merges or breaks for some frames, mended by those before and after.

Two cells never become one. Where most of two objects lies in one object of the next frame, which
has their size, and later two objects lie in it again, the frames between show both under one label;
where one object becomes two, which later are one again, these are its pieces (Löffler et al.,
PLOS ONE 16 (2021), doi:10.1371/journal.pone.0249257, mend such errors likewise).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from cytosuite.algorithms.linking.cells import CellTable, cells_of
from cytosuite.files import frozen
from cytosuite.volume.arrays import Array, Doubles, Lengths, Longs

LEAST_SUM = 0.7  # size of merged cells relative to the sum of those before


@frozen
class Event:
    """Objects that become others for some frames, and then are as before."""

    before: list[int]  # cells of the frame before
    meanwhile: list[list[int]]  # of each frame: the one object they are, or the pieces it is
    after: list[int]  # cells of the frame after, in the order of those before


class Mended(NamedTuple):
    """Labels of frames without the errors, their cells, and how many objects were mended."""

    frames: Array
    cells: CellTable
    cut: int
    joined: int


def repaired(frames: Array, spacing: Lengths, most: int) -> Mended:
    """Return labels of frames mended.

    An error lasts at most so many frames, and no longer than the cells are seen without it.
    """
    cells = cells_of(frames, spacing)
    flow, labels, frame_of = Flow(cells), cells.labels.tolist(), cells.frame.tolist()
    mended, touched, changed, cut, joined = frames, set[int](), set[int](), 0, 0
    events = [*flow.events(most)]
    if events:
        mended = frames.astype(np.promote_types(frames.dtype, np.uint32))
    for event in events:
        every = {*event.before, *event.after, *(n for some in event.meanwhile for n in some)}
        if every & touched:
            continue
        touched |= every
        starts = cells.centres[event.before]
        ends = cells.centres[event.after]
        widths = np.sqrt(cells.sizes[event.before] * cells.sizes[event.after])
        for number, some in enumerate(event.meanwhile, 1):
            changed.add(frame_of[some[0]])
            image = mended[frame_of[some[0]]]
            if some[1:]:
                image[np.isin(image, [labels[n] for n in some])] = labels[some[0]]
                joined += 1
            else:
                share = number / (len(event.meanwhile) + 1)
                _cut(image, labels[some[0]], starts + share * (ends - starts), widths, spacing)
                cut += 1
    return Mended(mended, cells_of(mended, spacing, cells, changed), cut, joined)


class Flow:
    """Which object of the next frame holds most of each object, and of the frame before."""

    def __init__(self, cells: CellTable) -> None:
        self.cells = cells
        count = len(cells.labels)
        a, b = cells.pairs.T
        shared = cells.shares * np.minimum(cells.sizes[a], cells.sizes[b])
        self.into, self.out_of = np.full((2, count), -1)
        mostly = 2 * shared > cells.sizes[a]
        self.into[a[mostly]] = b[mostly]
        mostly = 2 * shared > cells.sizes[b]
        self.out_of[b[mostly]] = a[mostly]
        self.sources, self.targets = (
            np.bincount(side[side >= 0], minlength=count) for side in (self.into, self.out_of)
        )
        # Whether the next object is it and nothing else.
        self.alone = (self.into >= 0) & (self.sources[self.into] == 1) & (self.targets == 1)
        self.alone &= self.out_of[self.into] == np.arange(count)
        # The same object in the next frame, and in the frame before; -1 where there is none.
        self.later = np.where(self.alone, self.into, -1)
        self.earlier = np.where((self.out_of >= 0) & self.alone[self.out_of], self.out_of, -1)

    def events(self, most: int) -> Iterator[Event]:
        """Yield the cells that are one object for some frames, then objects that are several."""
        for (cell,) in np.argwhere(self.sources > 1):
            yield from self._mended(np.flatnonzero(self.into == cell), np.array([cell]), most)
        for (cell,) in np.argwhere(self.targets > 1):
            yield from self._mended(np.array([cell]), np.flatnonzero(self.out_of == cell), most)

    def _mended(self, before: Longs, objects: Longs, most: int) -> Iterator[Event]:
        """Yield the way from cells over objects in their place to cells, if it is an error."""
        sizes = self.cells.sizes
        centres = self.cells.centres
        meanwhile = [objects]
        while self.alone[objects].all() and len(meanwhile) <= most:
            objects = self.into[objects]
            meanwhile.append(objects)
        if len(objects) == 1:
            after = np.flatnonzero(self.out_of == objects)
            whole = sizes[meanwhile[0]] > LEAST_SUM * sizes[before].sum()
        else:
            after = np.unique(self.into[objects])
            whole = (after >= 0) & (self.sources[after] == len(objects))
        if len(after) != len(before) or not whole.all():
            return
        seen = _lasting(self.earlier, before) + _lasting(self.later, after)
        if len(meanwhile) <= min(most, seen):
            away = centres[before][:, None] - centres[after]
            order = linear_sum_assignment((away**2).sum(axis=2))[1]
            yield Event(before.tolist(), [n.tolist() for n in meanwhile], after[order].tolist())


def _lasting(way: Longs, cells: Longs) -> int:
    """Return in how many frames along a way all of some cells are one object each."""
    frames = 0
    while (cells >= 0).all():
        cells = way[cells]
        frames += 1
    return frames


def _cut(labels: Array, label: int, centres: Doubles, sizes: Doubles, spacing: Lengths) -> None:
    """Give each voxel of an object to the nearest centre [µm], seen from its radius; in place."""
    inside = np.nonzero(labels == label)
    places = np.stack(inside, axis=1) * spacing
    radii = (sizes / np.pi) ** (1 / len(spacing))
    power = ((places[:, None] - centres) ** 2).sum(axis=2) - radii**2
    names = np.concatenate([[label], labels.max() + 1 + np.arange(len(centres) - 1)])
    labels[inside] = names[power.argmin(axis=1)]
