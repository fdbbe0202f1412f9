import pickle
from dataclasses import replace
from math import isnan

import films
import numpy as np
import pytest

from cytosuite.metrics import metrics_of
from cytosuite.metrics.tracks.lineage import Track
from cytosuite.metrics.tracks.matched_tracks import match_tracks
from cytosuite.metrics.tracks.tracking import (
    det,
    det_without_penalty,
    lnk,
    op_csb,
    op_ctb,
    seg,
    tra,
)
from cytosuite.metrics.tracks.tracking_errors import TrackingErrors, aogm, tracking_errors

TRACK = metrics_of("tracks")
NAMES = {metric.name: metric for metric in TRACK}
SEEDS = range(12)


def errors(truth, found):
    return tracking_errors(match_tracks(truth, found))


def test_metrics_of_tracks_in_order():
    scores = "CT TF CCA BIO OP_CLB BC0 BC1 BC2 BC3 TRA LNK DET DET_NFP SEG OP_CSB OP_CTB"
    assert list(NAMES) == [*scores.split(), "AOGM", "NS", "FN", "FP", "ED", "EA", "EC"]


@pytest.mark.parametrize("found", TRACK, ids=lambda found: found.name)
class TestEveryMetric:
    def test_says_what_it_is(self, found):
        assert found.description.startswith("Return ")
        assert found.reference.startswith("10.")
        assert found.best is not None

    @pytest.mark.parametrize("seed", range(3))
    def test_is_best_where_all_is_right(self, found, seed):
        film = films.simulate(seed)
        value = found(film, films.relabelled(film, seed))
        assert value == found.best or (isnan(value) and found.undefined)

    def test_is_worst_where_nothing_is_found(self, found):
        value = found(films.simulate(0), films.empty_like(films.simulate(0)))
        assert found.worst is None or value == found.worst

    def test_is_undefined_only_where_it_says_so(self, found):
        for truth, result in (
            (films.empty(), films.empty()),
            (films.empty(), films.one_track(2)),
            (films.one_track(1), films.one_track(1)),
        ):
            value = found(truth, result)
            assert isinstance(value, float)
            assert not isnan(value) or found.undefined.startswith("when ")

    @pytest.mark.parametrize("seed", range(3))
    def test_lies_in_its_range(self, found, seed):
        value = found(films.simulate(seed), films.corrupt(films.simulate(seed), seed, 0.15))
        assert isnan(value) or 0 <= value <= (1 if found.best else np.inf)

    def test_of_matched_tracks_is_the_value_of_the_sequences(self, found):
        truth, result = films.simulate(4), films.corrupt(films.simulate(4), 4)
        value = found.of(match_tracks(truth, result))
        assert value == pytest.approx(found(truth, result), nan_ok=True, abs=0)

    def test_survives_the_way_to_another_process(self, found):
        assert pickle.loads(pickle.dumps(found)) is found


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", sorted(set(NAMES) - {"TF", "BIO", "OP_CLB"}))
def test_names_of_labels_do_not_matter(name, seed):
    truth, found = films.simulate(seed), films.corrupt(films.simulate(seed), seed)
    renamed = films.relabelled(truth, 5), films.relabelled(found, 6)
    value = NAMES[name](*renamed)
    assert value == pytest.approx(NAMES[name](truth, found), nan_ok=True, abs=1e-15)


def test_three_cells_under_one_mask_need_two_splits():
    truth, found = films.three_merged()
    assert errors(truth, found) == TrackingErrors(2, 0, 0, 0, 0, 0)
    assert det(truth, found) == tra(truth, found) == pytest.approx(1 - 10 / 30)
    assert isnan(lnk(truth, found))


def test_a_track_broken_and_rejoined_costs_the_kind_of_its_link():
    """One cell in ten frames, broken after the fifth: EC = 1 of 10 * 10 + 1.5 * 9 points."""
    found = films.sequence(
        [(1, 0, 4), (2, 5, 9, 1)], *np.repeat([[1] * 4, [2] * 4], 5, axis=0).tolist()
    )
    assert errors(films.one_track(10), found) == TrackingErrors(0, 0, 0, 0, 0, 1)
    assert tra(films.one_track(10), found) == pytest.approx(1 - 1 / 113.5)
    assert lnk(films.one_track(10), found) == pytest.approx(1 - 1 / 13.5)


def test_two_cells_and_a_broken_track():
    """Two cells in six frames: 1 of 10 * 12 + 1.5 * 10 = 135 points, TRA 0.9926."""
    truth = films.sequence([(1, 0, 5), (2, 0, 5)], *[[1, 1, 2, 2]] * 6)
    labels = [[1, 1, 2, 2]] * 3 + [[1, 1, 3, 3]] * 3
    found = films.sequence([(1, 0, 5), (2, 0, 2), (3, 3, 5, 2)], *labels)
    assert round(tra(truth, found), 4) == 0.9926


def test_a_division_with_one_daughter_linked_lacks_one_link():
    truth, found = films.division(), films.one_daughter()
    assert errors(truth, found) == TrackingErrors(0, 0, 0, 0, 1, 0)
    assert tra(truth, found) == pytest.approx(1 - 1.5 / (10 * 6 + 1.5 * 5))


def test_a_daughter_that_carries_on_her_mothers_track():
    """Her link is a track link, not a parent link (EC), the other is absent (EA)."""
    before, after = [1, 1, 1, 1, 0, 0], [1, 1, 0, 0, 3, 3]
    found = films.sequence([(1, 0, 3), (3, 2, 3)], before, before, after, after)
    assert errors(films.division(), found) == TrackingErrors(0, 0, 0, 0, 1, 1)


def test_a_link_over_a_gap():
    truth = films.sequence([(1, 0, 0), (2, 3, 3, 1)], [1] * 4, [0] * 4, [0] * 4, [2] * 4)
    assert errors(truth, truth) == TrackingErrors(0, 0, 0, 0, 0, 0)
    unlinked = replace(truth, tracks=[Track(1, 0, 0), Track(2, 3, 3)])
    assert errors(truth, unlinked) == TrackingErrors(0, 0, 0, 0, 1, 0)
    assert errors(unlinked, truth) == TrackingErrors(0, 0, 0, 1, 0, 0)
    assert (lnk(truth, unlinked), tra(truth, unlinked)) == (0.0, pytest.approx(1 - 1.5 / 21.5))


def test_exchanged_tracks_have_two_extra_and_two_absent_links():
    truth = films.sequence([(1, 0, 1), (2, 0, 1)], [1, 1, 2, 2], [1, 1, 2, 2])
    found = films.sequence([(1, 0, 1), (2, 0, 1)], [1, 1, 2, 2], [2, 2, 1, 1])
    assert errors(truth, found) == TrackingErrors(0, 0, 0, 2, 2, 0)
    assert lnk(truth, found) == 0.0
    assert det(truth, found) == 1.0


def test_links_of_an_object_that_covers_two_cells_are_not_looked_at():
    truth = films.sequence([(1, 0, 1), (2, 0, 1)], [1, 1, 2, 2], [1, 1, 2, 2])
    merged = films.sequence([(1, 0, 1), (2, 0, 0)], [1, 1, 2, 2], [1, 1, 1, 1])
    assert errors(truth, merged) == TrackingErrors(1, 0, 0, 0, 2, 0)


def test_a_cell_missed_in_the_middle_takes_two_links_with_it():
    found = films.sequence([(1, 0, 0), (2, 2, 2)], [1] * 4, [0] * 4, [2] * 4)
    assert errors(films.one_track(), found) == TrackingErrors(0, 1, 0, 0, 2, 0)
    assert aogm(films.one_track(), found) == 13.0


def test_weights_of_the_operations():
    assert TrackingErrors(1, 0, 0, 0, 0, 0).cost == 5
    assert TrackingErrors(0, 1, 0, 0, 0, 0).cost == 10
    assert TrackingErrors(0, 0, 1, 0, 0, 0).cost == 1
    assert TrackingErrors(0, 0, 0, 1, 0, 0).linking_cost == 1
    assert TrackingErrors(0, 0, 0, 0, 1, 0).linking_cost == 1.5
    assert TrackingErrors(0, 0, 0, 0, 0, 1).linking_cost == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_tra_of_a_single_frame_is_det(seed):
    truth, found = films.simulate(seed), films.corrupt(films.simulate(seed), seed)
    one = [films.frame_of(film, 4) for film in (truth, found)]
    assert tra(*one) == det(*one)
    assert isnan(lnk(*one))


def test_scores_do_not_fall_below_zero():
    spurious = films.sequence([(n, 0, 0) for n in range(1, 13)], [0, *range(1, 13)])
    truth = films.sequence([(1, 0, 0)], [1] + [0] * 12)
    assert (det(truth, spurious), tra(truth, spurious)) == (0.0, 0.0)


def test_sparse_annotation_is_without_penalty_for_what_was_not_annotated():
    truth = films.sequence([(1, 0, 0), (2, 0, 0)], [1, 2, 0, 0])
    found = films.sequence([(1, 0, 0), (2, 0, 0)], [1, 0, 2, 2])
    assert det(truth, found) == pytest.approx(1 - 11 / 20)
    assert det_without_penalty(truth, found) == pytest.approx(1 - 10 / 20)


def test_frames_empty_in_both_contribute_nothing():
    truth, found = films.simulate(6), films.corrupt(films.simulate(6), 6)
    longer = [films.with_an_empty_frame(film) for film in (truth, found)]
    for metric in (tra, det, lnk, seg):
        assert metric(*longer) == metric(truth, found)


def test_seg_is_the_mean_over_all_cells_of_all_frames():
    truth = films.sequence([(1, 0, 1), (2, 0, 0)], [1, 1, 2, 2], [1, 1, 1, 1])
    found = films.sequence([(1, 0, 1)], [1, 1, 0, 0], [1, 1, 1, 0])
    assert seg(truth, found) == pytest.approx((1 + 0 + 0.75) / 3)
    assert op_csb(truth, found) == pytest.approx((seg(truth, found) + det(truth, found)) / 2)
    assert op_ctb(truth, found) == pytest.approx((seg(truth, found) + tra(truth, found)) / 2)


def test_overall_performance_is_undefined_with_its_parts():
    truth = replace(films.one_track(), masks=[])
    assert isnan(seg(truth, films.one_track()))
    assert isnan(op_ctb(truth, films.one_track()))
    assert isnan(op_csb(truth, films.one_track()))
    assert tra(truth, films.one_track()) == 1.0
