import re

import pytest
from mistakes import refused

from cytosuite.benchmark.catalog.places import ROOT
from cytosuite.benchmark.engines.images.blueprints import algorithm_blueprint, base_layer
from cytosuite.benchmark.engines.images.build import dry_run

# Docker with BuildKit, which finds fault with the Dockerfile of algorithms, not with the bases'.
CHECKS = """#!/bin/sh
text=$(cat)
echo "$@" >> "$0.asked"
case "$text" in *ALGORITHM*) printf 'WARNING: JSONArgs\\033[31m' >&2; exit 1;; esac
"""
NO_CHECK = "#!/bin/sh\necho 'unknown flag: --check' >&2; exit 125\n"


@pytest.fixture
def said(tmp_path, monkeypatch):
    """Return a function that runs with a program in place of Docker, and returns its lines."""

    def run(program, *names, device="cuda", base_image=None):
        docker = tmp_path / "docker"
        docker.write_text(program)
        docker.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        lines = []
        dry_run(ROOT, names, device, base_image, lines.append)
        return lines

    return run


def test_bases_and_images_are_said_with_tags_files_and_digests(said):
    slim, cuda = (base_layer(ROOT, kind).tag(ROOT)[0] for kind in ("slim", "cuda"))
    images = [algorithm_blueprint(ROOT, name, "cuda") for name in ("watershed", "cellpose3d")]
    why = "cytosuite.algorithms.cellpose3d.network imports monai"
    about = [f"  {len(i.context(ROOT))} files, digest {i.digest(ROOT)[:12]}" for i in images]
    assert said(NO_CHECK, "watershed", "cellpose3d", base_image="own:image") == [
        f"{slim}: on own:image, packages of requirements-slim.txt",
        f"{cuda}: on {slim}, packages of requirements-cuda.txt",
        f"cytosuite/watershed:0.1.0-cuda: on {slim}, its imports need no more",
        about[0],
        f"cytosuite/cellpose3d:0.1.0-cuda: on {cuda}, {why}",
        about[1],
        "Dockerfiles are not checked: no builder answers `docker build --check`",
    ]


def test_the_builder_reads_each_dockerfile_once_and_its_complaint_ends_the_command(said, tmp_path):
    line = (
        f"{ROOT / 'Dockerfile'}: `docker build --check` finds mistakes: WARNING: JSONArgs\\x1b[31m"
    )
    refused(re.escape(line), said, CHECKS, "watershed", "spots", device="cpu")
    probe, base, image = (tmp_path / "docker.asked").read_text().splitlines()
    assert probe == "build --check -"
    assert "--build-arg=KIND=slim" in base
    slim = base_layer(ROOT, "slim").tag(ROOT)[0]
    assert image == f"build --check --build-arg=BASE={slim} --build-arg=ALGORITHM=watershed -"
