"""Named situations of a truth and a prediction, each built so that its scores can be told by hand.

Cells are cubes of 4 x 4 x 4 voxels in a volume of 8 x 16 x 16. Labels are not consecutive and not
the same in both volumes, as nothing may depend on them.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SHAPE = (8, 16, 16)
EDGE = 4


def drawn(text):
    """Return labels from rows of digits, or one row; a point is background."""
    rows = [[int(letter) for letter in row.replace(".", "0")] for row in text.split()]
    return np.array(rows if len(rows) > 1 else rows[0])


class Situation(NamedTuple):
    truth: NDArray[np.uint16]
    prediction: NDArray[np.uint16]


def volume(**cells):
    """Return labels: each keyword `_<label>` is the (z, y, x) corner of a cube, or its slices."""
    labels = np.zeros(SHAPE, np.uint16)
    for name, place in cells.items():
        if not isinstance(place[0], slice):
            place = tuple(slice(start, start + EDGE) for start in place)
        labels[place] = int(name.removeprefix("_"))
    return labels


def empty():
    """Neither cells nor predictions."""
    return Situation(volume(), volume())


def one_cell():
    return Situation(volume(_3=(2, 4, 4)), volume(_9=(2, 4, 4)))


def one_voxel():
    """A cell of a single voxel, found."""
    voxel = (slice(3, 4), slice(5, 6), slice(7, 8))
    return Situation(volume(_3=voxel), volume(_9=voxel))


def two_cells():
    return volume(_3=(2, 2, 2), _8=(2, 9, 9))


def perfect():
    return Situation(two_cells(), volume(_9=(2, 2, 2), _4=(2, 9, 9)))


def touching():
    """Two cells that share a face, told apart."""
    return Situation(volume(_3=(2, 4, 4), _8=(2, 4, 8)), volume(_9=(2, 4, 4), _4=(2, 4, 8)))


def touching_border():
    """A cell in the corner of the volume."""
    return Situation(volume(_3=(0, 0, 0)), volume(_9=(0, 0, 0)))


def in_two_pieces():
    """One cell whose two pieces do not touch, found with one label."""
    truth = volume(_3=(2, 2, 2)) + volume(_3=(2, 9, 9))
    return Situation(truth, truth * 3)


def shifted():
    """One cell, predicted one voxel to the right: 48 voxels shared, 80 in the union."""
    return Situation(volume(_3=(2, 4, 4)), volume(_9=(2, 4, 5)))


def split():
    """One cell of 64 voxels, predicted in pieces of 48 and 16."""
    small = (slice(2, 3), slice(4, 8), slice(4, 8))
    return Situation(volume(_3=(2, 4, 4)), volume(_9=(2, 4, 4), _4=small))


def split_in_halves():
    """One cell, predicted as its two halves of 32 voxels."""
    half = (slice(2, 4), slice(4, 8), slice(4, 8))
    return Situation(volume(_3=(2, 4, 4)), volume(_9=(2, 4, 4), _4=half))


def merged():
    """Two touching cells under one predicted object of 128 voxels."""
    return Situation(
        volume(_3=(2, 4, 4), _8=(2, 4, 8)), volume(_9=(2, 4, 4)) + volume(_9=(2, 4, 8))
    )


def spurious():
    """One cell, found, and an object where nothing is."""
    return Situation(volume(_3=(2, 2, 2)), volume(_9=(2, 2, 2), _4=(2, 9, 9)))


def missed():
    """Two cells, one of them found."""
    return Situation(two_cells(), volume(_9=(2, 2, 2)))


def nothing_predicted():
    return Situation(two_cells(), volume())


def nothing_to_find():
    return Situation(volume(), volume(_9=(2, 2, 2)))


ALL = {
    build.__name__: build
    for build in (
        empty, one_cell, one_voxel, perfect, touching, touching_border, in_two_pieces, shifted,
        split, split_in_halves, merged, spurious, missed, nothing_predicted, nothing_to_find,
    )
}  # fmt: skip
