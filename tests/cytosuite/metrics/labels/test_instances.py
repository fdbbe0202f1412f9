"""Matching at an IoU: F1, average precision, panoptic quality, Jaccard index, Dice, numbers."""

from math import nan

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from mistakes import refused
from scipy.optimize import linear_sum_assignment
from situations import drawn

from cytosuite.metrics.labels.detection import (
    count_error,
    count_error_absolute,
    f1,
    f1_at,
    precision,
    prediction_count,
    recall,
    true_positives,
    truth_count,
)
from cytosuite.metrics.labels.instances import (
    PERCENTS,
    aji,
    ap50,
    ap75,
    average_precision,
    dice,
    mean_average_precision,
    panoptic_quality,
    recognition_quality,
    segmentation_quality,
)
from cytosuite.metrics.labels.overlap import overlap

METRICS = (
    f1, precision, recall, count_error, ap50, ap75, mean_average_precision,
    panoptic_quality, segmentation_quality, recognition_quality, aji, dice,
)  # fmt: skip
RIGHT = (1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1)
# Values of METRICS, by hand from the sizes in the builders' documentation
BY_HAND = {
    **dict.fromkeys(("one_cell", "one_voxel", "perfect", "touching"), RIGHT),
    **dict.fromkeys(("touching_border", "in_two_pieces"), RIGHT),
    # IoU 0.6 exactly: enough for .50, .55, .60
    "shifted": (1, 1, 1, 0, 1, 0, 3 / 10, 0.6, 0.6, 1, 48 / 80, 48 / 64),
    # IoU 0.75 exactly
    "split": (
        *(2 / 3, 0.5, 1, 1, 0.5, 0.5, 6 / 10 / 2),
        *(2 * 0.75 / 3, 0.75, 2 / 3, 48 / 80, 1),
    ),
    # IoU 0.5 exactly: one of both is the cell, and no match of PQ
    "split_in_halves": (2 / 3, 0.5, 1, 1, 0.5, 0, 1 / 10 / 2, 0, nan, 0, 32 / 96, 1),
    "merged": (2 / 3, 1, 0.5, -0.5, 0.5, 0, 1 / 10 / 2, 0, nan, 0, 128 / 256, 1),
    "spurious": (2 / 3, 0.5, 1, 1, 0.5, 0.5, 0.5, 2 / 3, 1, 2 / 3, 0.5, 2 / 3),
    "missed": (2 / 3, 1, 0.5, -0.5, 0.5, 0.5, 0.5, 2 / 3, 1, 2 / 3, 0.5, 2 / 3),
    "nothing_predicted": (0, nan, 0, -1, 0, 0, 0, 0, nan, 0, 0, 0),
    "nothing_to_find": (0, 0, nan, nan, 0, 0, 0, 0, nan, 0, 0, 0),
    "empty": (nan,) * 12,
}
LABELS = arrays.arrays(np.uint16, (14,), elements=st.integers(0, 3))
quick = settings(max_examples=60)


def test_scores_by_hand(situations):
    assert set(BY_HAND) == set(situations.ALL)
    for name, expected in BY_HAND.items():
        table = overlap(*situations.ALL[name]())
        assert [m.of(table) for m in METRICS] == pytest.approx(expected, nan_ok=True), name


def slowly(truth, prediction):
    """Return AJI object by object, as the paper's algorithm does."""
    shared, united, unused = 0, 0, prediction > 0
    none, *objects = [prediction == s for s in (99, *np.unique(prediction[unused]))]
    for t in np.unique(truth[truth > 0]):
        reference, best, highest = truth == t, none, 0
        for other in objects:
            iou = (reference & other).sum() / (reference | other).sum()
            if iou > highest:
                best = other
                highest = iou
        shared += (reference & best).sum()
        united += (reference | best).sum()
        unused = unused & ~best
    united += unused.sum()
    return shared / united if united else nan


def test_an_iou_of_the_threshold_exactly_is_enough():
    # 0.55 and most others are no floats: 0.55 * 100 is more than 55.
    truth = np.ones(100, np.uint8)
    for percent in PERCENTS:
        for shared, enough in ((percent, 1.0), (percent - 1, 0.0)):
            table = overlap(truth, 1 * (np.arange(100) < shared))
            assert average_precision(table, percent) == f1_at(table, percent) == enough


@given(LABELS, LABELS, st.sampled_from(PERCENTS))
@quick
def test_pairs_are_those_of_an_optimal_assignment(truth, prediction, percent):
    table = overlap(truth, prediction)
    assume(table.shared.size)
    right = np.zeros((table.truth_sizes.size, table.prediction_sizes.size))
    right[table.truth_index, table.prediction_index] = (
        100 * table.shared >= percent * table.unions()
    )
    pairs = right[linear_sum_assignment(right, maximize=True)].sum()
    assert true_positives(table, percent) == pairs
    assert average_precision(table, percent) == pairs / (sum(right.shape) - pairs)


@given(LABELS, LABELS)
@quick
def test_index_is_that_of_the_paper_s_algorithm(truth, prediction):
    assert aji(truth, prediction) == pytest.approx(slowly(truth, prediction), nan_ok=True)


def test_of_two_equal_partners_the_smaller_label_is_taken():
    truth = drawn("11.")
    prediction = drawn("533")
    assert aji(truth, prediction) == pytest.approx(1 / (2 + 2))  # label 5: 1/2 against 1/3
    truth = drawn(".11.")
    prediction = drawn("5533")
    assert aji(truth, prediction) == pytest.approx(1 / (3 + 2))


def test_numbers_and_their_errors(situations):
    truth, prediction = situations.split()
    assert (truth_count(truth, prediction), prediction_count(prediction)) == (1, 2)
    assert prediction_count.of(prediction_count.evidence.pool([2, 3])) == 5
    absolute = [count_error_absolute(*situations.ALL[n]()) for n in ("missed", "spurious", "empty")]
    assert absolute == [1, 1, 0]


@pytest.mark.parametrize("percent", [49, 101, 0.5, 55.5])
def test_thresholds_are_whole_hundredths_from_one_half(percent):
    table = overlap(np.ones(3, int), np.ones(3, int))
    refused(
        rf"^the least IoU must be .*, found {percent}; below", average_precision, table, percent
    )
