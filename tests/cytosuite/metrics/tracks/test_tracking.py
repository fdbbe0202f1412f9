import re
from collections import Counter
from dataclasses import replace
from math import isnan

import films
import numpy as np
import pytest

from cytosuite.metrics import metrics_of
from cytosuite.metrics.tracks.lineage import Track, TrackedSequence
from cytosuite.metrics.tracks.matched_tracks import match_tracks
from cytosuite.metrics.tracks.track_folder import write_logs
from cytosuite.metrics.tracks.tracking import (
    COSTS,
    KINDS,
    LinkError,
    det,
    det_without_penalty,
    edits,
    link_errors,
    lnk,
    op_csb,
    op_ctb,
    seg,
    tra,
)

ALL = metrics_of("tracks")
ROWS = [(1, 0, 2), (2, 0, 2)]
TWO = films.sequence(ROWS, *["11..22"] * 3)
APPEARS = films.sequence([(1, 0, 1), (2, 2, 3)], *["11...."] * 2, *["....22"] * 2)
HEADS = {
    "splits": "Splitting Operations (Penalty=5)",
    "missed": "False Negative Vertices (Penalty=10)",
    "spurious": "False Positive Vertices (Penalty=1)",
    "extra_links": "Redundant Edges To Be Deleted (Penalty=1)",
    "absent_links": "Edges To Be Added (Penalty=1.5)",
    "wrong_links": "Edges with Wrong Semantics (Penalty=1)",
}


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


@pytest.mark.parametrize(
    "truth, rows, frames, expected",
    [
        (TWO, ROWS, ["11..22"] * 3, []),
        (
            TWO,
            ROWS,
            ["11..22", "22..11", "22..11"],
            [("swap", 1, "truth", 1), ("swap", 1, "truth", 2)],
        ),
        (
            TWO,
            [(1, 0, 2), (2, 0, 0), (3, 1, 2)],
            ["11..22", "11..33", "11..33"],
            [("break", 1, "truth", 2)],
        ),
        (
            TWO,
            [(1, 0, 2), (2, 0, 0), (3, 2, 2, 2)],
            ["11..22", "11....", "11..33"],
            [("gap", 1, "truth", 2), ("gap", 2, "truth", 2)],
        ),
        (
            films.division(),
            [(1, 0, 3), (3, 2, 3)],
            ["1111..", "1111..", "11..33", "11..33"],
            [("other kind", 2, "prediction", 1), ("missed division", 2, "truth", 3)],
        ),
        (
            APPEARS,
            [(1, 0, 1), (2, 2, 3, 1)],
            ["11....", "11....", "....22", "....22"],
            [("false link", 2, "prediction", 2)],
        ),
        (
            films.sequence([(1, 0, 3), (2, 2, 3)], *["11...."] * 2, *["11..22"] * 2),
            [(1, 0, 1), (2, 2, 3, 1), (3, 2, 3, 1)],
            ["11....", "11....", "33..22", "33..22"],
            [("false division", 2, "prediction", 2), ("other kind", 2, "prediction", 3)],
        ),
    ],
)
def test_a_wrong_link_has_one_cause(truth, rows, frames, expected):
    tracks = match_tracks(truth, films.sequence(rows, *frames))
    assert link_errors(tracks) == [LinkError(*error) for error in expected]


@pytest.mark.parametrize("seed", range(3))
def test_logs_list_each_operation_and_each_cell(tmp_path, seed):
    truth = films.simulate(seed)
    tracks = match_tracks(truth, films.corrupt(truth, seed, 0.2))
    write_logs(tmp_path, tracks)
    lines = (tmp_path / "TRA_log.txt").read_text().splitlines()
    counts = Counter()
    head = ""
    for line in lines[:-2]:
        head = line.strip("-") if line.startswith("---") else head
        counts[head] += not line.startswith("---")
    assert counts == {HEADS[name]: getattr(edits(tracks), name).size for name in KINDS}
    assert lines[-1] == f"TRA measure: {tra.of(tracks):.6f}"
    drawn = (tmp_path / "SEG_log.txt").read_text()
    values = [float(value) for value in re.findall(r"^GT_label=\d+ J=(\S+)$", drawn, re.MULTILINE)]
    assert len(values) == tracks.truth.vertices
    assert np.mean(values) == pytest.approx(seg.of(tracks), abs=1e-5)
    cells = sum(counts[HEADS[name]] for name in ("splits", "missed", "spurious"))
    assert len((tmp_path / "DET_log.txt").read_text().splitlines()) == cells + 5


def test_a_line_of_a_log_says_where(tmp_path):
    # One cell missed in the second of three frames takes both links with it.
    result = films.sequence([(7, 0, 0), (8, 2, 2)], "7777", "....", "8888")
    write_logs(tmp_path, match_tracks(films.one_track(3), result))
    text = (tmp_path / "TRA_log.txt").read_text()
    assert "T=1 GT_label=1\n" in text
    assert "[T=0 GT_label=1] -> [T=1 GT_label=1]\n[T=1 GT_label=1] -> [T=2 GT_label=1]\n" in text
