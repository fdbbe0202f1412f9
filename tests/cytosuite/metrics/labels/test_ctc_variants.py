from math import nan

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cytosuite.metrics.labels.ctc import det, seg
from cytosuite.metrics.labels.ctc_variants import det_without_penalty, op_csb, seg_of_slices, stack
from cytosuite.metrics.labels.overlap import Overlap, overlap

LABELS = arrays.arrays(np.uint16, (3, 4, 4), elements=st.integers(0, 5))
quick = settings(max_examples=50, deadline=None)


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


@given(LABELS, LABELS)
@quick
def test_stacked_slices_are_the_volume(truth, prediction):
    volume = overlap(truth, prediction)
    stacked = stack([overlap(t, p) for t, p in zip(truth, prediction, strict=True)])
    for name in Overlap.__dataclass_fields__:
        assert np.array_equal(getattr(stacked, name), getattr(volume, name))


def test_a_label_in_two_slices_counts_twice():
    """The cell: 4 voxels of 4 found in one slice, 1 of 2 in the other; by hand."""
    truth = np.array([[1, 1, 1, 1], [1, 1, 0, 0]])
    prediction = np.array([[5, 5, 5, 5], [5, 0, 0, 0]])
    slices = [overlap(t, p) for t, p in zip(truth, prediction, strict=True)]
    assert seg_of_slices([slices]) == (1 + 0) / 2
    assert seg_of_slices([slices], stacked=True) == 5 / 6


def test_frames_stay_apart_when_slices_are_stacked():
    found, lost = (
        overlap(np.array([1, 1]), np.array([3, 3])),
        overlap(np.ones(2, int), np.zeros(2, int)),
    )
    assert seg_of_slices([[found], [lost]], stacked=True) == 1 / 2
    assert seg_of_slices([[found, lost]], stacked=True) == 0  # 2 of 4 voxels: no match
    assert seg_of_slices([[found, lost]]) == 1 / 2


def test_no_slice_is_undefined():
    assert seg_of_slices([]) == pytest.approx(nan, nan_ok=True)
    assert seg_of_slices([[], []], stacked=True) == pytest.approx(nan, nan_ok=True)


@pytest.mark.parametrize("seed", range(5))
def test_stacked_slices_score_as_in_py_ctcmetrics(tmp_path, seed):
    representations = pytest.importorskip("ctc_metrics.utils.representations")
    technical = pytest.importorskip("ctc_metrics.metrics")
    rng = np.random.default_rng(seed)
    truth = np.kron(rng.integers(0, 6, (3, 4, 4)), np.ones((1, 3, 3), int)).astype(np.uint16)
    prediction = np.roll(truth, 1, 1)
    prediction[:, 0, 0] = truth[:, 0, 0] = 0
    tifffile.imwrite(tmp_path / "truth.tif", truth, photometric="minisblack")
    tifffile.imwrite(tmp_path / "result.tif", prediction, photometric="minisblack")
    found = representations.match(str(tmp_path / "truth.tif"), str(tmp_path / "result.tif"))
    labels, *_, iou = ([column] for column in found)
    slices = [overlap(t, p) for t, p in zip(truth, prediction, strict=True)]
    expected = technical.seg(labels, iou)
    assert seg_of_slices([slices], stacked=True) == pytest.approx(expected, abs=1e-12)
