"""Imports are followed through our modules, without any being imported."""

import pytest

from cytosuite.benchmark.containers.imports import follow, reached
from cytosuite.errors import InputError

START = "cytosuite.one.start"


@pytest.fixture
def package(tmp_path):
    """Return a package in which modules import each other and others."""
    texts = {
        "__init__": "",
        "one/__init__": "import enum, gamma",
        "one/start": "from cytosuite.two import near\nimport numpy as np",
        "two": "def near():\n    from cytosuite import late\n    import scipy.ndimage",
        "late": "import pandas",
        "other": "import torch",
    }
    for name, text in texts.items():
        path = tmp_path / "cytosuite" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "cytosuite"


def test_a_module_needs_the_packages_that_it_lies_in(package):
    found = reached([START], package)
    assert set(found) == {"cytosuite", "cytosuite.one", START, "cytosuite.two"}
    assert found["cytosuite.one"][0] == package / "one" / "__init__.py"


def test_imports_within_functions_are_followed_on_demand(package):
    assert "cytosuite.late" not in reached([START], package)
    assert "cytosuite.late" in reached([START], package, later=True)


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
    with pytest.raises(InputError, match=r"two\.py"):
        reached([START], package)
