"""Cases on one worker, which is this process."""

import os
from types import SimpleNamespace

import pytest

pytest.importorskip("distributed")

from mistakes import refused

from cytosuite.benchmark.engines.outcome import Outcome
from cytosuite.benchmark.runs.cluster import spread as module
from cytosuite.benchmark.runs.cluster.spread import OpenSession, spread
from cytosuite.benchmark.runs.plan import plan
from cytosuite.benchmark.runs.record import LEFT, read_record
from cytosuite.benchmark.runs.store.pool import Lost


class Worker:
    """A scheduler and its only worker, which ends with some cases."""

    def __init__(self, home, ends):
        self.client = self
        self.state, self.local_directory = SimpleNamespace(nthreads=3), str(home)
        self.plugins = {}
        self.ends = ends

    def register_plugin(self, plugin):
        plugin.setup(self)
        self.plugins[plugin.name] = plugin

    def unregister_worker_plugin(self, name):
        self.plugins.pop(name).teardown(self)

    def each(self, work, pieces):
        for number, job in enumerate(pieces):
            ended = job.missing[0].name in self.ends
            yield number, Lost("4 workers ended with it") if ended else work(job)


@pytest.fixture
def run(tmp_path, fakes, watershed, monkeypatch):
    """Return a function that runs a dataset on a worker, and gives statuses by case."""

    def run(dataset, engine, *, identity="1", ends=()):
        (tmp_path / "scratch").mkdir(exist_ok=True)
        worker = Worker(tmp_path / "scratch", ends)
        monkeypatch.setattr(module, "get_worker", lambda: worker)
        monkeypatch.setattr(module, "choose", lambda *_: (engine, "engine: fake"))
        jobs = plan(dataset, [watershed], engine, tmp_path / "run", retry=True)
        seen = {}
        engine._identity = identity
        limits = {"watershed": fakes.limits}
        session = OpenSession("fake", "cpu", "segment", limits, {"watershed": "invoke"}, {}, {}, "")
        spread(jobs, session, worker, lambda _, case, status: seen.update({case: status}))
        return seen

    monkeypatch.setattr(module, "SETTLE_S", 0.0)
    return run


def test_an_algorithm_starts_once_on_a_worker_and_ends_with_the_run(
    run, dataset, engine, fakes, monkeypatch, tmp_path
):
    starts = []
    session = fakes.Engine.session

    def watched(self, algorithm, workspace, limits, api):
        starts.append((workspace.is_relative_to(tmp_path / "scratch"), limits.cpus))
        return session(self, algorithm, workspace, limits, api)

    monkeypatch.setattr(fakes.Engine, "session", watched)
    assert run(dataset, engine) == dict.fromkeys(["case_1", "case_2", "case_3"], "ok")
    assert starts == [(True, 3.0)]
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_case_that_ends_its_workers_is_a_failed_one_and_costs_no_other(
    run, make_dataset, engine, tmp_path
):
    dataset = make_dataset(*range(1, 6))
    seen = run(dataset, engine, ends=["case_2"])
    assert seen.pop("case_2") == "killed"
    assert seen == dict.fromkeys(["case_1", "case_3", "case_4", "case_5"], "ok")
    assert read_record(tmp_path / "run/watershed/case_2").message == "4 workers ended with it"
    assert run(dataset, engine) == {"case_2": "ok"}
    assert engine.calls == ["case_1", "case_3", "case_4", "case_5", "case_2"]


def test_an_algorithm_whose_first_cases_fail_alike_is_given_up(run, make_dataset, fakes, tmp_path):
    engine = fakes.Engine(lambda *_: Outcome("non-zero exit", 0.1, None, 1, "no weights"))
    assert run(make_dataset(*range(1, 8)), engine) == {
        f"case_{n}": "non-zero exit" for n in range(1, 8)
    }
    assert engine.calls == ["case_1", "case_2", "case_3"]
    assert read_record(tmp_path / "run/watershed/case_7").message == f"{LEFT}no weights"


def test_another_version_on_a_node_is_refused(run, dataset, engine):
    line = f"node {os.uname().nodename}: watershed is another one there, by its sources"
    refused(line, run, dataset, engine, identity="2")
    assert engine.calls == []


def test_a_node_that_does_not_see_the_files_is_named(run, dataset, engine, monkeypatch):
    monkeypatch.setattr(module, "SEEN_S", 0.0)
    dataset.cases[0].folder.rename(dataset.home / "elsewhere")
    refused(r"node .+case_1 is not there; give RUNS, a folder", run, dataset, engine)


@pytest.mark.parametrize(
    "status, code, waits",
    [
        ("killed", -15, True),
        ("non-zero exit", 1, True),
        ("ok", 0, True),  # without outputs, as where what reads them ends
        ("non-zero exit", 2, False),  # an algorithm refuses its input
        ("out of memory", 137, False),
    ],
)
def test_what_the_end_of_a_job_causes_is_no_failure_of_the_case(
    run, make_dataset, fakes, monkeypatch, tmp_path, status, code, waits
):
    """The algorithm ends first, the worker while it waits: nothing is written."""

    def end(seconds):
        raise SystemExit

    engine = fakes.Engine(lambda *_: Outcome(status, 0.1, None, code, "why"))
    monkeypatch.setattr(module.time, "sleep", end)
    if waits:
        with pytest.raises(SystemExit):
            run(make_dataset(1), engine)
    else:
        run(make_dataset(1), engine)
    assert (read_record(tmp_path / "run/watershed/case_1") is None) == waits
