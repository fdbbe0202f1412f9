"""The algorithms of this checkout: their images contain every module that they import."""

import pytest
from mistakes import refused

from cytosuite.benchmark.catalog.models import algorithms
from cytosuite.benchmark.catalog.packages import follow, reached, runtime_files
from cytosuite.benchmark.catalog.places import PACKAGE, ROOT
from cytosuite.files import write_text


@pytest.mark.parametrize("algorithm", sorted(algorithms()))
def test_an_image_contains_all_that_the_algorithm_imports_and_nothing_else(algorithm):
    folder = ROOT / "algorithms" / algorithm
    modules = [f"cytosuite.algorithms.{algorithm}.{path.stem}" for path in folder.glob("*.py")]
    imported = reached(["cytosuite.container", *modules], PACKAGE, later=True)
    assert f"cytosuite.algorithms.{algorithm}.predict" in imported
    there = runtime_files(ROOT, algorithm)
    assert {path.resolve() for path, _ in imported.values()} - set(there) == set()
    names = {path.relative_to(ROOT).as_posix() for path in there}
    used = (f"algorithms/{name}/" for name in algorithms()[algorithm].uses)
    places = (f"algorithms/{algorithm}/", f"weights/{algorithm}/", *used)
    assert all(name.startswith(("cytosuite/", "algorithms/__init__.py", *places)) for name in names)
    assert {"cytosuite/container.py", f"algorithms/{algorithm}/algorithm.toml"} <= names


START = "cytosuite.one.start"


@pytest.fixture
def package(tmp_path):
    """Return a package in which modules import each other and others."""
    texts = {
        "__init__": "",
        "one/__init__": "import enum, gamma",
        "one/start": "from ..two import near\nfrom . import side\nimport numpy as np",
        "one/side": "",
        "two": "def near():\n    from .late import x\n    import scipy.ndimage",
        "late": "import pandas",
        "other": "import torch",
    }
    for name, text in texts.items():
        write_text(tmp_path / f"cytosuite/{name}.py", text)
    return tmp_path / "cytosuite"


def test_a_module_needs_the_packages_that_it_lies_in(package):
    imported = reached([START], package)
    assert set(imported) == {
        "cytosuite",
        "cytosuite.one",
        "cytosuite.one.side",
        START,
        "cytosuite.two",
    }
    assert imported["cytosuite.one"][0] == package / "one/__init__.py"


def test_packages_of_others_by_the_module_that_imports_them(package):
    assert follow([START], package) == {"numpy": START, "gamma": "cytosuite.one"}
    assert follow([START], package, later=True) == {
        "numpy": START,
        "gamma": "cytosuite.one",
        "scipy": "cytosuite.two",
        "pandas": "cytosuite.late",
    }


def test_a_module_that_is_no_python_is_named(package):
    (package / "two.py").write_text("def")
    refused(r"two\.py", reached, [START], package)
