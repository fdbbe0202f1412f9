import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from cytosuite.benchmark.cluster import spread as module
from cytosuite.benchmark.cluster.dask_pool import DaskPool
from cytosuite.benchmark.cluster.pool import Here
from cytosuite.benchmark.cluster.spread import Told, rungs, spread
from cytosuite.benchmark.engines.outcome import Outcome
from cytosuite.benchmark.record import LEFT, read_record
from cytosuite.benchmark.run import run_job
from cytosuite.errors import InputError
from cytosuite.tasks import TASKS

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


def test_a_killed_case_is_tried_again_by_the_next_run(run, make_dataset, engine, shaky):
    dataset = make_dataset(1, 2)
    run(dataset, engine, shaky(lambda names: "case_1" in names))
    assert run(dataset, engine) == {"case_1": "ok"}


def test_what_a_lost_chunk_had_finished_is_not_run_again(
    run, make_dataset, engine, circumstances, shaky
):
    dataset = make_dataset(*range(1, 10))
    lost = []

    def loses(names):
        if len(names) > 1 and not lost:
            lost.append(names)
            done = [case for case in dataset.cases if case.name in names[:1]]
            module.run_chunk(circumstances, module.Chunk(jobs[0], tuple(done)))
            return True
        return False

    jobs = [None]
    original = module.Backlog

    class Watched(original):
        def __init__(self, given, *rest):
            jobs[0] = given[0]
            super().__init__(given, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "Backlog", Watched)
        assert set(run(dataset, engine, shaky(loses)).values()) == {"ok"}
    assert lost
    assert sorted(engine.calls) == sorted(case.name for case in dataset.cases)


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


def test_keep_going_runs_them_all(run, make_dataset, fakes):
    engine = fakes.Engine(lambda image, output: Outcome("non-zero exit", 0.1, None, 1, "no"))
    run(make_dataset(*range(1, 10)), engine, keep_going=True)
    assert len(engine.calls) == 9


def test_failures_that_differ_or_follow_a_success_do_not_count(run, make_dataset, fakes):
    def behave(image, output):
        return Outcome("non-zero exit", 0.1, None, 1, f"{int(image.array.sum())}")

    assert len(run(make_dataset(*range(1, 10)), engine := fakes.Engine(behave))) == 9
    assert len(engine.calls) == 9


def test_the_first_cases_count_in_the_order_of_the_plan_not_of_their_ends(
    run, make_dataset, fakes, shaky
):
    """The second case is lost at first: its cause comes last, and still counts as the second."""
    engine = fakes.Engine(lambda image, output: Outcome("non-zero exit", 0.1, None, 1, "no"))
    lost = []

    def loses(names):
        if names == ["case_2"] and not lost:
            lost.append(names)
            return True
        return False

    seen = run(make_dataset(*range(1, 10)), engine, shaky(loses))
    assert seen["case_2"] == "killed"  # a single case that is lost is a failed one
    assert len(engine.calls) == 8  # without its cause nothing is given up


def test_an_error_of_a_worker_ends_the_run(run, dataset, engine, monkeypatch):
    def refuse(*_):
        raise InputError("node a: no")

    monkeypatch.setattr(module, "run_chunk", refuse)
    with pytest.raises(InputError, match="node a: no"):
        run(dataset, engine)


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
                yield number, module.Refusal("n1", "node n1: no image")


def test_a_node_that_refuses_is_left_out(run, make_dataset, engine):
    pool, lines = TwoNodes(others=True), []
    seen = run(make_dataset(*range(1, 9)), engine, pool, remark=lines.append)
    assert seen == {f"case_{n}": "ok" for n in range(1, 9)}
    assert engine.calls == [f"case_{n}" for n in range(1, 9)]  # in their order, each once
    assert pool.out == ["n1"]
    assert lines == ["node n1: no image; the run goes on without this node"]


def test_a_refusal_of_the_last_node_ends_the_run(run, dataset, engine):
    with pytest.raises(InputError, match="^node n1: no image$"):
        run(dataset, engine, TwoNodes(others=False))
    assert engine.calls == []


def test_a_pool_without_nodes_ends_at_a_refusal(run, dataset, engine, monkeypatch):
    monkeypatch.setattr(
        module, "run_chunk", lambda *_: module.Refusal("n1", "node n1: another version")
    )
    with pytest.raises(InputError, match="^node n1: another version$"):
        run(dataset, engine)


def test_results_that_are_not_in_sight_are_one_line(run, dataset, engine, monkeypatch, tmp_path):
    hidden = module.run_chunk

    def elsewhere(circumstances, chunk):
        found = hidden(circumstances, chunk)
        for case in chunk.cases:
            (chunk.job.folder / case.name / "record.json").unlink()
        return found

    monkeypatch.setattr(module, "run_chunk", elsewhere)
    monkeypatch.setattr(module._wait_for_records, "__defaults__", (0.0,))
    with pytest.raises(InputError, match="no result, though a worker has written one; give RUNS"):
        run(dataset, engine)


def test_an_end_is_reported_once_whoever_tells_it():
    seen = []
    told = Told(lambda *found: seen.append(found))
    told.hear(["a", "c", "ok"])
    told("a", "c", "ok")
    told("b", "c", "ok")
    assert seen == [("a", "c", "ok"), ("b", "c", "ok")]


class Hungry:
    """Cases that need more memory than the limit: so many GiB as they have objects."""

    def __init__(self, fakes, limits):
        self.fakes, self.limits, self.seen = fakes, limits, []

    def __call__(self, image, output):
        needed = int(image.array.sum()) // (100 * 2 * 3 * 4)
        limit = self.limits[-1]
        self.seen.append((needed, limit))
        if needed > limit:
            return Outcome(
                "out of memory", 0.1, None, 137, f"memory limit of {limit:g} GiB exceeded"
            )
        return self.fakes.perfect(image, output)


@pytest.fixture
def climb(run, planned, circumstances, fakes, start, monkeypatch):
    """Return a function that runs a dataset with more and more memory; gives limits by round."""

    def climb(dataset, top, base=1.0):
        limits = []
        engine = start(fakes.Engine(behave := Hungry(fakes, limits)))
        session = fakes.Engine.session

        def noted(self, algorithm, workspace, given, api):
            limits.append(given.memory_gib)
            return session(self, algorithm, workspace, given, api)

        monkeypatch.setattr(fakes.Engine, "session", noted)
        sized = {"watershed": replace(circumstances.limits["watershed"], memory_gib=base)}
        jobs = planned(dataset, engine)
        run(
            dataset, engine, given=jobs, found=replace(circumstances, limits=sized), keep_going=True
        )
        rounds = []
        for memory, again in rungs(jobs, dataset.cases, {"watershed": base}, top):
            rounds.append((memory, sorted(case.name for job in again for case in job.missing)))
            more = {"watershed": replace(sized["watershed"], memory_gib=memory)}
            run(dataset, engine, given=again, found=replace(circumstances, limits=more))
        return rounds, behave.seen

    return climb


def test_what_is_out_of_memory_runs_again_with_twice_as_much_up_to_the_top(
    climb, make_dataset, tmp_path
):
    rounds, seen = climb(make_dataset(1, 2, 3, 5), top=4.0)
    assert rounds == [(2.0, ["case_2", "case_3", "case_5"]), (4.0, ["case_3", "case_5"])]
    records = {n: read_record(tmp_path / "run" / "watershed" / f"case_{n}") for n in (1, 2, 3, 5)}
    assert {n: record.status for n, record in records.items()} == {
        1: "ok",
        2: "ok",
        3: "ok",
        5: "out of memory",
    }
    assert records[1].warnings == ()
    assert records[2].warnings == ("memory raised: 2 GiB, as 1 GiB did not suffice",)
    assert records[5].warnings == ("memory raised: 4 GiB, as 1 GiB did not suffice",)
    assert len(seen) == 4 + 3 + 2


def test_a_run_without_room_above_climbs_no_further_and_the_next_run_neither(climb, make_dataset):
    dataset = make_dataset(3)
    assert climb(dataset, top=2.0)[0] == [(2.0, ["case_3"])]
    rounds, seen = climb(dataset, top=2.0)
    assert (rounds, seen) == ([], [])


def test_a_higher_top_goes_on_where_the_last_run_ended(climb, make_dataset):
    dataset = make_dataset(3)
    climb(dataset, top=2.0)
    rounds, seen = climb(dataset, top=3.0)
    assert rounds == [(3.0, ["case_3"])]
    assert [limit for _, limit in seen] == [3.0]


def test_other_failures_get_no_memory(planned, dataset, fakes, run, start):
    engine = fakes.Engine(lambda image, output: Outcome("killed", 0.1, None, None, "memory"))
    jobs = planned(dataset, start(engine))
    run(dataset, engine, given=jobs)
    assert list(rungs(jobs, dataset.cases, {"watershed": 1.0}, 64.0)) == []


def test_a_record_of_another_key_gets_no_memory(planned, make_dataset, fakes, run, start):
    engine = fakes.Engine(lambda image, output: Outcome("out of memory", 0.1, None, 4, "x"))
    jobs = planned(dataset := make_dataset(1), start(engine))
    run(dataset, engine, given=jobs)
    stale = [replace(jobs[0], key="other")]
    assert list(rungs(stale, dataset.cases, {"watershed": 1.0}, 64.0)) == []
    assert Path(jobs[0].folder / "case_1" / "record.json").is_file()
