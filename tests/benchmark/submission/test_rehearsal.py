"""Checks of a rehearsal: each defect that a platform would find later fails its own check."""

from contextlib import contextmanager
from dataclasses import replace

import pytest
from mistakes import refused

from cytosuite.benchmark.engines.outcome import Outcome
from cytosuite.benchmark.submission import rehearsal
from cytosuite.benchmark.submission.profiles import PROFILES, smallest
from cytosuite.benchmark.submission.rehearsal import LOG_LINES, Rehearsal
from cytosuite.contract.manifest import Resources
from cytosuite.contract.tracks import Track, write_tracks
from cytosuite.formats import read, write


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
            real = session.predict

            def predict(case_input, output, log, shown=lambda _: None):
                done = real(case_input, output, log)
                return self.behave(api=api, folder=case_input, output=output, log=log) or done

            session.predict = predict
            yield session


@pytest.fixture
def rehearse(fakes, dataset, watershed, tmp_path):
    """Return a function that rehearses a behaviour: results by title, and the rehearsal."""

    def run(behave=None, api="invoke", **limits):
        engine = Observed(fakes, behave)
        folder = tmp_path / f"rehearsal-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        rehearsal = Rehearsal(
            engine, watershed, dataset.cases, replace(fakes.limits, **limits), folder
        )
        return {check.title: check for check in rehearsal.checks(api)}, rehearsal

    return run


def failed(checks):
    """Return the failed checks: the word their title begins with, and the reason."""
    failures = [check for check in checks.values() if check.result == "FAIL"]
    return [(check.title.split(":")[0].split(",")[0], check.reason) for check in failures]


@pytest.mark.parametrize(
    "api, order",
    [
        ("invoke", ["invoke", "invoke", "exec"]),
        ("exec", ["exec", "exec", "invoke"]),
    ],
)
def test_a_good_algorithm_passes_all(rehearse, api, order):
    checks, rehearsal = rehearse(api=api)
    assert failed(checks) == []
    assert [check.result for check in checks.values()] == ["pass"] * 7 + ["skip"]
    assert rehearsal.engine.apis == order


def test_tables_of_tracks_are_compared(tmp_path):
    one, same, other = (tmp_path / f"{n}.csv" for n in range(3))
    for path, end in ((one, 1), (same, 1), (other, 2)):
        write_tracks(path, [Track(1, 0, end)])
    assert rehearsal.same_output(one, same)
    assert not rehearsal.same_output(one, other)


def test_a_failed_case_ends_the_rehearsal(rehearse):
    broken = Outcome("out of memory", 1.0, None, None, "memory limit of 7 GiB\x1b exceeded")

    def behave(folder, **_):
        return broken if "case_2" in str(folder) else None

    checks, rehearsal = rehearse(behave)
    assert failed(checks) == [
        ("invoke", "case_2: out of memory: memory limit of 7 GiB\\x1b exceeded")
    ]
    assert len(checks) == 1
    assert rehearsal.engine.apis == ["invoke"]


def test_dependence_on_a_files_name_is_found(rehearse):
    def behave(folder, output, **_):
        (path,) = (folder / "images/microscopy-image").iterdir()
        if "case" not in path.stem:
            _invert(output)

    ((title, reason),) = failed(rehearse(behave)[0])
    assert title == "other file names and times"
    assert reason.startswith("case_1: instance-labels differs")


def test_a_difference_between_the_interfaces_is_found(rehearse):
    def behave(api, output, **_):
        if api == "exec":
            _invert(output)

    ((title, reason),) = failed(rehearse(behave)[0])
    assert title == "exec"
    assert "instance-labels differs" in reason


def test_a_long_log_is_found(rehearse):
    def behave(log, **_):
        log.write_text("line\n" * (LOG_LINES + 1))

    assert failed(rehearse(behave)[0]) == [("log", "case_1: 501 lines; print less")]


def test_a_start_that_the_platform_gives_up_is_found(rehearse, monkeypatch):
    monkeypatch.setattr(rehearsal, "HEALTH_S", 0.4)
    assert failed(rehearse()[0]) == [("time", "the start takes 0.5 s, and is given up after 0.4 s")]


def test_little_time_or_memory_left_is_found(rehearse):
    done = Outcome("ok", 9.0, 2**30, 0)
    checks, rehearsal = rehearse(lambda **_: done, timeout_s=10.0, memory_gib=1.2)
    assert [title for title, _ in failed(checks)] == ["time", "memory"]
    assert rehearsal.figures() == {"seconds": 9, "of_time": 0.9, "peak_gib": 1, "of_memory": 0.8333}
    enough, _ = rehearse(lambda **_: done, timeout_s=12.0, memory_gib=1.3)
    assert failed(enough) == []


def _invert(output):
    """Exchange the values of an output."""
    (path,) = (output / "images/instance-labels").iterdir()
    volume = read(path)
    write(path, volume.like(volume.array[::-1, ::-1]))


@pytest.mark.parametrize(
    "memory, gpu, name",
    [(3, False, "gc-cpu-4gb"), (3.1, False, "gc-cpu-8gb"), (4, True, "gc-t4-16gb")],
)
def test_the_smallest_machine_leaves_the_platform_its_memory(watershed, memory, gpu, name):
    needs = watershed.model_copy(update={"resources": Resources(memory_gib=memory, gpu=gpu)})
    assert smallest(needs).name == name


def test_an_algorithm_that_is_too_large_is_refused_and_limits_are_those_of_the_machine(watershed):
    needs = watershed.model_copy(update={"resources": Resources(memory_gib=32)})
    refused("needs 32 GiB, the platform gives 31", smallest, needs)
    limits = PROFILES["gc-t4-16gb"].limits(2, 3600.0)
    assert (limits.memory_gib, limits.cpus, limits.timeout_s) == (15, 2, 3600)
    assert PROFILES["gc-t4-16gb"].limits(64, 60).cpus == 4
    kinds = {profile.gpu.partition(" ")[0] for profile in PROFILES.values()}
    assert kinds == {"", "T4", "A10G", "V100", "A100"}
