"""Scores of pixels, whatever the objects."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from situations import drawn

from cytosuite.metrics import pixel_f1, pixel_jaccard, pixel_precision, pixel_recall
from cytosuite.metrics.labels.instances import dice

METRICS = (pixel_precision, pixel_recall, pixel_f1, pixel_jaccard)
LABELS = arrays.arrays(np.uint8, (3, 4), elements=st.integers(0, 3))


@pytest.mark.parametrize(
    "truth, prediction, expected",
    [
        ("112...", ".777..", (2 / 3, 2 / 3, 2 / 3, 2 / 4)),
        ("1111..", "1...2.", (1 / 2, 1 / 4, 1 / 3, 1 / 5)),
        ("......", "......", (1, 1, 1, 1)),
        ("......", "..1...", (0, 0, 0, 0)),
        ("..1...", "......", (0, 0, 0, 0)),
        ("1.....", ".1....", (0, 0, 0, 0)),
    ],
)
def test_values_by_hand_and_of_empty_images(truth, prediction, expected):
    assert [metric(drawn(truth), drawn(prediction)) for metric in METRICS] == pytest.approx(
        expected
    )


@given(LABELS, LABELS)
def test_objects_do_not_count_and_the_sides_exchange(truth, prediction):
    values = [metric(truth, prediction) for metric in METRICS]
    binary = [metric((truth > 0).astype(int), (prediction > 0).astype(int)) for metric in METRICS]
    assert values == binary
    assert pixel_precision(truth, prediction) == pixel_recall(prediction, truth)
    if truth.any() or prediction.any():
        assert pixel_f1(truth, prediction) == pytest.approx(dice(truth, prediction))
    assert all(metric(truth, truth) == 1 for metric in METRICS)
