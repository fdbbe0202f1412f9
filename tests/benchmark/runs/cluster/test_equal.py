"""The same scores by one process, by Dask and by shards, also where some of them are killed."""

import os
import signal
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from cytosuite.benchmark.commands.benchmark import benchmark_command
from cytosuite.benchmark.commands.options.benchmark import BenchmarkOptions
from cytosuite.benchmark.runs.data.shard import Shard

pytestmark = pytest.mark.slow
TIMES = ["seconds", "peak_memory"]  # columns that differ from run to run
CASES = 8
RUN = {"algorithm": ["watershed"], "engine": "process"}
SITE = """
kind = "slurm"
n_workers = 2
cores = 1
memory = "1GiB"
walltime = "00:10:00"
interface = "lo"
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return a folder with the data, and a run by one process."""
    home = tmp_path_factory.mktemp("runs")
    here(home, "one")
    return home


def here(home, run, **more):
    """Run a benchmark in this process, and return its words."""
    said = Console(file=StringIO(), width=1000)
    data = {"dataset": "spheroid", "size": "mini", "cases": CASES, "runs": home, "run": run}
    assert benchmark_command(BenchmarkOptions(**data, **RUN, **more), said) == 0
    return said.file.getvalue()


def start(home, run, *words):
    """Start a benchmark in a folder, and return the process."""
    options = ["--size", "mini", "--cases", CASES, "--algorithm", "watershed"]
    options += ["--engine", "process", "--runs", home, "--run", run, *words]
    return subprocess.Popen(
        [sys.executable, "-m", "cytosuite.benchmark", "benchmark", "spheroid", *map(str, options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell may ignore it
    )


def ended(process, code=0):
    """Return the words of a run that ends with a code."""
    text, _ = process.communicate(timeout=1800)
    assert process.returncode == code, text
    return text


def records(home, run):
    return list((home / run / "watershed").glob("*/record.json"))


def outputs(home, run):
    """Return the labels of finished cases, with the time of their last change."""
    images = [path for record in records(home, run) for path in record.parent.rglob("*.tif")]
    return {path: path.stat().st_mtime_ns for path in images}


def wait_for(find, process):
    """Return what a function finds, as soon as it does."""
    deadline = time.monotonic() + 240
    while not (result := find()):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return result


def need_equal(home, run):
    """Compare all values of a run with those by one process."""
    tables = [pd.read_csv(home / name / "report/scores.csv", dtype=str) for name in ("one", run)]
    one, values = (table.drop(columns=TIMES) for table in tables)
    assert len(one) > 36 * CASES
    pd.testing.assert_frame_equal(values, one)


def test_scores_are_those_of_one_process_by_dask(home):
    pytest.importorskip("distributed")
    here(home, "dask", cluster={"kind": "local", "n_workers": 1})
    need_equal(home, "dask")


def test_the_end_of_a_shard_costs_the_case_at_hand_alone(home):
    shard = start(home, "killed", "--shard", "1/2")
    wait_for(lambda: records(home, "killed"), shard)
    os.kill(shard.pid, signal.SIGKILL)
    shard.communicate()
    finished = outputs(home, "killed")
    assert 0 < len(finished) < CASES // 2, "the shard was over before"
    for number in (1, 2):
        here(home, "killed", shard=Shard(number, 2))
    assert f"{CASES} results are there already" in here(home, "killed")
    assert finished.items() <= outputs(home, "killed").items()
    need_equal(home, "killed")


@pytest.fixture
def by_slurm(home, tmp_path, slurm):
    """Return a function that starts a run by a real Slurm."""
    pytest.importorskip("dask_jobqueue")
    (tmp_path / "site.toml").write_text(SITE)
    return lambda run: start(home, run, "--cluster", tmp_path / "site.toml")


def own_jobs():
    """Return the numbers of running jobs of this suite."""
    words = ["squeue", "--noheader", "--me", "--name=cytosuite", "--states=R,CG", "--format=%i"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()


def workers(job):
    """Return the worker processes of a job: children of `dask worker` that were spawned."""
    pids = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes()
            of_job = f"SLURM_JOB_ID={job}".encode() in (place / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if of_job and b"spawn_main" in words:
            pids.append(int(place.name))
    return pids


def end_of_jobs():
    """Wait until no job is left."""
    deadline = time.monotonic() + 30
    while (left := own_jobs()) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert left == []


@pytest.mark.cluster
@pytest.mark.parametrize("end", ["kill", pytest.param("scancel", marks=pytest.mark.long)])
def test_the_end_of_a_worker_in_mid_run_loses_nothing(by_slurm, home, end):
    process = by_slurm(end)
    wait_for(lambda: records(home, end), process)
    job = wait_for(own_jobs, process)[0]
    if end == "kill":
        os.kill(wait_for(lambda: workers(job), process)[0], signal.SIGKILL)
    else:
        subprocess.run(["scancel", "--signal=KILL", "--full", job], check=True)
    assert len(records(home, end)) < CASES, "the run was over before"
    ended(process)
    end_of_jobs()
    need_equal(home, end)


@pytest.mark.cluster
def test_an_interrupted_run_is_gone_on_with_by_the_same_command(by_slurm, home):
    process = by_slurm("interrupted")
    wait_for(lambda: records(home, "interrupted"), process)
    process.send_signal(signal.SIGINT)
    text = ended(process, 130)
    assert text.splitlines()[-1] == (
        "cytosuite: interrupted; what is finished is kept: give the same command again"
    )
    assert "Traceback" not in text
    end_of_jobs()
    done = outputs(home, "interrupted")
    assert 0 < len(done) < CASES
    ended(by_slurm("interrupted"))
    assert done.items() <= outputs(home, "interrupted").items()
    need_equal(home, "interrupted")
