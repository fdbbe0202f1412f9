import json
import multiprocessing
import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from cytosuite.benchmark import integrity
from cytosuite.benchmark.engines.outcome import GpuUse, Outcome
from cytosuite.benchmark.integrity import STAMPS
from cytosuite.benchmark.plan import plan
from cytosuite.benchmark.record import ModelChoice, read_record, warnings_in
from cytosuite.benchmark.run import claimed, run_job
from cytosuite.errors import InputError
from cytosuite.files import value_digest
from cytosuite.formats import header, read, write
from cytosuite.tasks import TASKS
from cytosuite.volume import Volume
from cytosuite.working import MACHINE

SEGMENT = TASKS["segment"]


@pytest.fixture
def run(tmp_path, watershed, fakes):
    """Return a function that plans and runs, and gives back statuses by case."""

    def run(dataset, engine, **options):
        (job,) = plan(dataset, [watershed], engine, tmp_path / "run", **options)
        seen = {}
        run_job(job, SEGMENT, engine, fakes.limits, "invoke", lambda a, c, s: seen.update({c: s}))
        return seen

    return run


def _record(tmp_path, case):
    return json.loads((tmp_path / "run" / "watershed" / case / "record.json").read_text())


def test_every_case_ends_as_a_result_with_a_record(tmp_path, run, dataset, engine):
    assert run(dataset, engine) == dict.fromkeys(["case_1", "case_2", "case_3"], "ok")
    record = _record(tmp_path, "case_2")
    assert record["status"] == "ok"
    assert record["seconds"] == 0.25
    assert record["startup_seconds"] == 0.5
    assert record["peak_memory"] == 10**6
    folder = tmp_path / "run" / "watershed" / "case_2"
    assert (folder / record["outputs"]["instance-labels"]).is_file()
    assert (folder / "log.txt").read_text() == "a line of the log\n"
    found = sorted(path.name for path in folder.iterdir())
    assert found == [STAMPS, "log.txt", "output", "record.json"]


def test_the_use_of_a_gpu_is_recorded(tmp_path, run, dataset, fakes):
    def behave(image, output):
        fakes.perfect(image, output)
        return Outcome("ok", 0.25, 10**6, 0, gpu=GpuUse("NVIDIA\x1b L4", 2**30, 100 / 3, 90))

    run(dataset, fakes.Engine(behave))
    record = read_record(tmp_path / "run" / "watershed" / "case_1")
    assert (record.gpu, record.gpu_memory) == ("NVIDIA\\x1b L4", 2**30)
    assert (record.gpu_utilisation, record.gpu_utilisation_max) == (33.3, 90)


def test_records_without_words_about_gpus_are_read(tmp_path, run, dataset, engine):
    run(dataset, engine)
    path = tmp_path / "run" / "watershed" / "case_1" / "record.json"
    old = {k: v for k, v in json.loads(path.read_text()).items() if "gpu" not in k}
    del old["seal"]
    path.write_text(json.dumps(old | {"seal": value_digest(old)}))
    record = read_record(path.parent)
    assert (record.gpu, record.gpu_memory, record.gpu_utilisation) == ("", None, None)


def test_run_again_runs_nothing(run, dataset, engine):
    run(dataset, engine)
    assert run(dataset, engine) == {}
    assert len(engine.calls) == 3


def test_a_lost_output_is_made_again(tmp_path, run, dataset, engine):
    run(dataset, engine)
    record = _record(tmp_path, "case_2")
    (tmp_path / "run" / "watershed" / "case_2" / record["outputs"]["instance-labels"]).unlink()
    assert run(dataset, engine) == {"case_2": "ok"}


@pytest.mark.parametrize("file", ["record.json", "output/images/instance-labels/case_2.tif"])
def test_one_altered_byte_is_one_case_that_runs_again(tmp_path, run, dataset, engine, file):
    run(dataset, engine)
    path = tmp_path / "run" / "watershed" / "case_2" / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert run(dataset, engine) == {"case_2": "ok"}
    assert run(dataset, engine) == {}


@pytest.mark.parametrize("reason", ["No space left on device", "Disk quota exceeded"])
def test_what_failed_for_a_full_disk_is_tried_again(run, dataset, fakes, reason):
    engine = fakes.Engine(lambda image, output: Outcome("non-zero exit", 0.1, None, 2, reason))
    run(dataset, engine)
    assert len(run(dataset, engine)) == 3


@pytest.mark.parametrize("content", ["", "{", "[]", '{"status": "fine"}'])
def test_a_broken_record_does_not_count(tmp_path, run, dataset, engine, content):
    run(dataset, engine)
    (tmp_path / "run" / "watershed" / "case_1" / "record.json").write_text(content)
    assert run(dataset, engine) == {"case_1": "ok"}


def test_another_image_or_dataset_makes_results_stale(run, make_dataset, fakes):
    dataset = make_dataset(1)
    run(dataset, fakes.Engine(fakes.perfect, "1"))
    assert run(dataset, fakes.Engine(fakes.perfect, "1")) == {}
    assert run(dataset, fakes.Engine(fakes.perfect, "2")) == {"case_1": "ok"}
    other = make_dataset(1, fingerprint="e" * 64)
    assert run(other, fakes.Engine(fakes.perfect, "2")) == {"case_1": "ok"}


def test_what_failed_in_the_algorithm_is_remembered_until_retry(run, dataset, fakes):
    engine = fakes.Engine(lambda image, output: Outcome("non-zero exit", 0.1, None, 1, "why"))
    assert set(run(dataset, engine).values()) == {"non-zero exit"}
    assert run(dataset, engine) == {}
    assert len(run(dataset, engine, retry=True)) == 3


@pytest.mark.parametrize("status", ["time-out", "killed", "engine error"])
def test_what_may_pass_is_tried_again(run, dataset, fakes, status):
    engine = fakes.Engine(lambda image, output: Outcome(status, 0.1, None, None, "why"))
    assert set(run(dataset, engine).values()) == {status}
    assert len(run(dataset, engine)) == 3


def test_a_failed_case_does_not_stop_the_others(tmp_path, run, dataset, fakes):
    def behave(image, output):
        if image.array.sum() == 2 * 100 * 24:
            return Outcome("out of memory", 0.1, 7, 137, "too big")
        return fakes.perfect(image, output)

    seen = run(dataset, fakes.Engine(behave))
    assert seen == {"case_1": "ok", "case_2": "out of memory", "case_3": "ok"}
    record = _record(tmp_path, "case_2")
    assert (record["message"], record["exit_code"], record["outputs"]) == ("too big", 137, {})


def test_bad_outputs_are_not_kept(tmp_path, run, dataset, fakes):
    def behave(image, output):
        fakes.write_labels(image, output, np.zeros(image.shape, np.float32))

    assert set(run(dataset, fakes.Engine(behave)).values()) == {"bad output"}
    assert "expected integers, found dtype float32" in _record(tmp_path, "case_1")["message"]
    assert not (tmp_path / "run" / "watershed" / "case_1" / "output").exists()


def test_nothing_written_is_a_missing_output(run, dataset, fakes):
    engine = fakes.Engine(lambda image, output: None)
    assert set(run(dataset, engine).values()) == {"missing output"}


def test_a_linked_output_is_refused_and_its_target_untouched(tmp_path, run, dataset, fakes):
    secret = tmp_path / "secret.tif"
    secret.write_text("keep me")

    def behave(image, output):
        folder = output / "images" / "instance-labels"
        folder.mkdir(parents=True)
        (folder / "a.tif").symlink_to(secret)

    assert set(run(dataset, fakes.Engine(behave)).values()) == {"bad output"}
    assert secret.read_text() == "keep me"


@pytest.mark.parametrize(
    "said", ["[1]", "{", '{"cost": NaN}', "[" * 5000, '{"model": "m"}' + " " * 200_000]
)
def test_what_the_algorithm_says_of_itself_is_not_trusted(tmp_path, run, dataset, fakes, said):
    def behave(image, output):
        fakes.perfect(image, output)
        (output / "record.json").write_text(said)

    assert set(run(dataset, fakes.Engine(behave)).values()) == {"ok"}
    assert _record(tmp_path, "case_1")["model"] == ""


def test_the_chosen_model_is_recorded(tmp_path, run, dataset, fakes):
    def behave(image, output):
        fakes.perfect(image, output)
        said = {"model": "nuclei", "cost": 1.5, "fallback": True, "other": "x"}
        (output / "record.json").write_text(json.dumps(said))

    run(dataset, fakes.Engine(behave))
    record = _record(tmp_path, "case_1")
    assert record["model"] == "nuclei"
    assert (record["selection"]["cost"], record["selection"]["fallback"]) == (1.5, True)
    assert "other" not in record["selection"]


def test_the_models_that_were_not_chosen_are_recorded_with_their_costs(
    tmp_path, run, dataset, fakes
):
    others = [
        {"model": "cells", "cost": 3.0, "terms": {"study": 3.0}, "broken": ["channel"]},
        {"model": "far", "cost": None, "terms": {}, "broken": [], "left_out": "did not beat it"},
    ]

    def behave(image, output):
        fakes.perfect(image, output)
        said = {"model": "nuclei", "cost": 1.5, "others": others}
        (output / "record.json").write_text(json.dumps(said))

    run(dataset, fakes.Engine(behave))
    assert _record(tmp_path, "case_1")["selection"]["others"] == [
        {"left_out": "", **others[0]},
        others[1],
    ]
    choice = read_record(tmp_path / "run" / "watershed" / "case_1").selection
    assert choice.runner_up.model == "cells"
    assert ModelChoice.of({"others": others[1:]}).runner_up is None


@pytest.mark.parametrize(
    "others", [3, [3], [{}], [{"model": 3}], [{"model": "a", "cost": "x"}], {"model": "a"}]
)
def test_models_that_make_no_sense_are_no_choice(others):
    assert ModelChoice.of({"cost": 1.5, "others": others}) == ModelChoice()


def test_a_record_of_before_has_no_other_models(tmp_path, run, dataset, engine):
    """Their key is new: a record without it is whole, and sealed as before."""
    run(dataset, engine)
    folder = tmp_path / "run" / "watershed" / "case_1"
    old = _record(tmp_path, "case_1")
    del old["selection"]["others"], old["seal"]
    (folder / "record.json").write_text(json.dumps({**old, "seal": value_digest(old)}))
    found = read_record(folder)
    assert found.ok
    assert found.selection.others == ()


def test_an_algorithm_that_does_not_start_fails_all_its_cases(tmp_path, run, dataset, engine):
    engine.starts = False
    assert set(run(dataset, engine).values()) == {"non-zero exit"}
    assert _record(tmp_path, "case_3")["message"] == "watershed did not start: no reason"


def test_what_an_earlier_run_left_does_not_hide_that_it_does_not_start(
    tmp_path, run, dataset, fakes
):
    run(dataset, fakes.Engine(fakes.perfect, "1"))
    engine = fakes.Engine(fakes.perfect, "2")
    engine.starts = False
    assert set(run(dataset, engine).values()) == {"non-zero exit"}
    assert _record(tmp_path, "case_1")["message"] == "watershed did not start: no reason"


def test_an_error_of_ours_leaves_nothing_half_written(tmp_path, run, dataset, fakes):
    def behave(image, output):
        fakes.perfect(image, output)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(dataset, fakes.Engine(behave))
    assert list((tmp_path / "run" / "watershed").iterdir()) == []


def test_leftovers_of_a_killed_runner_are_removed(tmp_path, run, dataset, engine):
    run(dataset, engine)
    folder = tmp_path / "run"
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    owner = f"{MACHINE}-{ended.pid}-0"
    leftovers = [
        folder / "another" / f".case_1.{owner}.part",
        folder / "watershed" / f".session.{owner}",
    ]
    for leftover in leftovers:
        (leftover / "raw").mkdir(parents=True)
    here = Path.cwd()
    os.chdir(leftovers[1])
    for _ in range(1200):  # deeper than recursion goes
        Path("deep").mkdir()
        os.chdir("deep")
    os.chdir(here)
    with claimed(folder):
        assert not any(leftover.exists() for leftover in leftovers)
        assert run(dataset, engine) == {}


@pytest.mark.parametrize("name", [".case_1.{}.part", ".session.{}"])
@pytest.mark.parametrize("machine", [MACHINE, "deadbeef"])
def test_what_a_living_worker_has_in_work_is_left_alone(tmp_path, name, machine):
    work = tmp_path / "watershed" / name.format(f"{machine}-{os.getpid()}-0")
    work.mkdir(parents=True)
    with claimed(tmp_path):
        assert work.exists()
    then = time.time() - 1e5
    os.utime(work, (then, then))
    with claimed(tmp_path):
        assert work.exists() == (machine == MACHINE)


def test_results_are_read_once_when_they_are_written(run, dataset, engine, monkeypatch):
    read, real = [], integrity.file_digest

    def file_digest(path):
        time.sleep(0.02)  # as of a file so large that the clock ticks meanwhile
        read.append(path)
        return real(path)

    monkeypatch.setattr(integrity, "file_digest", file_digest)
    assert len(run(dataset, engine)) == 3
    assert run(dataset, engine) == {}
    assert run(dataset, engine) == {}
    assert len(read) == 3


@pytest.mark.parametrize("status", ["ok", "non-zero exit"])
def test_a_result_that_a_given_up_worker_finished_meanwhile_stays_if_it_is_one(
    tmp_path, run, dataset, fakes, status
):
    """The same case ends elsewhere while it runs here, well or not."""
    place, kept = tmp_path / "run" / "watershed", []

    def elsewhere(image, output):
        if not kept:
            kept.append("begun")
            kept.append(run(dataset, fakes.Engine(first)))
        fakes.perfect(image, output)

    def first(image, output):
        fakes.perfect(image, output)
        return Outcome(status, 99.0, None, 0 if status == "ok" else 1)

    run(dataset, fakes.Engine(elsewhere))
    assert kept[1]["case_1"] == status
    assert _record(tmp_path, "case_1")["seconds"] == (99.0 if status == "ok" else 0.25)
    assert _record(tmp_path, "case_1")["status"] == "ok"
    assert {path.name for path in place.iterdir()} == {"case_1", "case_2", "case_3"}


def _hold(folder, ready):
    with claimed(folder):
        ready.set()
        signal.pause()


def test_a_run_folder_has_one_runner_and_a_killed_one_lets_go(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    other = context.Process(target=_hold, args=(tmp_path, ready))
    other.start()
    assert ready.wait(20)
    with pytest.raises(InputError, match="another benchmark is running here"), claimed(tmp_path):
        pass
    os.kill(other.pid, signal.SIGKILL)
    other.join()
    with claimed(tmp_path):
        pass


def test_the_warnings_of_a_container_are_kept_as_single_bounded_lines(
    tmp_path, run, dataset, fakes
):
    def warn(image, output):
        fakes.perfect(image, output)
        odd = [" voxel size\nis assumed ", 7, "", "x" * 1000]
        (output / "record.json").write_text(json.dumps({"warnings": odd + ["again"] * 50}))

    run(dataset, fakes.Engine(warn))
    warnings = _record(tmp_path, "case_1")["warnings"]
    assert warnings[:2] == ["voxel size is assumed", "x" * 297 + "..."]
    assert len(warnings) == 20


@pytest.mark.parametrize("odd", ["a text", {"a": 1}, None, 3])
def test_warnings_that_are_no_list_are_none(odd):
    assert warnings_in({"warnings": odd}) == ()


def _failing(fakes, status="non-zero exit", message="no such module", code=1):
    """Return an engine of which every case fails."""
    return fakes.Engine(lambda image, output: Outcome(status, 0.1, None, code, message))


def test_an_algorithm_whose_first_three_cases_fail_alike_runs_no_more(
    tmp_path, run, make_dataset, fakes
):
    dataset, engine = make_dataset(1, 2, 3, 4, 5), _failing(fakes)
    assert set(run(dataset, engine).values()) == {"non-zero exit"}
    assert engine.calls == ["case_1", "case_2", "case_3"]
    assert _record(tmp_path, "case_3")["message"] == "no such module"
    left = _record(tmp_path, "case_5")
    assert left["message"] == "not run, as the first cases failed alike: no such module"
    assert left["seconds"] == 0.0
    assert run(dataset, engine) == {}  # remembered, as other failures
    run(dataset, engine, retry=True)
    assert len(engine.calls) == 6


def test_the_name_of_a_case_makes_no_other_failure(run, make_dataset, fakes):
    names = iter("12345")
    uuid = "0b0c1e5c-0000-4000-8000-00000000000"

    def behave(image, output):
        number = next(names)
        return Outcome("non-zero exit", 0.1, None, 1, f"case_{number}: {uuid}{number}.tif is bad")

    engine = fakes.Engine(behave)
    run(make_dataset(1, 2, 3, 4, 5), engine)
    assert len(engine.calls) == 3


@pytest.mark.parametrize("status", ["time-out", "killed", "engine error", "out of memory"])
def test_three_time_outs_are_enough_and_are_tried_again(run, make_dataset, fakes, status):
    dataset, engine = make_dataset(1, 2, 3, 4), _failing(fakes, status, "limit", None)
    assert set(run(dataset, engine).values()) == {status}
    assert len(engine.calls) == 3
    again = run(dataset, fakes.Engine(fakes.perfect))
    assert len(again) == (0 if status == "out of memory" else 4)


@pytest.mark.parametrize(
    "case",
    ["another message", "another status", "one that ends well", "refused inputs", "no model"],
)
def test_what_does_not_count_as_alike(run, make_dataset, fakes, case):
    seen = []

    def behave(image, output):
        seen.append(None)
        if case == "one that ends well" and len(seen) == 2:
            return fakes.perfect(image, output)
        message = f"line {len(seen)}" if case == "another message" else "why"
        other = case == "another status" and len(seen) == 3
        code = {"refused inputs": 2, "no model": 3}.get(case, 1)
        return Outcome("killed" if other else "non-zero exit", 0.1, None, code, message)

    run(make_dataset(1, 2, 3, 4), fakes.Engine(behave))
    assert len(seen) == 4


def test_an_image_of_others_has_no_exit_code_for_refused_inputs(run, make_dataset, fakes):
    engine = _failing(fakes, code=2)
    engine.guests = {"watershed"}
    run(make_dataset(1, 2, 3, 4), engine)
    assert len(engine.calls) == 3


def test_results_that_are_there_or_a_word_of_the_user_keep_it_going(
    tmp_path, run, make_dataset, fakes, watershed
):
    engine, dataset = _failing(fakes), make_dataset(1, 2, 3, 4, 5)
    (job,) = plan(dataset, [watershed], engine, tmp_path / "going")
    run_job(job, SEGMENT, engine, fakes.limits, "invoke", lambda *_: None, keep_going=True)
    assert len(engine.calls) == 5
    run(make_dataset(1), fakes.Engine(fakes.perfect))
    engine = _failing(fakes)
    run(make_dataset(1, 2, 3, 4, 5), engine)
    assert engine.calls == ["case_2", "case_3", "case_4", "case_5"]


def test_the_sources_of_an_image_of_others_are_not_ours(tmp_path, dataset, engine, watershed):
    keys = []
    for guests in ((), ("watershed",)):
        engine.guests = guests
        (job,) = plan(dataset, [watershed], engine, tmp_path)
        keys.append((job.guest, job.key))
    assert [guest for guest, _ in keys] == [False, True]
    assert keys[0][1] != keys[1][1]
    unknown = watershed.model_copy(update={"name": "team_v1"})  # no folder of this name
    engine.guests = ("team_v1",)
    assert plan(dataset, [unknown], engine, tmp_path)[0].key == keys[1][1]


def _lossy(spacing):
    """Return the behaviour of a program that segments well and loses the voxel size."""

    def behave(image, output):
        rows = np.arange(image.shape[1])[None, :, None] // 4
        labels = ((image.array > 0) * rows).astype(np.int64)
        place = output / "images" / "instance-labels" / "output.mha"
        write(place, Volume(labels, spacing, "ZYX"))

    return behave


@pytest.mark.parametrize("spacing", [(1000.0, 0.5, 0.5), (1.0, 0.5, 0.5), (0.5, 0.5, 0.5)])
def test_labels_of_others_that_lose_the_voxel_size_get_that_of_the_image(
    tmp_path, run, dataset, fakes, spacing
):
    engine = fakes.Engine(_lossy(spacing))
    assert set(run(dataset, engine).values()) == {"bad output"}  # of our own algorithms
    engine.guests = ("watershed",)
    assert set(run(dataset, engine).values()) == {"ok"}
    record = _record(tmp_path, "case_2")
    (warning,) = record["warnings"]
    assert warning.startswith("voxel size lost by the algorithm, that of the image counts: ")
    assert warning.endswith(f"instance-labels has {spacing[0]:g} x 0.5 x 0.5 µm")
    kept = tmp_path / "run" / "watershed" / "case_2" / record["outputs"]["instance-labels"]
    assert header(kept).spacing == (2.0, 0.5, 0.5)
    assert len(np.unique(read(kept).array)) == 3


def test_another_voxel_size_is_a_bad_output_of_others_too(run, dataset, fakes):
    engine = fakes.Engine(_lossy((3.0, 0.5, 0.5)))
    engine.guests = ("watershed",)
    assert set(run(dataset, engine).values()) == {"bad output"}
