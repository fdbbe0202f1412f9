"""The command line as users type it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from cytosuite.benchmark.__main__ import main

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]


def _cytosuite(*words, timeout=300, **environment):
    return subprocess.run(
        [sys.executable, "-m", "cytosuite.benchmark", *map(str, words)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def _benchmark(runs, dataset="spheroid", *words, engine="process", **environment):
    """Run the algorithm that starts in no time."""
    size = ("--size", "mini") if dataset == "spheroid" else ()
    fixed = ("--engine", engine, "--runs", runs, "--algorithm", "watershed")
    return _cytosuite("benchmark", dataset, *size, *fixed, *words, **environment)


@pytest.fixture
def here(monkeypatch, capsys):
    """Return a function that runs a command in this process: exit code and stderr."""

    def here(*words):
        monkeypatch.setattr(sys, "argv", ["cytosuite", *map(str, words)])
        with pytest.raises(SystemExit) as caught:
            main()
        return caught.value.code, capsys.readouterr().err

    return here


def _modified(folder):
    """Return the time of each file below a folder, but for stamps, which are renewed."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".stamps")
    return {path: path.stat().st_mtime_ns for path in files}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return a folder with a finished run of the mini spheroids, and what was printed."""
    folder = tmp_path_factory.mktemp("runs")
    done = _benchmark(folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_one_command_ends_in_a_report(runs):
    folder, printed = runs
    assert printed.startswith("engine: process, as asked")
    assert "generating spheroid (mini): 6 of 6" in printed
    assert "running: 6 of 6" in printed
    report = folder / "spheroid-mini-process" / "report"
    assert {path.name for path in report.iterdir()} == {
        "index.html",
        "report.md",
        "leaderboard.csv",
        "leaderboard.tex",
        "scores.csv",
        "cases.csv",
        "objects.csv",
        "object_scores.csv",
        "by_condition.csv",
        "figures",
        "metrics.json",
    }
    found = json.loads((report / "metrics.json").read_text())
    assert found["aggregates"]["SEG"]["mean"] > 0.4
    assert found["aggregates"]["SEG"]["n"] == 6
    assert found["failed"] == []


def test_the_table_shows_the_algorithm_between_the_controls(runs):
    rows = {
        line.split()[1]: line for line in runs[1].splitlines() if line[:4].strip() in {"1", "-"}
    }
    assert set(rows) == {"watershed", "oracle", "blank"}
    assert rows["oracle"].count("1.000") >= 2
    assert rows["blank"].count("0.000") >= 2


def test_the_record_of_a_case_tells_how_it_was_made(runs):
    (path, *_) = sorted((runs[0] / "spheroid-mini-process" / "watershed").glob("*/record.json"))
    record = json.loads(path.read_text())
    assert record["status"] == "ok"
    assert record["model"] == "spheroid-nuclei-3d"
    assert record["selection"]["fallback"] is False
    assert record["peak_memory"] > 2**20
    assert 0 < record["seconds"] < 60
    assert record["startup_seconds"] > 0


def test_a_second_time_nothing_is_generated_or_run(runs):
    folder, _ = runs
    before = _modified(folder / "spheroid-mini-process" / "watershed")
    before |= _modified(folder / "datasets")
    done = _benchmark(folder)
    assert done.returncode == 0
    assert "6 results are there already" in done.stdout
    assert "running" not in done.stdout
    after = _modified(folder / "spheroid-mini-process" / "watershed")
    after |= _modified(folder / "datasets")
    assert after == before


@pytest.mark.long
@pytest.mark.slow
def test_both_ways_to_call_a_container_give_the_same_bits(runs):
    folder, _ = runs
    done = _benchmark(folder, "spheroid", "--api", "exec", "--run", "other")
    assert done.returncode == 0
    for path in (folder / "spheroid-mini-process").rglob("output/**/*.tif"):
        other = folder / "other" / path.relative_to(folder / "spheroid-mini-process")
        assert other.read_bytes() == path.read_bytes()


@pytest.mark.long
@pytest.mark.slow
def test_a_killed_runner_is_followed_by_one_that_runs_what_is_missing(tmp_path):
    command = [
        sys.executable,
        "-m",
        "cytosuite.benchmark",
        "benchmark",
        "spheroid",
        "--size",
        "mini",
    ]
    process = subprocess.Popen(
        [*command, "--engine", "process", "--runs", str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    results = tmp_path / "spheroid-mini-process" / "watershed"
    deadline = time.monotonic() + 120
    while not list(results.glob("[!.]*/record.json")) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = _modified(results)
    whole = list(results.glob("[!.]*/record.json"))
    assert 1 <= len(whole) < 6
    assert not (results.parent / "report").exists()
    done = _benchmark(tmp_path)
    assert done.returncode == 0
    assert f"{len(whole)} results are there already" in done.stdout
    assert f"running: {6 - len(whole)} of {6 - len(whole)}" in done.stdout
    outputs = [path for record in whole for path in record.parent.rglob("*.tif")]
    assert len(outputs) == len(whole)
    for path in outputs:  # the record itself gets the digest of the objects with the scores
        assert path.stat().st_mtime_ns == left[path]
    assert not list(results.glob(".*.part"))


@pytest.fixture
def own(tmp_path):
    """Return a user's folder with one image and its labels."""
    z, y, x = np.ogrid[:16, :40, :40]
    ball = (z - 8) ** 2 * 4 + (y - 20) ** 2 + (x - 20) ** 2 < 150
    noise = np.random.default_rng(0).poisson(20, ball.shape)
    for name, array in (("images", noise + 200 * ball), ("labels", ball)):
        (tmp_path / "own" / name).mkdir(parents=True)
        tifffile.imwrite(
            tmp_path / "own" / name / "ball.tif",
            array.astype(np.uint16),
            metadata={"axes": "ZYX", "spacing": [1.0, 0.5, 0.5]},
        )
    return tmp_path / "own"


def test_own_images_are_scored(tmp_path, own):
    done = _benchmark(tmp_path / "runs", own)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "runs" / "own-process" / "report" / "metrics.json").read_text())
    assert found["case"]["ball"]["DET"] == 1.0


def test_own_images_without_labels_are_run_and_shown(tmp_path, own):
    (own / "labels" / "ball.tif").unlink()
    (own / "labels").rmdir()
    done = _benchmark(tmp_path / "runs", own)
    assert done.returncode == 0, done.stderr
    assert "note: There are no labels" in done.stdout
    assert "SEG, DET, F1 and the other scores are not possible" in done.stdout
    assert (tmp_path / "runs" / "own-process" / "report" / "index.html").is_file()


def _missing_dataset(own):
    """no dataset called 'spheriod'; did you mean 'spheroid'?"""
    return "spheriod"


def _missing_folder(own):
    """nothing: no such folder"""
    return own / "nothing"


def _empty_folder(own):
    """found no image"""
    (own / "empty").mkdir()
    return own / "empty"


def _cut_in_half(own):
    """ball.tif: cannot be read as TIFF, cut or broken"""
    path = own / "images" / "ball.tif"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return own


def _float_labels(own):
    """ball.tif: labels must be integers, found dtype float32"""
    labels = tifffile.imread(own / "labels" / "ball.tif")
    tifffile.imwrite(own / "labels" / "ball.tif", labels.astype(np.float32))
    return own


def _other_shape(own):
    """ball.tif: labels must have the image's shape (16, 40, 40), found (40, 40)"""
    tifffile.imwrite(own / "labels" / "ball.tif", np.zeros((40, 40), np.uint8))
    return own


def _time_series(own):
    """ball.tif: found 2 frames (0, 1); choose one with --frame"""
    array = np.zeros((2, 16, 40, 40), np.uint16)
    tifffile.imwrite(own / "images" / "ball.tif", array, metadata={"axes": "TZYX"})
    return own


def _colour(own):
    """ball.png: expected a grey image, found a colour image of shape (40, 40, 3)"""
    (own / "labels" / "ball.tif").unlink()
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(own / "labels" / "ball.png")
    return own


@pytest.mark.parametrize(
    "mistake",
    [
        _missing_dataset,
        _missing_folder,
        _empty_folder,
        _cut_in_half,
        _float_labels,
        _other_shape,
        _time_series,
        _colour,
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(tmp_path, own, mistake, here):
    words = ["benchmark", mistake(own), "--engine", "process", "--runs", tmp_path / "runs"]
    code, errors = here(*words)
    assert code == 2
    assert errors.count("\n") == 1
    assert re.search(re.escape(mistake.__doc__), errors)
    assert not list((tmp_path / "runs").rglob("report"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--engine", "magic"],
            "ENGINE must be auto, docker, podman, apptainer or process, found 'magic'",
        ),
        (
            ["--algorithm", "watershd"],
            "no algorithm called 'watershd'; did you",
        ),
        (["--spacing", "2 um"], "spacing must be numbers in µm like 2,0.5,0.5, found '2 um'"),
        (["--run", "../x"], "RUN must be a plain folder name, found '../x'"),
        (["--seed", "-1"], "greater than or equal to 0"),
    ],
)
def test_wrong_options_are_exit_code_2(tmp_path, words, message, here):
    code, errors = here("benchmark", "spheroid", "--size", "mini", "--runs", tmp_path, *words)
    assert code == 2
    assert message in errors


def test_docker_asked_for_and_absent_is_one_line(tmp_path):
    nowhere = f"unix://{tmp_path}/docker.sock"
    done = _benchmark(tmp_path, engine="docker", DOCKER_HOST=nowhere)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "no Docker daemon answers" in done.stderr
    assert "ENGINE=process" in done.stderr


@pytest.mark.slow
def test_without_docker_the_process_engine_is_chosen_and_said(tmp_path):
    done = _benchmark(tmp_path, engine="auto", DOCKER_HOST=f"unix://{tmp_path}/docker.sock")
    assert done.returncode == 0
    assert done.stdout.startswith("engine: process (plain processes: no Docker daemon")


def test_list_names_what_there_is():
    done = _cytosuite("list")
    assert done.returncode == 0
    assert "watershed" in done.stdout
    assert "spheroid" in done.stdout
