from dataclasses import replace
from math import isnan

import films
import numpy as np
import pytest

from cytosuite.metrics import metrics_of
from cytosuite.metrics.tracks.lineage import Track
from cytosuite.metrics.tracks.matched_tracks import match_tracks
from cytosuite.metrics.tracks.tracking import (
    TrackingErrors,
    det,
    det_without_penalty,
    lnk,
    op_csb,
    op_ctb,
    seg,
    tra,
    tracking_errors,
)

NAMES = {metric.name: metric for metric in metrics_of("tracks")}


def errors(truth, found):
    return tracking_errors(match_tracks(truth, found))


@pytest.mark.parametrize("seed", range(2))
def test_every_metric_is_best_worst_and_within_its_range(seed):
    truth, nothing = films.simulate(seed), films.empty_like(films.simulate(seed))
    right, faulty = films.relabelled(truth, seed), films.corrupt(truth, seed, 0.15)
    for name, metric in NAMES.items():
        value = metric(truth, right)
        assert value == metric.best or (isnan(value) and metric.undefined), name
        value = metric(truth, nothing)
        assert metric.worst is None or value == metric.worst or isnan(value), name
        value = metric(truth, faulty)
        assert isnan(value) or 0 <= value <= (1 if metric.best else np.inf), name
    for pair in ((films.empty(), films.empty()), (films.empty(), films.one_track(2))):
        assert all(m.undefined for m in NAMES.values() if isnan(m(*pair)))


def test_three_cells_under_one_mask_need_two_splits():
    truth, found = films.three_merged()
    assert errors(truth, found) == TrackingErrors(2, 0, 0, 0, 0, 0)
    assert det(truth, found) == tra(truth, found) == pytest.approx(1 - 10 / 30)
    assert isnan(lnk(truth, found))


def test_a_track_broken_and_rejoined_costs_the_kind_of_its_link():
    """One cell in ten frames, broken after the fifth: EC = 1 of 10 * 10 + 1.5 * 9 points."""
    found = films.sequence([(1, 0, 4), (2, 5, 9, 1)], *["1111"] * 5, *["2222"] * 5)
    assert errors(films.one_track(10), found) == TrackingErrors(0, 0, 0, 0, 0, 1)
    assert tra(films.one_track(10), found) == pytest.approx(1 - 1 / 113.5)
    assert lnk(films.one_track(10), found) == pytest.approx(1 - 1 / 13.5)


def test_a_daughter_that_carries_on_her_mothers_track():
    """Her link is a track link, not a parent link (EC), the other is absent (EA)."""
    before, after = "1111..", "11..33"
    found = films.sequence([(1, 0, 3), (3, 2, 3)], before, before, after, after)
    assert errors(films.division(), found) == TrackingErrors(0, 0, 0, 0, 1, 1)


def test_a_link_over_a_gap():
    truth = films.sequence([(1, 0, 0), (2, 3, 3, 1)], "1111", "....", "....", "2222")
    assert errors(truth, truth) == TrackingErrors(0, 0, 0, 0, 0, 0)
    unlinked = replace(truth, tracks=[Track(1, 0, 0), Track(2, 3, 3)])
    assert errors(truth, unlinked) == TrackingErrors(0, 0, 0, 0, 1, 0)
    assert errors(unlinked, truth) == TrackingErrors(0, 0, 0, 1, 0, 0)
    assert (lnk(truth, unlinked), tra(truth, unlinked)) == (0.0, pytest.approx(1 - 1.5 / 21.5))


def test_sparse_annotation_is_without_penalty_for_what_was_not_annotated():
    truth = films.sequence([(1, 0, 0), (2, 0, 0)], "12..")
    found = films.sequence([(1, 0, 0), (2, 0, 0)], "1.22")
    assert det(truth, found) == pytest.approx(1 - 11 / 20)
    assert det_without_penalty(truth, found) == pytest.approx(1 - 10 / 20)


def test_seg_is_the_mean_over_all_cells_of_all_frames():
    truth = films.sequence([(1, 0, 1), (2, 0, 0)], "1122", "1111")
    found = films.sequence([(1, 0, 1)], "11..", "111.")
    assert seg(truth, found) == pytest.approx((1 + 0 + 0.75) / 3)
    assert op_csb(truth, found) == pytest.approx((seg(truth, found) + det(truth, found)) / 2)
    assert op_ctb(truth, found) == pytest.approx((seg(truth, found) + tra(truth, found)) / 2)


def test_overall_performance_is_undefined_with_its_parts():
    truth = replace(films.one_track(), masks=[])
    assert isnan(seg(truth, films.one_track()))
    assert isnan(op_ctb(truth, films.one_track()))
    assert isnan(op_csb(truth, films.one_track()))
    assert tra(truth, films.one_track()) == 1.0
