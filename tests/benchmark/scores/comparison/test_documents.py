import pytest
from mistakes import refused

from cytosuite.benchmark.scores.comparison.documents import (
    documents,
    outdated,
    scores_table,
    written,
)
from cytosuite.benchmark.scores.comparison.scored import read_scored
from cytosuite.files import write_text

MARK = "before\n<!-- scores: SEG, DET of cells -->\nold\n<!-- end -->\nafter\n"


@pytest.fixture
def runs(make_run):
    bare = {"request": {}, "models": {}}
    return {
        "cells": read_scored(make_run("a", facts={"title": "Cells", **bare})),
        "worms": read_scored(make_run("b", algorithm="other", facts=bare)),
    }


def test_a_row_per_set_and_a_column_per_algorithm(runs):
    assert scores_table(runs, ["SEG", "DET"]) == [
        "| images | objects | SEG, DET of net | SEG, DET of other |",
        "|---|---|---|---|",
        "| Cells | 42 | 0.700, 0.800 | - |",
        "| worms | 42 | - | 0.700, 0.800 |",
    ]


@pytest.mark.parametrize(
    "rows, cells",
    {
        "a,0.7,0.9\nb,0.6,0.8": "| **0.700, 0.900** | 0.600, 0.800 |",
        "a,0.7,0.8\nb,0.6,0.9": "| **0.700**, 0.800 | 0.600, **0.900** |",
        "a,0.7001,0.8\nb,0.6999,0.7": "| **0.700, 0.800** | **0.700**, 0.700 |",
    }.items(),
)
def test_the_best_as_shown_is_bold(runs, rows, cells):
    board = runs["cells"].place / "report/leaderboard.csv"
    board.write_text(f"algorithm,SEG_pooled,DET_pooled\n{rows}\n")
    assert scores_table({"cells": runs["cells"]}, ["SEG", "DET"])[2] == f"| Cells | - {cells}"


def test_only_the_text_between_the_marks_is_written(runs, tmp_path):
    path = tmp_path / "README.md"
    path.write_text(MARK)
    text = written(path, runs, tmp_path)
    assert text.startswith("before\n<!-- scores: SEG, DET of cells -->\n\n| images |")
    assert text.endswith("| Cells | 42 | 0.700, 0.800 |\n\n<!-- end -->\nafter\n")
    assert "old" not in text
    path.write_text(text)
    assert written(path, runs, tmp_path) == text


def test_measured_values_come_from_one_file_and_a_stale_one_is_named(runs, tmp_path):
    path = tmp_path / "docs/install.md"
    write_text(
        path,
        "An image has <!-- measured: image -->1 GB<!-- end -->, <!-- measured: s --><!-- end -->.\n",
    )
    refused(r"docs/measured.toml: .*no such file", written, path, runs, tmp_path)
    (path.parent / "measured.toml").write_text('image = "0.69 GB"\n')
    refused(r"install.md: docs/measured.toml has no text 's'", written, path, runs, tmp_path)
    (path.parent / "measured.toml").write_text('image = "0.69 GB"\ns = "4 s"\n')
    assert [line.partition(":")[0] for line in outdated(runs, tmp_path)] == ["docs/install.md"]
    text = written(path, runs, tmp_path)
    assert (
        "has <!-- measured: image -->0.69 GB<!-- end -->, <!-- measured: s -->4 s<!-- end -->."
        in text
    )


def test_a_stale_table_is_named_with_the_remedy(runs, tmp_path):
    path = tmp_path / "README.md"
    path.write_text(MARK)
    write_text(tmp_path / "docs/README.md", "no table")
    assert documents(tmp_path) == [path]
    assert list(outdated(runs, tmp_path)) == [
        "README.md: a score or value is not that of today; cytosuite maintain tables writes it"
    ]
    path.write_text(written(path, runs, tmp_path))
    assert list(outdated(runs, tmp_path)) == []
