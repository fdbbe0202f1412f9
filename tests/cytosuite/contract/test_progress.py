import pytest

from cytosuite.contract import progress
from cytosuite.contract.progress import latest, part, report, shown


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    now = {"s": 100.0}
    monkeypatch.setattr(progress.time, "monotonic", lambda: now["s"])
    monkeypatch.setattr(progress._Written, "last", 0.0)
    return now


def test_parts_lie_within_each_other(capsys, clock):
    with shown():
        for block in range(2):
            with part(block, 2):
                for tile in range(4):
                    report(tile, 4)
                    clock["s"] += 2.5
    written = capsys.readouterr().out
    assert written.splitlines() == [f"progress {n} %" for n in (0, 12, 25, 37, 50, 62, 75, 87)]
    assert latest(written) == 0.87


NONE = ["", "progress", "progress -3 %", "progress 101 %", "progress 5000000000 %"]
NONE += ["in progress 50 % of it", "progress \x1b[2J50 %", "progress 50 % [red]"]
NONE += ["progress \uff15\uff10 %"]  # digits, but none of ours


def test_the_last_share_counts_and_nothing_else_comes_out():
    assert [latest(text) for text in NONE] == [None] * len(NONE)
    assert latest("progress 10 %\nnoise\n  progress 20 %  \nmore\npart of progr") == 0.2
    assert latest("progress 10 %\nprogress 999 %") is None
