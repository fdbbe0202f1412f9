"""The wheel from the sdist: its files, its commands outside of a checkout beside another package called datasets."""

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import house
import pytest
from house import ROOT

from cytosuite.files import read_json, visible_files

pytest.importorskip("setuptools")
pytestmark = pytest.mark.slow

ROOMS = ("algorithms", "benchmark", "datasets", "weights")
ELSEWHERE = {"Dockerfile", "pyproject.toml"}  # of a checkout alone
WEIGHTS = {path.relative_to(ROOT / "weights") for path in ROOT.glob("weights/*/*.safetensors")}
PAGES = ("CHANGELOG.md", "CITATION.cff", "README.md")
LEFT_OUT = shutil.ignore_patterns("kernels", "__pycache__", "*.part")


def _pip(*words, **options):
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *words]
    return subprocess.run(
        list(map(str, command)), check=True, capture_output=True, timeout=1800, **options
    )


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """Return the sdist of a copy of this checkout."""
    copy = tmp_path_factory.mktemp("checkout")
    for room in ("cytosuite", *ROOMS):
        shutil.copytree(ROOT / room, copy / room, symlinks=True, ignore=LEFT_OUT)
    for name in (*PAGES, "LICENSE", "MANIFEST.in", "pyproject.toml", "setup.py"):
        shutil.copy(ROOT / name, copy)
    # As a user's own build: caches and old results lie about, and stay behind.
    (copy / "algorithms/watershed/kernels").mkdir()
    (copy / "algorithms/watershed/kernels/index.json").write_text("{}")
    (copy / "tests").mkdir()
    (copy / "tests/test_wheel.py").touch()
    out = tmp_path_factory.mktemp("dist")
    program = f"import setuptools.build_meta as b; b.build_sdist({str(out)!r})"
    subprocess.run([sys.executable, "-c", program], cwd=copy, check=True, capture_output=True)
    (path,) = out.glob("cytosuite-*.tar.gz")
    return path


@pytest.fixture(scope="module")
def wheel(sdist):
    """Return the wheel that pip builds from the sdist."""
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", sdist.parent, sdist)
    (path,) = sdist.parent.glob("cytosuite-*.whl")
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
        return house.ran(sys.executable, site / "bin/cytosuite", *words, cwd=away, **more)

    return command, away


def test_the_wheel_holds_every_file_of_the_rooms_and_no_other(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    ours = {name for name in names if name.startswith("cytosuite/")}
    assert {name.split("/")[0] for name in names - ours} == {
        wheel.stem.rsplit("-", 3)[0] + ".dist-info"
    }
    paths = {path.relative_to(ROOT / "cytosuite") for path in visible_files(ROOT / "cytosuite")}
    paths -= {Path("weights", path) for path in WEIGHTS}
    shipped = {path for path in paths if not {"kernels", *ELSEWHERE} & set(path.parts)}
    assert ours == {f"cytosuite/{path.as_posix()}" for path in shipped}
    assert "cytosuite/py.typed" in ours
    assert wheel.stat().st_size < 30e6


OPENED = """
from pathlib import Path
import cytosuite
from cytosuite.contract.weights import open_model, read_cards
for folder in sorted(Path(cytosuite.__file__).parent.glob("weights/*/")):
    for card in read_cards(folder, folder.name):
        open_model(folder, card)
"""


def test_weights_are_a_wheel_of_their_own_and_their_lack_is_named(site, tmp_path):
    done = house.ran(sys.executable, "-c", OPENED, cwd=tmp_path, PYTHONPATH=str(site))
    assert re.search(r"are missing: .* pip install .*cytosuite", done.stderr)
    shutil.copytree(ROOT / "weights", tmp_path / "weights")  # a build writes beside its sources
    _pip(
        "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path, tmp_path / "weights"
    )
    (models,) = tmp_path.glob("cytosuite_models-*.whl")
    names = {name for name in zipfile.ZipFile(models).namelist() if "dist-info" not in name}
    assert names == {f"cytosuite_models/{path.as_posix()}" for path in WEIGHTS}
    _pip("install", "--no-deps", "--target", tmp_path / "more", models)
    both = f"{site}:{tmp_path / 'more'}"
    house.printed(house.ran(sys.executable, "-c", OPENED, cwd=tmp_path, PYTHONPATH=both))


def test_the_sdist_holds_the_files_of_the_wheel_its_pages_and_no_tests(sdist, wheel):
    with tarfile.open(sdist) as archive:
        files = [Path(*Path(one.name).parts[1:]) for one in archive if one.isfile()]
        assert not [one for one in archive if one.issym() or one.islnk()], "rooms are folders"
    ours = {path.as_posix() for path in files if path.parts[0] == "cytosuite"}
    assert ours == {name for name in zipfile.ZipFile(wheel).namelist() if "dist-info" not in name}
    assert {path.parts[0] for path in files} == {
        "LICENSE", "MANIFEST.in", "PKG-INFO", "pyproject.toml", "setup.cfg", "setup.py", *PAGES,
        "cytosuite", "cytosuite.egg-info",
    }  # fmt: skip


def test_other_packages_called_like_our_rooms_stay_what_they_are(site):
    code = "import datasets, benchmark, algorithms, weights, cytosuite.datasets.sample, cytosuite.benchmark\n"
    code += "assert {m.OWNER for m in (datasets, benchmark, algorithms, weights)} == {'somebody else'}\n"
    code += "import cytosuite; print(cytosuite.__file__)"
    done = house.ran(sys.executable, "-c", code, cwd=site.parent, PYTHONPATH=str(site))
    assert done.stdout.strip() == str(site / "cytosuite/__init__.py")


@pytest.mark.long
def test_simulate_and_segment_write_nothing_into_the_package(command, site):
    run, away = command
    before = set(visible_files(site))
    small = "image.shape=[16,64,64] tissue.n_nuclei=4"
    house.printed(
        run("simulate", "spheroid", "--size", "mini", "--cases", 1, "--set", small, "--out", "data")
    )
    assert (away / "runs/datasets").is_dir()
    done = run("segment", "data/images", "--out", "labels", "--algorithm", "watershed")
    assert "an installed package, containers are built from a checkout" in house.printed(done)
    assert read_json(away / "labels/spheroid_01.json")["objects"] >= 3
    assert set(visible_files(site)) == before
    assert not list(site.rglob("*.nbi")), "numba's loops belong into the cache of the user"
    assert list((away / "cache").rglob("*.nbi"))


def test_version_and_completion(command):
    run, _ = command
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", run("--version").stdout)
    done = run(_CYTOSUITE_COMPLETE="complete_bash", COMP_WORDS="cytosuite sim", COMP_CWORD="1")
    assert "simulate" in done.stdout
    assert "--install-completion" in run("--help").stdout
