from rows import lines

from cytosuite.benchmark.scores.comparison.history import (
    FILE,
    add_to_history,
    history_picture,
    history_table,
)
from cytosuite.benchmark.scores.comparison.scored import read_scored


def test_a_row_is_added_where_a_mean_changed(make_run, tmp_path):
    for commit, level in (("aaaa", 0.5), ("bbbb", 0.5), ("cccc", 0.75)):
        run = read_scored(make_run(commit, [level] * 4, facts={"cytosuite": f"0.1.0 {commit}"}))
        add_to_history(run, "cells", tmp_path)
    assert lines(tmp_path / FILE, "metric,commit,value") == [
        "SEG,aaaa,0.5000",
        "DET,aaaa,0.5000",
        "SEG,cccc,0.7500",
        "DET,cccc,0.7500",
    ]
    assert history_table(tmp_path)[2:] == [
        "| cells | net | DET | 0.500 (aaaa) → 0.750 (cccc) |",
        "| cells | net | SEG | 0.500 (aaaa) → 0.750 (cccc) |",
    ]
    picture = history_picture(tmp_path)
    assert ">SEG of cells<" in picture
    assert picture.count("<polyline") == 1


def test_no_table_is_no_history(tmp_path):
    assert history_table(tmp_path)[2:] == []
    assert "<polyline" not in history_picture(tmp_path)
