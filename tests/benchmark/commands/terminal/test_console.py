import io
from contextlib import suppress

import pytest
from rich.console import Console

from cytosuite.benchmark.commands.terminal import console as room
from cytosuite.benchmark.commands.terminal.console import Cases, LogLines, progress
from cytosuite.benchmark.runs.store.documents import escape


@pytest.fixture
def log():
    """Return a console that writes to a pipe."""
    return Console(file=io.StringIO(), width=200)


@pytest.fixture
def clock(monkeypatch):
    """Return a clock that a test moves on."""
    now = {"s": 0.0}
    monkeypatch.setattr(room.time, "monotonic", lambda: now["s"])
    return now


def written(console):
    return console.file.getvalue()


def test_a_log_has_a_line_every_ten_seconds_and_one_at_the_end(log, clock):
    with progress(log, "running") as step:
        for second in range(31):
            clock["s"] = second
            step(second, 31, f"case {second}")
    assert written(log).splitlines() == [
        "running: 10 of 31, about 21 s left (case 10)",
        "running: 20 of 31, about 11 s left (case 20)",
        "running: 30 of 31 (case 30)",
        "running: 31 of 31",
    ]


def test_minor_work_is_in_a_log_only_if_it_takes_long(log, clock):
    for seconds in (1, 11):
        with progress(log, "scoring", minor=True) as step:
            step(0, 2, "a")
            clock["s"] += seconds
            step(1, 2, "b")
    assert written(log).splitlines() == [
        "scoring: 1 of 2, about 11 s left (b)",
        "scoring: 2 of 2",
    ]


def test_names_of_models_are_no_emoji(capsys):
    room.say(room.console(), "cellpose3d:cl: new")
    room.console().print("cellpose3d:cl: new", style="dim")
    assert capsys.readouterr().out.splitlines() == ["cellpose3d:cl: new"] * 2
    assert escape("cellpose3d:cl: new") == r"cellpose3d\:cl: new"


def test_one_large_image_moves_the_bar(log, clock):
    seen = []
    cases = Cases(lambda *values: seen.append(values), 2)
    cases.inside("ours", "a", None)
    cases.inside("ours", "a", 0.5)
    cases("ours", "a", "ok")
    cases.inside("ours", "b", 1.0)
    assert seen == [
        (0.0, 2, "ours, a"),
        (0.5, 2, "50% of ours, a"),
        (1, 2, "ours, a: ok"),
        (1.99, 2, "100% of ours, b"),
    ]
    with progress(log, "running") as step:
        clock["s"] = 11
        step(*seen[1])
        assert written(log) == "running: 0 of 2 (50% of ours, a)\n"


def test_work_that_breaks_off_has_no_last_line(log, clock):
    with suppress(KeyError), progress(log, "running") as step:
        clock["s"] = 11
        step(1, 2, "a")
        raise KeyError
    assert written(log) == "running: 1 of 2 (a)\n"


@pytest.mark.parametrize(
    "done, seconds, expected",
    [
        (0, 1000.0, ""),  # not known
        (50, 4.0, ""),  # too early to tell
        (99, 400.0, ""),  # as good as done
        (50, 40.0, ", about 40 s left"),
        (50, 100.0, ", about 2 min left"),
        (2, 3600.0, ", about 2 d left"),
        (3, 3600.0, ", about 32 h left"),
    ],
)
def test_estimates(log, clock, done, seconds, expected):
    lines = LogLines(log, "running", minor=False)
    lines(0, 100)
    clock["s"] = seconds
    lines(done, 100)
    assert lines.left(seconds) == expected
