"""Runs as layers: the cases of a run, the worst first, and errors by class as in its report."""

from dataclasses import replace

import numpy as np
import pytest
from mistakes import refused

from cytosuite.benchmark.runs.store.integrity import seal
from cytosuite.files import write_json
from cytosuite.formats import read, write
from cytosuite.napari.runs import errors, open_run, run_layers, run_of
from cytosuite.volume import Volume

SPACING = (2.0, 0.5, 0.5)


def test_the_worst_case_comes_first(run):
    opened = open_run(run)
    assert [opened.title(case) for case in opened.cases] == ["bad   SEG 0.500", "good   SEG 1.000"]
    (run / "report/scores.csv").unlink()
    assert [open_run(run).title(case) for case in open_run(run).cases] == ["good", "bad"]


def test_a_run_opens_by_its_folder_report_and_cases(run):
    assert run_of(run / "watershed/good") == (run, "watershed", "good")
    assert run_of(run / "report") == (run, "", "")
    assert run_of(run.parent) is None
    layers = {
        attributes["name"]: (kind, attributes["scale"]) for _, attributes, kind in run_layers(run)
    }
    assert list(layers) == ["bad", "truth", "watershed", "watershed: missed (1)"]
    assert {scale for _, scale in layers.values()} == {SPACING}
    good = run_layers(run / "watershed/good")
    assert [attributes["name"] for _, attributes, _ in good] == ["good", "truth", "watershed"]
    refused("/<watershed>/<case>, found neither", run_layers, run / "watershed/output")


def test_the_layers_of_a_case_have_the_scale_of_its_image(run):
    image = next(run.parent.glob("datasets/*/cases/bad/sockets/images/microscopy-image/bad.tif"))
    volume = Volume(read(image).array, SPACING, "ZYX", {"spacing_source": "assumed"})
    write(image, replace(volume, spacing=(1.0, 1.0, 1.0)))
    seal(image.parents[3])
    assert {(attributes["scale"], attributes["units"]) for _, attributes, _ in run_layers(run)} == {
        ((1.0,) * 3, ("pixel",) * 3)
    }


def test_the_error_of_a_failed_case_is_no_layer(run):
    (run / "watershed/bad/record.json").write_text("{}")
    assert [attributes["name"] for _, attributes, _ in run_layers(run)] == ["bad", "truth"]


@pytest.mark.parametrize(
    "name, classes",
    {
        "perfect": set(),
        "missed": {"missed"},
        "spurious": {"false"},
        "split": {"split"},
        "merged": {"merged"},
    }.items(),
)
def test_errors_are_those_of_the_report(situations, name, classes):
    truth, answer = (Volume(array, SPACING) for array in getattr(situations, name)())
    wrong = errors(truth, answer)
    assert set(wrong) == classes
    for error, labels in wrong.items():
        assert np.isin(labels, (answer if error == "false" else truth).array).all()


def test_small_true_objects_are_no_errors(situations):
    truth, answer = (Volume(array, SPACING) for array in situations.missed())
    assert errors(truth, answer, smallest=1000) == {}


def test_a_run_without_its_data_set_or_description_is_refused_in_one_line(run):
    (run.parent / "datasets").rename(run.parent / "elsewhere")
    refused("the dataset of this run, toy", open_run, run)
    write_json(run / "run.json", {"task": "segment"})
    refused("run.json: dataset is missing", open_run, run)
