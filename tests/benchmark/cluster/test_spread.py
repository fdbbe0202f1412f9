import json
import os
import re
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cytosuite.benchmark.cluster import cases as module
from cytosuite.benchmark.cluster import spread as spread_module
from cytosuite.benchmark.cluster.cases import Chunk, run_chunk
from cytosuite.benchmark.cluster.dask_pool import DaskPool
from cytosuite.benchmark.cluster.spread import MOST, Backlog, Pace, Told, chunk_size, spread
from cytosuite.benchmark.data.dataset import Case
from cytosuite.benchmark.engines.outcome import Outcome
from cytosuite.benchmark.runs.plan import Job
from cytosuite.benchmark.runs.record import LEFT, read_record
from cytosuite.benchmark.runs.run import ALIKE, run_job
from cytosuite.benchmark.store.pool import Here
from cytosuite.contract.tasks import TASKS
from cytosuite.errors import InputError
from cytosuite.files.working import MACHINE

PACES = st.builds(
    Pace, st.integers(0, 1000), st.floats(0, 1e5), st.floats(0, 1e4), st.integers(0, 100)
)


def jobs(watershed, **numbers):
    """Return a job of so many cases for each name."""
    return [
        Job(
            watershed.model_copy(update={"name": name}),
            "key",
            Path("run") / name,
            tuple(Case(f"{name}{n}", Path("data") / f"{n}") for n in range(number)),
            0,
        )
        for name, number in numbers.items()
    ]


@given(
    st.integers(0, 10**5), st.integers(1, 10**5), st.integers(1, 500), PACES, st.floats(1, 86400)
)
def test_a_chunk_has_a_case_and_no_more_than_are_left(begun, left, slots, pace, most_s):
    size = chunk_size(begun, left, slots, pace, most_s)
    assert 1 <= size <= min(left, MOST)
    if begun >= ALIKE and pace.case_s is not None and size > 1:
        assert size * pace.case_s <= most_s * 1.001


def test_what_is_left_is_shared_out_in_ever_smaller_chunks():
    pace, left, sizes = Pace(3, 30.0), 40, []
    while left:
        sizes.append(chunk_size(3, left, 2, pace, 600))
        left -= sizes[-1]
    assert sizes == [10, 8, 6, 4, 3, 3, 2, 1, 1, 1, 1]


def test_a_chunk_repays_its_start_and_ends_within_its_minutes():
    assert [chunk_size(n, 100, 4, Pace(), 600) for n in (0, 2, 3)] == [1, 1, 4]
    assert chunk_size(3, 16, 8, Pace(3, 3.0, 0.0, 3), 600) == 1
    assert chunk_size(3, 16, 8, Pace(3, 3.0, 6.0, 3), 600) == 8  # four starts of 2 s each
    assert chunk_size(3, 10**4, 2, Pace(1, 10.0), 600) == 60
    assert chunk_size(3, 10**4, 2, Pace(1, 4000.0), 600) == 1


@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 9))
def test_each_case_is_given_out_once(first, second, slots):
    from cytosuite.benchmark.catalog.catalog import algorithms

    given_jobs = jobs(algorithms()["watershed"], a=first, b=second)
    backlog = Backlog(given_jobs, slots, 600)
    names = [case.name for chunk in backlog for case in chunk.cases]
    assert sorted(names) == sorted(case.name for job in given_jobs for case in job.missing)
    assert not backlog


def test_the_longest_job_goes_on_first(watershed):
    backlog = Backlog(jobs(watershed, quick=50, slow=10), 1, 600)
    pieces = iter(backlog)
    for _ in range(6):
        next(pieces)
    backlog.left["quick"].pace.add(3, 3.0, 0.0)  # 47 s are left
    backlog.left["slow"].pace.add(3, 300.0, 0.0)  # 700 s
    assert next(pieces).job.algorithm.name == "slow"


def test_dropped_cases_are_not_given_out(watershed):
    (job,) = jobs(watershed, a=6)
    backlog = Backlog([job], 1, 600)
    pieces = iter(backlog)
    next(pieces)
    backlog.split(Chunk(job, job.missing[4:]))
    dropped = sorted(case.name for case in backlog.drop("a"))
    assert dropped == ["a1", "a2", "a3", "a4", "a4", "a5", "a5"]
    assert list(pieces) == []


def test_first_causes_wait_for_all_first_cases(watershed):
    (job,) = jobs(watershed, a=5)
    left = Backlog([job], 1, 600).left["a"]
    left.causes |= {"a2": ("killed", "x"), "a0": None}
    assert left.first_causes == []
    left.causes["a1"] = ("killed", "y")
    assert left.first_causes == [None, ("killed", "y"), ("killed", "x")]


@pytest.fixture
def chunk(planned, dataset, engine, start):
    """Return a chunk of all three cases."""
    (job,) = planned(dataset, start(engine))
    return Chunk(job, job.missing)


def test_cases_with_a_result_are_left_and_failed_ones_run_again(
    chunk, circumstances, fakes, engine
):
    engine.behave = lambda image, output: Outcome("killed", 0.1, None, None, "why")
    run_chunk(circumstances, replace(chunk, cases=chunk.cases[:1]))
    engine.behave = fakes.perfect
    run_chunk(circumstances, replace(chunk, cases=chunk.cases[:2]))
    found = run_chunk(circumstances, chunk)
    assert engine.calls == ["case_1", "case_1", "case_2", "case_3"]
    assert ({record.status for record in found.records}, found.ran) == ({"ok"}, 1)


def test_another_version_on_a_node_is_refused(chunk, circumstances, engine):
    engine._identity = "2"
    refused = run_chunk(circumstances, chunk)
    assert re.match(r"node .+: watershed is another one there, by its sources", refused.reason)
    assert refused.node == os.uname().nodename
    assert engine.calls == []


def test_a_node_that_does_not_see_the_files_is_named(chunk, circumstances, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SEEN_S", 0.0)
    lost = replace(chunk, cases=(Case("x", tmp_path / "elsewhere" / "x"),))
    said = run_chunk(circumstances, lost).reason
    assert re.match(r"node .+elsewhere/x is not there; give RUNS, a folder", said)


def test_a_missing_image_is_one_line_with_the_way_to_bring_it(
    chunk, circumstances, engine, monkeypatch
):
    def identity(algorithm):
        raise InputError(
            "image cytosuite/watershed:cpu is missing; build it with `make build-watershed`"
        )

    monkeypatch.setattr(engine, "identity", identity)
    said = run_chunk(replace(circumstances, engine="docker"), chunk).reason
    assert said.startswith(f"node {os.uname().nodename}: image cytosuite/watershed:cpu is missing")
    assert "make build-watershed` on the runner" in said
    assert "docker save IMAGE | ssh NODE docker load" in said


def test_workspaces_are_on_the_node_and_those_of_dead_workers_go(
    chunk, circumstances, fakes, monkeypatch
):
    scratch = circumstances.scratch
    dead = 4194305  # beyond the largest number of a process
    kept = [  # at work here, at work on another node, and no session
        scratch / f".session.{MACHINE}-{os.getppid()}-0",
        scratch / f".session.deadbeef-{dead}-0",
        scratch / f"cytosuite-worker-{dead}-x",
    ]
    for folder in (*kept, scratch / f".session.{MACHINE}-{dead}-0"):
        (folder / "session").mkdir(parents=True)
    glob = Path.glob
    gone = scratch / "removed meanwhile by another worker"
    monkeypatch.setattr(Path, "glob", lambda *words: [gone, *glob(*words)])
    seen = []
    session = fakes.Engine.session

    def watched(self, algorithm, workspace, limits, api):
        seen.append((workspace, workspace.parent.is_dir()))
        return session(self, algorithm, workspace, limits, api)

    monkeypatch.setattr(fakes.Engine, "session", watched)
    run_chunk(circumstances, chunk)
    ((workspace, there),) = seen
    assert there
    assert workspace.is_relative_to(scratch)
    assert sorted(scratch.iterdir()) == sorted(kept)


@pytest.mark.parametrize(
    ("status", "code", "waits"),
    [
        ("killed", -15, True),
        ("non-zero exit", 1, True),
        ("missing output", 0, True),
        ("non-zero exit", 2, False),  # an algorithm refuses its input
        ("out of memory", 137, False),
        ("ok", 0, False),
    ],
)
def test_what_the_end_of_a_job_causes_is_no_failure_of_the_case(
    planned, make_dataset, fakes, start, circumstances, monkeypatch, status, code, waits
):
    """The algorithm ends first, the worker while it waits: nothing is written."""
    reached = []

    def ended(seconds):
        reached.append(seconds)
        raise SystemExit

    def behave(image, output):
        fakes.perfect(image, output)
        return Outcome(status, 0.1, None, code, "why")

    (job,) = planned(make_dataset(1), start(fakes.Engine(behave)))
    monkeypatch.setattr(module, "SETTLE_S", 2.0)
    with monkeypatch.context() as patch:
        patch.setattr(module.time, "sleep", ended)
        if waits:
            with pytest.raises(SystemExit):
                run_chunk(circumstances, Chunk(job, job.missing))
        else:
            run_chunk(circumstances, Chunk(job, job.missing))
    assert reached == [2.0] * waits
    assert (read_record(job.folder / "case_1") is None) == waits


TIMES = {"seconds", "startup_seconds", "seal"}


@pytest.fixture
def run(planned, circumstances, start):
    """Return a function that runs a dataset by a pool, and gives statuses by case."""

    def run(dataset, engine, pool=None, given=None, **options):
        jobs = planned(dataset, start(engine)) if given is None else given
        seen = []
        spread(
            jobs, options.pop("found", circumstances), pool or Here(),
            lambda a, c, s: seen.append((c, s)), chunk_s=600.0, **options,
        )  # fmt: skip
        assert len({case for case, _ in seen}) == len(seen), "a case was reported twice"
        return dict(seen)

    return run


def _records(folder):
    found = sorted(folder.glob("*/*/record.json"))
    return [
        {k: v for k, v in json.loads(path.read_text()).items() if k not in TIMES} for path in found
    ]


def test_records_and_files_are_those_of_a_local_run(
    run, make_dataset, engine, planned, tmp_path, fakes
):
    dataset = make_dataset(*range(1, 6))
    assert run(dataset, engine) == {f"case_{n}": "ok" for n in range(1, 6)}
    spread_records = _records(tmp_path / "run")
    spread_files = sorted(p.relative_to(tmp_path / "run") for p in (tmp_path / "run").rglob("*"))
    (tmp_path / "run").rename(tmp_path / "before")
    (job,) = planned(dataset, engine)
    run_job(job, TASKS["segment"], engine, fakes.limits, "invoke", lambda *_: None)
    assert _records(tmp_path / "run") == spread_records
    assert (
        sorted(p.relative_to(tmp_path / "run") for p in (tmp_path / "run").rglob("*"))
        == spread_files
    )


def test_a_lost_chunk_is_halved_until_the_case_that_kills_is_alone(
    run, make_dataset, engine, shaky, tmp_path
):
    dataset = make_dataset(*range(1, 17))
    pool = shaky(lambda names: "case_9" in names)
    seen = run(dataset, engine, pool)
    assert seen.pop("case_9") == "killed"
    assert set(seen.values()) == {"ok"}
    assert len(seen) == 15
    record = read_record(tmp_path / "run" / "watershed" / "case_9")
    assert record.message == "4 workers ended; the logs of the cluster may tell why"
    assert ["case_9"] in pool.seen


def test_an_algorithm_whose_first_cases_fail_alike_is_given_up(run, make_dataset, fakes, tmp_path):
    def behave(image, output):
        return Outcome("non-zero exit", 0.1, None, 1, "no weights")

    engine = fakes.Engine(behave)
    seen = run(make_dataset(*range(1, 10)), engine)
    assert set(seen.values()) == {"non-zero exit"}
    assert len(seen) == 9
    assert engine.calls == ["case_1", "case_2", "case_3"]
    left = [read_record(tmp_path / "run" / "watershed" / f"case_{n}").message for n in range(4, 10)]
    assert set(left) == {f"{LEFT}no weights"}


class TwoNodes(DaskPool):
    """A pool whose first node refuses each chunk until it is left out."""

    def __init__(self, others):
        super().__init__(None, 2, leave_out=self._leave)
        self.others, self.out = others, []

    def hearing(self, topic, hear):
        return nullcontext()

    def _leave(self, node):
        self.out.append(node)
        return self.others

    def each(self, work, pieces):
        for number, piece in enumerate(pieces):
            if self.out:
                yield number, work(piece)
            else:
                yield number, spread_module.Refusal("n1", "node n1: no image")


def test_a_node_that_refuses_is_left_out(run, make_dataset, engine):
    pool, lines = TwoNodes(others=True), []
    seen = run(make_dataset(*range(1, 6)), engine, pool, remark=lines.append)
    assert seen == {f"case_{n}": "ok" for n in range(1, 6)}
    assert engine.calls == [f"case_{n}" for n in range(1, 6)]  # in their order, each once
    assert pool.out == ["n1"]
    assert lines == ["node n1: no image; the run goes on without this node"]


def test_results_that_are_not_in_sight_are_one_line(run, dataset, engine, monkeypatch, tmp_path):
    hidden = spread_module.run_chunk

    def elsewhere(circumstances, chunk):
        found = hidden(circumstances, chunk)
        for case in chunk.cases:
            (chunk.job.folder / case.name / "record.json").unlink()
        return found

    monkeypatch.setattr(spread_module, "run_chunk", elsewhere)
    monkeypatch.setattr(spread_module._wait_for_records, "__defaults__", (0.0,))
    with pytest.raises(InputError, match="no result, though a worker has written one; give RUNS"):
        run(dataset, engine)


def test_an_end_is_reported_once_whoever_tells_it():
    seen = []
    told = Told(lambda *found: seen.append(found))
    told("a", "c", "ok")
    told("a", "c", "ok")
    told("b", "c", "ok")
    assert seen == [("a", "c", "ok"), ("b", "c", "ok")]


def test_pace_counts_starts_apart():
    pace = Pace()
    pace.add(4, 14.0, 6.0)
    assert (pace.case_s, pace.start_s) == (2.0, 6.0)
