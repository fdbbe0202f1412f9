"""Classes of objects: hand-computed cases, properties, and both scores from the table alone."""

import numpy as np
import pytest
from situations import drawn

from cytosuite.metrics.labels.object_table import object_classes, object_errors
from cytosuite.metrics.labels.overlap import overlap


@pytest.mark.parametrize(
    "truth, prediction, expected",
    [
        ("1111", ".2..", [["missed"], ["false"]]),  # one piece is no split
        ("1111", "2.3.", [["split"], ["split", "split"]]),  # two are, without a match
        ("1111", "2223", [["split"], ["matched", "split"]]),
        ("11..", "233.", [["missed"], ["false", "false"]]),  # half of 3 lies outside
        ("1112", "3333", [["merged", "merged"], ["merged"]]),
        ("111122", "333.3.", [["matched", "missed"], ["matched"]]),
        # One object holds a merging match and two pieces: merged goes first, pieces stay pieces.
        ("11111112", "333345.3", [["merged"] * 2, ["merged", "split", "split"]]),
        ("..", "78", [[], ["false", "false"]]),
    ],
)
def test_limits_of_the_classes(truth, prediction, expected):
    assert [
        classes.tolist() for classes in object_classes(overlap(drawn(truth), drawn(prediction)))
    ] == expected


def test_values_of_each_object_by_hand():
    truth, prediction = object_errors(overlap(drawn("1111223."), drawn("777.79.8")))
    assert truth.labels.tolist() == [1, 2, 3]
    assert truth.matched.tolist() == [7, 0, 0]
    assert truth.seg.tolist() == [3 / 5, 0, 0]
    assert truth.iou.tolist() == [3 / 5, 1 / 2, 0]  # half of object 2 is a good, but no match
    assert truth.covered.tolist() == [3 / 4, 1 / 2, 0]
    assert prediction.matched.tolist() == [1, 0, 0]
    assert prediction.iou.tolist() == [3 / 5, 0, 1 / 2]
    assert prediction.covered.tolist() == [3 / 4, 0, 1]


def test_an_object_that_matches_two_names_the_better_and_of_equal_ones_the_first():
    _, one = object_errors(overlap(drawn("455"), drawn("111")))
    assert one.matched.tolist() == [5]
    _, one = object_errors(overlap(np.array([5, 4]), np.array([1, 1])))
    assert one.matched.tolist() == [4]
