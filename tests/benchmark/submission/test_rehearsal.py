"""Checks of a rehearsal: each defect that a platform would find later fails its own check."""

import json
from contextlib import contextmanager
from dataclasses import replace

import pytest

from cytosuite.benchmark.engines.outcome import Outcome
from cytosuite.benchmark.submission.rehearsal import (
    LOG_LINES,
    Rehearsal,
    rehearsed,
    write_record,
)
from cytosuite.benchmark.submission.sites import SITES, smallest
from cytosuite.errors import InputError
from cytosuite.manifest import Resources


class Observed:
    """An engine whose behaviour may depend on the interface, the inputs' folder and the log."""

    def __init__(self, fakes, behave=None):
        self.inner = fakes.Engine(fakes.perfect)
        self.behave = behave or (lambda **_: None)
        self.apis = []

    @contextmanager
    def session(self, algorithm, workspace, limits, api):
        self.apis.append(api)
        with self.inner.session(algorithm, workspace, limits, api) as session:
            given = session.predict
            calls = []

            def predict(case_input, output, log, shown=lambda _: None):
                calls.append(case_input)
                done = given(case_input, output, log)
                seen = {
                    "api": api,
                    "folder": case_input,
                    "output": output,
                    "log": log,
                    "calls": calls,
                }
                return self.behave(**seen) or done

            session.predict = predict
            yield session


@pytest.fixture
def rehearse(fakes, dataset, watershed, tmp_path):
    """Return a function that rehearses a behaviour: results by title, and the rehearsal."""

    def run(behave=None, api="invoke", **limits):
        engine = Observed(fakes, behave)
        folder = tmp_path / f"rehearsal-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        made = Rehearsal(engine, watershed, dataset.cases, replace(fakes.limits, **limits), folder)
        return {check.title: check for check in made.checks(api)}, made

    return run


def failed(checks):
    """Return the failed checks: the word their title begins with, and the reason."""
    found = [check for check in checks.values() if check.result == "FAIL"]
    return [(check.title.split(":")[0].split(",")[0], check.reason) for check in found]


@pytest.mark.parametrize(("api", "order"), [("invoke", "iix"), ("exec", "xxi")])
def test_a_good_algorithm_passes_all(rehearse, api, order):
    checks, made = rehearse(api=api)
    assert failed(checks) == []
    assert [check.result for check in checks.values()] == ["pass"] * 7
    assert "".join({"invoke": "i", "exec": "x"}[one] for one in made.engine.apis) == order


def test_a_failed_case_ends_the_rehearsal(rehearse):
    broken = Outcome("out of memory", 1.0, None, None, "memory limit of 7 GiB exceeded")

    def behave(folder, **_):
        return broken if "case_2" in str(folder) else None

    checks, made = rehearse(behave)
    reason = "case_2: out of memory: memory limit of 7 GiB exceeded"
    assert failed(checks) == [("invoke", reason)]
    assert len(checks) == 1
    assert made.engine.apis == ["invoke"]


def test_an_algorithm_that_does_not_start_fails(rehearse, fakes, dataset, watershed, tmp_path):
    engine = fakes.Engine(fakes.perfect)
    engine.starts = False
    made = Rehearsal(engine, watershed, dataset.cases, fakes.limits, tmp_path / "r")
    checks = {check.title: check for check in made.checks("invoke")}
    assert failed(checks) == [("invoke", "watershed did not start: no reason")]


def test_an_output_with_another_shape_fails(rehearse):
    def behave(output, **_):
        (path,) = (output / "images" / "instance-labels").iterdir()
        path.write_bytes(b"no image")

    ((title, reason),) = failed(rehearse(behave)[0])
    assert title == "invoke"
    assert "case_1: bad output" in reason


def test_dependence_on_a_files_name_is_found(rehearse, fakes):
    def behave(folder, output, **_):
        (path,) = (folder / "images" / "microscopy-image").iterdir()
        if "case" not in path.stem:
            (found,) = (output / "images" / "instance-labels").iterdir()
            _invert(found)

    ((title, reason),) = failed(rehearse(behave)[0])
    assert title == "other file names and times"
    assert reason.startswith("case_1: instance-labels differs")


def test_a_refusal_of_an_unknown_socket_is_found(rehearse):
    def behave(folder, **_):
        listed = json.loads((folder / "inputs.json").read_text())
        if any("another" in entry["interface"]["slug"] for entry in listed):
            return Outcome("non-zero exit", 0.1, None, 1, "unknown socket")
        return None

    assert failed(rehearse(behave)[0]) == [
        ("other file names and times", "case_1: non-zero exit: unknown socket")
    ]


def test_a_difference_between_the_interfaces_is_found(rehearse):
    def behave(api, output, **_):
        if api == "exec":
            (found,) = (output / "images" / "instance-labels").iterdir()
            _invert(found)

    ((title, reason),) = failed(rehearse(behave)[0])
    assert title == "exec"
    assert "instance-labels differs" in reason


def test_a_memory_of_the_case_before_is_found(rehearse):
    def behave(api, calls, output, **_):
        if api == "invoke" and len(calls) > 1:
            (found,) = (output / "images" / "instance-labels").iterdir()
            _invert(found)

    ((title, _),) = failed(rehearse(behave, api="exec")[0])
    assert title == "invoke"


def test_a_long_log_is_found(rehearse):
    def behave(log, **_):
        log.write_text("line\n" * (LOG_LINES + 1))

    assert failed(rehearse(behave)[0]) == [("log", "case_1: 501 lines; print less")]


def test_little_time_or_memory_left_is_found(rehearse):
    done = Outcome("ok", 9.0, 2**30, 0)
    checks, made = rehearse(lambda **_: done, timeout_s=10.0, memory_gib=1.2)
    assert [title for title, _ in failed(checks)] == ["time", "memory"]
    assert made.figures() == {"seconds": 9, "of_time": 0.9, "peak_gib": 1, "of_memory": 0.8333}
    enough, _ = rehearse(lambda **_: done, timeout_s=12.0, memory_gib=1.3)
    assert failed(enough) == []


def test_an_unknown_peak_of_memory_is_no_pass(rehearse):
    checks, _ = rehearse(lambda **_: Outcome("ok", 1.0, None, 0))
    assert checks["memory"].result == "skip"


def _invert(path):
    """Exchange the values of an output."""
    from cytosuite.formats import read, write

    volume = read(path)
    write(path, volume.like(volume.array[::-1, ::-1]))


def test_the_record_of_a_passed_rehearsal_is_found(tmp_path):
    record = {"api": "invoke", "identity": "i", "passed": True, "site": "gc-cpu-4gb"}
    write_record(tmp_path, "name", record)
    assert rehearsed(tmp_path, "name", "i", "invoke") == record
    assert rehearsed(tmp_path, "name", "other sources", "invoke") is None
    assert rehearsed(tmp_path, "name", "i", "exec") is None
    write_record(tmp_path, "name", {**record, "passed": False})
    assert rehearsed(tmp_path, "name", "i", "invoke") is None


def test_a_broken_record_counts_as_none(tmp_path):
    write_record(tmp_path, "name", {"api": "exec"}).write_text("{")
    assert rehearsed(tmp_path, "name", "i", "exec") is None


@pytest.mark.parametrize(
    ("memory", "gpu", "name"),
    [(3, False, "gc-cpu-4gb"), (3.1, False, "gc-cpu-8gb"), (4, True, "gc-t4-16gb")],
)
def test_the_smallest_machine_leaves_the_platform_its_memory(watershed, memory, gpu, name):
    needs = watershed.model_copy(update={"resources": Resources(memory_gib=memory, gpu=gpu)})
    assert smallest(needs).name == name


def test_an_algorithm_that_is_too_large_is_refused(watershed):
    needs = watershed.model_copy(update={"resources": Resources(memory_gib=32)})
    with pytest.raises(InputError, match="needs 32 GiB, the platform gives 31"):
        smallest(needs)


def test_limits_are_those_of_the_site_and_this_machine():
    limits = SITES["gc-t4-16gb"].limits(2)
    assert (limits.memory_gib, limits.cpus, limits.timeout_s) == (15, 2, 3600)
    assert SITES["gc-t4-16gb"].limits(64, 60).cpus == 4
