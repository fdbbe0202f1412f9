"""What the console says about failed cases."""

from types import SimpleNamespace

import pytest

from cytosuite.benchmark.commands.benchmark import FAILURES, _failures
from cytosuite.benchmark.record import Record


def results(count, logs=True):
    """Return records of failed cases and one that is not, with their logs."""
    records = {
        ("net", f"case{n:02d}"): Record(
            algorithm="net",
            version="1",
            case=f"case{n:02d}",
            key="k",
            status="ok" if n == 0 else "time-out",
            message="" if n == 0 else "too slow",
        )
        for n in range(count + 1)
    }
    return SimpleNamespace(records=records, logs=dict(list(records.items())[1:]) if logs else {})


def test_nothing_is_said_where_nothing_failed(tmp_path):
    assert _failures(results(0), tmp_path) == []


def test_a_failure_names_its_log(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert _failures(results(1), tmp_path / "runs" / "one") == [
        "failed: net on case01: time-out: too slow",
        "log of the first: runs/one/net/case01/log.txt",
    ]


@pytest.mark.parametrize(("count", "words"), [(11, "1 more case"), (14, "4 more cases")])
def test_the_others_are_counted(tmp_path, count, words):
    lines = _failures(results(count, logs=False), tmp_path)
    assert len(lines) == FAILURES + 1
    assert lines[-1] == f"failed: {words}, all of them in the report"


def test_ten_are_all_listed(tmp_path):
    assert len(_failures(results(10, logs=False), tmp_path)) == FAILURES
