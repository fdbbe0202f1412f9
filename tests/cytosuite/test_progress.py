import pytest

from cytosuite import progress
from cytosuite.progress import latest, part, report, shown


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Return a clock that a test moves on."""
    now = {"s": 100.0}
    monkeypatch.setattr(progress.time, "monotonic", lambda: now["s"])
    monkeypatch.setattr(progress._Written, "last", 0.0)
    return now


def test_nothing_is_written_unless_the_container_asks(capsys):
    report(1, 2)
    with part(0, 2):
        report(1, 2)
    assert capsys.readouterr().out == ""


def test_parts_lie_within_each_other(capsys, clock):
    with shown():
        for block in range(2):
            with part(block, 2):
                for tile in range(4):
                    report(tile, 4)
                    clock["s"] += 2.5
    written = capsys.readouterr().out
    assert (
        written.split()
        == " ".join(f"progress {n} %" for n in (0, 12, 25, 37, 50, 62, 75, 87)).split()
    )
    assert latest(written) == 0.87


def test_a_line_comes_every_two_seconds_at_most(capsys, clock):
    with shown():
        for tile in range(1000):
            report(tile, 1000)
            clock["s"] += 0.01
    assert len(capsys.readouterr().out.splitlines()) == 5


@pytest.mark.parametrize(
    "text",
    [
        "",
        "progress",
        "progress -3 %",
        "progress 101 %",
        "progress 5000000000 %",
        "progress 0x10 %",
        "in progress 50 % of it",
        "progress \x1b[2J50 %",
        "progress \uff15\uff10 %",  # digits, but none of ours
        "progress 50 % [red]",
    ],
)
def test_whatever_an_algorithm_writes_only_a_share_comes_out(text):
    assert latest(text) is None


def test_the_last_share_counts():
    assert latest("progress 10 %\nnoise\n  progress 20 %  \nmore\npart of progr") == 0.2
    assert latest("progress 10 %\nprogress 999 %") is None
