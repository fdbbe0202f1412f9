"""Classes of objects: hand-computed cases, properties, and both scores from the table alone."""

import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cytosuite.metrics.labels.ctc import MISSED, SPLIT, SPURIOUS, ctc_errors, det, seg
from cytosuite.metrics.labels.object_errors import (
    PREDICTION_CLASSES,
    TRUTH_CLASSES,
    object_classes,
    object_errors,
)
from cytosuite.metrics.labels.overlap import concatenate, overlap

LABELS = arrays.arrays(np.uint16, (3, 4, 4), elements=st.integers(0, 5))
quick = settings(max_examples=80, deadline=None)
# Classes of the truth and of the prediction, by hand from the sizes in tests/situations.py
BY_HAND = {
    "one_cell": (["matched"], ["matched"]),
    "one_voxel": (["matched"], ["matched"]),
    "perfect": (["matched"] * 2, ["matched"] * 2),
    "touching": (["matched"] * 2, ["matched"] * 2),
    "touching_border": (["matched"], ["matched"]),
    "in_two_pieces": (["matched"], ["matched"]),
    "shifted": (["matched"], ["matched"]),
    "split": (["split"], ["matched", "split"]),  # the piece of three quarters is the match
    "split_in_halves": (["split"], ["split", "split"]),
    "merged": (["merged"] * 2, ["merged"]),
    "spurious": (["matched"], ["matched", "false"]),
    "missed": (["matched", "missed"], ["matched"]),
    "nothing_predicted": (["missed"] * 2, []),
    "nothing_to_find": ([], ["false"]),
    "empty": ([], []),
}


def classes_of(truth, prediction):
    """Return both lists of classes of two rows of labels."""
    found = object_classes(overlap(np.asarray(truth), np.asarray(prediction)))
    return [classes.tolist() for classes in found]


def scores_of(table):
    """Return SEG and DET from the table of the objects alone."""
    truth, prediction = object_errors(table)
    found, covering = (np.count_nonzero(side.matched) for side in (truth, prediction))
    missed, spurious = truth.labels.size - found, prediction.labels.size - covering
    cost = SPLIT * (found - covering) + MISSED * missed + SPURIOUS * spurious
    scratch = MISSED * truth.labels.size
    return truth.seg.mean(), 1 - min(cost, scratch) / scratch


def test_every_situation_has_its_classes(situations):
    assert set(BY_HAND) == set(situations.ALL)


@pytest.mark.parametrize("name", BY_HAND)
def test_classes_by_hand(situations, name):
    of_truth, of_prediction = classes_of(*situations.ALL[name]())
    assert sorted(of_truth) == sorted(BY_HAND[name][0])
    assert sorted(of_prediction) == sorted(BY_HAND[name][1])


@pytest.mark.parametrize(
    ("truth", "prediction", "expected"),
    [
        ([1, 1, 1, 1], [0, 2, 0, 0], (["missed"], ["false"])),  # one piece is no split
        ([1, 1, 1, 1], [2, 0, 3, 0], (["split"], ["split", "split"])),  # two are, without a match
        ([1, 1, 1, 1], [2, 2, 2, 3], (["split"], ["matched", "split"])),
        ([1, 1, 0, 0], [2, 3, 3, 0], (["missed"], ["false", "false"])),  # half of 3 lies outside
        ([1, 1, 1, 2], [3, 3, 3, 3], (["merged", "merged"], ["merged"])),
        ([1, 1, 1, 1, 2, 2], [3, 3, 3, 0, 3, 0], (["matched", "missed"], ["matched"])),
        # One object holds a merging match and two pieces: merged goes first, pieces stay pieces.
        ([1] * 7 + [2], [3, 3, 3, 3, 4, 5, 0, 3], (["merged"] * 2, ["merged", "split", "split"])),
        ([0, 0], [7, 8], ([], ["false", "false"])),
    ],
)
def test_limits_of_the_classes(truth, prediction, expected):
    assert classes_of(truth, prediction) == list(expected)


def test_values_of_each_object_by_hand():
    table = overlap(np.array([1, 1, 1, 1, 2, 2, 3, 0]), np.array([7, 7, 7, 0, 7, 9, 0, 8]))
    truth, prediction = object_errors(table)
    assert truth.labels.tolist() == [1, 2, 3]
    assert truth.matched.tolist() == [7, 0, 0]
    assert truth.seg.tolist() == [3 / 5, 0, 0]
    assert truth.iou.tolist() == [3 / 5, 1 / 2, 0]  # half of object 2 is a good, but no match
    assert truth.covered.tolist() == [3 / 4, 1 / 2, 0]
    assert prediction.matched.tolist() == [1, 0, 0]
    assert prediction.iou.tolist() == [3 / 5, 0, 1 / 2]
    assert prediction.covered.tolist() == [3 / 4, 0, 1]


def test_an_object_that_matches_two_names_the_better_and_of_equal_ones_the_first():
    _, (one) = object_errors(overlap(np.array([4, 5, 5]), np.array([1, 1, 1])))
    assert one.matched.tolist() == [5]
    _, (one) = object_errors(overlap(np.array([5, 4]), np.array([1, 1])))
    assert one.matched.tolist() == [4]


@given(LABELS, LABELS)
@quick
def test_every_object_has_exactly_one_class(truth, prediction):
    table = overlap(truth, prediction)
    of_truth, of_prediction = object_classes(table)
    assert (of_truth.size, of_prediction.size) == (
        table.truth_sizes.size,
        table.prediction_sizes.size,
    )
    assert set(of_truth.tolist()) <= set(TRUTH_CLASSES)
    assert set(of_prediction.tolist()) <= set(PREDICTION_CLASSES)


@given(LABELS, LABELS)
@quick
def test_the_classes_follow_from_their_definition_object_by_object(truth, prediction):
    """Loops over voxels, as the definition is read."""
    rs, ss = (np.unique(labels[labels > 0]) for labels in (truth, prediction))
    match = {
        r: next(
            (s for s in ss if 2 * ((truth == r) & (prediction == s)).sum() > (truth == r).sum()), 0
        )
        for r in rs
    }
    pieces = {
        r: [s for s in ss if 2 * ((truth == r) & (prediction == s)).sum() > (prediction == s).sum()]
        for r in rs
    }
    times = Counter(match.values())

    def of_truth(r):
        if match[r] and times[match[r]] > 1:
            return "merged"
        return "split" if len(pieces[r]) > 1 else "matched" if match[r] else "missed"

    def of_prediction(s):
        if times[s]:
            return "merged" if times[s] > 1 else "matched"
        return "split" if any(s in own and len(own) > 1 for own in pieces.values()) else "false"

    assert classes_of(truth, prediction) == [
        [of_truth(r) for r in rs],
        [of_prediction(s) for s in ss],
    ]


@given(LABELS, LABELS)
@quick
def test_both_scores_follow_from_the_objects_alone(truth, prediction):
    truth[0, 0, 0] = 1
    table = overlap(truth, prediction)
    found = scores_of(table)
    assert found == pytest.approx((seg.of(table), det.of(table)), abs=1e-15)


@given(LABELS, LABELS)
@quick
def test_counts_of_classes_are_those_of_det(truth, prediction):
    table = overlap(truth, prediction)
    errors = ctc_errors(table)
    of_truth, of_prediction = object_errors(table)
    counts = Counter(of_prediction.classes.tolist())
    assert counts["false"] + counts["split"] == errors.spurious
    assert np.count_nonzero(of_truth.matched == 0) == errors.missed
    merged = np.count_nonzero(of_truth.classes == "merged")
    assert merged - counts["merged"] == errors.splits


@given(LABELS, LABELS, st.permutations(range(1, 6)), st.permutations(range(1, 6)))
@quick
def test_names_of_labels_do_not_matter(truth, prediction, to, also_to):
    to, also_to = np.array([0, *to]), np.array([0, *also_to])
    sides = object_errors(overlap(truth, prediction))
    renamed = object_errors(overlap(to[truth], also_to[prediction]))
    for side, other, names in zip(sides, renamed, (to, also_to), strict=True):
        expected = dict(zip(names[side.labels].tolist(), side.classes.tolist(), strict=True))
        assert dict(zip(other.labels.tolist(), other.classes.tolist(), strict=True)) == expected


@given(LABELS)
@quick
def test_a_truth_against_itself_is_matched(labels):
    table = overlap(labels, labels)
    for side in object_errors(table):
        assert set(side.classes.tolist()) <= {"matched"}
        assert (side.matched == side.labels).all()
        assert (side.seg == 1).all()


@given(LABELS)
@quick
def test_without_a_prediction_all_is_missed_and_without_a_truth_all_is_false(labels):
    nothing = np.zeros_like(labels)
    assert set(classes_of(labels, nothing)[0]) <= {"missed"}
    assert set(classes_of(nothing, labels)[1]) <= {"false"}


@given(LABELS)
@quick
def test_one_prediction_over_all_merges(labels):
    of_truth, of_prediction = classes_of(labels, np.ones_like(labels))
    many = len(of_truth) > 1
    assert set(of_truth) <= ({"merged"} if many else {"matched"})
    assert of_prediction == (["merged"] if many else ["matched"] if of_truth else ["false"])


@given(LABELS)
@quick
def test_halves_are_split(labels):
    """Every voxel twice, the second with a label of its own."""
    truth = np.repeat(labels, 2, axis=0)
    halves = truth + np.where((truth > 0) & (np.arange(6) % 2)[:, None, None].astype(bool), 10, 0)
    assert {*classes_of(truth, halves)[0], *classes_of(truth, halves)[1]} <= {"split"}


def test_the_objects_of_several_volumes_are_those_of_each(situations):
    tables = [overlap(*situations.ALL[name]()) for name in ("merged", "split", "missed")]
    pooled = object_errors(concatenate(tables))
    for side, parts in zip(pooled, zip(*map(object_errors, tables), strict=True), strict=True):
        for column in ("labels", "classes", "matched", "seg", "iou", "covered"):
            expected = [value for part in parts for value in getattr(part, column).tolist()]
            assert getattr(side, column).tolist() == expected


def test_five_thousand_objects_take_milliseconds():
    truth = np.repeat(np.arange(10_000) % 5001, 200)
    table = overlap(truth, np.roll(truth, 70))
    assert table.truth_sizes.size == 5000
    start = time.perf_counter()
    object_errors(table)
    assert time.perf_counter() - start < 0.2  # 5 ms on a machine at rest
