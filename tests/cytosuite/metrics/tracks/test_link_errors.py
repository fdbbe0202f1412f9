"""Wrong links by their cause, and the logs of the challenge, which list all of them."""

import re
from collections import Counter

import films
import numpy as np
import pytest

from cytosuite.metrics.tracks.matched_tracks import match_tracks
from cytosuite.metrics.tracks.track_folder import write_logs
from cytosuite.metrics.tracks.tracking import KINDS, LinkError, edits, link_errors, seg, tra

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
