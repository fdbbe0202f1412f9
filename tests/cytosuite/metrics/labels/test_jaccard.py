from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.optimize import linear_sum_assignment

from cytosuite.metrics.labels import jaccard
from cytosuite.metrics.labels.jaccard import aji, aji_plus, dice
from cytosuite.metrics.labels.overlap import concatenate, overlap

# AJI, AJI+, Dice: by hand from the sizes in the builders' documentation
BY_HAND = {
    "one_cell": (1, 1, 1),
    "one_voxel": (1, 1, 1),
    "perfect": (1, 1, 1),
    "touching": (1, 1, 1),
    "touching_border": (1, 1, 1),
    "in_two_pieces": (1, 1, 1),
    "shifted": (48 / 80, 48 / 80, 48 / 64),
    "split": (48 / (64 + 16), 48 / (64 + 16), 1),
    "split_in_halves": (32 / (64 + 32), 32 / (64 + 32), 1),
    "merged": (128 / 256, 64 / (128 + 64), 1),  # may both cells have the one object, or only one
    "spurious": (64 / 128, 64 / 128, 2 * 64 / (64 + 128)),
    "missed": (64 / 128, 64 / 128, 2 * 64 / (64 + 128)),
    "nothing_predicted": (0, 0, 0),
    "nothing_to_find": (0, 0, 0),
    "empty": (nan, nan, nan),
}
LABELS = arrays.arrays(np.uint16, (16,), elements=st.integers(0, 4))
quick = settings(max_examples=60, deadline=None)


def slowly(truth, prediction):
    """Return AJI object by object, as the paper's algorithm does."""
    shared = united = 0
    names, used = [s for s in np.unique(prediction) if s], set()
    for t in np.unique(truth[truth > 0]):
        iou = [((truth == t) & (prediction == s)).sum() for s in names]
        iou = [
            n / ((truth == t) | (prediction == s)).sum() for n, s in zip(iou, names, strict=True)
        ]
        if not iou or max(iou) == 0:
            united += (truth == t).sum()
            continue
        best = names[int(np.argmax(iou))]
        used.add(best)
        shared += ((truth == t) & (prediction == best)).sum()
        united += ((truth == t) | (prediction == best)).sum()
    united += sum((prediction == s).sum() for s in names if s not in used)
    return shared / united if united else nan


def test_every_situation_has_its_scores(situations):
    assert set(BY_HAND) == set(situations.ALL)


@pytest.mark.parametrize("name", BY_HAND)
def test_scores_by_hand(situations, name):
    table = overlap(*situations.ALL[name]())
    values = aji.of(table), aji_plus(table), dice.of(table)
    assert values == pytest.approx(BY_HAND[name], nan_ok=True)


@given(LABELS, LABELS)
@quick
def test_index_is_that_of_the_paper_s_algorithm(truth, prediction):
    assert aji(truth, prediction) == pytest.approx(slowly(truth, prediction), nan_ok=True)


@given(LABELS, LABELS, st.integers(1, 3))
@quick
def test_index_does_not_depend_on_the_blocks_it_is_computed_in(truth, prediction, size):
    expected = aji(truth, prediction)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jaccard, "BLOCK", size)
        assert aji(truth, prediction) == pytest.approx(expected, nan_ok=True)


@given(LABELS, LABELS)
@quick
def test_partners_used_once_are_those_of_an_optimal_assignment(truth, prediction):
    table = overlap(truth, prediction)
    iou = np.zeros((table.truth_sizes.size, table.prediction_sizes.size))
    iou[table.truth_index, table.prediction_index] = table.shared / table.unions
    best = iou[linear_sum_assignment(iou, maximize=True)].sum()
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jaccard, "_aggregated", lambda _, pairs: seen.append(pairs))
        aji_plus(table)
    (pairs,) = seen
    assert np.unique(table.truth_index[pairs]).size == pairs.size
    assert np.unique(table.prediction_index[pairs]).size == pairs.size
    assert (table.shared[pairs] / table.unions[pairs]).sum() == pytest.approx(best)


@given(LABELS, LABELS)
@quick
def test_scores_lie_in_their_range(truth, prediction):
    table = overlap(truth, prediction)
    for value in (aji.of(table), aji_plus(table), dice.of(table)):
        assert 0 <= value <= 1 or (isnan(value) and not truth.any() and not prediction.any())


@given(LABELS, LABELS)
@quick
def test_dice_is_symmetric_and_of_the_foreground(truth, prediction):
    a, b = truth > 0, prediction > 0
    expected = 2 * (a & b).sum() / (a.sum() + b.sum()) if a.any() or b.any() else nan
    assert dice(truth, prediction) == pytest.approx(expected, nan_ok=True)
    assert dice(prediction, truth) == pytest.approx(expected, nan_ok=True)


def test_pooled_scores_sum_voxels(situations):
    table = concatenate([overlap(*situations.shifted()), overlap(*situations.missed())])
    assert aji.of(table) == (48 + 64) / (80 + 128)
    assert dice.of(table) == 2 * (48 + 64) / (128 + 192)


def test_of_two_equal_partners_the_smaller_label_is_taken():
    truth, prediction = np.array([1, 1, 0]), np.array([5, 3, 3])
    assert aji(truth, prediction) == pytest.approx(1 / (2 + 2))  # label 5: 1/2 against 1/3
    truth, prediction = np.array([0, 1, 1, 0]), np.array([5, 5, 3, 3])
    assert aji(truth, prediction) == pytest.approx(1 / (3 + 2))


def test_many_ambiguous_objects_are_matched_as_sparse_graph():
    truth = np.repeat(np.arange(1, 4001), 2)
    prediction = np.roll(truth, 1)
    table = overlap(truth, prediction)  # a ring: every IoU is 1/3
    assert aji_plus(table) == pytest.approx(1 / 3)
