"""Jobs of a queue that a test makes up."""

from types import SimpleNamespace

import pytest

pytest.importorskip("distributed")

from cytosuite.benchmark.cluster import jobs as module
from cytosuite.benchmark.cluster.jobs import Jobs, Regularly
from cytosuite.benchmark.cluster.site import ClusterSite
from cytosuite.errors import InputError


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

    monkeypatch.setattr(module, "_ask", ask)
    return lines


@pytest.fixture
def now(monkeypatch):
    """Return the time, for a test to set."""
    time = {"s": 1000.0}
    monkeypatch.setattr(module.time, "monotonic", lambda: time["s"])
    return time


@pytest.fixture
def jobs(tmp_path):
    """Return two jobs, 7 and 8, and what they tell."""
    found = Jobs(ClusterSite(workers=2), 2.0, tmp_path, {}, lambda line: found.said.append(line))
    found.said = []
    found.cluster = FakeCluster(7, 8)
    return found


def test_jobs_in_the_queue_are_left_alone(jobs, queue):
    queue["text"] = "7 RUNNING None\n8 PENDING Priority\n"
    jobs.look()
    assert sorted(jobs.cluster.workers) == ["w7", "w8"]
    assert jobs.cluster.scaled == [2]


def test_a_job_that_ended_is_submitted_again(jobs, queue):
    queue["text"] = "8 RUNNING None\n"
    (ended,) = (job for name, job in jobs.cluster.workers.items() if name == "w7")
    jobs.look()
    assert list(jobs.cluster.workers) == ["w8"]
    assert ended.status.name == "closed"
    assert jobs.cluster.scaled == [2]


def test_a_job_whose_worker_is_there_counts_as_running(jobs, queue):
    jobs.cluster.present = ["w7"]
    jobs.look()
    assert list(jobs.cluster.workers) == ["w7"]


def test_jobs_that_end_before_a_worker_comes_are_one_line_with_the_last_word(jobs, queue, tmp_path):
    (tmp_path / "9.log").write_text("loading\nno module named dask\n\n")
    (tmp_path / "8.log").write_text("earlier\n")
    jobs.look()
    jobs.cluster.workers = {"w9": SimpleNamespace(job_id="9", status=None)}
    with pytest.raises(InputError) as refused:
        jobs.look()
    assert str(refused.value) == (
        f"3 jobs of Slurm ended before a worker came: {tmp_path}/9.log: no module named dask; see "
        "`python` and `prologue` of the site"
    )


@pytest.mark.parametrize(("text", "said"), [(None, "no log "), ("", ": empty;")])
def test_a_log_that_is_not_there_or_empty_is_said_too(jobs, queue, tmp_path, text, said):
    jobs.cluster = FakeCluster(1, 2, 10)
    if text is not None:
        (tmp_path / "10.log").write_text(text)
    with pytest.raises(
        InputError, match=f"{tmp_path}/10.log" if text is not None else said
    ) as refused:
        jobs.look()
    assert said in str(refused.value)


def test_a_queue_in_which_nothing_happens_is_asked_less_and_less(jobs, queue, now):
    queue["text"] = "7 PENDING Resources\n8 PENDING Priority\n"
    times = []
    for second in range(301):
        now["s"], before = float(second), queue["asked"]
        jobs.look()
        times += [second] * (queue["asked"] - before)
    assert times == [0, 5, 15, 35, 75, 135, 195, 255]


def test_a_worker_that_comes_or_ends_is_a_reason_to_ask(jobs, queue, now):
    queue["text"] = "7 RUNNING None\n8 PENDING Priority\n"
    jobs.look()
    jobs.cluster.present = ["w7"]
    jobs.look()
    jobs.cluster.present = []
    jobs.look()
    jobs.look()
    assert queue["asked"] == 3


def test_with_all_workers_there_the_queue_is_not_asked(jobs, queue, now):
    jobs.cluster.present = ["w7", "w8"]
    jobs.look()
    assert queue["asked"] == 0


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
    monkeypatch.setattr(module, "WORD_S", -1.0)
    queue["text"] = None
    jobs.look()
    assert sorted(jobs.cluster.workers) == ["w7", "w8"]
    assert jobs.said == ["Slurm did not answer squeue within 60 s"]


def test_a_wait_for_the_queue_is_said_from_time_to_time(queue, now, jobs):
    queue["text"] = "7 PENDING Resources\n8 PENDING Priority\n"
    for second in range(1000, 1100):
        now["s"] = float(second)
        jobs.look()
    assert jobs.said == ["waiting for 2 jobs of Slurm: PENDING Priority, PENDING Resources"]


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
    monkeypatch.setattr(module.time, "monotonic", lambda: now["s"])
    look = Regularly(lambda: called.append(now["s"]))
    for second in range(100, 112):
        now["s"] = float(second)
        look()
    assert called == [105.0, 110.0]
