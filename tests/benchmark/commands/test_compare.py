"""Commands ``compare``, ``accept`` and ``tables``: exit codes, files, one line for each mistake."""

import csv
import io
import json
import shutil

import pytest
from typer.testing import CliRunner

from cytosuite.benchmark.catalog import ROOT
from cytosuite.benchmark.commands.app import app
from cytosuite.errors import InputError

RUNNER = CliRunner()
KEPT = ROOT / "benchmark" / "accepted"


def call(*words):
    return RUNNER.invoke(app, [*map(str, words)], catch_exceptions=False)


@pytest.fixture
def run(tmp_path):
    """Return the folder of a finished run: a copy of accepted scores."""
    return shutil.copytree(KEPT / "spheroid", tmp_path / "run")


@pytest.fixture
def worse(run, tmp_path):
    """Return the same run with SEG of watershed lowered by 0.05."""
    folder = shutil.copytree(run, tmp_path / "worse")
    path = folder / "report" / "scores.csv"
    rows = list(csv.DictReader(path.read_text().splitlines()))
    for row in rows:
        if row["algorithm"] == "watershed" and row["metric"] == "SEG":
            row["value"] = repr(float(row["value"]) - 0.05)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(stream.getvalue())
    return folder


def test_identical_runs_are_one_line(run):
    done = call("compare", KEPT / "spheroid", run)
    assert done.exit_code == 0
    assert done.stdout == "identical: 768 values of 2 algorithms in 8 cases, bit by bit\n"


def test_a_regression_is_exit_code_1_and_named(run, worse):
    done = call("compare", run, worse)
    assert done.exit_code == 1
    *_, line, result = done.stdout.splitlines()
    assert line.startswith("regression: watershed: SEG 0.7366 -> 0.6866, worse by 0.05")
    assert "p = 0.016 after Holm" in line
    assert result == "1 regression"
    assert call("compare", worse, run).exit_code == 0


def test_a_run_against_the_accepted_scores_of_its_dataset(worse, tmp_path):
    done = call(
        *(
            "compare",
            "--accepted",
            worse,
            "--markdown",
            tmp_path / "a.md",
            "--badge",
            tmp_path / "b.svg",
        ),
        *("--csv", tmp_path / "c.csv", "--json", tmp_path / "d.json"),
    )
    assert done.exit_code == 1
    text = (tmp_path / "a.md").read_text()
    assert text.startswith("## 1 regression\n")
    assert "**Regression**: watershed: SEG" in text
    assert "cellpose3d: SEG 0.816, regression" in (tmp_path / "b.svg").read_text()
    rows = list(csv.DictReader((tmp_path / "c.csv").read_text().splitlines()))
    assert [row["verdict"] for row in rows if row["algorithm"] == "watershed"] == ["worse", ""]
    assert json.loads((tmp_path / "d.json").read_text())["result"] == "1 regression"


def test_json_on_stdout_is_json_alone(run, worse):
    done = call("compare", run, worse, "--json", "-")
    found = json.loads(done.stdout)
    assert found["regressions"][0].startswith("watershed: SEG")
    assert "1 regression" in done.stderr


def test_metrics_and_thresholds_of_ones_own(run, worse, tmp_path):
    assert call("compare", run, worse, "--metrics", "DET").exit_code == 0
    loose = tmp_path / "loose.toml"
    loose.write_text("[metrics]\nSEG = 0.1\n")
    assert call("compare", run, worse, "--thresholds", loose).exit_code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a"], "expected two runs, found 1"),
        (["a", "b", "--accepted"], "expected one run with --accepted, found 2"),
        (["no_such", "no_such"], "no_such: expected a finished run"),
        ([KEPT / "spheroid", KEPT / "nuclei_2d"], "no case in common"),
        ([KEPT / "spheroid", KEPT / "spheroid", "--metrics", "SGE"], "no metric 'SGE'"),
        ([KEPT / "spheroid", KEPT / "spheroid", "--thresholds", "x.toml"], "x.toml: no such file"),
        ([KEPT / "spheroid", KEPT / "spheroid", "--badge", KEPT], "expected the name of a file"),
    ],
)
def test_mistakes_are_one_line(words, message):
    with pytest.raises(InputError, match=message) as caught:
        call("compare", *words)
    assert caught.value.exit_code == 2


def test_a_table_that_is_cut_is_one_line(run):
    path = run / "report" / "scores.csv"
    path.write_text(path.read_text()[:-30] + '"')
    with pytest.raises(InputError, match=r"scores.csv, row 769: expected 9 cells, found"):
        call("compare", run, run)


def test_accept_refuses_a_name_that_leads_elsewhere_and_a_run_that_is_none(run):
    with pytest.raises(InputError, match="plain folder name"):
        call("accept", run, "--name", "../elsewhere")
    with pytest.raises(InputError, match="expected a finished run"):
        call("accept", run / "nothing")


def test_accept_says_where_the_scores_lie(run, tmp_path, monkeypatch):
    from cytosuite.benchmark.comparison import accepted

    keep = accepted.accept
    monkeypatch.setattr(
        accepted, "accept", lambda found, name, title: keep(found, name, title, tmp_path / "kept")
    )
    said = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(said))
    done = call("accept", run, "--name", "mine", "--title", "Mine")
    assert done.stdout == f"written: {tmp_path / 'kept' / 'mine'}\n"
    assert json.loads((tmp_path / "kept" / "mine" / "run.json").read_text())["title"] == "Mine"


def test_tables_are_checked_without_a_change(monkeypatch):
    from cytosuite.benchmark.comparison import documents

    before = (ROOT / "README.md").read_bytes()
    monkeypatch.setattr(documents, "outdated", lambda known: ["README.md: stale"])
    done = call("tables", "--check")
    assert done.exit_code == 1
    assert done.stdout == "stale: README.md: stale\n"
    assert (ROOT / "README.md").read_bytes() == before
