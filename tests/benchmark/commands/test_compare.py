"""Commands ``compare``, ``accept`` and ``tables``: exit codes, files, one line for each mistake."""

import csv
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from mistakes import refused
from rows import rows_of

from cytosuite.benchmark.catalog.places import ROOT
from cytosuite.files import read_json

OURS = ROOT / "benchmark/accepted/spheroid"


@pytest.fixture
def run(tmp_path):
    """Return the folder of a finished run: a copy of accepted scores."""
    return shutil.copytree(OURS, tmp_path / "run")


def test_identical_runs_are_one_line(cli, run):
    done = cli("compare", OURS, run)
    assert done.exit_code == 0
    assert done.stdout == "identical: 768 values of 2 algorithms in 8 cases, bit by bit\n"


def test_a_run_against_the_accepted_scores_of_its_dataset(cli, run, tmp_path):
    table = pd.read_csv(run / "report/scores.csv")
    table.loc[table["algorithm"].eq("watershed") & table["metric"].eq("SEG"), "value"] -= 0.05
    table.to_csv(run / "report/scores.csv", index=False)
    assert (
        cli(
            "compare --accepted",
            run,
            "--markdown",
            tmp_path / "a.md",
            "--csv",
            tmp_path / "c.csv",
            "--json",
            tmp_path / "d.json",
        ).exit_code
        == 1
    )
    text = (tmp_path / "a.md").read_text()
    assert text.startswith("## 1 regression\n")
    assert "**Regression**: watershed: SEG" in text
    rows = rows_of(tmp_path / "c.csv")
    assert [row["verdict"] for row in rows if row["algorithm"] == "watershed"] == ["worse", ""]
    assert read_json(tmp_path / "d.json")["result"] == "1 regression"


def _table(path, rows, names):
    pd.DataFrame(rows, columns=names.split()).to_csv(path, index=False)
    return path


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
    return _table(tmp_path / "challenge.csv", rows, "task case algorithm value")


@pytest.fixture
def scores(tmp_path):
    """Return the scores of a report of ours, with controls."""
    rows = [
        ("cells", f"c{case}", name, metric, value + case / 100, "ok")
        for case in range(8)
        for metric in ("SEG", "DET", "truth_count")
        for name, value in {"oracle": 1.0, "blank": 0.0, "net": 0.8, "old": 0.4}.items()
    ]
    return _table(tmp_path / "scores.csv", rows, "dataset case algorithm metric value status")


def test_scores_of_a_report_are_ranked_by_their_board_without_controls(cli, scores):
    done = cli("rank", scores, "--csv -")
    assert done.exit_code == 0
    rows = list(csv.DictReader(done.stdout.splitlines()))
    places = [(row["place"], row["algorithm"], row["tier"]) for row in rows]
    assert places == [("1", "net", "1"), ("2", "old", "2")]
    assert float(rows[0]["SEG"]) == pytest.approx(0.8 + 0.035)
    assert rows[0]["interval"] == "1"
    assert rows[0]["P(first)"] == "1.0"
    assert cli("rank", scores, scores, "--csv -").stdout == done.stdout


def test_a_published_table_takes_its_tasks_as_datasets_or_as_metrics(cli, published):
    done = cli("rank", published, "--dataset task --higher value --json -")
    value = json.loads(done.stdout)
    assert value["overall"]["algorithms"][0]["algorithm"] == "A1"
    assert (value["cases"], value["failed"]) == (30, 2)
    assert "2 results missing, counted as failed: A3 on T1/c04, A3 on T2/c04" in done.stderr
    by_task = cli("rank", published, "--metric task --higher T1,T2 --json -")
    assert list(json.loads(by_task.stdout)["metrics"]) == ["T1", "T2"]


def test_columns_have_any_names(cli, tmp_path):
    path = tmp_path / "any.csv"
    path.write_text("patient,team,dice,case\np1,x,0.5,9\np1,y,0.25,9\np2,x,0.5,9\np2,y,0.75,9\n")
    words = "--case patient --algorithm team --value dice --higher dice"
    value = json.loads(cli("rank", path, words, "--json -").stdout)
    assert value["cases"] == 2
    assert [row["place"] for row in value["overall"]["algorithms"]] == [1, 1]
    assert list(value["metrics"]) == ["dice"]


def test_hostile_names_are_data(cli, tmp_path):
    name = '=1+1"\x1b[31m<script>'
    rows = [(f"c{n}", who, "[bold]m", n / 9) for n in range(4) for who in (name, "b")][1:]
    path = _table(tmp_path / "hostile.csv", rows, "case algorithm metric value")
    done = cli("rank", path, "--higher [bold]m")
    assert done.exit_code == 0
    assert "\x1b" not in done.stdout
    assert "[bold]m" in done.stdout


def test_the_rule_names_its_options_and_files_are_one_table(cli, scores, tmp_path):
    rule = cli(
        "rank", scores, "--draws 100 --seed 3 --alpha 0.1", "--failures left-out"
    ).stdout.splitlines()[-1]
    assert rule.startswith("Rank: mean of the ranks by mean SEG and by")
    assert "p < 0.1;" in rule
    assert "100 bootstrap samples of the cases, seed 3." in rule
    assert "left out for all" in rule
    more = pd.read_csv(scores)
    more = more[more["algorithm"] == "net"].assign(algorithm="other")
    more.to_csv(tmp_path / "more.csv", index=False)
    value = json.loads(cli("rank", scores, tmp_path / "more.csv", "--json -").stdout)
    assert [row["place"] for row in value["overall"]["algorithms"]] == [1, 1, 3]


def test_mistakes_of_a_ranking_are_one_line(cli, scores, published, tmp_path, monkeypatch):
    text = tmp_path / "text.csv"
    text.write_text("case,algorithm,metric,value\n1,,SEG,0.1\n1,b,SEG,0.5\n")
    for line, *words in (
        ("direction unknown; give --higher value or --lower value", published, "--dataset task"),
        ("expected the column patient (case), found", published, "--case patient"),
        (
            "two or more algorithms to rank, found 1 besides controls (net)",
            scores,
            "--controls old",
        ),
        ("scores.csv: the table would overwrite it", scores, "--csv", scores),
        ("controls odl: no such algorithm", scores, "--controls odl"),
        ("expected a level between 0 and 1", scores, "--alpha 1"),
        ("name of an algorithm in every row", text),
    ):
        refused(line, cli, "rank", *words)
    monkeypatch.setattr("cytosuite.ranking.table.LARGEST", 800)
    refused("draws 2000 of 8 cases: expected 100 at most", cli, "rank", scores)
