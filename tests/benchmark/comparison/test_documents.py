"""Generated tables: what stands between the marks, and what does not."""

import pytest

from cytosuite.benchmark.catalog import ROOT
from cytosuite.benchmark.comparison.cards import models_table, trained
from cytosuite.benchmark.comparison.documents import documents, outdated, scores_table, written
from cytosuite.benchmark.comparison.scored import read_scored
from cytosuite.errors import InputError
from cytosuite.weights import read_cards

MARK = "before\n<!-- scores: SEG, DET of cells -->\nold\n<!-- end -->\nafter\n"


@pytest.fixture
def runs(made):
    """Return two accepted runs, of one algorithm each."""
    cells = read_scored(made("a", facts={"title": "Cells", "request": {}, "models": {}}))
    worms = read_scored(made("b", algorithm="other", facts={"request": {}, "models": {}}))
    return {"cells": cells, "worms": worms}


def board(run, text):
    (run.place / "report" / "leaderboard.csv").write_text(text)


def test_a_row_per_set_and_a_column_per_algorithm(runs):
    assert scores_table(runs, ["SEG", "DET"]) == [
        "| images | objects | SEG, DET of net | SEG, DET of other |",
        "|---|---|---|---|",
        "| Cells | 42 | 0.700, 0.800 | - |",
        "| worms | 42 | - | 0.700, 0.800 |",
    ]


@pytest.mark.parametrize(
    ("rows", "cells"),
    [
        ("a,0.7,0.9\nb,0.6,0.8", "| **0.700, 0.900** | 0.600, 0.800 |"),
        ("a,0.7,0.8\nb,0.6,0.9", "| **0.700**, 0.800 | 0.600, **0.900** |"),
        ("a,0.7001,0.8\nb,0.6999,0.7", "| **0.700, 0.800** | **0.700**, 0.700 |"),
    ],
)
def test_the_best_as_shown_is_bold(runs, rows, cells):
    board(runs["cells"], f"algorithm,SEG_pooled,DET_pooled\n{rows}\n")
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


def test_a_stale_table_is_named_with_the_remedy(runs, tmp_path):
    path = tmp_path / "README.md"
    path.write_text(MARK)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "README.md").write_text("no table")
    assert documents(tmp_path) == [path]
    assert list(outdated(runs, tmp_path)) == [
        "README.md: a table of scores is not that of today; cytosuite tables writes it"
    ]
    path.write_text(written(path, runs, tmp_path))
    assert list(outdated(runs, tmp_path)) == []


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        ("SEG of cels", "no accepted scores 'cels'; there are cells, worms"),
        ("SGE of cells", "no metric 'SGE'"),
        ("models of nothing", "expected model cards, found none"),
    ],
)
def test_a_mark_of_what_is_not_there_is_refused(runs, tmp_path, mark, message):
    path = tmp_path / "README.md"
    path.write_text(MARK.replace("SEG, DET of cells", mark))
    with pytest.raises(InputError, match=message):
        written(path, runs, tmp_path)


@pytest.mark.parametrize(
    "name", ["cellpose3d", "cyclegan3d", "diffusion", "view_fusion", "watershed"]
)
def test_every_model_has_a_row_with_its_scores(name):
    folder = ROOT / "weights" / name
    lines = models_table(folder, name)
    cards = read_cards(folder, name)
    assert len(lines) == 2 + len(cards)
    for card, line in zip(cards, lines[2:], strict=True):
        assert line.startswith(f"| {card.name} |")
        assert line.count(" | ") == 6
        for scores in card.scores.values():
            for metric, value in scores.items():
                if metric != "n_objects":
                    assert f"{metric} {value:.3g}".replace("_", "\\_") in line


def test_a_training_in_words():
    (card,) = (
        c for c in read_cards(ROOT / "weights" / "cellpose3d", "cellpose3d") if c.name == "cells-3d"
    )
    plain = card.model_copy(update={"trained": {}})
    assert trained(plain) == "not trained: parameters"
    facts = {
        "data": {"real": ["a" * 64, "b" * 64]},
        "steps": 20,
        "seed": 1,
        "seconds": 120.0,
        "device": "cpu",
    }
    made = card.model_copy(update={"trained": facts})
    assert trained(made) == f"data real {'a' * 12} {'b' * 12}, 20 steps, seed 1, 2 min, cpu"
