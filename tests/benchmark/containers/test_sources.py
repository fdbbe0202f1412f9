"""The algorithms of this checkout: their images contain every module that they import."""

import subprocess
import sys
from pathlib import Path

import pytest

from cytosuite.benchmark.catalog import ROOT, algorithms
from cytosuite.benchmark.containers.sources import runtime_files

# All modules of the algorithm's folder: also those that a function imports when it is called.
CODE = """
import importlib, pathlib, pkgutil, sys
import cytosuite.container
name = sys.argv[1]
package = importlib.import_module(f"cytosuite.algorithms.{name}")
importlib.import_module(f"cytosuite.algorithms.{name}.predict")
for module in pkgutil.iter_modules(package.__path__):
    if module.name != "training":
        importlib.import_module(f"cytosuite.algorithms.{name}.{module.name}")
root = pathlib.Path.cwd()
for module in list(sys.modules.values()):
    file = getattr(module, "__file__", None)
    if file and pathlib.Path(file).is_relative_to(root) and ".venv" not in file:
        print(file)
"""


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", sorted(algorithms()))
def test_an_image_contains_every_module_that_the_algorithm_imports(algorithm):
    done = subprocess.run(
        [sys.executable, "-c", CODE, algorithm],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    imported = {Path(line).resolve() for line in done.stdout.splitlines()}
    assert ROOT / "algorithms" / algorithm / "predict.py" in imported
    assert imported - set(runtime_files(ROOT, algorithm)) == set()


@pytest.mark.parametrize("algorithm", sorted(algorithms()))
def test_an_image_contains_core_algorithm_and_models_only(algorithm):
    names = {path.relative_to(ROOT).as_posix() for path in runtime_files(ROOT, algorithm)}
    kept = (
        "cytosuite/",
        "algorithms/__init__.py",
        f"algorithms/{algorithm}/",
        f"weights/{algorithm}/",
    )
    assert all(name.startswith(kept) for name in names)
    assert not [
        name for name in names if name.startswith(("cytosuite/metrics", "cytosuite/training"))
    ]
    assert not [
        name for name in names if "/training/" in name or name.endswith(("README.md", ".pyc"))
    ]
    assert {"cytosuite/container.py", f"algorithms/{algorithm}/algorithm.toml"} <= names
