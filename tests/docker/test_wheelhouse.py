import re
import subprocess
import sys
import zipfile
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

DOCKER = Path(__file__).parents[2] / "docker"


@pytest.fixture(scope="module")
def wheelhouse():
    """Return the script as a module."""
    spec = spec_from_file_location("wheelhouse", DOCKER / "wheelhouse.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def pip(wheelhouse, monkeypatch):
    """Replace pip by a function that makes known wheels and records the requests; return it."""
    asked = []

    def run(command, check):
        requirements = [part for part in command if "==" in part]
        folder = Path(command[command.index("--dest") + 1])
        asked.append(requirements)
        known = [part for part in requirements if "+cpu" not in part or run.has_cpu_build]
        for requirement in known:
            name, version = requirement.split("==")
            _wheel(folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl")
        return subprocess.CompletedProcess(command, int(known != requirements))

    run.has_cpu_build = True
    run.asked = asked
    monkeypatch.setattr(wheelhouse.subprocess, "run", run)
    return run


@pytest.fixture
def here(tmp_path):
    """Return a folder with a lock."""
    (tmp_path / "requirements-cpu.txt").write_text("# lock\nscikit-image==0.26.0\ntorch==2.1+cpu\n")
    return tmp_path


def test_all_that_is_locked_comes_and_then_nothing_more(wheelhouse, pip, here):
    assert wheelhouse.collect("cpu", here) == 3
    names = {path.name.split("-")[0] for path in (here / "wheelhouse/cpu").iterdir()}
    assert names == {"scikit_image", "torch", "pip"}
    count = len(pip.asked)
    assert wheelhouse.collect("cpu", here) == 3
    assert len(pip.asked) == count


def test_only_what_is_missing_is_asked_for(wheelhouse, pip, here):
    wheelhouse.collect("cpu", here)
    next((here / "wheelhouse/cpu").glob("scikit*")).unlink()
    pip.asked.clear()
    wheelhouse.collect("cpu", here)
    assert pip.asked == [["scikit-image==0.26.0"]]


def test_broken_and_old_wheels_are_replaced(wheelhouse, pip, here):
    wheelhouse.collect("cpu", here)
    folder = here / "wheelhouse/cpu"
    next(folder.glob("scikit*")).write_bytes(b"half a file")
    _wheel(folder / "scikit_image-0.25.0-py3-none-any.whl")
    wheelhouse.collect("cpu", here)
    (found,) = folder.glob("scikit*")
    assert zipfile.is_zipfile(found)
    assert "0.26.0" in found.name


def test_an_index_without_cpu_build_is_named_as_the_cause(
    wheelhouse, pip, here, capsys, monkeypatch
):
    pip.has_cpu_build = False
    monkeypatch.setattr(wheelhouse, "HERE", here)
    monkeypatch.setattr(wheelhouse.collect, "__defaults__", (here,))
    assert wheelhouse.main(["--device", "cpu"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("docker/wheelhouse: the package index has no CPU build of torch")
    assert line.endswith(
        "PIP_EXTRA_INDEX_URL to PyTorch's CPU wheel index, or build with DEVICE=cuda"
    )


@pytest.mark.parametrize("line", ["numpy", "numpy>=1", "numpy==1 ; python_version < '3'", "-r x"])
def test_a_lock_has_exact_versions_only(wheelhouse, line):
    with pytest.raises(wheelhouse.WheelhouseError, match=re.escape(repr(line))):
        wheelhouse.locked(line)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("torch-2.13.0%2Bcpu-cp311-cp311-linux_x86_64.whl", ("torch", "2.13.0+cpu")),
        ("Scikit_Image-0.26.0-1-py3-none-any.whl", ("scikit-image", "0.26.0")),
        ("note.txt", ("note-txt", "")),
    ],
)
def test_a_wheel_is_known_by_its_name(wheelhouse, name, expected):
    assert wheelhouse.wheel(name) == expected


def test_the_host_may_have_any_python(wheelhouse):
    command = wheelhouse.command(["numpy==2.4.6"], Path("there"))
    assert command[:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--python-version=3.11", "--only-binary=:all:", "--no-deps"} <= set(command)
    assert "--platform=manylinux_2_28_x86_64" in command
    assert "--platform=manylinux_2_36_x86_64" not in command


@pytest.fixture(scope="module")
def locks(wheelhouse):
    """Return both locks and the names that were asked for."""
    texts = {
        name: (DOCKER / name).read_text()
        for name in ("requirements-cpu.txt", "requirements-cuda.txt")
    }
    wanted = [
        line.split("==")[0].lower()
        for line in (DOCKER / "requirements.in").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    return [wheelhouse.locked(text) for text in texts.values()], wanted


def test_both_locks_hold_what_is_asked_for(locks):
    (cpu, cuda), wanted = locks
    assert set(wanted) <= set(cpu)
    assert set(wanted) <= set(cuda)


def test_the_locks_differ_only_in_what_belongs_to_the_device(locks):
    (cpu, cuda), _ = locks
    assert cpu.pop("torch") == cuda.pop("torch") + "+cpu"
    assert {name for name in cuda if cuda[name] != cpu.get(name)} == {
        name for name in cuda if name.startswith(("nvidia-", "cuda-")) or name == "triton"
    }
    assert set(cpu) <= set(cuda)


def test_the_lock_satisfies_what_the_library_asks_for(locks):
    import tomllib

    (cpu, _), _ = locks
    project = tomllib.loads((DOCKER.parent / "pyproject.toml").read_text())["project"]
    for requirement in project["dependencies"]:
        name, _, least = requirement.partition(">=")
        assert _numbers(cpu[name.lower()]) >= _numbers(least), requirement


def _numbers(version):
    return [int(part) for part in re.findall(r"\d+", version)]


def _wheel(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", "")
