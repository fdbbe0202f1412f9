import json
import signal
import subprocess
import sys
import time
from functools import partial

import pytest

pytest.importorskip("distributed")

from cytosuite.benchmark.cluster import jobs as jobs_module
from cytosuite.benchmark.cluster import opened as module
from cytosuite.benchmark.cluster.opened import RUNNER_GIB, OpenCluster, variables_of
from cytosuite.benchmark.cluster.site import ClusterSite
from cytosuite.errors import InputError


@pytest.fixture
def fake(monkeypatch):
    """Return clusters that open nothing, and the memory of each that was opened."""
    opened = []

    def open_(self):
        opened.append(self.memory_gib)
        return object()

    monkeypatch.setattr(OpenCluster, "_open", open_)
    return opened


def cluster(word="slurm", **site):
    return OpenCluster(word, ClusterSite(**site), None, print)


def test_workers_have_room_for_a_case_and_the_runner(fake):
    with cluster() as found:
        found.pool(4.0)
    assert fake == [4.0 + RUNNER_GIB]


def test_a_pool_serves_smaller_cases_and_is_opened_anew_for_larger_ones(fake):
    with cluster(most_memory_gib=64) as found:
        first = found.pool(4.0)
        assert found.pool(2.0) is first
        assert found.pool() is first
        assert found.pool(8.0) is not first
    assert fake == [5.0, 9.0]


def test_what_is_reserved_counts_from_the_start(fake):
    with cluster() as found:
        found.reserve([2.0, 6.0])
        assert found.pool() is found.pool(6.0)
    assert fake == [7.0]


def test_workers_of_a_running_scheduler_are_as_they_are(fake):
    with cluster("tcp://a:1") as found:
        assert found.pool(2.0) is found.pool(20.0)
    assert len(fake) == 1


def test_workers_of_the_site_that_are_too_small_are_refused(fake):
    with cluster(memory_gib=4.0) as found, pytest.raises(InputError) as refused:
        found.pool(4.0)
    assert str(refused.value) == (
        "memory_gib: a case of 4 GiB and the runner need 5, found 4; give more, or a smaller MEMORY"
    )
    assert fake == []


def test_without_the_packages_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(
        InputError, match=r"CLUSTER needs distributed, not installed here: .*\[cluster\]'"
    ):
        cluster().__enter__()


def test_a_scheduler_that_does_not_answer_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "START_S", 1)
    word = "tcp://127.0.0.1:1"
    refusal = f"CLUSTER={word}: no scheduler with a worker"
    with (
        OpenCluster(word, ClusterSite(), tmp_path, print) as found,
        pytest.raises(InputError, match=refusal),
    ):
        found.pool()


def test_without_slurm_one_line_says_where_to_run_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="needs sbatch, which is not on this machine; run it on a"):
        jobs_module._ask(["sbatch", "--test-only"])


def test_a_refusal_of_slurm_is_one_line(tmp_path, monkeypatch):
    program = tmp_path / "sbatch"
    program.write_text("#!/bin/sh\necho 'error: invalid partition\nspecified: gpu' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(
        InputError, match="Slurm refuses sbatch --test-only: error: invalid partition"
    ):
        jobs_module._ask(["sbatch", "--test-only"])


def test_settings_reach_workers_as_variables():
    found = variables_of({"distributed.comm.tls.ca-file": "/a b/c.pem"})
    assert found == {"DASK_DISTRIBUTED__COMM__TLS__CA_FILE": "/a b/c.pem"}


def test_the_options_load_no_dask():
    code = (
        "import sys, cytosuite.benchmark.commands.benchmark; sys.exit('distributed' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


STRANGER = """
import sys
import time
from distributed import Client
try:
    Client(sys.argv[1], timeout=3).submit(print, 1).result()
except (OSError, RuntimeError, ValueError, TypeError) as error:
    sys.exit(f"refused: {type(error).__name__}")
"""


def test_nobody_without_the_key_of_the_run_gives_orders(tmp_path):
    with OpenCluster("local", ClusterSite(workers=1), tmp_path, print) as found:
        address = found.pool().client.scheduler.address
        (folder,) = tmp_path.iterdir()
        assert folder.stat().st_mode & 0o077 == 0
        assert address.startswith("tls://127.0.0.1:")
        for word in (address, address.replace("tls://", "tcp://")):
            words = [sys.executable, "-W", "ignore", "-c", STRANGER, word]
            done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
            assert (done.returncode, "refused: " in done.stderr) == (1, True), done.stderr


KILLED = """
import os, signal, sys
from pathlib import Path
from cytosuite.benchmark.cluster.opened import OpenCluster
from cytosuite.benchmark.cluster.site import ClusterSite
OpenCluster("local", ClusterSite(), Path(sys.argv[1]), print)._keys()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_key_of_a_killed_run_goes_with_the_next(tmp_path):
    subprocess.run([sys.executable, "-c", KILLED, tmp_path], check=False, timeout=60)
    (left,) = tmp_path.iterdir()
    with OpenCluster("local", ClusterSite(workers=1), tmp_path, print) as found:
        found._keys()
        (own,) = tmp_path.iterdir()
        assert own != left
        assert {path.name for path in own.iterdir()} == {"key.pem", "certificate.pem"}
    assert not [*tmp_path.iterdir()]


@pytest.mark.slow
def test_workers_of_a_scheduler_that_runs_are_used_and_left_alone(tmp_path):
    file = tmp_path / "scheduler.json"
    begin = [sys.executable, "-W", "ignore", "-m"]
    calls = (
        ["distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"],
        ["distributed.cli.dask_worker", "--nthreads", "1", "--no-dashboard", "--memory-limit", "0"],
    )
    programs = [
        subprocess.Popen(
            [*begin, *words, "--scheduler-file", str(file)],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for words in calls
    ]
    try:
        deadline = time.monotonic() + 60
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(0.5)  # until it is written
        word = json.loads(file.read_text())["address"]
        with OpenCluster(word, ClusterSite(), tmp_path, print) as found:
            pool = found.pool(4.0)
            assert pool.slots == 1
            assert dict(pool.each(abs, [-1, -2, 3])) == {0: 1, 1: 2, 2: 3}
        assert [program.poll() for program in programs] == [None, None]
    finally:
        for program in reversed(programs):
            program.terminate()
            program.wait(timeout=30)


def test_ctrl_c_stays_an_interruption():
    """dask-jobqueue sets a handler of its own when it is loaded, which ends with code 0."""
    pytest.importorskip("dask_jobqueue")
    code = (
        "import signal; from cytosuite.benchmark.cluster.jobs import _slurm_cluster; "
        "before = signal.getsignal(signal.SIGINT); _slurm_cluster(); "
        "assert signal.getsignal(signal.SIGINT) is before is signal.default_int_handler"
    )
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        check=True,
        timeout=120,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
