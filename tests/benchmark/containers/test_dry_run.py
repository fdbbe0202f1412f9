import shutil

import pytest

from cytosuite.benchmark.catalog.catalog import ROOT
from cytosuite.benchmark.containers.dry_run import dry_run
from cytosuite.benchmark.containers.images import base_layer
from cytosuite.errors import InputError

WHEELS = """
import sys
print("Would install 1 package")
print(" + numpy==1")
"""
LOST = """
import sys
sys.stderr.write("lock.txt: no numpy\\x1b[31m")
sys.exit(1)
"""


@pytest.fixture
def root(tmp_path):
    """Return a checkout with a program in place of that which asks the package index."""
    for name in ("cytosuite", "algorithms", "weights"):
        shutil.copytree(
            ROOT / name,
            tmp_path / name,
            symlinks=True,
            ignore=shutil.ignore_patterns("__pycache__", "training"),
        )
    (tmp_path / "docker").mkdir()
    for path in [*(ROOT / "docker").glob("requirements-*"), ROOT / "docker/base.Dockerfile"]:
        shutil.copy(path, tmp_path / "docker")
    shutil.copy(ROOT / "Dockerfile", tmp_path)
    (tmp_path / "docker" / "packages.py").write_text(WHEELS)
    return tmp_path


def said(root, *names, device="cuda", base_image=None):
    """Return all lines, and the error at the end."""
    lines = []
    try:
        dry_run(root, names, device, base_image, lines.append)
    except InputError as error:
        return lines, str(error)
    return lines, ""


def test_bases_and_images_are_said_with_tags_files_and_wheels(root):
    lines, error = said(root, "watershed", "cellpose3d", base_image="own:image")
    assert error == ""
    slim, cuda = (base_layer(root, kind).tag(root)[0] for kind in ("slim", "cuda"))
    heads = [line for line in lines if not line.startswith(" ")]
    why = "cytosuite.algorithms.cellpose3d.network imports monai"
    assert heads == [
        f"{slim}: on own:image",
        f"{cuda}: on {slim}",
        f"cytosuite/watershed:0.1.0-cuda: on {slim}, its imports need no more",
        f"cytosuite/cellpose3d:0.1.0-cuda: on {cuda}, {why}",
    ]
    assert lines.count("  numpy==1") == 2
    assert lines.count("  Dockerfile: 21 instructions, 0 mistakes") == 2
    assert not [line for line in lines if "mistake:" in line]


def test_mistakes_are_counted_and_end_the_command(root):
    (root / "docker" / "packages.py").write_text(LOST)
    with (root / "Dockerfile").open("a") as sink:
        sink.write("COPY missing/ /opt/\nRUN if\n")
    lines, error = said(root, "watershed")
    assert error == "the build would fail; mistakes, see above: 3"
    number = (root / "Dockerfile").read_text().count("\n") - 1
    lost, first, second = [line for line in lines if "mistake:" in line]
    assert lost == "  mistake: lock.txt: no numpy\\x1b[31m"
    assert first == (f"  mistake: Dockerfile, line {number}: missing/ is not in the build context")
    assert second.startswith(f"  mistake: Dockerfile, line {number + 1}: RUN: ")


def test_an_algorithm_with_packages_of_its_own_has_their_wheels(root):
    (root / "algorithms" / "watershed" / "requirements.txt").write_text("tiny==1.0\n")
    asked = root / "asked"
    (root / "docker" / "packages.py").write_text(
        f"import sys; open({str(asked)!r}, 'a').write(' '.join(sys.argv[1:]) + chr(10))"
    )
    _, error = said(root, "watershed")
    assert error == ""
    slim, own = asked.read_text().splitlines()
    lock = f"{root}/docker/requirements-slim.txt"
    assert slim == f"{lock} --check"
    assert own == f"{root}/algorithms/watershed/requirements.txt --check --below {lock}"
