"""`docker/unpack.py` puts the packages of a base where its image gets them."""

import ctypes
import sys
import zipfile
from pathlib import Path, PurePosixPath

import pytest


@pytest.fixture
def unpack(script):
    """Return the script as a module."""
    return script("unpack")


@pytest.mark.parametrize(
    ("name", "useless"),
    [
        ("scipy/stats/tests/test_x.py", True),
        ("scipy/tests.py", False),
        ("monai/tests/x.py", False),
        ("monai/csrc/x.h", True),
        ("torch/lib/x.h", False),
        ("torch/include/x.h", True),
        ("torch/testing/x.py", False),
        ("torch/bin/protoc-3", True),
        ("numpy/__init__.pyi", False),
        ("numpy/core.pyi", True),
        ("numpy/lib.a", True),
        ("bin/f2py", True),
        ("numpy-1.dist-info/INSTALLER", True),
        ("numpy-1.dist-info/METADATA", False),
        ("skimage/data/astronaut.png", True),
    ],
)
def test_files_that_no_container_uses_are_left_out(unpack, name, useless):
    assert unpack.is_useless(PurePosixPath(name)) is useless


@pytest.mark.parametrize("library", ["llvmlite/binding/libllvmlite.so", "h5py/_conv*.so"])
def test_a_library_without_symbols_is_shorter_and_works(unpack, tmp_path, library):
    package = library.partition("/")[0]
    (path,) = (
        Path(
            sys.modules[package].__file__
            if package in sys.modules
            else __import__(package).__file__
        )
        .parents[1]
        .glob(library)
    )
    before = path.read_bytes()
    after = unpack.without_symbols(before)
    assert len(after) < len(before)
    assert unpack.without_symbols(after) == after
    if "llvm" in library:  # the other needs libraries beside it
        (tmp_path / "x.so").write_bytes(after)
        assert ctypes.CDLL(str(tmp_path / "x.so")).LLVMPY_GetVersionInfo is not None
    assert unpack.without_symbols(b"text") == b"text"


@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_wheels_are_unpacked_and_recorded(unpack, tmp_path, monkeypatch, installer):
    if installer == "pip":
        monkeypatch.setattr(unpack.install, "uv", lambda: None)
    elif (
        not unpack.install.shutil.which("uv") and not Path(sys.executable).with_name("uv").exists()
    ):
        pytest.skip("uv is not installed")
    (tmp_path / "requirements-slim.txt").write_text("tiny==1.0\n")
    wheels = tmp_path / "wheelhouse" / "slim"
    wheels.mkdir(parents=True)
    with zipfile.ZipFile(wheels / "tiny-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny/__init__.py", "")
        wheel.writestr("tiny/tests/test.py", "")
        wheel.writestr(
            "tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n"
        )
        wheel.writestr(
            "tiny-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr("tiny-1.0.dist-info/RECORD", "tiny/__init__.py,,\ntiny/tests/test.py,,\n")
    (tmp_path / "packages" / "slim").mkdir(parents=True)
    (tmp_path / "packages" / "slim" / "old.py").touch()
    unpack.unpack("slim", tmp_path)
    files = sorted(p.name for p in (tmp_path / "packages/slim").rglob("*") if p.is_file())
    assert files == ["METADATA", "RECORD", "WHEEL", "__init__.py", "wheels-slim.txt"]
    digest, name = (tmp_path / "packages/slim/wheels-slim.txt").read_text().split()
    assert (len(digest), name) == (64, "tiny-1.0-py3-none-any.whl")
