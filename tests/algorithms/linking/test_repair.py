"""Merged and broken cells in films of two discs that touch."""

import numpy as np
import pytest

from cytosuite.algorithms.linking.cells import cells_of
from cytosuite.algorithms.linking.repair import repaired

SPACING = (0.5, 0.5)
BOTH, ONE, PIECES = ([1, 2], [3, 3], [4, 5])  # labels of the left and right half of a frame


def film(*frames):
    """Return label frames in which a left and a right square, side by side, have some labels."""
    labels = np.zeros((len(frames), 20, 30), np.uint16)
    for image, (left, right) in zip(labels, frames, strict=True):
        image[5:15, 5:15] = left
        image[5:15, 15:25] = right
    return labels


@pytest.mark.parametrize(
    "frames, expected, counts",
    [
        ([BOTH] * 3 + [ONE] * 2 + [BOTH] * 3, [2] * 8, (2, 0)),
        ([ONE] * 3 + [PIECES] * 2 + [ONE] * 3, [1] * 8, (0, 2)),
        ([BOTH] * 2 + [ONE] * 5 + [BOTH] * 2, [2, 2, 1, 1, 1, 1, 1, 2, 2], (0, 0)),
        ([ONE] * 2 + [PIECES] * 5 + [ONE] * 2, [1, 1, 2, 2, 2, 2, 2, 1, 1], (0, 0)),
        ([ONE] * 3 + [PIECES] * 3, [1, 1, 1, 2, 2, 2], (0, 0)),  # a division
        ([BOTH] * 3 + [ONE] * 3, [2, 2, 2, 1, 1, 1], (0, 0)),
        ([BOTH] * 6, [2] * 6, (0, 0)),
    ],
)
def test_an_error_that_is_shorter_than_what_is_around_it_is_mended(frames, expected, counts):
    mended = repaired(film(*frames), SPACING, 10)
    assert [np.unique(image[image > 0]).size for image in mended.frames] == expected
    assert (mended.cut, mended.joined) == counts
    # in place of the frames that changed
    for measured, part in zip(mended.cells, cells_of(mended.frames, SPACING), strict=True):
        np.testing.assert_allclose(measured, part)


def test_a_merged_object_is_cut_between_its_cells():
    mended = repaired(film(BOTH, ONE, BOTH), SPACING, 10).frames
    left = mended[1, 5:15, 5:15]
    right = mended[1, 5:15, 15:25]
    assert np.unique(left).size == np.unique(right).size == 1
    assert left[0, 0] != right[0, 0]


def test_errors_longer_than_asked_stay():
    labels = film(*[BOTH] * 3, *[ONE] * 2, *[BOTH] * 3)
    assert repaired(labels, SPACING, 1).frames is labels
