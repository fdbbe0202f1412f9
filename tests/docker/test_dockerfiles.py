"""Properties of the Dockerfiles, read from their text: no daemon is needed."""

import ensurepip
import os
import re
import shutil
import subprocess
import sys
import zipfile
from fnmatch import fnmatch
from hashlib import sha256
from pathlib import Path

import pytest

from cytosuite.benchmark.catalog.catalog import algorithms
from cytosuite.benchmark.containers.sources import runtime_files
from cytosuite.files import visible_files

ROOT = Path(__file__).parents[2]
BOTH = ["Dockerfile", "docker/base.Dockerfile"]


def _instructions(name):
    text = (ROOT / name).read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines]


@pytest.mark.parametrize("name", BOTH)
def test_the_classic_builder_suffices_and_fetches_nothing(name):
    text = (ROOT / name).read_text()
    assert not re.search(r"--mount|<<|\$\{?(TARGET|BUILD)(ARCH|PLATFORM)|^# syntax", text)
    assert not re.search(r"GRAND_CHALLENGE_|LD_LIBRARY_PATH", text)  # the platform's own
    commands = " ".join(rest for word, rest in _instructions(name) if word in {"RUN", "ADD"})
    assert not re.search(r"https?://|\bapt(-get)?\b|\bcurl\b|\bwget\b", commands)
    assert all("--no-index" in part for part in re.findall(r"pip install[^;]*", commands))
    assert [rest for word, rest in _instructions(name) if word == "USER"][-1] == "1000:1000"


def _wheel(folder, name, version, needs=""):
    """Write a wheel of one module that holds its version."""
    facts = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", f"version = {version!r}\n")
        wheel.writestr(f"{info}/METADATA", facts)
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def _packages_step(folder):
    """Run the step of the Dockerfile that installs an algorithm's own packages, outside of it."""
    (step,) = [rest for word, rest in _instructions("Dockerfile") if "requirements.txt" in rest]
    script = re.sub(r" +", " ", step).replace("/opt/python", str(folder / "python"))
    script = script.replace("/opt/new", str(folder / "new"))
    script = script.replace("python3", sys.executable)
    environment = {"PATH": os.environ["PATH"], "ALGORITHM": "mine"}
    given = {"cwd": folder, "env": environment, "capture_output": True, "text": True}
    return subprocess.run(["sh", "-c", script], check=False, **given)


@pytest.fixture
def packed(tmp_path):
    """Return a folder as the image has it, with pip's wheel and one package's."""
    wheels = tmp_path / "algorithms" / "mine" / "wheels"
    wheels.mkdir(parents=True)
    (tmp_path / "python").mkdir()
    bundled = sorted((Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl"))
    if not bundled:
        pytest.skip("this Python comes without pip's wheel")
    shutil.copy(bundled[0], wheels)
    _wheel(wheels, "tiny", "1.0")
    return tmp_path


@pytest.mark.long
@pytest.mark.slow
def test_packages_of_an_algorithm_are_installed_from_its_wheels(packed):
    wheel = (packed / "algorithms/mine/wheels/tiny-1.0-py3-none-any.whl").read_bytes()
    (packed / "algorithms" / "mine" / "requirements.txt").write_text("tiny==1.0\n")
    done = _packages_step(packed)
    assert done.returncode == 0, done.stderr
    assert (packed / "python" / "tiny.py").read_text() == "version = '1.0'\n"
    assert not (packed / "algorithms" / "mine" / "wheels").exists()
    assert not (packed / "new").exists()
    tiny, name = (packed / "python" / "wheels.txt").read_text().split()
    assert (tiny, name) == (sha256(wheel).hexdigest(), "tiny-1.0-py3-none-any.whl")


@pytest.mark.long
@pytest.mark.slow
def test_wheels_of_source_archives_are_installed_too_and_none_replaces_a_module_of_python(packed):
    own = packed / "algorithms" / "mine"
    tiny = (own / "wheels/tiny-1.0-py3-none-any.whl").read_bytes()
    _wheel(own / "wheels", "built", "1.0")
    _wheel(own / "wheels", "argparse", "1.0")
    (own / "sources.txt").write_text(f"built==1.0 --hash=sha256:{'0' * 64}\nargparse==1.0\n")
    hashed = f"tiny==1.0 --hash=sha256:{sha256(tiny).hexdigest()}\n"
    (own / "requirements.txt").write_text(f"-r sources.txt\n{hashed}")
    done = _packages_step(packed)
    assert done.returncode == 0, done.stderr
    modules = {path.name for path in (packed / "python").glob("*.py")}
    assert modules == {"tiny.py", "built.py"}


@pytest.mark.long
@pytest.mark.slow
def test_another_version_of_a_package_replaces_that_of_the_base(packed):
    there = packed / "python"
    (there / "tiny-0.9.dist-info").mkdir()
    (there / "tiny.py").write_text("version = '0.9'\n")
    (there / "gone.py").touch()
    (there / "kept.py").touch()
    (there / "tiny-0.9.dist-info" / "METADATA").write_text("Name: Tiny\nVersion: 0.9\n")
    record = "tiny.py,,\ngone.py,,\ntiny-0.9.dist-info/METADATA,,\ntiny-0.9.dist-info/RECORD,,\n"
    (there / "tiny-0.9.dist-info" / "RECORD").write_text(record)
    (there / "wheels.txt").write_text("0  Tiny-0.9-py3-none-any.whl\n1  other-2-py3-none-any.whl\n")
    (packed / "algorithms" / "mine" / "requirements.txt").write_text("tiny==1.0\n")
    done = _packages_step(packed)
    assert done.returncode == 0, done.stderr
    names = {path.name for path in there.iterdir()} - {"__pycache__"}
    assert names == {"kept.py", "tiny.py", "tiny-1.0.dist-info", "wheels.txt"}
    assert (there / "tiny.py").read_text() == "version = '1.0'\n"
    listed = (there / "wheels.txt").read_text().split()[1::2]
    assert listed == ["other-2-py3-none-any.whl", "tiny-1.0-py3-none-any.whl"]


@pytest.mark.long
@pytest.mark.slow
def test_a_list_of_packages_that_is_not_closed_fails_the_build(packed):
    _wheel(packed / "algorithms" / "mine" / "wheels", "needy", "2.0", "Requires-Dist: absent\n")
    (packed / "algorithms" / "mine" / "requirements.txt").write_text("needy==2.0\n")
    done = _packages_step(packed)
    assert done.returncode != 0
    assert "absent" in done.stdout + done.stderr


def test_an_algorithm_without_packages_of_its_own_skips_the_step(tmp_path):
    (tmp_path / "algorithms" / "mine").mkdir(parents=True)
    assert _packages_step(tmp_path).returncode == 0


def _ignored(name, patterns):
    """Return whether a line of .dockerignore excludes a file or one of its folders."""
    parts = name.split("/")
    paths = ["/".join(parts[: n + 1]) for n in range(len(parts))]
    return any(
        fnmatch(path.rsplit("/", 1)[-1], pattern[3:])
        if pattern.startswith("**/")
        else path.count("/") == pattern.count("/") and fnmatch(path, pattern)
        for path in paths
        for pattern in patterns
    )


@pytest.mark.parametrize("algorithm", sorted(algorithms()))
def test_a_build_by_hand_contains_the_same_files_as_make(algorithm):
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] != "#"]
    assert lines[:4] == ["*", "!cytosuite", "!algorithms", "!weights"]
    own = [f"algorithms/{algorithm}", f"weights/{algorithm}"]
    copied, text = ["cytosuite", "algorithms/__init__.py", *own], (ROOT / "Dockerfile").read_text()
    for source in copied:
        assert f"COPY {source}".replace(algorithm, "${ALGORITHM}") in text
    files = {file for source in copied for file in visible_files(ROOT / source)}
    files = {file for file in files if "wheels" not in file.parts}  # that a build left here
    sent = {file for file in files if not _ignored(file.relative_to(ROOT).as_posix(), lines[4:])}
    assert sent == set(runtime_files(ROOT, algorithm))
