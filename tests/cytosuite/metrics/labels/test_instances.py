from itertools import pairwise
from math import nan

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.optimize import linear_sum_assignment

from cytosuite.errors import InputError
from cytosuite.metrics.labels.detection import count_error, count_error_absolute, f1, f1_at
from cytosuite.metrics.labels.instances import (
    PERCENTS,
    ap50,
    ap75,
    average_precision,
    mean_average_precision,
    panoptic_quality,
    recognition_quality,
    segmentation_quality,
)
from cytosuite.metrics.labels.overlap import concatenate, overlap

METRICS = (
    ap50,
    ap75,
    mean_average_precision,
    panoptic_quality,
    segmentation_quality,
    recognition_quality,
)
# AP50, AP75, mAP, PQ, SQ, RQ: by hand from the sizes in the builders' documentation
BY_HAND = {
    "one_cell": (1, 1, 1, 1, 1, 1),
    "one_voxel": (1, 1, 1, 1, 1, 1),
    "perfect": (1, 1, 1, 1, 1, 1),
    "touching": (1, 1, 1, 1, 1, 1),
    "touching_border": (1, 1, 1, 1, 1, 1),
    "in_two_pieces": (1, 1, 1, 1, 1, 1),
    "shifted": (1, 0, 3 / 10, 0.6, 0.6, 1),  # IoU 0.6 exactly: enough for .50, .55, .60
    "split": (1 / 2, 1 / 2, 6 / 10 / 2, 2 * 0.75 / 3, 0.75, 2 / 3),  # IoU 0.75 exactly
    "split_in_halves": (1 / 2, 0, 1 / 10 / 2, 0, nan, 0),  # IoU 0.5 exactly: no match of PQ
    "merged": (1 / 2, 0, 1 / 10 / 2, 0, nan, 0),
    "spurious": (1 / 2, 1 / 2, 1 / 2, 2 / 3, 1, 2 / 3),
    "missed": (1 / 2, 1 / 2, 1 / 2, 2 / 3, 1, 2 / 3),
    "nothing_predicted": (0, 0, 0, 0, nan, 0),
    "nothing_to_find": (0, 0, 0, 0, nan, 0),
    "empty": (nan, nan, nan, nan, nan, nan),
}
LABELS = arrays.arrays(np.uint16, (14,), elements=st.integers(0, 3))
quick = settings(max_examples=60, deadline=None)


def blocks(seed):
    """Return two volumes of blocks that mostly agree, with consecutive labels."""
    rng = np.random.default_rng(seed)
    truth = np.kron(rng.integers(0, 40, (2, 4, 4)), np.ones((2, 6, 6), int))
    prediction = np.roll(truth, rng.integers(0, 2, 2), (1, 2))
    prediction[rng.random(truth.shape) < rng.choice([0, 0.05, 0.2])] = 0
    ranks = (np.unique(np.append(0, v), return_inverse=True)[1][1:] for v in (truth, prediction))
    return tuple(rank.reshape(truth.shape).astype(np.int32) for rank in ranks)


def test_every_situation_has_its_scores(situations):
    assert set(BY_HAND) == set(situations.ALL)


@pytest.mark.parametrize("name", BY_HAND)
def test_scores_by_hand(situations, name):
    table = overlap(*situations.ALL[name]())
    assert [metric.of(table) for metric in METRICS] == pytest.approx(BY_HAND[name], nan_ok=True)


@pytest.mark.parametrize("percent", PERCENTS)
def test_an_iou_of_the_threshold_exactly_is_enough(percent):
    """0.55 and most others are no floats: 0.55 * 100 is more than 55."""
    truth = np.ones(100, np.uint8)
    for shared, enough in ((percent, 1.0), (percent - 1, 0.0)):
        table = overlap(truth, 1 * (np.arange(100) < shared))
        assert average_precision(table, percent) == f1_at(table, percent) == enough


@given(LABELS, LABELS, st.sampled_from(PERCENTS))
@quick
def test_precision_is_that_of_an_optimal_assignment(truth, prediction, percent):
    table = overlap(truth, prediction)
    assume(table.shared.size)
    right = np.zeros((table.truth_sizes.size, table.prediction_sizes.size))
    right[table.truth_index, table.prediction_index] = 100 * table.shared >= percent * table.unions
    pairs = right[linear_sum_assignment(right, maximize=True)].sum()
    assert average_precision(table, percent) == pairs / (sum(right.shape) - pairs)


@given(LABELS, LABELS)
@quick
def test_scores_lie_in_their_range_and_fall_with_the_threshold(truth, prediction):
    assume(truth.any() or prediction.any())
    table = overlap(truth, prediction)
    values = [average_precision(table, percent) for percent in PERCENTS]
    assert all(1 >= a >= b >= 0 for a, b in pairwise(values))
    assert mean_average_precision.of(table) == pytest.approx(np.mean(values))
    assert 0 <= panoptic_quality.of(table) <= recognition_quality.of(table) <= f1.of(table) <= 1


@given(LABELS, LABELS)
@quick
def test_panoptic_quality_is_the_product_of_its_factors(truth, prediction):
    table = overlap(truth, prediction)
    recognition = recognition_quality.of(table)
    product = recognition * segmentation_quality.of(table) if recognition > 0 else recognition
    assert panoptic_quality.of(table) == pytest.approx(product, nan_ok=True)


@given(LABELS, LABELS)
@quick
def test_exchanging_the_volumes_changes_nothing(truth, prediction):
    for metric in METRICS:
        expected = metric(truth, prediction)
        assert metric(prediction, truth) == pytest.approx(expected, nan_ok=True)


@given(LABELS, LABELS, st.permutations(range(1, 4)))
@quick
def test_names_of_labels_do_not_matter(truth, prediction, to):
    for metric in METRICS:
        expected = metric(truth, prediction)
        assert metric(np.array([0, *to])[truth], prediction) == pytest.approx(expected, nan_ok=True)


def test_pooled_scores_weigh_every_object_alike(situations):
    table = concatenate([overlap(*situations.perfect()), overlap(*situations.nothing_predicted())])
    assert panoptic_quality.of(table) == 2 * 2 / 6
    assert ap50.of(table) == 2 / 4


def test_errors_of_counts_do_not_cancel(situations):
    signed, absolute = (
        [metric(*situations.ALL[name]()) for name in ("missed", "spurious", "empty")]
        for metric in (count_error, count_error_absolute)
    )
    assert signed == pytest.approx([-0.5, 1, nan], nan_ok=True)
    assert absolute == [1, 1, 0]


@pytest.mark.parametrize("percent", [49, 101, 0.5, 55.5])
def test_thresholds_are_whole_hundredths_from_one_half(percent):
    table = overlap(np.ones(3, int), np.ones(3, int))
    with pytest.raises(InputError, match=rf"^the least IoU must be .*, found {percent}; below"):
        average_precision(table, percent)


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_stardist(seed):
    stardist = pytest.importorskip("stardist.matching", reason="compared with where installed")
    truth, prediction = blocks(seed)
    table = overlap(truth, prediction)
    for percent in (50, 75, 90):
        theirs = stardist.matching(truth, prediction, thresh=percent / 100)
        assert average_precision(table, percent) == pytest.approx(theirs.accuracy)
        assert f1_at(table, percent) == pytest.approx(theirs.f1)
    theirs = stardist.matching(truth, prediction, thresh=0.5 + 1e-6)  # float32, strictly more
    assert panoptic_quality.of(table) == pytest.approx(theirs.panoptic_quality)
    assert segmentation_quality.of(table) == pytest.approx(theirs.mean_matched_score)


def test_stardist_takes_a_half_for_a_panoptic_match_and_nothing_for_zero(situations):
    stardist = pytest.importorskip("stardist.matching", reason="compared with where installed")
    labels = situations.split_in_halves()
    truth, prediction = (labels.truth > 0).astype(int), (labels.prediction == 9).astype(int)
    assert stardist.matching(truth, prediction).panoptic_quality == 0.5
    assert panoptic_quality(truth, prediction) == 0.0
    nothing = np.zeros((3, 3), int)
    assert stardist.matching(nothing, nothing).accuracy == 0
    assert np.isnan(ap50(nothing, nothing))


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_the_panoptic_quality_of_monai(seed):
    torch = pytest.importorskip("torch", reason="MONAI is compared with where it is installed")
    monai = pytest.importorskip("monai.metrics", reason="compared with where it is installed")
    truth, prediction = blocks(seed)
    theirs = [
        float(
            monai.compute_panoptic_quality(
                torch.from_numpy(prediction[None]).reshape(1, -1, 1)[0],
                torch.from_numpy(truth[None]).reshape(1, -1, 1)[0],
                metric_name=name,
                match_iou_threshold=0.5,
            )
        )
        for name in ("pq", "sq", "rq")
    ]
    ours = [
        m(truth, prediction) for m in (panoptic_quality, segmentation_quality, recognition_quality)
    ]
    assert ours == pytest.approx(theirs, abs=1e-5)  # it adds 1e-6 to the denominators


@pytest.mark.parametrize("seed", range(2))
def test_agrees_with_panoptica(seed):
    panoptica = pytest.importorskip("panoptica", reason="compared with where it is installed")
    truth, prediction = blocks(seed)
    evaluator = panoptica.Panoptica_Evaluator(
        expected_input=panoptica.InputType.UNMATCHED_INSTANCE,
        instance_matcher=panoptica.NaiveThresholdMatching(matching_threshold=0.5 + 1e-9),
    )
    found = evaluator.evaluate(prediction.astype(np.uint16), truth.astype(np.uint16), verbose=False)
    theirs = next(iter(found.values()))
    assert panoptic_quality(truth, prediction) == pytest.approx(theirs.pq)
    assert recognition_quality(truth, prediction) == pytest.approx(theirs.rq)
