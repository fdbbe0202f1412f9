from math import nan

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.optimize import linear_sum_assignment

from cytosuite.metrics.labels.detection import (
    count_error,
    f1,
    f1_at,
    precision,
    prediction_count,
    recall,
    true_positives,
    truth_count,
)
from cytosuite.metrics.labels.overlap import concatenate, overlap

# F1, precision, recall, count error: by hand
BY_HAND = {
    "one_cell": (1, 1, 1, 0),
    "one_voxel": (1, 1, 1, 0),
    "perfect": (1, 1, 1, 0),
    "touching": (1, 1, 1, 0),
    "touching_border": (1, 1, 1, 0),
    "in_two_pieces": (1, 1, 1, 0),
    "shifted": (1, 1, 1, 0),  # IoU 0.6
    "split": (2 / 3, 1 / 2, 1, 1),
    "split_in_halves": (2 / 3, 1 / 2, 1, 1),  # both at IoU 0.5: one of them is the cell
    "merged": (2 / 3, 1, 1 / 2, -1 / 2),
    "spurious": (2 / 3, 1 / 2, 1, 1),
    "missed": (2 / 3, 1, 1 / 2, -1 / 2),
    "nothing_predicted": (0, nan, 0, -1),
    "nothing_to_find": (0, 0, nan, nan),
    "empty": (nan, nan, nan, nan),
}
LABELS = arrays.arrays(np.uint16, (12,), elements=st.integers(0, 3))
quick = settings(max_examples=100, deadline=None)


def test_every_situation_has_its_scores(situations):
    assert set(BY_HAND) == set(situations.ALL)


@pytest.mark.parametrize("name", BY_HAND)
def test_scores_by_hand(situations, name):
    table = overlap(*situations.ALL[name]())
    scores = [metric.of(table) for metric in (f1, precision, recall, count_error)]
    assert scores == pytest.approx(BY_HAND[name], nan_ok=True)


@pytest.mark.parametrize(("shared", "pairs"), [(49, 0), (50, 1), (51, 1)])
def test_an_overlap_of_half_exactly_counts(shared, pairs):
    truth, prediction = np.ones(100, np.uint8), np.zeros(100, np.uint8)
    prediction[:shared] = 7
    assert true_positives(overlap(truth, prediction)) == pairs


@given(LABELS, LABELS)
@quick
def test_pairs_are_those_of_an_optimal_assignment(truth, prediction):
    table = overlap(truth, prediction)
    assume(table.shared.size)
    same = np.zeros((table.truth_sizes.size, table.prediction_sizes.size))
    same[table.truth_index, table.prediction_index] = 2 * table.shared >= table.unions
    assert true_positives(table) == same[linear_sum_assignment(same, maximize=True)].sum()


@pytest.mark.parametrize(("shared", "pairs"), [(79, 0), (80, 1), (81, 1)])
def test_other_overlaps_are_compared_in_integers(shared, pairs):
    table = overlap(np.ones(100, np.uint8), (np.arange(100) < shared).astype(np.uint8))
    assert true_positives(table, 80) == f1_at(table, 80) == pairs


@given(LABELS, LABELS)
@quick
def test_f1_at_one_half_is_f1_and_falls_above(truth, prediction):
    table = overlap(truth, prediction)
    assert f1_at(table, 50) == pytest.approx(f1.of(table), nan_ok=True)
    assume(truth.any() or prediction.any())
    assert f1_at(table, 50) >= f1_at(table, 70) >= f1_at(table, 100)


@given(LABELS, LABELS)
@quick
def test_f1_is_symmetric_and_precision_is_the_recall_of_the_exchanged(truth, prediction):
    assert f1(truth, prediction) == pytest.approx(f1(prediction, truth), nan_ok=True)
    assert precision(truth, prediction) == pytest.approx(recall(prediction, truth), nan_ok=True)


@given(LABELS, LABELS)
@quick
def test_f1_is_the_harmonic_mean(truth, prediction):
    p, r = precision(truth, prediction), recall(truth, prediction)
    assume(p > 0)
    assert f1(truth, prediction) == pytest.approx(2 / (1 / p + 1 / r))


@given(LABELS)
@quick
def test_identity_is_perfect(labels):
    assume(labels.any())
    assert f1(labels, labels) == precision(labels, labels) == recall(labels, labels) == 1
    assert count_error(labels, labels) == 0


@given(LABELS, LABELS)
@quick
def test_pooled_score_of_a_repeated_volume_is_its_score(truth, prediction):
    table = overlap(truth, prediction)
    for metric in (f1, precision, recall, count_error):
        pooled = metric.of(concatenate([table] * 2))
        assert pooled == pytest.approx(metric.of(table), nan_ok=True)


def test_counts(situations):
    truth, prediction = situations.split()
    assert (truth_count(truth, prediction), prediction_count(prediction)) == (1, 2)
    truth, prediction = situations.empty()
    assert (truth_count(truth, prediction), prediction_count(prediction)) == (0, 0)
    assert prediction_count.of(prediction_count.evidence.pool([2, 3])) == 5
