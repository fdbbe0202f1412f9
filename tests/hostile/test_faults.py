"""Faults of the machine in the middle of a run: it says so in a line, and the next run ends as if there were none."""

import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import forks
import numpy as np
import pytest

pytestmark = pytest.mark.slow

KILLS = 15


def _killed(runs, folder, undisturbed, number, kills, **more):
    """Kill a run at random instants, then run it to its end."""
    rng, longest, done = np.random.default_rng(number), undisturbed[1], 0
    while done < kills:
        before = forks.results(folder)
        process = runs.start(folder, **more)
        begin = time.monotonic()
        forks.wait(process, rng.uniform(0.02, longest))
        os.kill(process, number)
        code, text = runs.end(process)
        assert "Traceback" not in text
        assert before.items() <= forks.results(folder).items()  # nothing whole was made again
        if code == 0:
            longest = min(longest, time.monotonic() - begin)
            forks.as_if_nothing(folder, undisturbed[0])
            shutil.rmtree(folder)
            folder.mkdir()
        else:
            done += 1
    runs.goes_on(folder, undisturbed[0], **more)


@pytest.mark.parametrize(
    "number, kills",
    [
        (signal.SIGKILL, 2),
        pytest.param(signal.SIGKILL, KILLS, marks=pytest.mark.long),
        pytest.param(signal.SIGTERM, 4, marks=pytest.mark.long),
        pytest.param(signal.SIGINT, 4, marks=pytest.mark.long),
    ],
)
def test_a_run_that_is_killed_at_any_instant_goes_on_where_it_stopped(
    runs, undisturbed, tmp_path, number, kills
):
    _killed(runs, tmp_path, undisturbed, number, kills)


def test_a_run_that_is_told_to_end_leaves_nothing(runs, undisturbed, tmp_path):
    process = runs.start(tmp_path)
    while not list((tmp_path / "run").glob("*/.session*/server.log")):
        time.sleep(0.01)
    os.kill(process, signal.SIGTERM)
    code, text = runs.end(process)
    assert code not in (0, -signal.SIGTERM)
    assert "interrupted" in forks.only_line(text)
    assert forks.leftovers(tmp_path) == []


def test_a_killed_run_leaves_no_worker_that_simulates(runs, tmp_path):
    process = runs.start(tmp_path, "--cases", "400", "--workers", "2")
    while len(workers := _children(process)) < 2:
        time.sleep(0.01)
    os.kill(process, signal.SIGKILL)
    runs.end(process)
    assert forks.lasting(lambda: [one for one in workers if Path(f"/proc/{one}").exists()]) == []


def _children(process):
    """Return the processes that a process has started."""
    text = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(word) for word in text.split()]


def test_what_was_altered_is_made_again_and_nothing_else(runs, undisturbed, disturbed):
    run, (data,) = disturbed / "run", (disturbed / "datasets").glob("*/cases")
    before = forks.results(disturbed)
    forks.flip(
        run / "watershed" / forks.CASES[1] / f"output/images/instance-labels/{forks.CASES[1]}.tif"
    )
    forks.flip(run / "toy_limit" / forks.CASES[2] / "objects.csv")
    (run / "watershed" / forks.CASES[0] / "log.txt").write_text("")
    forks.flip(data / forks.CASES[0] / f"sockets/images/microscopy-image/{forks.CASES[0]}.tif")
    forks.flip(data.parent / "dataset.json")
    assert "5 results are there already" in runs.well(runs.start(disturbed))
    after = forks.results(disturbed)
    assert {key for key in after if after[key] != before[key]} == {("watershed", forks.CASES[1])}
    forks.as_if_nothing(disturbed, undisturbed[0])
    assert "6 results are there already" in runs(disturbed)[1]


def test_altered_weights_end_the_run_before_a_result_is_lost(runs, undisturbed, disturbed):
    weights = runs.home / "weights/toy_limit/plain.safetensors"
    before = forks.results(disturbed)
    forks.flip(weights)
    try:
        code, text = runs(disturbed)
        assert code == 3
        assert "the file was altered" in forks.only_line(text)
    finally:
        forks.flip(weights)
    runs.goes_on(disturbed, undisturbed[0])
    assert forks.results(disturbed) == before


@contextmanager
def _mounted(place, *words):
    """Mount something at a place, where that is possible."""
    done = subprocess.run(
        ["mount", *words, str(place)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no file system can be mounted: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


FULL = {
    "output is taken": "cytosuite.benchmark.engines.process:collect",
    "the report is written": "cytosuite.benchmark.report:write_report",
    "the dataset is generated": "cytosuite.benchmark.runs.data.dataset:write",
    "inputs are laid out": "cytosuite.benchmark.runs.data.dataset:write_case",
    "a record is written": "cytosuite.benchmark.runs.record:Record.write",
    "objects are measured": "cytosuite.benchmark.scores.objects:write_objects",
}


@pytest.mark.parametrize(
    "moment",
    [next(iter(FULL)), *(pytest.param(kind, marks=pytest.mark.long) for kind in list(FULL)[1:])],
)
def test_a_full_disk_is_one_line_and_loses_nothing(runs, undisturbed, tmp_path, moment):
    _fill(runs, undisturbed, tmp_path, FULL[moment])


@pytest.mark.docker
@pytest.mark.parametrize("name", [pytest.param("give", marks=pytest.mark.long), "collect"])
def test_a_full_disk_beside_a_container_is_one_line(contained, runs, tmp_path, name):
    place = f"cytosuite.benchmark.engines.docker_session:{name}"
    _fill(runs, contained, tmp_path, place, engine="docker")


def _fill(runs, undisturbed, folder, place, **more):
    """Fill the disk at a moment of a run, make room, and run it again."""
    with _mounted(folder, "-t", "tmpfs", "-o", "size=32m", "tmpfs"):
        log = folder.with_suffix(".txt")
        code, text = runs.end(
            runs.start(folder, "--workers", "1", full=(place, str(folder)), log=log, **more), log
        )
        assert code == 2, text
        assert "No space left on device" in forks.only_line(text)
        assert str(folder) in forks.only_line(text)
        assert forks.leftovers(folder) == []
        (folder / "ballast").unlink()
        runs.goes_on(folder, undisturbed[0], "--workers", "1", **more)


def test_a_dataset_can_be_read_only(runs, undisturbed, disturbed):
    data = disturbed / "datasets"
    with _mounted(data, "--bind", str(data)):
        subprocess.run(
            ["mount", "-o", "remount,ro,bind", str(data)], check=True, capture_output=True
        )
        runs.goes_on(disturbed, undisturbed[0], run="other")
        code, text = runs(disturbed, "--seed", "5", run="new")
        assert code == 2
        assert "Read-only file system" in forks.only_line(text)


@pytest.mark.long
@pytest.mark.docker
def test_a_run_in_containers_that_is_killed_at_any_instant_goes_on(
    contained, runs, client, tmp_path
):
    _killed(runs, tmp_path, contained, signal.SIGKILL, KILLS, engine="docker")
    assert forks.containers(client, tmp_path) == []


@pytest.mark.docker
def test_a_daemon_that_is_lost_costs_its_cases_until_the_next_run(
    contained, runs, client, tmp_path, tmp_path_factory
):
    daemon = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")
    line = forks.Line(daemon, tmp_path_factory.mktemp("d") / "d.sock")
    line.connect()
    process = runs.start(tmp_path, engine="docker", host=f"unix://{line.path}")
    while not list((tmp_path / "run").glob("*/*/record.json")):
        time.sleep(0.01)
    line.cut()
    time.sleep(3)
    line.connect()
    code, text = runs.end(process)
    assert code in (1, 2), text
    assert "Traceback" not in text
    assert forks.leftovers(tmp_path) == []
    assert forks.results(tmp_path)
    runs.goes_on(tmp_path, contained[0], engine="docker")
    line.cut()
    assert forks.containers(client, tmp_path) == []
