"""The whole way through a real Slurm of two nodes: `eval "$(docker/start_slurm.sh DIR)"` starts one."""

import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

pytest.importorskip("dask_jobqueue")

SITE = 'workers = 2\ninterface = "lo"\nwalltime = "00:10:00"\n'
TIMES = ["seconds", "peak_memory"]  # columns that differ from run to run
CASES = 12


@pytest.fixture(scope="session")
def slurm():
    """Skip where no Slurm answers."""
    if not shutil.which("sbatch") or not os.environ.get("SLURM_CONF"):
        pytest.skip("no Slurm: sbatch or SLURM_CONF is missing (docker/start_slurm.sh)")
    done = subprocess.run(["sinfo", "--noheader"], capture_output=True, timeout=60, check=False)
    if done.returncode:
        pytest.skip("no Slurm answers (docker/start_slurm.sh)")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return a folder with the site and the data, and the scores of a local run."""
    home = tmp_path_factory.mktemp("a site")  # names with blanks must do
    (home / "site.toml").write_text(SITE)
    process = start(home, "local")
    text, _ = process.communicate(timeout=600)
    assert process.returncode == 0, text
    return home


def start(home, run, *words):
    """Start a benchmark of the data in a home, and return the process."""
    options = ["--size", "mini", "--cases", CASES, "--algorithm", "watershed"]
    options += ["--engine", "process", "--runs", home / "runs", "--run", run, *words]
    return subprocess.Popen(
        [sys.executable, "-m", "cytosuite.benchmark", "benchmark", "spheroid", *map(str, options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # a shell may ignore it
    )


def by_slurm(home, run, *words):
    return start(home, run, "--cluster", "slurm", "--site", home / "site.toml", *words)


def scores(home, run):
    found = pd.read_csv(home / "runs" / run / "report" / "scores.csv", dtype=str)
    return found.drop(columns=TIMES)


def ended(process):
    """Return exit code and words of a run, after which no job is left."""
    text, _ = process.communicate(timeout=600)
    deadline = time.monotonic() + 30
    while (left := own_jobs()) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert left == []
    return process.returncode, text


def own_jobs():
    """Return the numbers of running jobs of this suite."""
    words = ["squeue", "--noheader", "--me", "--name=cytosuite", "--states=R,CG", "--format=%i"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()


def wait_for(found, process, patience_s=240.0):
    """Return what a function finds, as soon as it does."""
    deadline = time.monotonic() + patience_s
    while not (result := found()):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return result


def results(home, run):
    return list((home / "runs" / run / "watershed").glob("*/record.json"))


def workers(job):
    """Return the worker processes of a job: children of `dask worker` that were spawned."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes()
            own = f"SLURM_JOB_ID={job}".encode() in (place / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if own and b"spawn_main" in words:
            found.append(int(place.name))
    return found


@pytest.mark.slow
def test_scores_are_bit_identical_to_those_of_a_local_run(slurm, home):
    code, text = ended(by_slurm(home, "slurm"))
    assert code == 0, text
    pd.testing.assert_frame_equal(scores(home, "slurm"), scores(home, "local"))
    assert list((home / "runs" / "cluster").glob(".keys-*")) == []
    code, text = ended(by_slurm(home, "slurm"))
    assert (code, f"{CASES} results are there already" in text) == (0, True)


@pytest.mark.slow
@pytest.mark.parametrize("end", ["kill", "scancel"])
def test_the_end_of_a_worker_in_mid_run_loses_nothing(slurm, home, end):
    process = by_slurm(home, end)
    wait_for(lambda: results(home, end), process)
    job = wait_for(own_jobs, process)[0]
    if end == "kill":
        number = wait_for(lambda: workers(job), process)[0]
        os.kill(number, signal.SIGKILL)
    else:
        subprocess.run(["scancel", "--signal=KILL", "--full", job], check=True)
    assert len(results(home, end)) < CASES, "the run was over before"
    code, text = ended(process)
    assert code == 0, text
    pd.testing.assert_frame_equal(scores(home, end), scores(home, "local"))


@pytest.mark.slow
def test_an_interrupted_run_is_gone_on_with_by_the_same_command(slurm, home):
    process = by_slurm(home, "interrupted")
    wait_for(lambda: results(home, "interrupted"), process)
    process.send_signal(signal.SIGINT)
    code, text = ended(process)
    assert code == 130, text
    assert text.splitlines()[-1] == (
        "cytosuite: interrupted; what is finished is kept: give the same command again"
    )
    assert "Traceback" not in text
    ended_ones = results(home, "interrupted")
    done = {p: p.stat().st_mtime_ns for each in ended_ones for p in each.parent.rglob("*.tif")}
    assert 0 < len(done) < CASES
    code, text = ended(by_slurm(home, "interrupted"))
    assert code == 0, text
    assert all(path.stat().st_mtime_ns == changed for path, changed in done.items())
    pd.testing.assert_frame_equal(scores(home, "interrupted"), scores(home, "local"))


def other_sources(home, *nodes):
    """Return options by which some nodes seem to have other sources of the algorithm."""
    lines = [
        "import os",
        f'if os.environ.get("SLURMD_NODENAME") in {nodes}:',
        "    import cytosuite.benchmark.runs.plan as plan",
        '    plan.runtime_digest = lambda *_: "another"',
    ]
    (home / "path").mkdir(exist_ok=True)
    (home / "path" / "sitecustomize.py").write_text("\n".join(lines))
    path = str(home / "path").replace(" ", "\\\\ ")
    (home / "nodes.toml").write_text(
        f'{SITE}extra = ["--nodes=1", "--cpus-per-task=4"]\nprologue = ["export PYTHONPATH={path}:$PYTHONPATH"]\n'
    )
    return "--cluster", "slurm", "--site", home / "nodes.toml"


@pytest.mark.slow
def test_a_node_that_refuses_is_left_out(slurm, home):
    """A job takes all cores of its node, so that there is a worker on each."""
    code, text = ended(start(home, "nodes", *other_sources(home, "one")))
    assert code == 0, text
    assert "node one: watershed is another one there, by its sources" in text
    assert text.count("the run goes on without this node") == 2  # as it happens, and as a note
    pd.testing.assert_frame_equal(scores(home, "nodes"), scores(home, "local"))
