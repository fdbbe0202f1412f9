"""Tables of scores in the documents are those of the accepted scores, which are those of today."""

import re

import pandas as pd
import pytest
from house import ROOT

from cytosuite.benchmark.scores.comparison.accepted import accepted
from cytosuite.benchmark.scores.comparison.documents import documents, outdated
from cytosuite.metrics.boards import BOARDS
from tests.hostile.tally import digests

RUNS = accepted()


def test_no_table_and_no_accepted_score_is_stale():
    """`cytosuite maintain tables` writes the tables; scores: run again, then `cytosuite maintain accept RUN`."""
    assert list(outdated(RUNS)) == []


def test_the_documents_have_tables():
    assert {path.parent.name for path in documents()} >= {"weights"}
    assert any("SEG, DET, F1 of" in path.read_text() for path in documents())


@pytest.mark.parametrize("name", RUNS)
def test_accepted_scores_are_whole_and_their_leaderboard_is_that_of_the_scores(name):
    run = RUNS[name]
    assert set(run.table("cases")) == run.cases
    assert set(run.scores["status"]) == {"ok"}
    assert run.said("title")
    assert [*digests(run.place)] == ["report/leaderboard.csv", "report/scores.csv", "run.json"]
    board = pd.read_csv(run.place / "report/leaderboard.csv").set_index("algorithm")
    metric = next(metric for metric in BOARDS[run.said("task")].primary if metric in board)
    for algorithm in run.algorithms:
        rows = run.scores[(run.scores["algorithm"] == algorithm) & (run.scores["metric"] == metric)]
        assert board.loc[algorithm, metric] == pytest.approx(rows["value"].mean())


def test_tables_of_methods_say_in_their_heads_how_long_the_models_were_trained():
    tables, _, costs = (ROOT / "docs/methods.md").read_text().partition("## Cost of the trainings")
    rows = [line.split(" | ") for line in costs.splitlines() if " | " in line][1:]
    minutes = [float(row[-2]) / 60 for row in rows]
    head = f"| method | model; methods-*: trained for {min(minutes):.0f} to {max(minutes):.0f} CPU"
    assert tables.count(head) == len(re.findall(r"(?m)^## ", tables)) == 6
