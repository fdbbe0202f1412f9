"""Labels before they are scored: objects of the border and small ones are left out."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from mistakes import refused
from situations import drawn

from cytosuite.metrics.labels.prepare import without_border, without_small

LABELS = arrays.arrays(np.uint16, (2, 7, 9), elements=st.integers(0, 6))


def slowly(labels, pixels):
    """Keep the objects with a voxel so far from the border."""
    _, y, x = np.indices(labels.shape)
    inside = np.minimum.reduce([y, 6 - y, x, 8 - x]) >= pixels
    return np.where(np.isin(labels, labels[inside]), labels, 0)


@given(LABELS, st.integers(0, 3))
@settings(max_examples=50)
def test_keeps_the_objects_with_a_voxel_inside(labels, pixels):
    assert (without_border(labels, pixels) == slowly(labels, pixels)).all()


SHAPE = "labels must be an integer array with axes Y and X, found {}; give instance labels of an image or a volume"
WIDTH = "the border must be at least 0 pixels wide and less than half of the 6 x 9 image, found {}"


@pytest.mark.parametrize(
    "labels, pixels, message",
    [
        (np.zeros((6, 9), np.uint8), 3, WIDTH.format(3)),
        (np.zeros((6, 9), np.uint8), -1, WIDTH.format(-1)),
        (np.zeros((6, 9), np.float32), 1, SHAPE.format("2 axes of float32")),
        (np.zeros(9, np.uint8), 1, SHAPE.format("1 axes of uint8")),
    ],
)
def test_mistakes_are_named(labels, pixels, message):
    refused(f"^{re.escape(message)}$", without_border, labels, pixels)


@pytest.mark.parametrize(
    "truth, prediction, kept_truth, kept_prediction",
    [
        ("111.2..", "555.66.", "111....", "555...."),  # covers more than half of an ignored one
        ("111.22.", "555.6..", "111....", "555...."),  # lies within it
        ("111.22.", "555...6", "111....", "555...6"),  # elsewhere: false
        ("11122..", "55555..", "111....", "55555.."),  # also matches one that counts
        ("111.22.", "555.6.7", "111....", "555...7"),
        ("111....", "555....", "111....", "555...."),
        ("222....", "...6...", "222....", "...6..."),
        ("111.22....", "555..66...", "111.......", "555..66..."),  # half is not more than half
    ],
)
def test_by_hand(truth, prediction, kept_truth, kept_prediction):
    np.testing.assert_array_equal(
        without_small(drawn(truth), drawn(prediction), 3),
        (drawn(kept_truth), drawn(kept_prediction)),
    )


def test_any_labels_and_dtypes():
    truth = np.array([2**40, 2**40, 7], np.uint64)
    large, prediction = without_small(truth, np.array([3, 3, 4], np.int8), 2)
    assert large.tolist() == [2**40, 2**40, 0]
    assert (prediction.tolist(), prediction.dtype) == ([3, 3, 0], np.int8)
    refused("same shape", without_small, truth, truth[:2], 2)
