import time
from types import SimpleNamespace

import pytest
from docker.errors import APIError

from cytosuite.benchmark.engines.sandbox import Sandbox, watch


class Log:
    """A container's log as daemons give it: selected by whole seconds."""

    id = "x"

    def __init__(self, precise):
        self.lines = []
        self.precise = precise

    def write(self, second, text, error=False):
        fraction = f".{len(self.lines):09d}" if self.precise else ""
        self.lines.append((second, f"2026-01-01T00:00:{second:02d}{fraction}Z {text}\n", error))

    def logs(self, stdout, stderr, timestamps, since=0):
        begin = since - 1767225600
        chosen = [
            line for second, line, error in self.lines if second >= begin and (stdout or error)
        ]
        return "".join(chosen).encode("utf-8", "surrogateescape")


@pytest.fixture(params=[True, False], ids=["nanoseconds", "seconds"])
def log(request):
    """Return an empty log with fine or coarse time stamps."""
    return Log(request.param)


def test_each_line_is_given_once_and_in_order(log):
    box = Sandbox(SimpleNamespace(), log)
    lines = []
    for number in range(12):
        log.write(number // 5, f"line {number}")
        if number % 2:
            lines.append(box.new_log()[0])
    assert "".join(lines) == "".join(f"line {number}\n" for number in range(12))
    assert box.new_log() == ("", "")


def test_lines_out_of_order_are_given_by_their_times(log):
    box = Sandbox(SimpleNamespace(), log)
    for second in (3, 2, 3):
        log.write(second, f"{second}", error=True)
    assert box.new_log() == ("2\n3\n3\n", "3")
    assert box.new_log() == ("", "")


def test_the_last_line_of_stderr_is_given_apart(log):
    box = Sandbox(SimpleNamespace(), log)
    log.write(0, "a\0b\udcff", error=True)  # bytes that are no text are replaced
    log.write(0, "done")
    assert box.new_log() == ("a\0b\ufffd\ndone\n", "a\0b\ufffd")
    log.write(0, "more")
    assert box.new_log() == ("more\n", "")


def test_kills_are_remembered_after_the_container_has_ended():
    box = Sandbox(SimpleNamespace(), SimpleNamespace(id="x"))
    counts = iter([1, 3, None])
    box.group = SimpleNamespace(kills=lambda: next(counts))
    assert [box.kills() for _ in range(3)] == [1, 3, 3]


@pytest.mark.parametrize("counted, used", [(True, 70), (False, None)])
def test_a_daemon_that_cannot_limit_memory_does_not_know_that_of_a_container(counted, used):
    stats = {"memory_stats": {"usage": 100, "stats": {"inactive_file": 30}}}
    daemon = SimpleNamespace(api=SimpleNamespace(stats=lambda *_, **__: stats))
    assert Sandbox(daemon, SimpleNamespace(id="x"), counted=counted).used() == used


class _Late:
    """A daemon that refuses some requests for a state of its container that has passed."""

    id = "1"

    def __init__(self, times, reason, code=None):
        self.left, self.reason, self.code = times, reason, code
        self.api = self

    def pause(self):
        if self.left:
            self.left -= 1
            raise APIError(f"409 Client Error: Conflict (Container 1 {self.reason})")

    unpause = pause

    def exec_create(self, container, command):
        self.pause()
        return {"Id": "program"}

    def exec_start(self, exec_id, socket):
        assert socket
        return SimpleNamespace(close=lambda: None)

    def exec_inspect(self, exec_id):
        return {"Running": False, "ExitCode": 7}

    def inspect_container(self, name):
        return {"State": {"Running": self.code is None, "ExitCode": self.code or 0}}


@pytest.mark.parametrize(
    "request_of, reason, answer",
    [
        (lambda box: box.ask("GET /health")(), "is paused, unpause the container before exec", 7),
        (Sandbox.freeze, "is already paused", None),
        (Sandbox.thaw, "is not paused", None),
    ],
    ids=["ask", "freeze", "thaw"],
)
def test_a_daemon_that_hears_late_of_an_earlier_pause_is_asked_again(
    monkeypatch, request_of, reason, answer
):
    def left(daemon):
        with pytest.raises(APIError, match=daemon.reason):
            request_of(Sandbox(daemon, daemon))
        return daemon.left

    daemon = _Late(3, reason)
    assert (request_of(Sandbox(daemon, daemon)), daemon.left) == (answer, 0)
    assert left(_Late(2, "is not running")) == 1
    assert left(_Late(2, reason, code=137)) == 1  # it has ended: the daemon is right
    monkeypatch.setattr("cytosuite.benchmark.engines.sandbox.LATE_S", 0.05)
    assert left(_Late(10**6, reason))


def test_waiting_ends_with_the_number_or_a_limit():
    answers = iter([None, None, 0])
    begin = time.perf_counter()
    assert watch(lambda: next(answers), lambda seconds: False, begin) == 0
    assert watch(lambda: None, lambda seconds: seconds > 0.05, begin) is None
