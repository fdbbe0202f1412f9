"""The evaluation in its container, shut off as the platform runs it and more."""

import json
import re
import subprocess
import sys

import pytest

from cytosuite.benchmark.catalog import ROOT
from cytosuite.benchmark.containers.build import Builder
from cytosuite.benchmark.containers.images import evaluation_blueprint
from cytosuite.benchmark.containers.imports import follow
from cytosuite.benchmark.containers.locks import locked, providers

SHUT = {
    "network_mode": "none",
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "mem_limit": "2g",
    "tmpfs": {"/tmp": "size=512m"},
}


def test_the_packages_are_those_that_the_files_import():
    blueprint = evaluation_blueprint(ROOT)
    modules = [
        ".".join(("cytosuite", *parts) if parts[0] != "cytosuite" else parts).removesuffix(
            ".__init__"
        )
        for parts in (p.relative_to(ROOT).with_suffix("").parts for p in blueprint.files)
    ]
    there = locked([ROOT / "docker" / "requirements-slim.txt", blueprint.packages])
    optional = {"bioio"}  # for files of microscopes, which are never read here
    needed = follow(modules, ROOT / "cytosuite", later=True)
    assert {"numpy", "pandas", "numba"} <= set(needed)
    assert {m for m in needed if not providers(m) & there} == optional


def test_the_files_are_those_of_the_checkout_and_all_that_is_imported():
    files = evaluation_blueprint(ROOT).files
    names = {path.relative_to(ROOT).as_posix() for path in files}
    assert {
        "cytosuite/metrics/labels/ctc.py", "cytosuite/metrics/realism/edges.py",
        "benchmark/examine.py", "benchmark/submission/judging/evaluate.py", "cytosuite/__init__.py",
        "benchmark/__init__.py", "cytosuite/formats/__init__.py", "cytosuite/container.py",
    } <= names  # fmt: skip
    assert not any(
        name.startswith(("cytosuite/benchmark/", "algorithms", "tests")) for name in names
    )
    assert all(path.is_file() for path in files)


def test_the_program_starts_with_its_files_alone(tmp_path):
    for path in evaluation_blueprint(ROOT).files:
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    for room in ("benchmark", "datasets"):
        (tmp_path / "cytosuite" / room).symlink_to(f"../{room}")
    command = [sys.executable, "-P", "-m", "cytosuite.benchmark.submission.judging.evaluate"]
    where = ["--ground-truth", str(tmp_path / "none")]
    done = subprocess.run(
        [*command, *where], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True,
        text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == f"{tmp_path}/none/evaluation.json: no such file\n"


@pytest.fixture(scope="session")
def image(client, base):
    """Return the current image of the evaluation."""
    return Builder(client, ROOT).build_image(evaluation_blueprint(ROOT))


@pytest.fixture
def shut(client, image, segmented, tmp_path):
    """Return a function that runs a command in a container with submission and truth."""
    output = tmp_path / "out"
    output.mkdir()
    output.chmod(0o777)
    volumes = {
        str(segmented.submission): {"bind": "/input", "mode": "ro"},
        str(segmented.truth): {"bind": "/opt/ml/input/data/ground_truth", "mode": "ro"},
        str(output): {"bind": "/output", "mode": "rw"},
    }
    made = []

    def start(command):
        made.append(client.containers.run(image, command, volumes=volumes, detach=True, **SHUT))
        return made[-1], output / "metrics.json"

    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    yield start
    for container in made:
        container.remove(force=True)


@pytest.mark.docker
@pytest.mark.slow
def test_a_container_gives_the_scores_of_a_process(segmented, evaluated, shut):
    path = segmented.submission / "predictions.json"
    path.write_text(json.dumps(json.loads(path.read_text())[1:]))
    _, expected = evaluated(segmented.submission, segmented.truth)
    container, metrics = shut("exec")
    assert container.wait(timeout=120)["StatusCode"] == 0, container.logs()
    assert json.loads(metrics.read_text()) == expected
    (failed,) = expected["failed"]
    assert container.logs(stdout=False).decode().splitlines() == [
        f"warning: {failed['case']}: {failed['reason']}"
    ]


@pytest.mark.docker
@pytest.mark.slow
def test_a_server_evaluates_one_submission_after_another(segmented, evaluated, shut):
    _, expected = evaluated(segmented.submission, segmented.truth)
    container, metrics = shut("invoke")
    ask = ["python3", "-m", "cytosuite.client"]
    health, invoke = [*ask, "GET /health", "60", "10"], [*ask, "POST /invoke", "0", "0"]
    assert container.exec_run(health).exit_code == 0, container.logs()
    for _ in range(2):
        assert container.exec_run(invoke).exit_code == 0, container.logs()
        assert json.loads(metrics.read_text()) == expected
        metrics.unlink()
    (segmented.submission / "predictions.json").write_text("[")
    assert container.exec_run(invoke).exit_code == 2
    assert not metrics.exists()
    assert "predictions.json: expected JSON" in container.logs().decode().splitlines()[-1]


@pytest.mark.docker
@pytest.mark.slow
def test_what_the_platform_reads_of_the_image(client, image):
    config = client.images.get(image).attrs
    assert config["Architecture"] == "amd64"
    assert config["Config"]["User"] == "1000:1000"
    assert config["Config"]["Labels"]["org.grand-challenge.api-method"] == "exec"
    assert re.fullmatch(
        r"\d+\.\d+\.\d+", config["Config"]["Labels"]["org.opencontainers.image.version"]
    )
