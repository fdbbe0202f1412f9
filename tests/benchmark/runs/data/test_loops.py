"""After `maintain compile`, the commands of a user compile nothing."""

import os
import subprocess
import sys

import pytest

from cytosuite.benchmark.runs.data.loops import compiled

COUNTED = """
import atexit, sys
from numba.core import event
class Count(event.Listener):
    compiled = 0
    def on_start(self, event):
        Count.compiled += 1
    def on_end(self, event):
        pass
event.register("numba:compile", Count())
atexit.register(lambda: print("compiled", Count.compiled))
from cytosuite.benchmark.__main__ import main
main()
"""


@pytest.mark.long
def test_nothing_is_compiled_after_a_compilation(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))

    def count(*words):
        done = subprocess.run(
            [sys.executable, "-c", COUNTED, *words], capture_output=True, text=True, check=True
        )
        return int(done.stdout.split()[-1])

    assert count("maintain", "compile") > 50
    data = str(tmp_path / "data")
    small = ("--size", "mini", "--cases", "1", "--workers", "1")
    for name in ("spheroid", "nuclei", "membrane"):
        assert count("simulate", name, *small, "--runs", str(tmp_path / name)) == 0, name
    count("simulate", "spheroid", *small, "--out", data, "--runs", str(tmp_path / "runs"))
    assert count("score", "--truth", f"{data}/labels", "--prediction", f"{data}/labels") == 0


def test_loops_older_than_their_sources_count_as_not_compiled(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert not compiled()
    index = tmp_path / "physics_0/cut.nbi"
    index.parent.mkdir()
    index.touch()
    assert compiled()
    os.utime(index, (0, 0))
    assert not compiled()
