import os
import subprocess
import sys
from importlib import import_module

import pytest

from cytosuite.networks import kernels

MODULE = """
from cytosuite.networks.kernels import compiled

@compiled("int64(int64)")
def twice(number):
    return 2 * number
"""
COUNT = "import loops; print(loops.twice(4), sum(loops.twice.stats.cache_hits.values()))"


def run(*words, folder, **environment):
    """Run Python in a folder with the module `loops`; return its output."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA")}
    paths = os.pathsep.join([str(folder), *filter(None, sys.path)])
    variables = clean | {"PYTHONPATH": paths, "NUMBA_CPU_NAME": "generic"} | environment
    ended = subprocess.run(
        [sys.executable, *words], env=variables, cwd=folder, capture_output=True, check=True
    )
    return ended.stdout.decode().strip()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "here/loops.py").write_text(MODULE)
    return tmp_path / "here"


def test_kept_loops_are_used_without_writing_there(folder, tmp_path):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    options = {"folder": folder, "TMPDIR": str(temporary)}
    assert run("-m", "cytosuite.networks.kernels", "loops", **options) == "loops: 2 files"
    store = folder / "kernels"
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*")}
    for path in [store, *before]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    assert run("-c", COUNT, **options) == "8 1"
    assert {path: path.stat().st_mtime_ns for path in store.rglob("*")} == before
    assert list(temporary.iterdir()) == []  # the copy is gone


def test_refuses_a_module_that_was_imported_and_one_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "cytosuite.algorithms.cellpose3d._kernels", object())
    with pytest.raises(RuntimeError, match="imported before its cache was chosen"):
        kernels.keep("cytosuite.algorithms.cellpose3d._kernels", tmp_path)
    with pytest.raises(ModuleNotFoundError, match=r"no module cytosuite\.algorithms\.nothing"):
        kernels.keep("cytosuite.algorithms.nothing", tmp_path)


@pytest.mark.parametrize(
    "module",
    [
        "algorithms.cellpose3d._kernels",
        "algorithms.harmonicnet._kernels",
        "bodies._kernels",
        "datasets.physics._body_kernels",
        "metrics.images.ssim_kernel",
        "metrics.labels.overlap",
    ],
)
def test_no_two_loops_of_a_module_share_the_name_that_links_their_code(module):
    # Code of equal names from the caches of two processes was mixed: SSIM 0.9488 in place of 0.9426.
    loops = {
        id(loop): loop.py_func.__qualname__
        for loop in vars(import_module(f"cytosuite.{module}")).values()
        if hasattr(loop, "py_func")
    }
    assert len(loops) == len(set(loops.values())) > 0


def test_loops_run_where_no_code_can_be_kept(monkeypatch):
    asked = []

    def njit(_, **options):
        asked.append("cache" in options)

        def keep(loop):
            if "cache" in options:
                raise RuntimeError("cannot cache function: no locator available")
            return loop

        return keep

    monkeypatch.setattr("numba.njit", njit)
    assert kernels.compiled()(lambda number: -number)(-3) == 3
    assert asked == [True, False]
