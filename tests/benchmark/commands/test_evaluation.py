"""Command ``evaluation``: files to upload, from simulated datasets and from folders."""

import json
import tarfile
from importlib.util import find_spec
from pathlib import Path

import pytest
from mistakes import refused

from cytosuite.benchmark.catalog.models import algorithms
from cytosuite.benchmark.catalog.places import ROOT
from cytosuite.benchmark.commands.evaluation import dataset_for, rehearse_command
from cytosuite.benchmark.commands.options.evaluation import RehearseOptions
from cytosuite.benchmark.engines.images.blueprints import image_tag
from cytosuite.benchmark.engines.images.build import Builder
from cytosuite.benchmark.submission.export import Submission, export
from cytosuite.contract.tasks import TASKS
from cytosuite.datasets.recipes import dataset_manifests
from cytosuite.files import read_json, write_text


@pytest.fixture
def folder(planes):
    """Return a folder of annotated images, one of them with a blank and a point in its name."""
    for path in [*planes.rglob("b.tif")]:
        path.rename(path.with_stem("b 1.2"))
    return planes


def test_a_folder_of_images(cli, folder, tmp_path, runs):
    out = tmp_path / "dist"
    assert cli("build-evaluation", folder, "--runs", runs, "--out", out).exit_code == 0
    assert {path.name for path in out.iterdir()} == {
        "planes-evaluation.md", "planes-ground-truth.tar.gz", "planes-inputs",
    }  # fmt: skip
    with tarfile.open(out / "planes-ground-truth.tar.gz") as archive:
        described = json.load(archive.extractfile("evaluation.json"))
        names = [name for name in archive.getnames() if name.endswith(".tif")]
    assert [case["image"] for case in described["cases"]] == ["a.tif", "b 1.2.tif", "c.tif"]
    assert all("/instance-labels/" in name for name in names)
    text = (out / "planes-evaluation.md").read_text()
    assert "`aggregates.SEG.mean`, desc" in text
    assert "`images/instance-labels`" in text
    # Its own files are replaced.
    assert cli("build-evaluation", folder, "--runs", runs, "--out", out).exit_code == 0


def test_another_folder_of_that_name_is_left_alone(cli, folder, tmp_path, runs):
    write_text(tmp_path / "dist/planes-inputs/mine.txt", "")
    refused(
        "planes-inputs: the folder is not empty",
        cli,
        "build-evaluation",
        folder,
        "--runs",
        runs,
        "--out",
        tmp_path / "dist",
    )


@pytest.mark.parametrize("name", sorted(algorithms()))
def test_the_usual_dataset_holds_all_inputs(name):
    manifest = algorithms()[name]
    dataset = dataset_manifests()[dataset_for(manifest)]
    offers = {*dataset.offers, *dataset.movies}
    needed = {s.slug for s in TASKS[manifest.task].inputs if not s.optional}
    assert needed | set(manifest.needs) <= offers


def test_an_input_that_no_dataset_offers_is_named():
    strange = algorithms()["watershed"].model_copy(update={"needs": ("x-ray",)})
    refused(r"no simulated dataset offers .*x-ray.*give DATASET=", dataset_for, strange)


@pytest.fixture
def rehearsed(client, base, runs, quiet):
    """Return a function that rehearses and gives the verdict, the lines and the record."""
    assert base
    Builder(client, ROOT).build("watershed")

    def run(**options):
        code = rehearse_command(
            RehearseOptions(engine="docker", runs=runs, cases=2, **options), quiet
        )
        (path,) = (runs / "rehearsals").iterdir()
        return code == 0, quiet.export_text(), read_json(path)

    return run


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.parametrize("api", ["invoke", pytest.param("exec", marks=pytest.mark.long)])
def test_an_algorithm_of_ours_passes(rehearsed, api):
    passed, lines, record = rehearsed(algorithm="watershed", api=api, profile="gc-cpu-8gb")
    assert passed, lines
    launched = find_spec("sagemaker_shim") is not None
    assert lines.count("  pass  ") == (9 if launched else 7)
    assert not launched or "two others (Time limit exceeded)" in lines
    assert record["passed"] is True
    assert record["api"] == api
    assert record["site"] == "gc-cpu-8gb"
    assert 0 < record["seconds"] < 60
    assert 0 < record["peak_gib"] < 1


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.parametrize("part", [{"frame": "0"}, {"recursive": True}, {"data_root": Path("a")}])
def test_the_part_of_a_folder_is_asked_of_the_dataset(rehearsed, part):
    line = "spheroid is simulated: it has one channel, one frame and no folders"
    refused(line, rehearsed, algorithm="watershed", dataset="spheroid", **part)


@pytest.mark.long
@pytest.mark.docker
@pytest.mark.slow
def test_an_archive_with_its_models_apart_needs_their_tarball(rehearsed, client, tmp_path):
    manifest = algorithms()["watershed"]
    dist = tmp_path / "dist"
    files = export(
        client, Submission(manifest, image_tag("watershed"), "exec", "apart"), ROOT, dist
    )
    archive = str(dist / files["image"]["file"])
    tarball = str(dist / files["models"]["file"])
    try:
        passed, lines, _ = rehearsed(algorithm=archive, task="segment", model=tarball)
        assert passed, lines
        assert "images of others get the sockets that they name" in lines
        passed, lines, _ = rehearsed(algorithm=archive, task="segment")
        assert not passed
        assert "no model card (*.json) in /opt/ml/model" in lines
    finally:
        client.images.remove(files["image"]["id"], force=True)
    assert Path(archive).is_file()


@pytest.mark.parametrize(
    "line, options",
    {
        "no algorithm called 'watershad'; did you mean 'watershed'?": {"algorithm": "watershad"},
        "no profile called 'gc-t4-16'; did you mean 'gc-t4-16gb'?": {"profile": "gc-t4-16"},
        "team:v1: give the TASK of an image of others: segment, detec": {"algorithm": "team:v1"},
        "a rehearsal runs containers; start Docker, or use ENGINE=podman": {"engine": "process"},
    }.items(),
)
def test_a_mistake_is_one_line(options, line, quiet):
    refused(line, rehearse_command, RehearseOptions(**{"algorithm": "watershed"} | options), quiet)
