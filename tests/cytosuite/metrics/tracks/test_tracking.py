from dataclasses import replace
from math import isnan

import films
import numpy as np
import pytest

from cytosuite.metrics import metrics_of
from cytosuite.metrics.tracks.lineage import Track, TrackedSequence
from cytosuite.metrics.tracks.matched_tracks import match_tracks
from cytosuite.metrics.tracks.tracking import (
    COSTS,
    det,
    det_without_penalty,
    edits,
    lnk,
    op_csb,
    op_ctb,
    seg,
    tra,
)

ALL = metrics_of("tracks")


def errors(truth, result):
    changes = edits(match_tracks(truth, result))
    return [getattr(changes, kind).size for kind in COSTS]


@pytest.mark.parametrize("seed", range(2))
def test_every_metric_is_best_worst_and_within_its_range(seed):
    truth = films.simulate(seed)
    nothing = TrackedSequence([], np.zeros_like(truth.frames))
    faulty = films.corrupt(truth, seed, 0.15)
    for metric in ALL:
        value = metric(truth, truth)
        assert value == metric.best or (isnan(value) and metric.undefined), metric.name
        value = metric(truth, nothing)
        assert metric.worst is None or value == metric.worst or isnan(value), metric.name
        value = metric(truth, faulty)
        assert isnan(value) or 0 <= value <= (1 if metric.best else np.inf), metric.name
    for pair in ((films.empty(), films.empty()), (films.empty(), films.one_track(2))):
        assert all(m.undefined for m in ALL if isnan(m(*pair)))


def test_a_link_over_a_gap():
    truth = films.sequence([(1, 0, 0), (2, 3, 3, 1)], "1111", "....", "....", "2222")
    assert errors(truth, truth) == [0, 0, 0, 0, 0, 0]
    unlinked = replace(truth, tracks=[Track(1, 0, 0), Track(2, 3, 3)])
    assert errors(truth, unlinked) == [0, 0, 0, 0, 1, 0]
    assert errors(unlinked, truth) == [0, 0, 0, 1, 0, 0]
    assert (lnk(truth, unlinked), tra(truth, unlinked)) == (0.0, pytest.approx(1 - 1.5 / 21.5))


def test_sparse_annotation_is_without_penalty_for_what_was_not_annotated():
    truth = films.sequence([(1, 0, 0), (2, 0, 0)], "12..")
    result = films.sequence([(1, 0, 0), (2, 0, 0)], "1.22")
    assert det(truth, result) == pytest.approx(1 - 11 / 20)
    assert det_without_penalty(truth, result) == pytest.approx(1 - 10 / 20)


def test_overall_performance_is_undefined_with_its_parts():
    truth = replace(films.one_track(), masks=[])
    assert isnan(seg(truth, films.one_track()))
    assert isnan(op_ctb(truth, films.one_track()))
    assert isnan(op_csb(truth, films.one_track()))
    assert tra(truth, films.one_track()) == 1.0
