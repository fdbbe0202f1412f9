"""Cells of a movie as points with sizes, and how much they lie over each other in time."""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array

from cytosuite.volume.arrays import Array, Doubles, Lengths, Longs
from cytosuite.volume.objects import numbered

BORDER = 0.4  # of 0 to 1, chosen on simulated movies


class CellTable(NamedTuple):
    """All N cells of a movie of T frames, frame by frame, by label."""

    first: Longs  # (T + 1,) number of the first cell of each frame, then N
    labels: Longs  # (N,) in their frames
    centres: Doubles  # (N, D) µm
    sizes: Doubles  # (N,) µm³, of planes µm²
    trust: Doubles  # (N,) in the size: 1, or BORDER where a border along y or x cuts the cell
    pairs: Longs  # (P, 2) cells of neighbouring frames that share voxels
    shares: Doubles  # (P,) shared voxels relative to the smaller cell

    @property
    def frame(self) -> Longs:
        """Frame of each cell, (N,)."""
        return np.repeat(np.arange(len(self.first) - 1), np.diff(self.first))

    @property
    def radii(self) -> Doubles:
        """Radius of each cell [µm], (N,), as if it were a ball or a disc."""
        axes = self.centres.shape[1]
        radii: Doubles = (self.sizes / (np.pi if axes == 2 else 4 / 3 * np.pi)) ** (1 / axes)
        return radii


def cells_of(
    frames: Array,
    spacing: Lengths,
    former: CellTable | None = None,
    changed: Collection[int] = (),
) -> CellTable:
    """Return the cells of label frames (T, Y, X) or (T, Z, Y, X), voxel size in µm.

    Where a `former` table is given, only `changed` frames, and those after them, are measured.
    """
    first = [0]
    columns = list[list[Array]]()
    pairs = [np.zeros((0, 2), np.int64)]
    shares = [np.zeros(0)]
    volume = float(np.prod(spacing))
    before = None
    for number, image in enumerate(frames):
        if former is not None and number not in changed and number - 1 not in changed:
            cells = slice(*former.first[number : number + 2])
            columns.append([column[cells] for column in former[1:5]])
            if number:
                both_frames = former.first[number - 1 : number + 1]
                at = slice(*np.searchsorted(former.pairs[:, 0], both_frames))  # ascending
                pairs.append(former.pairs[at] + np.subtract(first[-2:], both_frames))
                shares.append(former.shares[at])
            first.append(first[-1] + len(columns[-1][0]))
            before = None
            continue
        if before is None and number:
            before = numbered(frames[number - 1])[1].ravel()
        names, numbers = numbered(image)
        inside = np.flatnonzero(numbers)
        cell = numbers.ravel()[inside] - 1
        size = np.bincount(cell, minlength=len(names)) * volume
        places = np.unravel_index(inside, image.shape)
        sums = [np.bincount(cell, place, len(names)) for place in places]
        centres = np.stack(sums, axis=1) * volume / size[:, None] * spacing
        trust = np.ones(len(names))
        for place, length in zip(places[-2:], image.shape[-2:], strict=True):
            trust[cell[(place == 0) | (place == length - 1)]] = BORDER
        if before is not None:
            there = before[inside]
            both = there > 0
            sides = there[both] - 1, cell[both]
            sizes = columns[-1][2]
            table = (
                coo_array((np.ones(both.sum()), sides), (len(sizes), len(names))).tocsr().tocoo()
            )
            rows, others = table.coords
            pairs.append(np.stack([rows + first[-2], others + first[-1]], axis=1))
            shares.append(table.data * volume / np.minimum(sizes[rows], size[others]))
        columns.append([names, centres, size, trust])
        first.append(first[-1] + len(names))
        before = numbers.ravel()
    labels, places_um, sizes, trusts = map(np.concatenate, zip(*columns, strict=True))
    return CellTable(
        np.array(first),
        labels,
        places_um,
        sizes,
        trusts,
        np.concatenate(pairs),
        np.concatenate(shares),
    )
