"""Workers with GPUs: how many there are on this machine, and what their jobs ask for."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from types import SimpleNamespace

import pytest
from rich.console import Console

from cytosuite.benchmark.cluster import jobs as jobs_module
from cytosuite.benchmark.cluster import opened as module
from cytosuite.benchmark.cluster.jobs import Jobs, Regularly
from cytosuite.benchmark.cluster.opened import OpenCluster
from cytosuite.benchmark.cluster.site import ClusterSite
from cytosuite.benchmark.commands.data import opened
from cytosuite.benchmark.terminal.options import ClusterOptions
from cytosuite.errors import InputError

pytest.importorskip("distributed")


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


def test_a_pool_serves_smaller_cases_and_is_opened_anew_for_larger_ones(fake):
    with cluster(most_memory_gib=64) as found:
        first = found.pool(4.0)
        assert found.pool(2.0) is first
        assert found.pool() is first
        assert found.pool(8.0) is not first
    assert fake == [5.0, 9.0]
    with cluster() as found:
        found.reserve([2.0, 6.0])
        assert found.pool() is found.pool(6.0)
    assert fake[2:] == [7.0]


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


def test_a_refusal_of_slurm_is_one_line(tmp_path, monkeypatch):
    program = tmp_path / "sbatch"
    program.write_text("#!/bin/sh\necho 'error: invalid partition\nspecified: gpu' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(
        InputError, match="Slurm refuses sbatch --test-only: error: invalid partition"
    ):
        jobs_module._ask(["sbatch", "--test-only"])


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


CARDS = ("GPU-a", "GPU-b", "GPU-c", "GPU-d")


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Return a function that gives the number of workers on a machine of 16 cores."""
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr("cytosuite.benchmark.cluster.opened.free_gib", lambda: 1000.0)

    def number(**site):
        return OpenCluster("local", ClusterSite(**site), tmp_path, print)._places()

    return number


def test_a_machine_with_four_cards_has_four_workers(places, machine, monkeypatch):
    machine(*CARDS)
    assert places(gpus=1) == 4
    assert places() == 16
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,3")
    assert places(gpus=1) == 2


@pytest.mark.parametrize(
    ("device", "text", "gpus"), [("cpu", "", 0), ("cuda", "", 1), ("cuda", "gpus = 1", 1)]
)
def test_a_run_on_gpus_has_one_per_worker(tmp_path, device, text, gpus):
    (tmp_path / "site.toml").write_text(text)
    options = ClusterOptions(cluster="local", site=tmp_path / "site.toml")
    with opened(options, tmp_path, Console(file=io.StringIO()), device) as cluster:
        assert cluster.site.gpus == gpus


class FakeCluster:
    """A cluster whose jobs are in `workers`, and whose workers that have come in `present`."""

    def __init__(self, *numbers):
        self.workers = {f"w{n}": SimpleNamespace(job_id=str(n), status=None) for n in numbers}
        self.present, self.scaled, self.ended = [], [], []
        self.new_spec = {"options": {}}
        self.loop = SimpleNamespace(add_callback=lambda function, *words: function(*words))

    @property
    def scheduler_info(self):
        return {"workers": {f"tcp://{name}": {"name": name} for name in self.present}}

    def scale_down(self, names):
        self.ended += names

    def scale(self, number):
        self.scaled.append(number)


@pytest.fixture
def queue(monkeypatch):
    """Return the lines of the queue; None for a controller that does not answer."""
    lines = {"text": "", "asked": 0}

    def ask(words, text=""):
        lines["asked"] += 1
        if lines["text"] is None:
            raise InputError("Slurm did not answer squeue within 60 s")
        return lines["text"]

    monkeypatch.setattr(jobs_module, "_ask", ask)
    return lines


@pytest.fixture
def now(monkeypatch):
    """Return the time, for a test to set."""
    time = {"s": 1000.0}
    monkeypatch.setattr(jobs_module.time, "monotonic", lambda: time["s"])
    return time


@pytest.fixture
def jobs(tmp_path):
    """Return two jobs, 7 and 8, and what they tell."""
    found = Jobs(ClusterSite(workers=2), 2.0, tmp_path, {}, lambda line: found.said.append(line))
    found.said = []
    found.cluster = FakeCluster(7, 8)
    return found


def test_a_job_that_ended_is_submitted_again(jobs, queue):
    queue["text"] = "8 RUNNING None\n"
    (ended,) = (job for name, job in jobs.cluster.workers.items() if name == "w7")
    jobs.look()
    assert list(jobs.cluster.workers) == ["w8"]
    assert ended.status.name == "closed"
    assert jobs.cluster.scaled == [2]


def test_jobs_that_end_before_a_worker_comes_are_one_line_with_the_last_word(jobs, queue, tmp_path):
    (tmp_path / "9.log").write_text("loading\nno jobs_module named dask\n\n")
    (tmp_path / "8.log").write_text("earlier\n")
    jobs.look()
    jobs.cluster.workers = {"w9": SimpleNamespace(job_id="9", status=None)}
    with pytest.raises(InputError) as refused:
        jobs.look()
    assert str(refused.value) == (
        f"3 jobs of Slurm ended before a worker came: {tmp_path}/9.log: no jobs_module named dask; see "
        "`python` and `prologue` of the site"
    )


def test_a_queue_in_which_nothing_happens_is_asked_less_and_less(jobs, queue, now):
    queue["text"] = "7 PENDING Resources\n8 PENDING Priority\n"
    times = []
    for second in range(301):
        now["s"], before = float(second), queue["asked"]
        jobs.look()
        times += [second] * (queue["asked"] - before)
    assert times == [0, 5, 15, 35, 75, 135, 195, 255]


def test_a_node_is_left_out_with_all_its_workers(jobs, queue):
    jobs.site = ClusterSite(workers=2, extra=("--exclude=n1,n2", "--qos=long"))
    jobs.cluster = FakeCluster(7, 8, 9, 10)
    queue["text"] = "7 n5\n8 n6\n9 n5\n10 \n"
    assert jobs.leave_out("n5")
    assert jobs.cluster.ended == ["w7", "w9"]
    assert jobs.cluster.new_spec["options"]["job_extra_directives"][-3:] == [
        "--exclude=n1,n2", "--qos=long", "--exclude=n1,n2,n5",
    ]  # fmt: skip
    queue["text"] = "8 n6\n9 n5\n10 \n11 n7\n"
    assert not jobs.leave_out("n6")  # others wait, are on a node left out, or no workers of ours
    assert jobs.cluster.ended == ["w7", "w9"]


def test_after_a_first_worker_ended_jobs_are_no_mistake(jobs, queue):
    jobs.cluster.present = ["w7", "w8"]
    jobs.look()
    jobs.cluster = FakeCluster(*range(20, 40))
    jobs.look()
    assert jobs.cluster.workers == {}


def test_a_controller_that_is_busy_ends_nothing(jobs, queue, monkeypatch):
    monkeypatch.setattr(jobs_module, "WORD_S", -1.0)
    queue["text"] = None
    jobs.look()
    assert sorted(jobs.cluster.workers) == ["w7", "w8"]
    assert jobs.said == ["Slurm did not answer squeue within 60 s"]


def test_directives_hold_the_log_gpus_and_those_of_the_site(tmp_path):
    site = ClusterSite(gpus=1, extra=("--constraint=a100",))
    found = Jobs(site, 2.0, tmp_path / "a b", {}, print)
    assert found._directives() == [
        f'--output="{tmp_path}/a b/%j.log"', "--open-mode=append", "--no-requeue",
        "--gres=gpu:1", "--constraint=a100",
    ]  # fmt: skip
    assert found._words() == ["--memory-limit", "0", "--no-dashboard", "--resources", "GPU=1"]


def test_the_queue_is_not_asked_at_each_result(monkeypatch):
    now, called = {"s": 100.0}, []
    monkeypatch.setattr(jobs_module.time, "monotonic", lambda: now["s"])
    look = Regularly(lambda: called.append(now["s"]))
    for second in range(100, 112):
        now["s"] = float(second)
        look()
    assert called == [105.0, 110.0]
