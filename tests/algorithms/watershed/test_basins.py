import numpy as np
import pytest

from cytosuite.algorithms.watershed.basins import basins, merge, saddles

RIDGE = np.array([[1, 5, 9, 5, 3, 6, 8, 4, 1]], np.float32).repeat(3, axis=0)
ALL = np.ones(RIDGE.shape, bool)


def test_every_maximum_gets_a_basin():
    labels = basins(RIDGE, ALL)
    assert labels.max() == 2
    assert labels[1, 2] != labels[1, 6]


def test_basins_stay_in_the_foreground():
    mask = ALL.copy()
    mask[:, 4:] = False
    labels = basins(np.where(mask, RIDGE, 0), mask)
    np.testing.assert_array_equal(labels > 0, mask)


def test_no_foreground_no_basin():
    assert basins(np.zeros((4, 4), np.float32), np.zeros((4, 4), bool)).max() == 0


def test_the_saddle_is_the_highest_pass():
    pairs, passes = saddles(basins(RIDGE, ALL), RIDGE)
    np.testing.assert_array_equal(pairs, [[1, 2]])
    np.testing.assert_array_equal(passes, [3])


@pytest.mark.parametrize(("ratio", "objects"), [(0.0, 1), (0.37, 1), (0.38, 2), (1.0, 2)])
def test_basins_merge_when_the_saddle_is_high_enough(ratio, objects):
    merged = merge(basins(RIDGE, ALL), RIDGE, ratio)  # the saddle is 3 / 8 of the lower peak
    assert len(np.unique(merged)) == objects


def test_merging_does_not_depend_on_the_brightness():
    labels = basins(RIDGE, ALL)
    np.testing.assert_array_equal(merge(labels, RIDGE, 0.4), merge(labels, 1000 * RIDGE, 0.4))


def test_objects_that_do_not_touch_never_merge():
    labels = np.array([[1, 1, 0, 2, 2]], np.int32)
    np.testing.assert_array_equal(merge(labels, np.ones((1, 5), np.float32), 0.0), labels)


def test_chains_are_joined_in_the_order_of_their_saddles():
    height = np.array([[9, 7, 8, 2, 8, 7, 9]], np.float32)
    labels = np.array([[1, 1, 2, 2, 3, 3, 4]], np.int32)
    assert len(np.unique(merge(labels, height, 0.5))) == 2
