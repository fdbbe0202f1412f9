import time
from types import SimpleNamespace

import pytest

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
    given = []
    for number in range(12):
        log.write(number // 5, f"line {number}")
        if number % 2:
            given.append(box.new_log()[0])
    assert "".join(given) == "".join(f"line {number}\n" for number in range(12))
    assert box.new_log() == ("", "")


def test_the_last_line_of_stderr_is_given_apart(log):
    box = Sandbox(SimpleNamespace(), log)
    log.write(0, "warning", error=True)
    log.write(0, "done")
    assert box.new_log() == ("warning\ndone\n", "warning")
    log.write(0, "more")
    assert box.new_log() == ("more\n", "")


def test_bytes_that_are_no_text_are_replaced(log):
    box = Sandbox(SimpleNamespace(), log)
    log.write(0, "a\0b\udcff", error=True)
    assert box.new_log() == ("a\0b\ufffd\n", "a\0b\ufffd")


def test_waiting_ends_with_the_number():
    answers = iter([None, None, 0])
    assert watch(lambda: next(answers), lambda seconds: False, time.perf_counter()) == 0


def test_waiting_ends_when_a_limit_is_exceeded():
    begin = time.perf_counter()
    assert watch(lambda: None, lambda seconds: seconds > 0.05, begin) is None
    assert time.perf_counter() - begin < 1


def test_kills_are_remembered_after_the_container_has_ended():
    box = Sandbox(SimpleNamespace(), SimpleNamespace(id="x"))
    counts = iter([1, 3, None])
    box._group = SimpleNamespace(kills=lambda: next(counts))
    assert [box.kills() for _ in range(3)] == [1, 3, 3]
