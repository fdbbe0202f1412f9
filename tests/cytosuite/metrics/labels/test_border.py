import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cytosuite.errors import InputError
from cytosuite.metrics.labels.border import without_border
from cytosuite.metrics.labels.ctc import det

LABELS = arrays.arrays(np.uint16, (2, 7, 9), elements=st.integers(0, 6))
quick = settings(max_examples=50, deadline=None)


def slowly(labels, pixels):
    """Keep the objects with a voxel inside, one by one."""
    kept = labels.copy()
    for label in np.unique(labels):
        _, y, x = np.nonzero(labels == label)
        y, x = (np.minimum(c, n - 1 - c) for c, n in ((y, labels.shape[1]), (x, labels.shape[2])))
        if not (np.minimum(y, x) >= pixels).any():
            kept[labels == label] = 0
    return kept


@given(LABELS, st.integers(0, 3))
@quick
def test_keeps_the_objects_with_a_voxel_inside(labels, pixels):
    assert (without_border(labels, pixels) == slowly(labels, pixels)).all()


@given(LABELS, st.integers(0, 3))
@quick
def test_leaving_out_twice_changes_nothing_more(labels, pixels):
    once = without_border(labels, pixels)
    assert (without_border(once, pixels) == once).all()


def test_no_border_by_default_leaves_a_copy():
    labels = np.ones((3, 3), np.int32)
    kept = without_border(labels, 0)
    assert (kept == labels).all()
    assert kept.base is None
    assert kept.dtype == labels.dtype


def test_planes_above_and_below_are_no_border():
    labels = np.zeros((5, 9, 9), np.uint8)
    labels[0, 4, 4], labels[2, 0, 4] = 1, 2
    assert np.unique(without_border(labels, 2)).tolist() == [0, 1]


def test_an_object_that_reaches_inside_in_one_plane_stays_whole():
    labels = np.zeros((2, 8, 8), np.uint8)
    labels[0, 0, :], labels[1, 4, 4] = 1, 1
    assert (without_border(labels, 3) == labels).all()


def test_a_missed_object_of_the_border_costs_nothing():
    truth, prediction = np.zeros((2, 20, 20), np.uint16)
    truth[10, 10], truth[0, 5], prediction[10, 10] = 1, 2, 7
    assert det(truth, prediction) == 0.5
    assert det(*(without_border(labels, 5) for labels in (truth, prediction))) == 1.0


def test_takes_views_and_read_only_files(tmp_path):
    labels = np.arange(60, dtype=np.uint16).reshape(10, 6)
    np.save(tmp_path / "labels.npy", labels)
    mapped = np.load(tmp_path / "labels.npy", mmap_mode="r")
    assert (without_border(mapped, 2) == without_border(labels, 2)).all()
    assert (without_border(labels.T[::-1], 2) == without_border(labels, 2).T[::-1]).all()


SHAPE = "labels must be an integer array with axes Y and X, found {}; give instance labels of an image or a volume"
WIDTH = "the border must be at least 0 pixels wide and less than half of the 6 x 9 image, found {}"


@pytest.mark.parametrize(
    ("labels", "pixels", "message"),
    [
        (np.zeros((6, 9), np.uint8), 3, WIDTH.format(3)),
        (np.zeros((6, 9), np.uint8), -1, WIDTH.format(-1)),
        (np.zeros((6, 9), np.float32), 1, SHAPE.format("2 axes of float32")),
        (np.zeros(9, np.uint8), 1, SHAPE.format("1 axes of uint8")),
    ],
)
def test_mistakes_are_named(labels, pixels, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        without_border(labels, pixels)
