"""The platform's own test scripts, made by `grand-challenge-forge`, run what is handed in.

Only their build is replaced; ``--gpus all`` and ``--quiet`` need a GPU and a recent client.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cytosuite.apply import apply
from cytosuite.benchmark.catalog.catalog import ROOT, algorithms
from cytosuite.benchmark.cluster.processes import processes
from cytosuite.benchmark.containers.build import Builder
from cytosuite.benchmark.containers.images import evaluation_blueprint, image_tag
from cytosuite.benchmark.data.dataset import prepare
from cytosuite.benchmark.data.recipe import DataRequest, recipe
from cytosuite.benchmark.submission.checks.preflight import preflight
from cytosuite.benchmark.submission.export import Wanted, export
from cytosuite.contract.tasks import TASKS
from cytosuite.formats import read

PHASE, SLUG = "phase-1", "cells"
SEGMENT = TASKS["segment"]
FORGE = Path(sys.executable).with_name("grand-challenge-forge")
pytestmark = [pytest.mark.docker, pytest.mark.slow]


def declared(socket):
    """Return a socket as an organiser declares it."""
    kind = ("Anything", "Value") if socket.is_json else ("Image", "Image")
    place = {"slug": socket.slug, "relative_path": socket.relative_path}
    return {**place, "kind": kind[0], "super_kind": kind[1]}


@pytest.fixture
def pack(tmp_path):
    """Return the folder of a phase in a new challenge pack."""
    if not FORGE.is_file() or not shutil.which("docker"):
        pytest.skip("needs grand-challenge-forge (make peers) and the program docker")
    archive = {"slug": "images", "url": "https://challenge.example/archive"}
    sockets = {"inputs": SEGMENT.inputs, "outputs": SEGMENT.outputs}
    phase = {
        "slug": PHASE,
        "archive": archive,
        "algorithm_interfaces": [{k: [*map(declared, v)] for k, v in sockets.items()}],
        "evaluation_additional_inputs": [],
        "evaluation_additional_outputs": [],
    }
    url = "https://challenge.example"
    context = {"challenge": {"slug": SLUG, "url": url, "archives": [archive], "phases": [phase]}}
    command = [str(FORGE), "pack", json.dumps(context), "-o", str(tmp_path / "pack")]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    for folder in (tmp_path, *tmp_path.parents[:2]):  # containers run as another user
        folder.chmod(0o755)
    return tmp_path / "pack" / f"{SLUG}-challenge-pack" / PHASE


def run_script(folder):
    """Run the test script of a part of the pack, with the image that its tag names."""
    (folder / "do_build.sh").write_text(
        f'DOCKER_IMAGE_TAG="{folder.name.removesuffix("-method")}-{PHASE}"\n'
    )
    script = folder / "do_test_run.sh"
    lines = script.read_text().splitlines(keepends=True)
    kept = [line for line in lines if not line.strip().startswith(("--gpus", "--quiet"))]
    assert len(kept) < len(lines)
    script.write_text("".join(kept))
    done = subprocess.run(
        ["bash", str(script)],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def tagged(client):
    """Return a function that gives an image the tag of a script, which goes with the test."""
    tags = []

    def tag(image, name):
        assert client.images.get(image).tag(name)
        tags.append(name)

    yield tag
    for name in tags:
        client.images.remove(name, noprune=True)


def test_the_pack_runs_the_exported_algorithm(client, base, pack, tagged, tmp_path):
    assert base
    manifest, tag = algorithms()["watershed"], image_tag("watershed")
    Builder(client, ROOT).build("watershed")
    made = export(client, Wanted(manifest, tag, "exec"), ROOT, tmp_path / "dist")
    archive = tmp_path / "dist" / made["image"]["file"]
    assert not [found for found in preflight(archive) if found.severity == "error"]
    with archive.open("rb") as stream:
        client.images.load(stream)
    tagged(made["image"]["id"], f"example-algorithm-{PHASE}")
    made = recipe(DataRequest("spheroid", "mini", cases=1))
    (case,) = prepare(made, tmp_path / "data", processes(1), lambda *_: None).cases
    part = pack / "example-algorithm"
    given = part / "test" / "input" / "interf0"
    shutil.rmtree(given)
    shutil.copytree(case.input(SEGMENT), given)
    run_script(part)
    (found,) = (part / "test" / "output" / "interf0" / "images" / "instance-labels").iterdir()
    expected = apply("watershed", read(case.main(SEGMENT)))["instance-labels"]
    assert np.array_equal(read(found).array, expected.array)
    assert expected.array.max() > 5


def test_the_pack_runs_the_evaluation(client, base, pack, tagged, segmented, evaluated):
    assert base
    tagged(
        Builder(client, ROOT).build_image(evaluation_blueprint(ROOT)), f"example-evaluation-{PHASE}"
    )
    part = pack / "example-evaluation-method"
    for source, target in (
        (segmented.submission, part / "test" / "input"),
        (segmented.truth, part / "ground_truth"),
    ):
        shutil.rmtree(target)
        shutil.copytree(source, target)
    run_script(part)
    _, expected = evaluated(segmented.submission, segmented.truth)
    found = json.loads((part / "test" / "output" / "metrics.json").read_text())
    assert found == expected
    assert found["aggregates"]["SEG"]["mean"] == 1
