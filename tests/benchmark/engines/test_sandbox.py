import time
from types import SimpleNamespace

import pytest

from benchmark.engines.sandbox import Sandbox, watch


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
            given.append(box.said()[0])
    assert "".join(given) == "".join(f"line {number}\n" for number in range(12))
    assert box.said() == ("", "")


def test_the_last_line_of_stderr_is_told_apart(log):
    box = Sandbox(SimpleNamespace(), log)
    log.write(0, "warning", error=True)
    log.write(0, "done")
    assert box.said() == ("warning\ndone\n", "warning")
    log.write(0, "more")
    assert box.said() == ("more\n", "")


def test_what_is_no_text_becomes_text(log):
    box = Sandbox(SimpleNamespace(), log)
    log.write(0, "a\0b\udcff", error=True)
    assert box.said() == ("ab\ufffd\n", "ab\ufffd")


def test_waiting_ends_with_what_is_waited_for():
    answers = iter([False, False, True])
    assert watch(lambda: next(answers), lambda seconds: False, time.perf_counter())


def test_waiting_ends_with_a_broken_bound():
    begin = time.perf_counter()
    assert not watch(lambda: False, lambda seconds: seconds > 0.05, begin)
    assert time.perf_counter() - begin < 1
