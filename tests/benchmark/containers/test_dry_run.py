import pytest

from cytosuite.benchmark.catalog.places import ROOT
from cytosuite.benchmark.containers.dry_run import dry_run
from cytosuite.benchmark.containers.images import algorithm_blueprint, base_layer
from cytosuite.errors import InputError

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
        try:
            dry_run(ROOT, names, device, base_image, lines.append)
        except InputError as error:
            return lines, str(error)
        return lines, ""

    return run


def test_bases_and_images_are_said_with_tags_files_and_digests(said):
    lines, error = said(NO_CHECK, "watershed", "cellpose3d", base_image="own:image")
    assert error == ""
    slim, cuda = (base_layer(ROOT, kind).tag(ROOT)[0] for kind in ("slim", "cuda"))
    why = "cytosuite.algorithms.cellpose3d.network imports monai"
    *rest, last = lines
    heads = [line.partition(", locks")[0] for line in rest if not line.startswith(" ")]
    assert heads == [
        f"{slim}: on own:image",
        f"{cuda}: on {slim}",
        f"cytosuite/watershed:0.1.0-cuda: on {slim}, its imports need no more",
        f"cytosuite/cellpose3d:0.1.0-cuda: on {cuda}, {why}",
    ]
    image = algorithm_blueprint(ROOT, "watershed", "cuda")
    files = f"  {len(image.context(ROOT))} files, "
    assert any(
        line.startswith(files) and line.endswith(f"digest {image.digest(ROOT)[:12]}")
        for line in rest
    )
    assert last == "Dockerfiles are not checked: no builder answers `docker build --check`"


def test_the_builder_reads_each_dockerfile_once_and_its_complaint_ends_the_command(said, tmp_path):
    lines, error = said(CHECKS, "watershed", "spots", device="cpu")
    assert error == f"{ROOT / 'Dockerfile'}: `docker build --check` finds mistakes, see above"
    assert lines[-1] == "  WARNING: JSONArgs\\x1b[31m"
    probe, base, image = (tmp_path / "docker.asked").read_text().splitlines()
    assert probe == "build --check -"
    assert "--build-arg KIND=slim" in base
    assert image == (
        f"build --check --build-arg BASE={base_layer(ROOT, 'slim').tag(ROOT)[0]} "
        "--build-arg ALGORITHM=watershed -"
    )
