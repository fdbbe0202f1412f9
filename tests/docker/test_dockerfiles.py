"""Properties of the Dockerfiles, read from their text: no daemon is needed."""

import re
import sys
from fnmatch import fnmatch

import pytest
from house import ROOT, printed, ran

from cytosuite.benchmark.catalog.models import algorithms
from cytosuite.benchmark.catalog.packages import runtime_files
from cytosuite.files import visible_files


def _instructions(name):
    text = (ROOT / name).read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines]


@pytest.mark.parametrize("name", ["Dockerfile", "docker/base.Dockerfile"])
def test_the_classic_builder_suffices_and_fetches_nothing(name):
    text = (ROOT / name).read_text()
    assert not re.search(r"--mount|<<|\$\{?(TARGET|BUILD)(ARCH|PLATFORM)|^# syntax", text)
    assert not re.search(r"GRAND_CHALLENGE_|LD_LIBRARY_PATH", text)  # the platform's own
    commands = " ".join(rest for word, rest in _instructions(name) if word in {"RUN", "ADD"})
    assert not re.search(r"https?://|\bapt(-get)?\b|\bcurl\b|\bwget\b", commands)
    assert all("--no-index" in part for part in re.findall(r"pip install[^;]*", commands))
    assert [rest for word, rest in _instructions(name) if word == "USER"][-1] == "1000:1000"


def _packages_step(folder):
    """Run the step of a base that compiles its packages, outside of it, up to the imports."""
    (step,) = [rest for word, rest in _instructions("docker/base.Dockerfile") if word == "RUN"]
    script = re.sub(r" +", " ", step).replace("/opt/python", str(folder))
    script = script.partition("sort |")[0].rpartition("find")[0].replace("python3", sys.executable)
    return ran("sh", "-c", script)


def test_another_version_of_a_package_replaces_that_of_the_layer_below(tmp_path):
    for version, file in (("0.9", "gone.py"), ("1.0", "new.py")):
        info = tmp_path / f"tiny-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Name: Tiny\nVersion: {version}\n")
        (info / "RECORD").write_text(
            f"tiny.py,,\n{file},,\n{info.name}/METADATA,,\n{info.name}/RECORD,,\n"
        )
        (tmp_path / file).touch()
    for name in ("tiny.py", "kept.py"):
        (tmp_path / name).touch()
    compiled = tmp_path / "__pycache__"
    compiled.mkdir()
    for name in ("tiny", "kept"):
        (compiled / f"{name}.cpython-311.pyc").touch()
    (tmp_path / "replaced.txt").write_text("tiny==0.9\n")
    printed(_packages_step(tmp_path))
    there = {path.name for path in tmp_path.iterdir()}
    assert there == {"kept.py", "tiny.py", "new.py", "tiny-1.0.dist-info", "__pycache__"}
    assert [path.name for path in compiled.iterdir()] == ["kept.cpython-311.pyc"]


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
    text = (ROOT / "Dockerfile").read_text()
    for source in ("cytosuite/", "algorithms/", "weights/${ALGORITHM}/"):
        assert f"COPY {source} " in text
    inside = [f"algorithms/{name}" for name in (algorithm, *algorithms()[algorithm].uses)]
    copied = ["cytosuite", "algorithms/__init__.py", *inside, f"weights/{algorithm}"]
    files = {file for source in copied for file in visible_files(ROOT / source)}
    sent = {file for file in files if not _ignored(file.relative_to(ROOT).as_posix(), lines[4:])}
    assert sent == set(runtime_files(ROOT, algorithm))
