"""The command that rehearses a submission: its choices, its refusals, and real containers."""

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from cytosuite.benchmark.catalog import ROOT, algorithms, dataset_manifests
from cytosuite.benchmark.commands.challenge import RehearseOptions
from cytosuite.benchmark.commands.rehearse import dataset_for, rehearse
from cytosuite.benchmark.containers.build import Builder
from cytosuite.benchmark.containers.images import image_tag
from cytosuite.benchmark.submission.export import Wanted, export
from cytosuite.errors import InputError
from cytosuite.tasks import TASKS


def _unknown_algorithm():
    """no algorithm called 'watershad'; did you mean 'watershed'?"""
    return RehearseOptions(algorithm="watershad")


def _unknown_profile():
    """no profile called 'gc-t4-16'; did you mean 'gc-t4-16gb'?"""
    return RehearseOptions(algorithm="watershed", profile="gc-t4-16")


def _image_without_task():
    """team:v1: give the TASK of an image of others: segment, enhance, synthesise, fuse"""
    return RehearseOptions(algorithm="team:v1")


def _plain_processes():
    """a rehearsal runs containers; start Docker, or use ENGINE=podman"""
    return RehearseOptions(algorithm="watershed", engine="process")


def _tarball_for_our_image():
    """m.tar.gz: a tarball is for images of others; give a model card (.json)"""
    return RehearseOptions(algorithm="watershed", model="m.tar.gz")


@pytest.mark.parametrize(
    "mistake",
    [
        _unknown_algorithm,
        _unknown_profile,
        _image_without_task,
        _plain_processes,
        _tarball_for_our_image,
    ],
)
def test_a_mistake_is_one_line(mistake):
    with pytest.raises(InputError) as refusal:
        rehearse(mistake(), Console(file=StringIO()))
    assert str(refusal.value) == mistake.__doc__


@pytest.mark.parametrize(
    ("name", "dataset"),
    [("watershed", "spheroid"), ("cellpose3d", "spheroid"), ("view_fusion", "views")],
)
def test_the_usual_dataset_is_of_the_algorithms_task(name, dataset):
    assert dataset_for(algorithms()[name]) == dataset


@pytest.mark.parametrize("name", sorted(algorithms()))
def test_the_usual_dataset_holds_all_inputs(name):
    manifest = algorithms()[name]
    offers = set(dataset_manifests()[dataset_for(manifest)].offers)
    needed = {s.slug for s in TASKS[manifest.task].inputs if not s.optional}
    assert needed | set(manifest.needs) <= offers


def test_an_input_that_no_dataset_offers_is_named():
    strange = algorithms()["watershed"].model_copy(update={"needs": ("x-ray",)})
    with pytest.raises(InputError, match=r"no simulated dataset offers .*x-ray.*give DATASET="):
        dataset_for(strange)


@pytest.fixture
def rehearsed(client, base, tmp_path):
    """Return a function that rehearses and gives the verdict, the lines and the record."""
    assert base
    Builder(client, ROOT).build("watershed")

    def run(**options):
        screen = StringIO()
        made = RehearseOptions(engine="docker", runs=tmp_path / "runs", cases=2, **options)
        passed = rehearse(made, Console(file=screen, width=200))
        (path,) = (tmp_path / "runs" / "rehearsals").iterdir()
        return passed, screen.getvalue(), json.loads(path.read_text())

    return run


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.parametrize("api", ["invoke", "exec"])
def test_an_algorithm_of_ours_passes(rehearsed, api):
    passed, lines, record = rehearsed(algorithm="watershed", api=api, profile="gc-cpu-8gb")
    assert passed, lines
    assert lines.count("  pass  ") == 7
    assert record["passed"] is True
    assert record["api"] == api
    assert record["site"] == "gc-cpu-8gb"
    assert 0 < record["seconds"] < 60
    assert 0 < record["peak_gib"] < 1


@pytest.mark.docker
@pytest.mark.slow
def test_too_little_time_fails(rehearsed):
    passed, lines, record = rehearsed(algorithm="watershed", api="exec", timeout=0.2)
    assert not passed
    assert "time-out: time limit of 0.2 s exceeded" in lines
    assert record["passed"] is False


@pytest.mark.long
@pytest.mark.docker
@pytest.mark.slow
def test_an_archive_with_its_models_apart_needs_their_tarball(rehearsed, client, tmp_path):
    manifest, dist = algorithms()["watershed"], tmp_path / "dist"
    made = export(client, Wanted(manifest, image_tag("watershed"), "exec", "apart"), ROOT, dist)
    archive = str(dist / made["image"]["file"])
    tarball = str(dist / made["models"]["file"])
    try:
        passed, lines, _ = rehearsed(algorithm=archive, task="segment", model=tarball)
        assert passed, lines
        assert "images of others get the sockets that they name" in lines
        passed, lines, _ = rehearsed(algorithm=archive, task="segment")
        assert not passed
        assert "no model card (*.json) in /opt/ml/model" in lines
    finally:
        client.images.remove(made["image"]["id"], force=True)
    assert Path(archive).is_file()
