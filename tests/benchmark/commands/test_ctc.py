"""Command ``ctc`` on the run of a benchmark, and on what is none."""

import csv
import json

import pytest
from typer.testing import CliRunner

from cytosuite.benchmark.commands.app import app
from cytosuite.errors import InputError
from cytosuite.files import write_json
from cytosuite.metrics.tracks.track_folder import score_tracks

RUNNER = CliRunner()


@pytest.fixture
def run(dataset, engine, watershed, tmp_path, fakes):
    """Return the folder of a run of one algorithm, beside its dataset."""
    from cytosuite.benchmark.plan import plan
    from cytosuite.benchmark.run import run_job
    from cytosuite.tasks import TASKS

    folder = tmp_path / "run"
    (job,) = plan(dataset, [watershed], engine, folder)
    run_job(job, TASKS["segment"], engine, fakes.limits, "invoke", lambda *_: None)
    write_json(
        folder / "run.json",
        {
            "dataset": "squares", "task": "segment", "fingerprint": dataset.fingerprint,
            "jobs": {"watershed": job.key},
        },
    )  # fmt: skip
    return folder


def ctc(*words):
    return RUNNER.invoke(app, ["ctc", *map(str, words)], catch_exceptions=False)


def test_results_and_truth_in_the_official_layout(run, tmp_path):
    out = tmp_path / "made" / "ctc"
    done = ctc(run, "--out", out, "--truth")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1] == f"written: {out}, 3 sequences of 3 cases"
    assert sorted(p.name for p in (out / "squares").iterdir()) == [
        "01_GT", "01_RES", "02_GT", "02_RES", "03_GT", "03_RES",
    ]  # fmt: skip
    for name in ("01", "02", "03"):
        truth, result = (out / "squares" / f"{name}_{kind}" for kind in ("GT", "RES"))
        assert score_tracks(truth, result, ["SEG", "DET"]) == {"SEG": 1.0, "DET": 1.0}
    rows = list(csv.DictReader((out / "sequences.csv").read_text().splitlines()))
    assert [(row["sequence"], row["frame"], row["case"]) for row in rows] == [
        ("01", "0", "case_1"), ("02", "0", "case_2"), ("03", "0", "case_3"),
    ]  # fmt: skip


def test_as_one_series_with_a_note_on_tracks(run, tmp_path):
    done = ctc(run, "--out", tmp_path / "out", "--series")
    names = sorted(p.name for p in (tmp_path / "out" / "squares" / "01_RES").iterdir())
    assert names == ["mask000.tif", "mask001.tif", "mask002.tif", "res_track.txt"]
    assert "SEG and DET mean something, TRA and LNK do not" in done.stdout


def test_a_folder_with_files_is_left_alone(run, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").touch()
    with pytest.raises(InputError, match="the folder is not empty"):
        ctc(run, "--out", tmp_path / "out")


def test_no_run(tmp_path):
    with pytest.raises(InputError, match=r"run\.json: no such file"):
        ctc(tmp_path, "--out", tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "enhance"}, "expected a run of the task segment, found enhance"),
        ({"jobs": {"a": "1", "b": "2"}}, "expected one algorithm, found a, b; name one"),
        ({"jobs": 3}, "expected the description of a run"),
        ({"fingerprint": "0" * 64}, "the dataset of this run, squares .* is not there"),
    ],
)
def test_wrong_runs(run, tmp_path, change, message):
    path = run / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=message):
        ctc(run, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_algorithm_that_did_not_run(run, tmp_path):
    with pytest.raises(
        InputError, match="no algorithm in this run called 'watershd'; did you mean"
    ):
        ctc(run, "--algorithm", "watershd", "--out", tmp_path / "out")
