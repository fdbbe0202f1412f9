"""After `maintain compile`, the commands of a user compile nothing."""

import subprocess
import sys

import pytest

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

    def compiled(*words):
        command = [sys.executable, "-c", COUNTED, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return int(done.stdout.split()[-1])

    assert compiled("maintain", "compile") > 50
    data = str(tmp_path / "data")
    small = ("--size", "mini", "--cases", "1", "--workers", "1")
    for name in ("spheroid", "nuclei", "membrane"):
        assert compiled("simulate", name, *small, "--runs", str(tmp_path / name)) == 0, name
    compiled("simulate", "spheroid", *small, "--out", data, "--runs", str(tmp_path / "runs"))
    assert compiled("score", "--truth", f"{data}/labels", "--prediction", f"{data}/labels") == 0
