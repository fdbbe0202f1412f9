"""The packages of others that an algorithm and its base need, read from imports and locks."""

import tomllib

import pytest
from house import ROOT
from mistakes import refused

from cytosuite.benchmark.catalog import packages
from cytosuite.benchmark.catalog.models import algorithms
from cytosuite.benchmark.catalog.packages import (
    follow,
    lock,
    lock_files,
    locked,
    need_packages,
    needed_base,
    run_time_imports,
    uses_gpu,
)
from cytosuite.benchmark.catalog.places import PACKAGE
from cytosuite.errors.packages import install
from cytosuite.files import write_text


def test_networks_use_a_gpu_and_others_if_their_manifest_asks_for_it(monkeypatch):
    on_gpu = {name for name in algorithms() if uses_gpu(name)}
    plain = {"spots", "watershed", "linking", "stardist", "cellprofiler_like"}
    assert on_gpu == set(algorithms()) - plain
    assert uses_gpu("an-image-of-others")
    watershed = algorithms()["watershed"]
    asking = watershed.model_copy(
        update={"resources": watershed.resources.model_copy(update={"gpu": True})}
    )
    monkeypatch.setattr(packages, "algorithms", lambda: {"watershed": asking})
    assert uses_gpu("watershed")


@pytest.mark.parametrize("part", ["predict", "training.train"])
def test_a_missing_package_is_one_line_with_the_extra(monkeypatch, part):
    real = packages.find_spec
    hidden = {"torch", "monai"}
    monkeypatch.setattr(packages, "find_spec", lambda name: None if name in hidden else real(name))
    caught = refused(
        "cellpose3d needs monai, torch, not installed", need_packages, "cellpose3d", part
    )
    assert str(caught).endswith(install(["torch"]))
    need_packages("watershed")


def test_a_tool_of_others_runs_in_its_container_or_an_environment_of_its_own(monkeypatch):
    monkeypatch.setattr(packages, "find_spec", lambda _: None)
    refused("stardist needs .*ENGINE=docker.*stardist/requirements", need_packages, "stardist")


def test_a_package_of_no_extra_is_named_itself(monkeypatch):
    monkeypatch.setattr(packages, "follow", lambda *_: {"nowhere_to_be_found": ""})
    refused("pip install nowhere-to-be-found$", need_packages, "watershed")


def test_the_extra_for_networks_holds_what_a_network_imports_beyond_the_rest():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extra = {line.split(">=")[0] for line in project["optional-dependencies"]["networks"]}
    home = ROOT / "algorithms"
    ours = [name for name in algorithms() if not (home / name / "requirements.txt").is_file()]
    modules = [f"cytosuite.algorithms.{name}.predict" for name in ours]
    trained = home.glob("*/training/train.py")
    modules += [f"cytosuite.algorithms.{path.parts[-3]}.training.train" for path in trained]
    needed = follow(modules, PACKAGE)
    main = {line.split(">=")[0].lower() for line in project["dependencies"]} | {"skimage", "pil"}
    assert {name for name in needed if name.lower() not in main} == extra


@pytest.fixture
def root(tmp_path):
    """Return a small checkout whose core has a part for networks and one that reads files."""
    for name, text in {
        "cytosuite/__init__.py": "",
        "cytosuite/container.py": "from cytosuite import files",
        "cytosuite/files.py": "def read():\n    import h5py",
        "cytosuite/networks/network.py": "import torch",
        "cytosuite/metrics/table.py": "import pandas",
        "algorithms/__init__.py": "",
        "algorithms/mine/__init__.py": "",
        "algorithms/mine/predict.py": "from cytosuite.files import read\nimport skimage.filters",
        "algorithms/mine/training/train.py": "from cytosuite import network",
        "docker/requirements-slim.txt": "# a\nH5PY==1\nscikit_image==1  # b\n",
        "docker/requirements-networks.txt": f"monai==1 --hash=sha256:{'0' * 64}\n",
        "docker/requirements-cpu.txt": "-r requirements-slim.txt\n-r requirements-networks.txt\ntorch==1+cpu\n",
        "docker/requirements-cuda.txt": "-r requirements-slim.txt\n-r requirements-networks.txt\ntorch==1\n",
    }.items():
        write_text(tmp_path / name, text)
    return tmp_path


def _append(root, text, name="predict.py"):
    with (root / "algorithms/mine" / name).open("a") as stream:
        stream.write(f"\n{text}\n")


def test_what_core_and_algorithm_import_decides_and_training_does_not(root):
    assert set(run_time_imports(root, "mine")) == {"h5py", "skimage"}
    assert needed_base(root, "mine", "cpu") == ("slim", "its imports need no more")


@pytest.mark.parametrize(
    "line, reason",
    {
        "from monai import x": "cytosuite.algorithms.mine.predict imports monai",
        "from ...networks.network import x": "cytosuite.networks.network imports torch",
        "def f():\n    import torch": "cytosuite.algorithms.mine.predict imports torch",
        "try:\n    import torch\nexcept ImportError:\n    pass": "imports torch",
        "if TYPE_CHECKING:\n    import torch": None,
    }.items(),
)
def test_an_import_beyond_the_slim_base_asks_for_the_devices(root, line, reason):
    _append(root, line, "_other.py" if line.startswith("try") else "predict.py")
    base, why = needed_base(root, "mine", "cuda")
    assert base == ("cuda" if reason else "slim")
    assert reason is None or why.endswith(reason)


def test_packages_in_the_algorithms_own_list_spare_the_large_base(root):
    _append(root, "import monai")
    (root / "algorithms/mine/requirements.txt").write_text("Monai==1\n")
    assert needed_base(root, "mine", "cpu")[0] == "slim"


def test_a_lock_holds_what_it_includes(root):
    names = [path.stem for path in lock_files(lock(root, "cpu"))]
    assert names == ["requirements-slim", "requirements-networks", "requirements-cpu"]
    assert locked([lock(root, "cpu")]) == {"h5py", "scikit-image", "monai", "torch"}
    assert locked([root / "absent.txt"]) == set()
