import json
import os
from dataclasses import replace
from pathlib import Path

import forks
import numpy as np
import pytest
from mistakes import refused
from toys import squares

from cytosuite.benchmark.engines.outcome import GpuUse, Outcome
from cytosuite.benchmark.runs.data.shard import Shard
from cytosuite.benchmark.runs.plan import plan
from cytosuite.benchmark.runs.record import ModelChoice, read_record, warnings_in
from cytosuite.benchmark.runs.run import locked, run_job
from cytosuite.benchmark.runs.store.integrity import STAMPS
from cytosuite.contract.tasks import TASKS
from cytosuite.files import read_json
from cytosuite.files.working import MACHINE
from cytosuite.formats import header, read, write
from cytosuite.volume import Volume

SEGMENT = TASKS["segment"]


@pytest.fixture
def run(tmp_path, watershed, fakes, dataset):
    """Return a function that plans and runs, and gives back statuses by case."""

    def run(engine, dataset=dataset, **options):
        (job,) = plan(dataset, [watershed], engine, tmp_path / "run", **options)
        seen = {}
        run_job(job, SEGMENT, engine, fakes.limits, "invoke", lambda a, c, s: seen.update({c: s}))
        return seen

    return run


def _home(place, case):
    return place / "run/watershed" / case


def _record(tmp_path, case):
    return read_json(tmp_path / "run/watershed" / case / "record.json")


def test_every_case_ends_as_a_result_with_a_record(tmp_path, run, engine):
    assert run(engine) == dict.fromkeys(["case_1", "case_2", "case_3"], "ok")
    record = _record(tmp_path, "case_2")
    assert record["seconds"] == 0.25
    assert record["startup_seconds"] == 0.5
    assert record["peak_memory"] == 10**6
    folder = _home(tmp_path, "case_2")
    assert (folder / record["outputs"]["instance-labels"]).is_file()
    assert (folder / "log.txt").read_text() == "a line of the log\n"
    assert {path.name for path in folder.iterdir()} == {STAMPS, "log.txt", "output", "record.json"}


def test_the_use_of_a_gpu_is_recorded(tmp_path, run, fakes):
    def behave(image, output):
        fakes.perfect(image, output)
        return Outcome("ok", 0.25, 10**6, 0, gpu=GpuUse("NVIDIA\x1b L4", 2**30, 100 / 3, 90))

    run(fakes.Engine(behave))
    record = read_record(_home(tmp_path, "case_1"))
    assert (record.gpu, record.gpu_memory) == ("NVIDIA\\x1b L4", 2**30)
    assert (record.gpu_utilisation, record.gpu_utilisation_max) == (33.3, 90)


@pytest.mark.parametrize("file", ["record.json", "output/images/instance-labels/case_2.tif"])
def test_one_altered_byte_is_one_case_that_runs_again(tmp_path, run, engine, file):
    run(engine)
    (_home(tmp_path, "case_2") / "record.json").write_text("[]")
    assert run(engine) == {"case_2": "ok"}
    forks.flip(_home(tmp_path, "case_2") / file)
    assert run(engine) == {"case_2": "ok"}
    assert run(engine) == {}


@pytest.mark.parametrize(
    "status, message, again",
    [
        ("non-zero exit", "why", False),
        ("non-zero exit", "No space left on device", True),
        ("killed", "why", True),
    ],
)
def test_what_may_pass_is_tried_again_and_the_rest_with_retry(run, fakes, status, message, again):
    engine = _failing(fakes, status, message)
    assert set(run(engine).values()) == {status}
    assert len(run(engine)) == 3 * again
    assert len(run(engine, retry=True)) == 3


def test_results_are_never_written_through_a_link_to_those_of_another_run(tmp_path, run, engine):
    run(engine)
    place = tmp_path / "run/watershed"
    place.symlink_to(place.rename(tmp_path / "other"))
    assert run(engine) == {}
    (tmp_path / "other/case_2/record.json").unlink()
    refused("a link to those of another run", run, engine)


def test_another_image_or_dataset_makes_results_stale(run, make_dataset, fakes):
    dataset = make_dataset(1)
    run(fakes.Engine(fakes.perfect, "1"), dataset)
    assert run(fakes.Engine(fakes.perfect, "1"), dataset) == {}
    assert run(fakes.Engine(fakes.perfect, "2"), dataset) == {"case_1": "ok"}
    dataset = make_dataset(1, fingerprint="e" * 64)
    assert run(fakes.Engine(fakes.perfect, "2"), dataset) == {"case_1": "ok"}


def test_a_failed_case_does_not_stop_the_others_and_bad_outputs_are_not_kept(tmp_path, run, fakes):
    def behave(image, output):
        if image.array.sum() == 2 * 100 * 24:
            return Outcome("out of memory", 0.1, 7, 137, "too big")
        return fakes.write_labels(image, output, np.zeros(image.shape, np.float32))

    assert run(fakes.Engine(behave)) == {
        "case_1": "bad output",
        "case_2": "out of memory",
        "case_3": "bad output",
    }
    record = _record(tmp_path, "case_2")
    assert (record["message"], record["exit_code"], record["outputs"]) == ("too big", 137, {})
    assert "expected integers, found dtype float32" in _record(tmp_path, "case_1")["message"]
    assert not (_home(tmp_path, "case_1") / "output").exists()


def _reporting(fakes, text):
    """Return an engine with a report of its own."""

    def behave(image, output):
        fakes.perfect(image, output)
        (output / "record.json").write_text(text)

    return fakes.Engine(behave)


@pytest.mark.parametrize("text", ["[1]", "{", '{"model": "m"}' + " " * 200_000])
def test_the_report_of_an_algorithm_is_not_trusted(tmp_path, run, fakes, text):
    assert set(run(_reporting(fakes, text)).values()) == {"ok"}
    assert _record(tmp_path, "case_1")["model"] == ""


def test_a_report_is_recorded_as_far_as_it_makes_sense(tmp_path, run, make_dataset, fakes):
    """Times are none below 0, warnings are single bounded lines, a choice has its own keys."""
    others = [
        {"model": "cells", "cost": 3.0, "terms": {"study": 3.0}, "broken": ["channel"]},
        {"model": "far", "cost": None, "terms": {}, "broken": [], "left_out": "did not beat it"},
    ]
    report = {"model": "nuclei", "cost": 1.5, "fallback": True, "other": "x", "others": others}
    report |= {"seconds": 2.5, "cpu_seconds": -1, "network_seconds": "long"}
    odd = [" voxel size\nis assumed ", 7, "", "x" * 1000]
    report["warnings"] = odd + ["again"] * 50
    run(_reporting(fakes, json.dumps(report)), make_dataset(1))
    record = _record(tmp_path, "case_1")
    names = ("inside_seconds", "cpu_seconds", "network_seconds")
    assert [record[name] for name in names] == [2.5, None, None]
    assert record["warnings"][:2] == ["voxel size is assumed", "x" * 297 + "..."]
    assert len(record["warnings"]) == 20
    assert record["model"] == "nuclei"
    assert (record["selection"]["cost"], record["selection"]["fallback"]) == (1.5, True)
    assert "other" not in record["selection"]
    assert record["selection"]["others"] == [{"left_out": "", **others[0]}, others[1]]
    assert read_record(_home(tmp_path, "case_1")).selection.runner_up.model == "cells"
    assert ModelChoice.of({"others": others[1:]}).runner_up is None
    for odd in (3, [{}], [{"model": "a", "cost": "x"}]):
        assert ModelChoice.of({"cost": 1.5, "others": odd}) == ModelChoice()
    assert warnings_in({"warnings": "a text"}) == warnings_in({"warnings": 3}) == ()


def test_an_algorithm_that_does_not_start_fails_all_its_cases(tmp_path, run, engine):
    engine.starts = False
    assert set(run(engine).values()) == {"non-zero exit"}
    assert _record(tmp_path, "case_3")["message"] == "watershed did not start: no reason"


def test_leftovers_of_a_killed_runner_are_removed(tmp_path, run, engine, dead):
    run(engine)
    folder = tmp_path / "run"
    owner = f"{MACHINE}-{dead}-0"
    leftovers = [
        folder / f"another/.case_1.{owner}.part",
        folder / f"watershed/.session.{owner}",
    ]
    living = [Path(str(path).replace(owner, f"{MACHINE}-{os.getpid()}-0")) for path in leftovers]
    for path in (*leftovers, *living):
        (path / "raw").mkdir(parents=True)
    with locked(folder):
        assert [path.exists() for path in (*leftovers, *living)] == [False, False, True, True]
        assert run(engine) == {}


def test_shards_share_a_folder_with_each_other_alone(tmp_path):
    busy = "is running here; wait for it"
    with locked(tmp_path, Shard(1, 2)), locked(tmp_path, Shard(2, 2)):
        for shard, words in ((Shard(2, 2), f"shard 2/2 {busy}"), (None, rf"shard [12]/2 {busy}")):
            refused(words, locked(tmp_path, shard).__enter__)
    with locked(tmp_path):
        assert [*tmp_path.rglob(".lock")] == [tmp_path / ".lock"]


@pytest.mark.parametrize("status", ["ok", "non-zero exit"])
def test_a_result_that_a_given_up_worker_finished_meanwhile_stays_if_it_is_one(
    tmp_path, run, fakes, status
):
    """The same case ends elsewhere while it runs here, well or not."""
    place = tmp_path / "run/watershed"
    inner = []

    def elsewhere(image, output):
        if not inner:
            inner.append("begun")
            inner.append(run(fakes.Engine(first)))
        fakes.perfect(image, output)

    def first(image, output):
        fakes.perfect(image, output)
        return Outcome(status, 99.0, None, 0 if status == "ok" else 1)

    run(fakes.Engine(elsewhere))
    assert inner[1]["case_1"] == status
    assert _record(tmp_path, "case_1")["seconds"] == (99.0 if status == "ok" else 0.25)
    assert _record(tmp_path, "case_1")["status"] == "ok"
    assert {path.name for path in place.iterdir()} == {"case_1", "case_2", "case_3"}


def _failing(fakes, status="non-zero exit", message="no such module"):
    """Return an engine of which every case fails."""
    return fakes.Engine(lambda image, output: Outcome(status, 0.1, None, 1, message))


def test_an_algorithm_whose_first_three_cases_fail_alike_runs_no_more(
    tmp_path, run, make_dataset, fakes
):
    dataset = make_dataset(1, 2, 3, 4, 5)
    engine = _failing(fakes)
    assert set(run(engine, dataset).values()) == {"non-zero exit"}
    assert engine.calls == ["case_1", "case_2", "case_3"]
    assert _record(tmp_path, "case_3")["message"] == "no such module"
    left = _record(tmp_path, "case_5")
    assert left["message"] == "not run, as the first cases failed alike: no such module"
    assert left["seconds"] == 0.0
    assert run(engine, dataset) == {}  # remembered, as other failures
    run(engine, dataset, retry=True)
    assert len(engine.calls) == 6


NAMED = "case_{0}: 0b0c1e5c-0000-4000-8000-00000000000{0}.tif is bad"


@pytest.mark.parametrize(
    "runs, externals, change",
    [
        (4, (), lambda n: {"message": f"line {n}"}),
        (3, (), lambda n: {"message": NAMED.format(n)}),  # another name of a case
        (4, (), lambda n: {"status": "killed" if n == 3 else "non-zero exit"}),
        (4, (), lambda n: {"status": "ok" if n == 2 else "non-zero exit"}),
        (4, (), lambda n: {"exit_code": 3}),  # refused inputs
        (3, ("watershed",), lambda n: {"exit_code": 2}),  # a code of others
    ],
)
def test_three_failures_alike_are_enough(run, make_dataset, fakes, runs, externals, change):
    def behave(image, output):
        fakes.perfect(image, output)
        return replace(Outcome("non-zero exit", 0.1, None, 1, "why"), **change(len(engine.calls)))

    engine = fakes.Engine(behave)
    engine.externals = externals
    run(engine, make_dataset(1, 2, 3, 4))
    assert len(engine.calls) == runs


def test_results_that_are_there_or_a_word_of_the_user_keep_it_going(
    tmp_path, run, make_dataset, fakes, watershed
):
    engine = _failing(fakes)
    (job,) = plan(make_dataset(1, 2, 3, 4, 5), [watershed], engine, tmp_path / "going")
    run_job(job, SEGMENT, engine, fakes.limits, "invoke", lambda *_: None, keep_going=True)
    assert len(engine.calls) == 5
    run(fakes.Engine(fakes.perfect), make_dataset(1))
    engine = _failing(fakes)
    run(engine, make_dataset(1, 2, 3, 4, 5))
    assert engine.calls == ["case_2", "case_3", "case_4", "case_5"]


def test_the_sources_of_an_image_of_others_are_not_ours(tmp_path, dataset, engine, watershed):
    (ours,) = plan(dataset, [watershed], engine, tmp_path)
    unknown = watershed.model_copy(update={"name": "team_v1"})  # no folder of this name
    engine.externals = ("watershed", "team_v1")
    theirs, other = plan(dataset, [watershed, unknown], engine, tmp_path)
    assert (ours.external, theirs.external) == (False, True)
    assert ours.key != theirs.key == other.key


def test_labels_of_others_that_lose_the_voxel_size_get_that_of_the_image(tmp_path, run, fakes):
    def lossy(image, output):
        labels = Volume(squares(image).astype(np.int64), (1000.0, 0.5, 0.5), "ZYX")
        write(output / "images/instance-labels/output.mha", labels)

    engine = fakes.Engine(lossy)
    assert set(run(engine).values()) == {"bad output"}  # of our own algorithms
    engine.externals = ("watershed",)
    assert set(run(engine).values()) == {"ok"}
    record = _record(tmp_path, "case_2")
    (warning,) = record["warnings"]
    assert warning.startswith("voxel size lost by the algorithm, that of the image counts: ")
    assert warning.endswith("instance-labels has 1000 x 0.5 x 0.5 µm")
    path = _home(tmp_path, "case_2") / record["outputs"]["instance-labels"]
    assert header(path).spacing == (2.0, 0.5, 0.5)
    assert len(np.unique(read(path).array)) == 3
