from math import isnan, nan

import numpy as np
import pytest
import tifffile
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cytosuite.errors import InputError
from cytosuite.metrics.labels.ctc import (
    CtcErrors,
    ctc_errors,
    det,
    det_without_penalty,
    detection_accuracy,
    matches,
    missed,
    op_csb,
    seg,
    splits,
    spurious,
)
from cytosuite.metrics.labels.overlap import concatenate, overlap

# SEG, DET, splits, missed, spurious: by hand from the sizes in the builders' documentation
BY_HAND = {
    "one_cell": (1, 1, 0, 0, 0),
    "one_voxel": (1, 1, 0, 0, 0),
    "perfect": (1, 1, 0, 0, 0),
    "touching": (1, 1, 0, 0, 0),
    "touching_border": (1, 1, 0, 0, 0),
    "in_two_pieces": (1, 1, 0, 0, 0),
    "shifted": (48 / 80, 1, 0, 0, 0),
    "split": (48 / 64, 1 - 1 / 10, 0, 0, 1),
    "split_in_halves": (0, 0, 0, 1, 2),  # half exactly is no match; 12 points of 10
    "merged": (64 / 128, 1 - 5 / 20, 1, 0, 0),
    "spurious": (1, 1 - 1 / 10, 0, 0, 1),
    "missed": (1 / 2, 1 - 10 / 20, 0, 1, 0),
    "nothing_predicted": (0, 0, 0, 2, 0),
    "nothing_to_find": (np.nan, np.nan, 0, 0, 1),
    "empty": (np.nan, np.nan, 0, 0, 0),
}
LABELS = arrays.arrays(np.uint16, (3, 4, 4), elements=st.integers(0, 5))
quick = settings(max_examples=50, deadline=None)


def test_every_situation_has_its_scores(situations):
    assert set(BY_HAND) == set(situations.ALL)


@pytest.mark.parametrize("name", BY_HAND)
def test_scores_by_hand(situations, name):
    table = overlap(*situations.ALL[name]())
    scores = [metric.of(table) for metric in (seg, det, splits, missed, spurious)]
    assert scores == pytest.approx(BY_HAND[name], abs=1e-15, nan_ok=True)


def test_errors_are_those_of_the_metrics(situations):
    assert ctc_errors(overlap(*situations.merged())) == CtcErrors(splits=1, missed=0, spurious=0)


def test_more_than_half_is_compared_in_integers():
    truth = np.ones(2 * 3 + 1, np.uint8)
    for shared, found in ((3, False), (4, True)):
        assert (seg(truth, (np.arange(7) < shared).astype(np.uint8)) > 0) is found


def test_size_of_the_predicted_object_does_not_enter_the_match():
    truth = np.zeros(1000, np.uint8)
    truth[:10] = 1
    assert seg(truth, np.ones(1000, np.uint8)) == 10 / 1000
    assert det(truth, np.ones(1000, np.uint8)) == 1.0


def test_an_object_that_matches_m_cells_needs_m_minus_one_splits():
    truth = np.arange(1, 5)
    assert splits(truth, np.ones(4, int)) == 3
    assert det(truth, np.ones(4, int)) == 1 - 15 / 40


def test_det_does_not_fall_below_zero():
    assert det(np.array([1, 0, 0, 0, 0, 0]), np.array([0, 1, 2, 3, 4, 5])) == 0.0


@given(LABELS)
@quick
def test_identity_is_perfect(labels):
    assume(labels.any())
    assert seg(labels, labels) == det(labels, labels) == 1.0


@given(LABELS, LABELS)
@quick
def test_scores_lie_in_their_range(truth, prediction):
    for metric in (seg, det):
        value = metric(truth, prediction)
        assert 0 <= value <= 1 or (isnan(value) and not truth.any())


@given(LABELS, LABELS, st.permutations(range(1, 6)), st.permutations(range(1, 6)))
@quick
def test_names_of_labels_do_not_matter(truth, prediction, to, also_to):
    renamed = np.array([0, *to])[truth], np.array([0, *also_to])[prediction]
    for metric in (seg, det, splits, missed, spurious):
        expected = metric(truth, prediction)
        assert metric(*renamed) == pytest.approx(expected, abs=1e-15, nan_ok=True)


@given(LABELS, LABELS)
@quick
def test_pooled_score_of_a_repeated_volume_is_its_score(truth, prediction):
    table = overlap(truth, prediction)
    for metric in (seg, det):
        pooled = metric.of(concatenate([table] * 3))
        assert pooled == pytest.approx(metric.of(table), abs=1e-15, nan_ok=True)


def test_pooled_score_weighs_every_cell_alike(situations):
    tables = [overlap(*situations.ALL[name]()) for name in ("shifted", "nothing_predicted")]
    assert seg.of(concatenate(tables)) == pytest.approx(0.6 / 3)
    assert det.of(concatenate(tables)) == pytest.approx(1 / 3)


@given(LABELS, LABELS)
@quick
def test_a_spurious_object_never_raises_det_and_leaves_seg(truth, prediction):
    truth, before = (np.pad(labels, ((0, 1), (0, 0), (0, 0))) for labels in (truth, prediction))
    after = before.copy()
    after[-1] = 99
    assume(truth.any())
    assert det(truth, after) <= det(truth, before)
    assert seg(truth, after) == seg(truth, before)


@given(LABELS, LABELS)
@quick
def test_every_cell_is_matched_or_missed(truth, prediction):
    table = overlap(truth, prediction)
    errors = ctc_errors(table)
    unique_or_merging = table.prediction_sizes.size - errors.spurious
    assert unique_or_merging + errors.splits + errors.missed == table.truth_sizes.size


# splits, missed, spurious and DET of four programs on a volume of 201 nuclei (Bruch et al. 2023)
PUBLISHED = {
    "naive simulation": (30, 0, 220, 0.815920),
    "optimized simulation": (15, 1, 66, 0.924876),
    "both": (17, 0, 63, 0.926368),
    "TWANG": (12, 43, 71, 0.720896),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_accuracies_follow_from_the_published_errors(name):
    *errors, expected = PUBLISHED[name]
    assert detection_accuracy(201, CtcErrors(*errors)) == pytest.approx(expected, abs=5e-7)


def test_accuracy_of_errors_is_that_of_the_volumes(situation):
    table = overlap(*situation)
    value = detection_accuracy(table.truth_sizes.size, ctc_errors(table))
    assert value == pytest.approx(det.of(table), nan_ok=True)


@pytest.mark.parametrize(
    ("cells", "errors", "message"),
    [
        (-1, (0, 0, 0), "numbers of cells and of errors must not be negative, found -1 cells"),
        (2, (0, -1, 0), "numbers of cells and of errors must not be negative, found 2 cells"),
        (2, (1, 2, 0), "splits and missed cells must not exceed the 2 cells, found "),
    ],
)
def test_impossible_numbers_of_errors_are_refused(cells, errors, message):
    with pytest.raises(InputError, match=f"^{message}"):
        detection_accuracy(cells, CtcErrors(*errors))


@given(LABELS, LABELS)
@quick
def test_matches_are_the_pairs_of_more_than_half(truth, prediction):
    table = overlap(truth, prediction)
    expected = [
        i
        for i, (t, n) in enumerate(zip(table.truth_index, table.shared, strict=True))
        if 2 * n > table.truth_sizes[t]
    ]
    assert matches(table).tolist() == expected


def peer(folder, truth, prediction):
    """Return SEG and DET of py-ctcmetrics for one frame (it needs files)."""
    representations = pytest.importorskip("ctc_metrics.utils.representations")
    technical = pytest.importorskip("ctc_metrics.metrics")
    for name, labels in (("truth", truth), ("prediction", prediction)):
        tifffile.imwrite(folder / f"{name}.tif", labels, photometric="minisblack")
    found = representations.match(str(folder / "truth.tif"), str(folder / "prediction.tif"))
    *lists, iou = ([column] for column in found)
    counts = representations.count_acyclic_graph_correction_operations(None, None, *lists)
    counts["num_vertices"] = int(counts["num_vertices"])
    return technical.seg(lists[0], iou), technical.det(**counts)


@pytest.mark.parametrize("seed", range(20))
def test_agrees_with_py_ctcmetrics_on_random_volumes(tmp_path, seed):
    rng = np.random.default_rng(seed)
    truth = np.kron(rng.integers(0, 8, (3, 4, 4)), np.ones((2, 3, 3), int)).astype(np.uint16)
    prediction = np.roll(truth, rng.integers(0, 2, 3), (0, 1, 2))
    holes = np.kron(rng.random((3, 4, 4)) < 0.2, np.ones((2, 3, 3), bool))
    prediction[holes] = rng.integers(0, 12, holes.sum())
    prediction[prediction == 3] = 5
    truth[0, 0, 0] = prediction[0, 0, 0] = 0
    expected = peer(tmp_path, truth, prediction)
    assert (seg(truth, prediction), det(truth, prediction)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", sorted(set(BY_HAND) - {"empty", "nothing_to_find"}))
def test_agrees_with_py_ctcmetrics_on_the_situations(tmp_path, situations, name):
    truth, prediction = situations.ALL[name]()
    expected = peer(tmp_path, truth, prediction)
    assert (seg(truth, prediction), det(truth, prediction)) == pytest.approx(expected, abs=1e-12)


def test_high_uint16_labels_score_as_any_others(tmp_path, situations):
    truth, prediction = situations.shifted()
    high = np.where(prediction > 0, 65534, 0).astype(np.uint16)
    assert (seg(truth, high), det(truth, high)) == (48 / 80, 1.0)
    assert peer(tmp_path, truth, high) == (0.0, 0.0)  # version 1.3.3: label + offset wraps


def test_an_object_that_fills_the_volume_counts(tmp_path):
    """py-ctcmetrics takes the lowest label for background, also where there is none."""
    truth = np.zeros((4, 4, 4), np.uint16)
    truth[0] = 1
    prediction = np.ones_like(truth)
    assert (seg(truth, prediction), det(truth, prediction)) == (0.25, 1.0)
    assert peer(tmp_path, truth, prediction)[0] == 0.0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("perfect", 1),
        ("spurious", 1),
        ("split", 1),
        ("missed", 1 / 2),
        ("merged", 1 - 5 / 20),
        ("split_in_halves", 0),
        ("nothing_predicted", 0),
        ("nothing_to_find", nan),
        ("empty", nan),
    ],
)
def test_accuracy_without_penalty_by_hand(situations, name, value):
    found = det_without_penalty(*situations.ALL[name]())
    assert found == pytest.approx(value, nan_ok=True)


@given(LABELS, LABELS)
@quick
def test_accuracy_without_penalty_is_no_less(truth, prediction):
    table = overlap(truth, prediction)
    if truth.any():
        assert det.of(table) <= det_without_penalty.of(table) <= 1


@given(LABELS, LABELS)
@quick
def test_overall_performance_is_the_mean(truth, prediction):
    expected = (det(truth, prediction) + seg(truth, prediction)) / 2
    assert op_csb(truth, prediction) == pytest.approx(expected, nan_ok=True)
