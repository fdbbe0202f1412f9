import os
import pickle
import re
from dataclasses import replace

import pytest

from cytosuite.benchmark.cluster import cases as module
from cytosuite.benchmark.cluster.cases import OWN, run_chunk
from cytosuite.benchmark.cluster.chunks import Chunk
from cytosuite.benchmark.data.dataset import Case
from cytosuite.benchmark.engines.outcome import Outcome
from cytosuite.benchmark.record import read_record
from cytosuite.errors import InputError


@pytest.fixture
def chunk(planned, dataset, engine, start):
    """Return a chunk of all three cases."""
    (job,) = planned(dataset, start(engine))
    return Chunk(job, job.missing)


def test_a_chunk_gives_the_records_of_its_cases(chunk, circumstances):
    found = run_chunk(circumstances, chunk)
    assert [record.case for record in found.records] == ["case_1", "case_2", "case_3"]
    assert {record.status for record in found.records} == {"ok"}
    assert {record.key for record in found.records} == {chunk.job.key}
    assert (found.ran, found.seconds > 0) == (3, True)
    assert found.records[1] == read_record(chunk.job.folder / "case_2")


def test_all_that_travels_can_be_pickled(chunk, circumstances):
    assert pickle.loads(pickle.dumps((circumstances, chunk))) == (circumstances, chunk)
    pickle.dumps(run_chunk(circumstances, chunk))


def test_cases_with_a_result_are_left(chunk, circumstances, engine):
    run_chunk(circumstances, replace(chunk, cases=chunk.cases[:1]))
    found = run_chunk(circumstances, chunk)
    assert engine.calls == ["case_1", "case_2", "case_3"]
    assert (len(found.records), found.ran) == (3, 2)


def test_a_failed_case_is_a_record_and_does_not_stop_the_chunk(
    planned, dataset, fakes, start, circumstances
):
    engine = start(
        fakes.Engine(lambda image, output: Outcome("non-zero exit", 0.1, None, 1, "why"))
    )
    (job,) = planned(dataset, engine)
    found = run_chunk(circumstances, Chunk(job, job.missing))
    assert [(record.status, record.message) for record in found.records] == [
        ("non-zero exit", "why")
    ] * 3


def test_a_failed_case_runs_again_when_its_chunk_does(
    planned, dataset, fakes, start, circumstances
):
    engine = start(fakes.Engine(lambda image, output: Outcome("killed", 0.1, None, None, "why")))
    (job,) = planned(dataset, engine)
    run_chunk(circumstances, Chunk(job, job.missing))
    engine.behave = fakes.perfect
    assert {
        record.status for record in run_chunk(circumstances, Chunk(job, job.missing)).records
    } == {"ok"}


def test_remarks_are_warnings_of_the_records(chunk, circumstances):
    job = replace(chunk.job, remarks=("memory raised: 4 GiB",))
    found = run_chunk(circumstances, replace(chunk, job=job))
    assert {record.warnings for record in found.records} == {("memory raised: 4 GiB",)}


def test_another_version_on_a_node_is_refused(chunk, circumstances, engine):
    engine._identity = "2"
    refused = run_chunk(circumstances, chunk)
    assert re.match(r"node .+: watershed is another one there, by its sources", refused.reason)
    assert refused.node == os.uname().nodename
    assert engine.calls == []


def test_a_refusal_has_the_name_of_the_node_in_slurm(chunk, circumstances, engine, monkeypatch):
    engine._identity = "2"
    monkeypatch.setenv("SLURMD_NODENAME", "n5")
    assert run_chunk(circumstances, chunk).node == "n5"


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
    dead = scratch / f"{OWN}4194305-x"  # beyond the largest number of a process
    (dead / "session").mkdir(parents=True)
    alive = scratch / f"{OWN}{os.getppid()}-x"
    other = scratch / "other"
    for folder in (alive, other):
        folder.mkdir()
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
    assert sorted(path.name for path in scratch.iterdir()) == sorted([alive.name, other.name])


@pytest.mark.parametrize(
    ("status", "code", "waits"),
    [
        ("killed", -15, True),
        ("non-zero exit", 1, True),
        ("missing output", 0, True),
        ("non-zero exit", 2, False),  # an algorithm refuses its input
        ("out of memory", 137, False),
        ("time-out", -9, False),
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
