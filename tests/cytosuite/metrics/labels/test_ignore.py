"""Objects that are too small to be judged: neither they nor their predictions count."""

import numpy as np
import pytest

from cytosuite.errors import InputError
from cytosuite.metrics import det, f1, seg
from cytosuite.metrics.labels.ignore import without_small


def _line(text):
    """Return labels from digits, a point is background."""
    return np.array([0 if letter == "." else int(letter) for letter in text], np.uint16)


@pytest.mark.parametrize(
    ("truth", "prediction", "kept_truth", "kept_prediction"),
    [
        ("111.2..", "555.66.", "111....", "555...."),  # covers more than half of an ignored one
        ("111.22.", "555.6..", "111....", "555...."),  # lies within it
        ("111.22.", "555...6", "111....", "555...6"),  # elsewhere: false
        ("11122..", "55555..", "111....", "55555.."),  # also matches one that counts
        ("111.22.", "555.6.7", "111....", "555...7"),
        ("111....", "555....", "111....", "555...."),
        ("222....", "...6...", "222....", "...6..."),
    ],
)
def test_by_hand(truth, prediction, kept_truth, kept_prediction):
    found = without_small(_line(truth), _line(prediction), 3)
    np.testing.assert_array_equal(found[0], _line(kept_truth))
    np.testing.assert_array_equal(found[1], _line(kept_prediction))


def test_half_is_not_more_than_half():
    _, kept = without_small(_line("111.22...."), _line("555..66..."), 3)
    np.testing.assert_array_equal(kept, _line("555..66..."))


def test_nothing_is_ignored_without_a_limit(situation):
    truth, prediction = situation[:2]
    found = without_small(truth, prediction, 0)
    np.testing.assert_array_equal(found[0], truth)
    np.testing.assert_array_equal(found[1], prediction)


@pytest.mark.parametrize("limit", [1, 5, 50, 10**6])
def test_the_truth_stays_perfect_whatever_is_ignored(situation, limit):
    truth, given = situation[0], situation[0].copy()
    kept, prediction = without_small(truth, given, limit)
    np.testing.assert_array_equal(kept, prediction)
    np.testing.assert_array_equal(given, truth)  # the arrays of the caller are left alone
    sizes = np.unique(truth[truth > 0], return_counts=True)[1]
    assert np.unique(kept[kept > 0]).size == (sizes >= limit).sum()


def test_scores_do_not_depend_on_predictions_at_an_ignored_object():
    truth = np.zeros((8, 16, 16), np.uint16)
    truth[1:7, 1:7, 1:7], truth[2:4, 10:12, 10:12] = 1, 2
    right, wrong = truth.copy(), truth.copy()
    right[truth == 2] = 0
    wrong[1:5, 9:13, 9:13] = 9  # a whole nucleus where the truth has a marker only
    for prediction in (right, wrong):
        assert seg(truth, prediction) < 1 or det(truth, prediction) < 1
        judged = without_small(truth, prediction, 10)
        assert seg(*judged) == det(*judged) == f1(*judged) == 1
    missed = without_small(truth, np.zeros_like(truth), 10)
    assert det(*missed) == 0


def test_any_labels_and_dtypes():
    truth = np.array([2**40, 2**40, 7], np.uint64)
    kept, prediction = without_small(truth, np.array([3, 3, 4], np.int8), 2)
    assert kept.tolist() == [2**40, 2**40, 0]
    assert (prediction.tolist(), prediction.dtype) == ([3, 3, 0], np.int8)
    with pytest.raises(InputError, match="same shape"):
        without_small(truth, truth[:2], 2)
