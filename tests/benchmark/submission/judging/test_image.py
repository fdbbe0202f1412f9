"""The evaluation in its container, shut off as the platform runs it and more."""

import pytest

from cytosuite.benchmark.catalog.packages import follow, locked, providers
from cytosuite.benchmark.catalog.places import ROOT
from cytosuite.benchmark.engines.images.blueprints import evaluation_blueprint
from cytosuite.benchmark.engines.images.build import Builder
from cytosuite.files import read_json

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
    there = locked([ROOT / "docker/requirements-slim.txt", blueprint.packages])
    optional = {"bioio", "roifile"}  # files of microscopes and of ImageJ are never read here
    needed = follow(modules, ROOT / "cytosuite", later=True)
    assert {"numpy", "pandas", "numba"} <= set(needed)
    assert {m for m in needed if not providers(m) & there} == optional


@pytest.fixture
def shut(client, base, segmented, tmp_path):
    """Return a function that runs a command in a container with submission and truth."""
    image = Builder(client, ROOT).build_image(evaluation_blueprint(ROOT))
    output = tmp_path / "out"
    output.mkdir()
    output.chmod(0o777)
    volumes = {
        str(segmented.submission): {"bind": "/input", "mode": "ro"},
        str(segmented.truth): {"bind": "/opt/ml/input/data/ground_truth", "mode": "ro"},
        str(output): {"bind": "/output", "mode": "rw"},
    }
    containers = []

    def start(command):
        containers.append(
            client.containers.run(image, command, volumes=volumes, detach=True, **SHUT)
        )
        return containers[-1], output / "metrics.json"

    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    yield start
    for container in containers:
        container.remove(force=True)


@pytest.mark.docker
@pytest.mark.slow
def test_a_server_evaluates_one_submission_after_another(segmented, evaluated, shut):
    _, expected = evaluated(segmented)
    container, metrics = shut("invoke")
    ask = ["python3", "-m", "cytosuite.contract.client"]
    health = [*ask, "GET /health", "60", "10"]
    invoke = [*ask, "POST /invoke", "0", "0"]
    assert container.exec_run(health).exit_code == 0, container.logs()
    for _ in range(2):
        assert container.exec_run(invoke).exit_code == 0, container.logs()
        assert read_json(metrics) == expected
        metrics.unlink()
    (segmented.submission / "predictions.json").write_text("[")
    assert container.exec_run(invoke).exit_code == 2
    assert not metrics.exists()
    assert "predictions.json: expected JSON" in container.logs().decode().splitlines()[-1]
