"""The packages of others that an algorithm needs, read from its imports."""

import tomllib

import pytest
from house import ROOT
from mistakes import refused

from cytosuite.benchmark.catalog import packages
from cytosuite.benchmark.catalog.catalog import algorithms
from cytosuite.benchmark.catalog.packages import imported, need_packages, uses_gpu
from cytosuite.errors.packages import install


def test_networks_use_a_gpu_and_others_if_their_manifest_asks_for_it(monkeypatch):
    found = {name for name in algorithms() if uses_gpu(name)}
    plain = {"spots", "watershed", "linking", "stardist", "cellprofiler_like"}
    assert found == set(algorithms()) - plain
    assert uses_gpu("an-image-of-others")
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
    caught = refused(
        "cellpose3d needs monai, torch, not installed", need_packages, "cellpose3d", part
    )
    assert str(caught).endswith(install(["torch"]))
    need_packages("watershed")


def test_a_tool_of_others_runs_in_its_container_or_an_environment_of_its_own(monkeypatch):
    monkeypatch.setattr(packages, "find_spec", lambda _: None)
    refused("stardist needs .*ENGINE=docker.*stardist/requirements", need_packages, "stardist")


def test_a_package_of_no_extra_is_named_itself(monkeypatch):
    monkeypatch.setattr(packages, "imported", lambda module: {"nowhere_to_be_found"})
    refused("pip install nowhere-to-be-found$", need_packages, "watershed")


def test_the_extra_for_networks_holds_what_a_network_imports_beyond_the_rest():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extra = {line.split(">=")[0] for line in project["optional-dependencies"]["networks"]}
    home = ROOT / "algorithms"
    ours = [name for name in algorithms() if not (home / name / "requirements.txt").is_file()]
    modules = [f"cytosuite.algorithms.{name}.predict" for name in ours]
    trained = (ROOT / "algorithms").glob("*/training/train.py")
    modules += [f"cytosuite.algorithms.{path.parts[-3]}.training.train" for path in trained]
    needed = {name for module in modules for name in imported(module)}
    main = {line.split(">=")[0].lower() for line in project["dependencies"]} | {"skimage", "pil"}
    assert {name for name in needed if name.lower() not in main} == extra
