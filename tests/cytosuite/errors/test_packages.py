"""A package that is not installed: one line with a command that can work."""

import shlex
import subprocess
import sys

import pytest
from house import ROOT

from cytosuite.errors import InputError
from cytosuite.errors.packages import extras, install, lacking, needed_by

PIP = [sys.executable, "-m", "pip", "install"]


def _install(*names):
    return shlex.split(install(names))


class Installed:
    requires = (
        "numpy>=1.26",
        "scikit-image>=0.24",
        'torch>=2.4; extra == "networks"',
        "dask-jobqueue>=0.8.5; extra == 'cluster'",
        "monai; extra == 'dev'",
    )

    def __init__(self, place, editable=False, installer=None):
        self.place, self.editable, self.installer = place, editable, installer

    def read_text(self, name):
        if name == "INSTALLER":
            return self.installer
        kind = '"dir_info": {"editable": true}, ' if self.editable else ""
        return None if self.place is None else f'{{{kind}"url": "{self.place.as_uri()}"}}'


@pytest.fixture
def origin(monkeypatch):
    def know(*place, **more):
        # A build in the checkout leaves a record of its own, found first by `python -m` there.
        records = [Installed(None), Installed(*place, **more)]
        monkeypatch.setattr("cytosuite.errors.packages.distributions", lambda name: records)

    return know


def test_a_package_of_an_extra_comes_from_the_checkout(origin, tmp_path):
    origin(folder := tmp_path / "my checkout", editable=True)
    folder.mkdir()
    assert _install("torch") == [*PIP, "-e", f"{folder}[networks]"]
    assert _install("torch", "dask_jobqueue")[-1] == f"{folder}[cluster,networks]"
    assert _install("skimage") == [*PIP, "-e", str(folder)]


def test_in_the_environment_of_make_torch_is_that_of_the_containers(origin, tmp_path, monkeypatch):
    origin(tmp_path, editable=True)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    assert _install("torch") == ["make", "-C", str(tmp_path), "networks"]
    assert _install("dask_jobqueue") == [*PIP, "-e", f"{tmp_path}[cluster]"]
    subprocess.run(["make", "-n", "-C", ROOT, "networks"], check=True)


def test_a_package_of_an_extra_comes_from_the_wheel(origin, tmp_path):
    origin(wheel := tmp_path / "cytosuite-0.1.0-py3-none-any.whl")
    wheel.touch()
    assert _install("torch") == [*PIP, f"{wheel}[networks]"]
    wheel.unlink()  # nothing to name any more: the packages themselves
    assert _install("torch") == [*PIP, "torch"]
    origin(None)
    assert _install("dask_jobqueue") == [*PIP, "dask-jobqueue"]


def test_a_package_of_an_extra_comes_from_the_index_of_an_installed_release(monkeypatch):
    monkeypatch.setattr(
        "cytosuite.errors.packages.distributions", lambda name: [Installed(None, installer="pip\n")]
    )
    assert _install("torch") == [*PIP, "cytosuite[networks]"]
    assert _install("nowhere") == [*PIP, "nowhere"]


def test_packages_of_developers_are_no_extra(origin):
    origin(None)
    assert extras() == {
        "": ["numpy", "scikit-image"],
        "networks": ["torch"],
        "cluster": ["dask-jobqueue"],
    }


def test_what_cannot_be_imported_is_one_line():
    line = r"CLUSTER needs nowhere, not installed here: .* nowhere$"
    with pytest.raises(InputError, match=line), needed_by("CLUSTER"):
        import nowhere.deep  # noqa: F401
    broken = ImportError("libnowhere.so: no such file", name="nowhere._C")
    assert "needs nowhere, which cannot be imported (libnowhere.so: no such" in lacking(broken)
