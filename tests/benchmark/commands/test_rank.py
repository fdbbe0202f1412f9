"""The command rank, on tables as people have them."""

import csv
import io
import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from cytosuite.benchmark.commands.app import app
from cytosuite.errors import InputError


def run(*words):
    """Return the result of the command."""
    return CliRunner().invoke(app, ["rank", *map(str, words)])


def mistake(*words):
    """Return the line that the user reads."""
    found = run(*words)
    assert isinstance(found.exception, InputError), found.output
    return str(found.exception)


@pytest.fixture
def published(tmp_path):
    """Return a table in the layout of challengeR: task, case, algorithm, value."""
    rng = np.random.default_rng(1)
    rows = [
        (task, f"c{case:02d}", name, base + rng.uniform(0, 0.1))
        for task in ("T1", "T2")
        for case in range(15)
        for name, base in (("A1", 0.8), ("A2", 0.5), ("A3", 0.5))
        if (name, case) != ("A3", 4)
    ]
    path = tmp_path / "challenge.csv"
    pd.DataFrame(rows, columns=["task", "case", "algorithm", "value"]).to_csv(path, index=False)
    return path


@pytest.fixture
def own(tmp_path):
    """Return the scores of a report of ours, with controls."""
    rows = [
        ("cells", f"c{case}", name, metric, value + case / 100, "ok")
        for case in range(8)
        for metric in ("SEG", "DET", "truth_count")
        for name, value in (("oracle", 1.0), ("blank", 0.0), ("net", 0.8), ("old", 0.4))
    ]
    path = tmp_path / "scores.csv"
    names = ["dataset", "case", "algorithm", "metric", "value", "status"]
    pd.DataFrame(rows, columns=names).to_csv(path, index=False)
    return path


def test_scores_of_a_report_are_ranked_by_their_board_without_controls(own):
    found = run(own, "--csv", "-")
    assert found.exit_code == 0
    rows = list(csv.DictReader(io.StringIO(found.stdout)))
    assert [(row["place"], row["algorithm"], row["tier"]) for row in rows] == [
        ("1", "net", "1"),
        ("2", "old", "2"),
    ]
    assert float(rows[0]["SEG"]) == pytest.approx(0.8 + 0.035)
    assert rows[0]["interval"] == "1"
    assert rows[0]["P(first)"] == "1.0"


def test_the_rule_stands_below_the_table(own):
    found = run(own, "--draws", "100", "--seed", "3", "--alpha", "0.1")
    assert found.stdout.splitlines()[-1].startswith("Rank: mean of the ranks by mean SEG and by")
    assert "p < 0.1;" in found.stdout
    assert "100 bootstrap samples of the cases, seed 3." in found.stdout


def test_a_published_table_takes_its_tasks_as_datasets_or_as_metrics(published):
    found = run(published, "--dataset", "task", "--higher", "value", "--json", "-")
    value = json.loads(found.stdout)
    assert value["overall"]["algorithms"][0]["algorithm"] == "A1"
    assert (value["cases"], value["failed"]) == (30, 2)
    assert "2 results missing, counted as failed: A3 on T1/c04, A3 on T2/c04" in found.stderr
    by_task = run(published, "--metric", "task", "--higher", "T1,T2", "--json", "-")
    assert list(json.loads(by_task.stdout)["metrics"]) == ["T1", "T2"]


def test_failures_are_left_out_when_asked(published):
    words = (published, "--metric", "task", "--higher", "T1,T2", "--failures", "left-out")
    found = run(*words, "--json", "-")
    assert "left out for all" in json.loads(found.stdout)["rule"]


def test_columns_have_any_names(tmp_path):
    path = tmp_path / "any.csv"
    path.write_text("patient,team,dice,case\np1,x,0.5,9\np1,y,0.25,9\np2,x,0.5,9\np2,y,0.75,9\n")
    words = ("--case", "patient", "--algorithm", "team", "--value", "dice", "--higher", "dice")
    value = json.loads(run(path, *words, "--json", "-").stdout)
    assert value["cases"] == 2
    assert {row["algorithm"]: row["place"] for row in value["overall"]["algorithms"]} == {
        "x": 1,
        "y": 1,
    }
    assert list(value["metrics"]) == ["dice"]


def test_several_files_are_one_table(own, tmp_path):
    more = pd.read_csv(own)
    more = more[more["algorithm"] == "net"].assign(algorithm="other")
    more.to_csv(tmp_path / "more.csv", index=False)
    value = json.loads(run(own, tmp_path / "more.csv", "--json", "-").stdout)
    assert [row["place"] for row in value["overall"]["algorithms"]] == [1, 1, 3]


def test_the_same_words_give_the_same_bytes(published):
    words = (published, "--metric", "task", "--higher", "T1,T2", "--json", "-", "--draws", "99")
    assert run(*words).stdout == run(*words).stdout


def test_hostile_names_are_data(tmp_path):
    path = tmp_path / "hostile.csv"
    name = '=1+1"\x1b[31m<script>'
    rows = [(f"c{n}", who, "[bold]m", n / 9) for n in range(4) for who in (name, "b")]
    names = ["case", "algorithm", "metric", "value"]
    pd.DataFrame(rows, columns=names).to_csv(path, index=False)
    found = run(path, "--higher", "[bold]m")
    assert found.exit_code == 0
    assert "\x1b" not in found.stdout
    assert "[bold]m" in found.stdout
    as_csv = run(path, "--higher", "[bold]m", "--csv", "-").stdout
    shown = [row["algorithm"] for row in csv.DictReader(io.StringIO(as_csv))]
    assert f"'{name}" in shown  # no formula of a spreadsheet


def test_mistakes_are_one_line(own, published, tmp_path):
    assert "direction unknown; give --higher value or --lower value" in mistake(
        published, "--dataset", "task"
    )
    assert "expected each value once, found two of" in mistake(published, "--higher", "value")
    assert "challenge.csv: expected the column patient (case), found algorithm, case" in mistake(
        published, "--case", "patient"
    )
    assert "two or more algorithms to rank, found 1 besides controls (net)" in mistake(
        own, "--controls", "old"
    )
    assert "--controls odl: no such algorithm" in mistake(own, "--controls", "odl")
    assert "expected a level between 0 and 1" in mistake(own, "--alpha", "1")
    assert "no such file" in mistake(tmp_path / "none.csv")
    assert "expected one row, found two" in mistake(own, own)
    text = tmp_path / "text.csv"
    text.write_text("case,algorithm,metric,value\n1,a,SEG,high\n1,b,SEG,0.5\n")
    assert "row 2: expected a number as value, found 'high'" in mistake(text)
    text.write_text("case,algorithm,metric,value\n1,a,Dice,\n1,b,Dice,0.5\n")
    assert "expected a finite number, found nan" in mistake(text, "--higher", "Dice")
    text.write_text("case,algorithm,metric,value\n1,,SEG,0.1\n1,b,SEG,0.5\n")
    assert "name of an algorithm in every row" in mistake(text)
    text.write_text("")
    assert "text.csv: expected the column case, found none" in mistake(text)


def test_too_many_samples_are_refused_before_the_work(own, monkeypatch):
    monkeypatch.setattr("cytosuite.benchmark.commands.rank.ENOUGH", 800)
    assert "--draws 2000 of 8 cases: expected 100 at most" in mistake(own)
