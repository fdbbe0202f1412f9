"""The wheel: its files, and its commands outside of a checkout beside another package called datasets."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import house
import pytest

from cytosuite.files import visible_files

pytest.importorskip("setuptools")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("algorithms", "benchmark", "datasets", "weights")
ELSEWHERE = {"Dockerfile", "variables.mk"}  # of a checkout: containers, and make
LEFT_OUT = shutil.ignore_patterns("kernels", "__pycache__", "*.part")


def _pip(*words, **options):
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *words]
    return subprocess.run(
        list(map(str, command)), check=True, capture_output=True, timeout=300, **options
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Return the wheel of a copy of this checkout."""
    copy = tmp_path_factory.mktemp("checkout")
    for room in ("cytosuite", *ROOMS):
        shutil.copytree(ROOT / room, copy / room, symlinks=True, ignore=LEFT_OUT)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    # As a user's own build: caches and old results lie about, and stay behind.
    (copy / "algorithms/watershed/kernels").mkdir()
    (copy / "algorithms/watershed/kernels/index.json").write_text("{}")
    out = tmp_path_factory.mktemp("dist")
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", out, copy)
    (path,) = out.glob("cytosuite-*.whl")
    return path


@pytest.fixture(scope="module")
def site(wheel, tmp_path_factory):
    """Return a folder with the wheel installed, and somebody else's packages."""
    folder = tmp_path_factory.mktemp("site")
    _pip("install", "--no-deps", "--target", folder, wheel)
    for name in ROOMS:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("OWNER = 'somebody else'\n")
    return folder


@pytest.fixture(scope="module")
def command(site, tmp_path_factory):
    """Return a function that runs the installed program in an empty folder, and this folder."""
    away = tmp_path_factory.mktemp("away")

    def command(*words, **more):
        more = {"PYTHONPATH": str(site), "XDG_CACHE_HOME": f"{away}/cache"} | more
        return house.ran(sys.executable, site / "bin" / "cytosuite", *words, cwd=away, **more)

    return command, away


def test_the_wheel_holds_every_file_of_the_rooms_and_no_other(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    ours = {name for name in names if name.startswith("cytosuite/")}
    assert {name.split("/")[0] for name in names - ours} == {
        wheel.stem.rsplit("-", 3)[0] + ".dist-info"
    }
    wanted = {path.relative_to(ROOT / "cytosuite") for path in visible_files(ROOT / "cytosuite")}
    kept = {path for path in wanted if not {"kernels", "wheels", *ELSEWHERE} & set(path.parts)}
    assert ours == {f"cytosuite/{path.as_posix()}" for path in kept}
    assert "cytosuite/py.typed" in ours
    assert any(name.endswith(".safetensors") for name in ours)


def test_other_packages_called_like_our_rooms_stay_what_they_are(site):
    code = "import datasets, benchmark, algorithms, weights, cytosuite.datasets.sample, cytosuite.benchmark\n"
    code += "assert {m.OWNER for m in (datasets, benchmark, algorithms, weights)} == {'somebody else'}\n"
    code += "import cytosuite; print(cytosuite.__file__)"
    done = house.ran(sys.executable, "-c", code, cwd=site.parent, PYTHONPATH=str(site))
    assert done.stdout.strip() == str(site / "cytosuite" / "__init__.py")


@pytest.mark.long
def test_simulate_segment_and_score_work_outside_of_a_checkout(command, site):
    run, away = command
    before = set(visible_files(site))
    small = "image.shape=[16,64,64] tissue.n_nuclei=4"
    words = ("spheroid", "--size", "mini", "--cases", 1, "--set", small, "--out", "data")
    done = run("simulate", *words)
    assert done.returncode == 0, done.stderr
    assert (away / "runs" / "datasets").is_dir()
    done = run("segment", "data/images", "--out", "labels", "--algorithm", "watershed")
    assert done.returncode == 0, done.stderr
    assert "an installed package, containers are built from a checkout" in done.stdout
    assert json.loads((away / "labels" / "spheroid_01.json").read_text())["objects"] >= 3
    done = run("score", "--truth", "data/labels", "--prediction", "labels", "--json", "-")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["case"]["spheroid_01"]["DET"] > 0.7
    assert set(visible_files(site)) == before
    assert not list(site.rglob("*.nbi")), "numba's loops belong into the cache of the user"
    assert list((away / "cache").rglob("*.nbi"))


def test_version_and_completion(command):
    run, _ = command
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", run("--version").stdout)
    typed = {"COMP_WORDS": "cytosuite sim", "COMP_CWORD": "1"}
    assert "simulate" in run(_CYTOSUITE_COMPLETE="complete_bash", **typed).stdout
    assert "--install-completion" in run("--help").stdout


@pytest.mark.parametrize(
    ("words", "need"),
    [
        (["build"], "a build of containers"),
        (["benchmark", "spheroid", "--engine", "docker"], "ENGINE=docker"),
    ],
)
def test_containers_are_refused_in_one_line(command, words, need):
    done = command[0](*words)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert f"{need} needs a checkout of the repository" in line
