"""A bundle for CodaBench, unpacked and scored as its workers do it, without their container."""

import os
import subprocess
import sys
from shutil import copyfile
from zipfile import ZipFile

import pytest
import toys
from mistakes import refused

from cytosuite.benchmark.catalog.places import ROOT
from cytosuite.benchmark.engines.images.blueprints import evaluation_blueprint
from cytosuite.benchmark.scores.score import score
from cytosuite.benchmark.submission.judging import codabench
from cytosuite.benchmark.submission.judging.codabench import answers_in
from cytosuite.benchmark.submission.judging.evaluation import read_evaluation
from cytosuite.benchmark.submission.judging.ground_truth import (
    PROGRAM,
    ground_truth,
    write_bundle,
    write_inputs,
)
from cytosuite.contract.tasks import TASKS
from cytosuite.files import read_json

PLACE = "output/images/instance-labels/output.tif"


@pytest.fixture
def worker(dataset_of, tmp_path):
    """Return a dataset, and the folder in which a worker has unpacked its bundle as /app."""
    dataset = dataset_of(microscopy_image=toys.image, instance_labels=toys.labels)
    task = TASKS["segment"]
    write_inputs(dataset, task, tmp_path / "inputs")
    bundle = tmp_path / "dist/own.zip"
    app = tmp_path / "app"
    bundle.parent.mkdir()
    write_bundle(ground_truth(dataset, task), tmp_path / "inputs", "registry/judge", bundle)
    with ZipFile(bundle) as archive:
        archive.extractall(tmp_path / "bundle")
    for name, place in {"program": "program", "reference": "input/ref"}.items():
        with ZipFile(tmp_path / f"bundle/{name}.zip") as archive:
            archive.extractall(app / place)
    (app / "input/res/instance-labels").mkdir(parents=True)
    return dataset, app


def test_the_program_gives_the_scores_of_the_benchmark(worker, answers):
    dataset, app = worker
    job, *_ = answers(dataset, TASKS["segment"], PLACE, mine=lambda _: toys.labels(1))
    for case in ("c0", "c2"):  # c1 is missing
        copyfile(job.folder / case / PLACE, app / f"input/res/instance-labels/{case}.tif")
    module = read_json(app / "program/metadata.yaml")["command"].split()[2]
    done = subprocess.run(
        [sys.executable, "-m", module, app / "input", app / "output"],
        cwd=app / "program", env={"NUMBA_DISABLE_JIT": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    scores = read_json(app / "output/scores.json")
    table = score(dataset, TASKS["segment"], [job]).table
    rows = table[(table["algorithm"] == "mine") & (table["case"] != "c1")]
    for metric, value in scores.items():
        # the worst value is 0
        assert value == pytest.approx(rows[rows["metric"] == metric]["value"].sum() / 3, abs=6e-4)
    assert set(scores) == {"SEG", "DET"}
    assert "<td>c1.tif</td>" in (app / "output/detailed_results.html").read_text()


def test_the_competition_names_files_of_the_bundle_and_keys_of_the_scores(worker, tmp_path):
    described = read_json(tmp_path / "bundle/competition.yaml")
    assert described["version"] == 2
    assert described["docker_image"] == "registry/judge"
    (task,), (phase,), (board,) = (described[key] for key in ("tasks", "phases", "leaderboards"))
    assert phase["tasks"] == [task["index"]]
    places = [
        described["image"],
        described["terms"],
        described["pages"][0]["file"],
        task["reference_data"],
        task["scoring_program"],
        phase["public_data"],
    ]
    there = {path.name: path.stat().st_size for path in (tmp_path / "bundle").iterdir()}
    assert all(there[place] for place in places)
    assert {column["key"]: column["sorting"] for column in board["columns"]} == {
        "SEG": "desc",
        "DET": "desc",
    }
    with ZipFile(tmp_path / "bundle/inputs.zip") as archive:
        assert not [name for name in archive.namelist() if "labels" in name]
    assert PROGRAM.endswith("/app/input /app/output")


def test_the_page_starts_from_the_tag_that_is_built():
    assert f"\nFROM {evaluation_blueprint(ROOT).tag}\n" in (ROOT / "docs/organise.md").read_text()


def test_a_link_to_the_truth_is_no_answer(worker):
    _, app = worker
    res = app / "input/res"
    evaluation = read_evaluation(app / "input/ref")
    truth = app / "input/ref/cases/c0/sockets/images/instance-labels"
    (res / "instance-labels/c0.tif").symlink_to(next(truth.iterdir()))
    copyfile(next(truth.iterdir()), res / "instance-labels/c1.tif")
    os.mkfifo(res / "instance-labels/c2.tif")
    assert list(answers_in(res, evaluation)) == ["c1"]
    os.truncate(res / "instance-labels/c1.tif", 2**40)  # holes are bytes of a copy
    assert answers_in(res, evaluation)["c1"] == ({}, "Refused: instance-labels is too large")
    (res / "instance-labels").rename(res / "aside")
    (res / "instance-labels").symlink_to(truth)
    assert not answers_in(res, evaluation)
    refused(
        "at the top of the zip, found aside/c0.tif, aside/c1.tif",
        codabench.score,
        app / "input",
        app,
    )


def test_a_set_without_a_value_is_a_line_and_the_reasons_are_written(worker):
    _, app = worker
    (app / "input/res/instance-labels/c1.tif").touch()
    path = app / "input/ref/evaluation.json"
    path.write_text(path.read_text().replace("aggregates.SEG.mean", "aggregates.SEG.set"))
    refused("each case: c0.tif: missing output", codabench.score, app / "input", app / "output")
    written = {path.name for path in (app / "output").iterdir()}
    assert written == {"cases.csv", "detailed_results.html", "metrics.json"}
