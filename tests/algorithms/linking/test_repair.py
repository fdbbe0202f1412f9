"""Merged and broken cells in films of two discs that touch."""

import numpy as np
import pytest

from cytosuite.algorithms.linking.cells import cells_of
from cytosuite.algorithms.linking.repair import repaired

SPACING = (0.5, 0.5)
# Labels of the left and right half of a frame: of two cells, of one over both, and of its pieces.
HALVES = {"2": [1, 2], "1": [3, 3], "p": [4, 5]}


def film(frames):
    """Return label frames in which a left and a right square, side by side, have some labels."""
    labels = np.zeros((len(frames), 20, 30), np.uint16)
    for image, frame in zip(labels, frames, strict=True):
        image[5:15, 5:15], image[5:15, 15:25] = HALVES[frame]
    return labels


@pytest.mark.parametrize(
    "frames, expected, counts",
    [
        ("22211222", "22222222", (2, 0)),
        ("111pp111", "11111111", (0, 2)),
        ("221111122", "221111122", (0, 0)),
        ("11ppppp11", "112222211", (0, 0)),
        ("111ppp", "111222", (0, 0)),  # a division
        ("222111", "222111", (0, 0)),
        ("222222", "222222", (0, 0)),
    ],
)
def test_an_error_that_is_shorter_than_what_is_around_it_is_mended(frames, expected, counts):
    mended = repaired(film(frames), SPACING, 10)
    sizes = [np.unique(image[image > 0]).size for image in mended.frames]
    assert sizes == [int(digit) for digit in expected]
    assert (mended.cut, mended.joined) == counts
    # in place of the frames that changed
    for measured, part in zip(mended.cells, cells_of(mended.frames, SPACING), strict=True):
        np.testing.assert_allclose(measured, part)


def test_a_merged_object_is_cut_between_its_cells():
    mended = repaired(film("212"), SPACING, 10).frames
    left = mended[1, 5:15, 5:15]
    right = mended[1, 5:15, 15:25]
    assert np.unique(left).size == np.unique(right).size == 1
    assert left[0, 0] != right[0, 0]


def test_errors_longer_than_asked_stay():
    labels = film("22211222")
    assert repaired(labels, SPACING, 1).frames is labels
