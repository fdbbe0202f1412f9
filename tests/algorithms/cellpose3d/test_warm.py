import os
import subprocess
import sys

import pytest

from algorithms.cellpose3d import warm

COUNT = """
from algorithms.cellpose3d import _kernels as kernels, warm
print(sum(sum(f.stats.cache_hits.values()) for f in (kernels.blur, kernels.track, kernels.climb)))
"""


def run(code, **environment):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA")}
    ended = subprocess.run(
        [sys.executable, "-c", code], env=clean | environment, capture_output=True, check=True
    )
    return ended.stdout.decode().strip()


@pytest.mark.slow
def test_what_was_compiled_is_found_again_without_writing_there(tmp_path):
    store, temporary = tmp_path / "store", tmp_path / "tmp"
    temporary.mkdir()
    head = f"from pathlib import Path; from algorithms.cellpose3d import warm; store = Path({str(store)!r})\n"
    generic = {"NUMBA_CPU_NAME": "generic", "TMPDIR": str(temporary)}
    assert int(run(head + "print(warm.fill(store))", **generic)) == 10
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*")}
    for path in [store, *before]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    assert run(head + "print(warm.use(store))" + COUNT, **generic).split() == ["True", "3"]
    assert {path: path.stat().st_mtime_ns for path in store.rglob("*")} == before
    assert list(temporary.iterdir()) == []  # the copy is gone


def test_without_a_store_nothing_changes(tmp_path, monkeypatch):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    assert warm.use(tmp_path / "missing") is False
    assert "NUMBA_CACHE_DIR" not in os.environ


def test_a_chosen_cache_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", "elsewhere")
    assert warm.use(tmp_path) is False
    assert os.environ["NUMBA_CACHE_DIR"] == "elsewhere"


def test_a_full_disk_is_no_error(tmp_path, monkeypatch):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    assert warm.use(tmp_path) is False


def test_filling_after_the_import_is_refused(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "algorithms.cellpose3d._kernels", object())
    with pytest.raises(RuntimeError, match="imported before its cache was chosen"):
        warm.fill(tmp_path)
