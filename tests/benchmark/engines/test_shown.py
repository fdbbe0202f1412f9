"""Progress within a case, from what an algorithm writes to what the runner shows."""

from types import SimpleNamespace

from docker.errors import APIError

from cytosuite.benchmark.engines.docker_session import Bounds, _tell
from cytosuite.benchmark.engines.outcome import Limits
from cytosuite.benchmark.engines.process import _last_line
from cytosuite.benchmark.engines.sandbox import END_BYTES, Sandbox
from cytosuite.benchmark.runs.plan import plan
from cytosuite.benchmark.runs.run import run_job
from cytosuite.contract.progress import latest
from cytosuite.contract.tasks import TASKS
from cytosuite.files import read_tail


def box(log):
    """Return a container with a log."""

    def logs(**asked):
        assert asked == {"stdout": True, "stderr": False, "tail": 20}
        if isinstance(log, Exception):
            raise log
        return log

    return Sandbox(None, SimpleNamespace(id="a", logs=logs))


def test_the_end_of_a_log_is_bounded_and_a_progress_is_no_reason_of_a_failure(tmp_path):
    log = tmp_path / "log"
    log.write_bytes(b"progress 90 %\n" + b"x" * 10**6 + b"\xff\nprogress 5 %\n")
    assert len(read_tail(log, 4096)) <= 4096
    assert latest(read_tail(log, 4096)) == 0.05
    log.write_text("ValueError: too few\nprogress 50 %\n\n")
    assert _last_line(log) == "ValueError: too few"


def test_a_container_tells_by_its_log():
    seen = []
    _tell(box(b"noise \xff\nprogress 40 %\n"), seen.append)
    _tell(box(b"nothing\n"), seen.append)
    _tell(box(b"y" * 10**7 + b"progress 70 %"), seen.append)  # one endless line
    _tell(box(APIError("the container has just ended")), seen.append)
    assert seen == [0.4]
    assert len(box(b"y" * 10**7).end_of_log()) == END_BYTES


def test_a_container_is_asked_once_a_second(tmp_path):
    asked = []
    bounds = Bounds(Limits(), tmp_path, lambda: asked.append(1))
    for tenth in range(35):
        assert not bounds.exceed(tenth / 10)
    assert len(asked) == 3


def test_a_run_shows_each_case_when_it_begins_and_within(tmp_path, dataset, watershed, engine):
    (job,) = plan(dataset, [watershed], engine, tmp_path / "run")
    seen = []
    run_job(
        job,
        TASKS["segment"],
        engine,
        Limits(),
        "invoke",
        lambda *_: None,
        lambda *s: seen.append(s),
    )
    assert seen[:3] == [
        ("watershed", "case_1", None),
        ("watershed", "case_1", 0.5),
        ("watershed", "case_2", None),
    ]
