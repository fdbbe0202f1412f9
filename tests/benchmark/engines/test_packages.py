"""The packages of others that an algorithm needs, read from its imports."""

import re
import tomllib
from pathlib import Path

import pytest

from cytosuite.benchmark.catalog import algorithms
from cytosuite.benchmark.engines import packages
from cytosuite.benchmark.engines.packages import imported, need_packages, uses_gpu
from cytosuite.errors import InputError
from cytosuite.packages import install

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def package(tmp_path):
    """Return a package of modules, one of which imports within a function."""
    for name, text in {
        "__init__.py": "",
        "algorithms/mine/__init__.py": "import json, heavy.parts",
        "algorithms/mine/predict.py": "from cytosuite.algorithms.mine import near\nimport cytosuite.core",
        "algorithms/mine/near.py": "from . import predict\nfrom .far import y\nfrom light import x",
        "algorithms/mine/far.py": "from ...core import later\nimport distant",
        "core.py": "def later():\n    import seldom\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_imports_are_followed_and_those_of_functions_are_not(package):
    assert imported("cytosuite.algorithms.mine.predict", package) == {
        "heavy",
        "light",
        "distant",
    }


def test_nothing_is_needed_by_a_module_that_is_not_there(package):
    assert imported("cytosuite.algorithms.other.predict", package) == set()


def test_a_classical_algorithm_needs_no_torch():
    assert "torch" not in imported("cytosuite.algorithms.watershed.predict")
    assert "torch" in imported("cytosuite.algorithms.cellpose3d.predict")


def test_networks_use_a_gpu_and_classical_algorithms_do_not():
    found = {name for name in algorithms() if uses_gpu(name)}
    assert found == set(algorithms()) - {"watershed"}
    assert uses_gpu("an-image-of-others")


def test_a_manifest_may_ask_for_a_gpu(monkeypatch):
    own = algorithms()["watershed"]
    wanted = own.model_copy(update={"resources": own.resources.model_copy(update={"gpu": True})})
    monkeypatch.setattr(packages, "algorithms", lambda: {"watershed": wanted})
    assert uses_gpu("watershed")


@pytest.fixture
def without_torch(monkeypatch):
    """Hide torch and MONAI."""
    real = packages.find_spec
    hidden = {"torch", "monai"}
    monkeypatch.setattr(packages, "find_spec", lambda name: None if name in hidden else real(name))


@pytest.mark.parametrize("part", ["predict", "training.train"])
def test_a_missing_package_is_one_line_with_the_extra(without_torch, part):
    with pytest.raises(InputError, match="cellpose3d needs monai, torch, not installed") as caught:
        need_packages("cellpose3d", part)
    assert str(caught.value).endswith(install(["torch"]))


def test_a_package_of_no_extra_is_named_itself(monkeypatch):
    monkeypatch.setattr(packages, "imported", lambda module: {"nowhere_to_be_found"})
    with pytest.raises(InputError, match="pip install nowhere-to-be-found$"):
        need_packages("watershed")


def test_an_algorithm_with_all_it_needs_is_let_through(without_torch):
    need_packages("watershed")


@pytest.mark.parametrize("algorithm", sorted(algorithms()))
def test_a_container_carries_what_its_algorithm_imports(algorithm):
    files = [ROOT / "docker" / name for name in ("requirements-slim.in", "requirements.in")]
    lines = [line for file in files for line in file.read_text().splitlines()]
    carried = {re.split("[=<>]", line)[0].lower() for line in lines if line[:1] != "#"}
    distributions = {"skimage": "scikit-image", "pil": "pillow"}
    needed = {name.lower() for name in imported(f"cytosuite.algorithms.{algorithm}.predict")}
    assert {distributions.get(name, name) for name in needed} <= carried


def test_the_extra_for_networks_holds_what_a_network_imports_beyond_the_rest():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extra = {line.split(">=")[0] for line in project["optional-dependencies"]["networks"]}
    modules = [f"cytosuite.algorithms.{name}.predict" for name in algorithms()]
    trained = (ROOT / "algorithms").glob("*/training/train.py")
    modules += [f"cytosuite.algorithms.{path.parts[-3]}.training.train" for path in trained]
    needed = {name for module in modules for name in imported(module)}
    main = {line.split(">=")[0].lower() for line in project["dependencies"]} | {"skimage", "pil"}
    assert {name for name in needed if name.lower() not in main} == extra
