"""`docker/packages.py` puts the packages of a lock where its image gets them."""

import ctypes
import re
import tarfile
import zipfile
from hashlib import sha256
from pathlib import Path, PurePosixPath

import pytest
from house import ROOT

from tests.hostile.tally import digests

DOCKER = ROOT / "docker"
SETUP = """
from setuptools import Extension, setup
setup(name="built", version="1.0", py_modules=["built"], has_ext_modules=lambda: {compiled})
"""


@pytest.fixture
def packages(script):
    """Return the script as a module."""
    return script("packages")


@pytest.mark.parametrize(
    "name, useless",
    {
        "scipy/stats/tests/test_x.py": True,
        "scipy/tests.py": False,
        "monai/tests/x.py": False,
        "monai/csrc/x.h": True,
        "torch/lib/x.h": False,
        "torch/include/x.h": True,
        "torch/testing/x.py": False,
        "torch/bin/protoc-3": True,
        "numpy/__init__.pyi": False,
        "numpy/core.pyi": True,
        "numpy/lib.a": True,
        "bin/f2py": True,
        "numpy-1.dist-info/INSTALLER": True,
        "numpy-1.dist-info/METADATA": False,
        "skimage/data/astronaut.png": True,
        "argparse.py": True,
        "six.py": False,
    }.items(),
)
def test_files_that_no_container_uses_are_left_out(packages, name, useless):
    assert packages.is_useless(PurePosixPath(name)) is useless


@pytest.mark.parametrize("library", ["scipy/ndimage/_rank_filter_1d*.so", "h5py/_conv*.so"])
def test_a_library_without_symbols_is_shorter_and_works(packages, tmp_path, library):
    (path,) = Path(__import__(library.partition("/")[0]).__file__).parents[1].glob(library)
    before = path.read_bytes()
    after = packages.without_symbols(before)
    assert len(after) < len(before)
    assert packages.without_symbols(after) == after
    if "scipy" in library:  # the other needs libraries beside it
        (tmp_path / "x.so").write_bytes(after)
        assert ctypes.CDLL(str(tmp_path / "x.so")).PyInit__rank_filter_1d is not None
    assert packages.without_symbols(b"text") == b"text"


@pytest.fixture
def index(tmp_path, monkeypatch):
    """Return a function that puts wheels into a folder, where alone packages are looked for."""
    place = tmp_path / "index"
    place.mkdir()
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_FIND_LINKS", str(place))
    monkeypatch.setenv("UV_FIND_LINKS", str(place))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("UV_NO_INDEX", "1")

    def wheel(name, version="1.0", needs="", content=""):
        info = f"{name}-{version}.dist-info"
        path = place / f"{name}-{version}-py3-none-any.whl"
        files = {f"{name}/__init__.py": content, f"{name}/tests/test.py": ""}
        files[f"{info}/METADATA"] = (
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}"
        )
        files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        listed = "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"])
        with zipfile.ZipFile(path, "w") as archive:
            for file, text in {**files, f"{info}/RECORD": listed}.items():
                archive.writestr(file, text)
        return f"{name}=={version} --hash=sha256:{sha256(path.read_bytes()).hexdigest()}\n"

    return wheel


@pytest.fixture
def locks(tmp_path, index):
    """Return a lock of a layer, and that of the layer below."""
    folder = tmp_path / "locks"
    folder.mkdir()
    below = folder / "below.txt"
    lock = folder / "lock.txt"
    below.write_text("# below\n" + index("same") + index("tiny", "0.9"))
    lock.write_text("-r below.txt\n" + index("tiny").replace(" --", " \\\n    --"))
    return lock, below


@pytest.fixture(params=["uv", "pip"])
def installer(request, packages, monkeypatch):
    """Let packages be installed by uv, or by pip where it cannot be had."""
    if request.param == "pip":
        monkeypatch.setattr(packages.install, "uv", lambda: None)
    elif packages.install.uv() is None:
        pytest.skip("uv cannot be had")


@pytest.mark.usefixtures("installer")
def test_a_layer_gets_what_the_one_below_lacks_and_names_what_it_replaces(
    packages, locks, tmp_path, capsys
):
    lock, below = locks
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "old.py").touch()
    assert packages.main([str(lock), str(folder), "--below", str(below)]) == 0
    info = [f"tiny-1.0.dist-info/{name}" for name in ("METADATA", "RECORD", "WHEEL")]
    listed = [name for name in digests(folder) if "dist-info" not in name]
    assert listed == ["replaced.txt", "tiny/__init__.py"]
    record = (folder / info[1]).read_text().splitlines()
    assert {line.partition(",")[0] for line in record} >= {"tiny/__init__.py", *info}
    assert all((folder / line.partition(",")[0]).is_file() for line in record)
    assert (folder / "replaced.txt").read_text() == "tiny==0.9\n"
    assert not (folder / "tiny/tests").exists()
    assert capsys.readouterr().out == ""


def _locked(packages, place, text):
    (place / "lock.txt").write_text(text)
    return packages.main([str(place / "lock.txt"), str(place / "out")])


@pytest.mark.usefixtures("installer")
def test_a_file_with_another_checksum_is_refused(packages, locks, index, tmp_path, capsys):
    lock, below = locks
    index("tiny", content="evil = True")
    assert packages.main([str(lock), str(tmp_path / "out"), "--below", str(below)]) == 1
    assert re.match(f"{lock}: .*sha256", capsys.readouterr().err, re.DOTALL)


@pytest.mark.usefixtures("installer")
def test_the_contents_of_what_has_no_checksum_are_named(packages, index, tmp_path, capsys):
    index("tiny")
    assert _locked(packages, tmp_path, "tiny==1.0\n") == 0
    name, digest = capsys.readouterr().out.split()
    assert name == "tiny==1.0"
    assert re.fullmatch("[0-9a-f]{64}", digest)


def test_all_is_looked_up_without_installing(packages, locks, tmp_path, capsys):
    lock, below = locks
    arguments = [str(lock), "--check", "--below", str(below)]
    assert packages.main(arguments) == 0
    assert " + tiny==1.0\n" in capsys.readouterr().out
    next((tmp_path / "index").glob("tiny-1.0*")).unlink()
    assert packages.main(arguments) == 1
    assert "tiny==1.0" in capsys.readouterr().err


def test_an_index_without_cpu_build_is_named_as_the_cause(
    packages, tmp_path, index, capsys, monkeypatch
):
    monkeypatch.setenv("UV_OFFLINE", "1")
    assert _locked(packages, tmp_path, "torch==2.1+cpu\n") == 1
    line = capsys.readouterr().err
    assert line.endswith("PIP_EXTRA_INDEX_URL to an index that has it, or build with DEVICE=cuda\n")
    assert line.count("\n") == 1


def test_a_lock_that_is_not_closed_is_refused(packages, tmp_path, index, capsys):
    assert _locked(packages, tmp_path, index("needy", needs="Requires-Dist: absent>2\n")) == 1
    assert capsys.readouterr().err == f"{tmp_path}/lock.txt: needy 1.0 needs absent>2, found none\n"


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("compiled", [False, True])
def test_a_wheel_is_built_of_an_archive_with_the_checksum_of_the_lock(
    packages, tmp_path, monkeypatch, capsys, compiled
):
    source = tmp_path / "built-1.0"
    source.mkdir()
    (source / "built.py").write_text("")
    (source / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: built\nVersion: 1.0\n")
    (source / "setup.py").write_text(SETUP.format(compiled=compiled))
    archive = tmp_path / "built-1.0.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(source, "built-1.0")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path))
    digest = sha256(archive.read_bytes()).hexdigest()
    (tmp_path / "sources.txt").write_text(f"built==1.0 --hash=sha256:{digest}\n")
    lock = tmp_path / "requirements.txt"
    lock.write_text("-r sources.txt\n")
    assert packages.main([str(lock), str(tmp_path / "out")]) == int(compiled)
    assert (tmp_path / "out/built.py").is_file()
    assert ("compiled part" in capsys.readouterr().err) == compiled


@pytest.mark.parametrize("line", ["numpy>=1", "numpy==1 ; python_version < '3'"])
def test_a_lock_has_exact_versions_only(packages, tmp_path, line):
    (tmp_path / "lock.txt").write_text(f"\n# lock\n{line}\n")
    with pytest.raises(packages.PackagesError, match=re.escape(repr(line))):
        packages.locked(tmp_path / "lock.txt")


@pytest.fixture
def shipped(packages):
    """Return the locks by the name of their base."""
    return {
        name: packages.locked(DOCKER / f"requirements-{name}.txt")
        for name in ("slim", "cpu", "cuda")
    }


def test_the_locks_hold_what_is_asked_for(shipped):
    for bases, file in ((["slim"], "requirements-slim.in"), (["cpu", "cuda"], "requirements.in")):
        lines = (DOCKER / file).read_text().splitlines()
        asked = {line.split("==")[0].lower() for line in lines if line and line[0] not in "#-"}
        for base in bases:
            assert asked | set(shipped["slim"]) <= set(shipped[base])
    assert not {"torch", "monai"} & set(shipped["slim"])


def test_the_locks_differ_only_in_what_belongs_to_the_device(shipped):
    cpu, cuda = (dict(shipped[name]) for name in ("cpu", "cuda"))
    assert cpu.pop("torch").version == cuda.pop("torch").version + "+cpu"
    assert {name for name in cuda if cuda[name] != cpu.get(name)} == {
        name for name in cuda if name.startswith(("nvidia-", "cuda-")) or name == "triton"
    }
    assert set(cpu) <= set(cuda)
    pinned = [(base, name, pin) for base, pins in shipped.items() for name, pin in pins.items()]
    assert [row[:2] for row in pinned if not row[2].hashes] == [("cpu", "torch")]
