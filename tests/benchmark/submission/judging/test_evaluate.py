"""An evaluation gives the scores of a benchmark, and nothing but a clear line otherwise."""

import csv
import json
import math
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest

from cytosuite.benchmark.plan import plan
from cytosuite.benchmark.results.blind import rounded
from cytosuite.benchmark.results.controls import CONTROLS
from cytosuite.benchmark.results.score import score
from cytosuite.benchmark.results.standings import leaderboard
from cytosuite.benchmark.run import run_job
from cytosuite.formats import read, write
from cytosuite.tasks import TASKS

TELLING = {
    *("splits", "missed", "spurious", "ASSD", "HD", "HD95"),
    *("truth_count", "prediction_count", "count_error", "count_error_absolute"),
}


def expected(dataset, task, job):
    """Return what a benchmark says of a job, blind: values by case and metric, and means."""
    scores = score(dataset, task, [job])
    rows = scores.table[scores.table["algorithm"] == job.algorithm.name]
    values = {}
    for case, name, value in zip(rows["case"], rows["metric"], rows["value"], strict=True):
        if case and math.isfinite(value):
            values.setdefault(f"{case}.tif", {})[name] = rounded(value)
    names = [m.name for m in scores.metrics]
    (standing,) = (
        entry
        for entry in leaderboard(
            scores.table, scores.pooled, scores.metrics, scores.primary, CONTROLS
        )
        if entry.algorithm == job.algorithm.name
    )
    means = {n: standing.summaries[n].mean for n in names}
    for row in values.values():
        for name in TELLING & set(row):
            del row[name]
    return values, {
        n: rounded(mean, 4) for n, mean in means.items() if math.isfinite(mean) and n not in TELLING
    }


def half(fakes):
    """Return an algorithm that finds every second object."""

    def behave(image, output):
        rows = np.arange(image.shape[1])[None, :, None] // 4
        labels = ((image.array > 0) * rows * (rows % 2)).astype(np.uint16)
        fakes.write_labels(image, output, labels)

    return behave


def means_of(content):
    return {
        name: own.get("mean", own.get("set"))
        for name, own in content["aggregates"].items()
        if {"mean", "set"} & set(own)
    }


def test_segmentations_have_the_scores_of_the_benchmark_and_tell_no_counts(
    dataset, watershed, tmp_path, fakes, submission_of, unpacked, evaluated
):
    task = TASKS["segment"]
    (job,) = plan(dataset, [watershed], engine := fakes.Engine(half(fakes)), tmp_path / "run")
    run_job(job, task, engine, fakes.limits, "invoke", lambda *_: None)
    code, content = evaluated(submission_of(dataset, task, job), unpacked(dataset, task))
    values, means = expected(dataset, task, job)
    assert code == 0
    assert 0 < means["SEG"] < 1
    assert content["case"] == values
    assert means_of(content) == means
    assert content["failed"] == []
    assert not TELLING & {
        *content["aggregates"],
        *(name for row in values.values() for name in row),
    }
    assert all(
        value == rounded(value) for row in content["case"].values() for value in row.values()
    )
    assert set(content["aggregates"]["SEG"]) >= {"mean", "std", "median", "min", "max", "n"}
    assert "." not in "".join(content["aggregates"])


@pytest.mark.parametrize("suffix", [".tiff", ".mha"])
def test_files_of_any_name_and_kind_are_found(segmented, evaluated, suffix):
    _, before = evaluated(segmented.submission, segmented.truth)
    for path in sorted(segmented.submission.rglob("*.tif")):
        write(path.with_name(f"5c0b-{path.stem}{suffix}"), read(path))
        path.unlink()
    code, content = evaluated(segmented.submission, segmented.truth)
    assert (code, content) == (0, before)


def test_failed_and_missing_cases_have_the_worst_value_and_are_named(segmented, evaluated, capsys):
    path = segmented.submission / "predictions.json"
    first, second, third = json.loads(path.read_text())
    (file,) = (segmented.submission / first["pk"]).rglob("*.tif")
    file.write_bytes(b"no image")
    second["status"] = "Failed"
    path.write_text(json.dumps([first, second]))
    code, content = evaluated(segmented.submission, segmented.truth)
    assert code == 0
    names = [job["inputs"][0]["image"]["name"] for job in (first, second, third)]
    reasons = {one["case"]: one["reason"] for one in content["failed"]}
    assert set(reasons) == set(names)
    assert reasons[names[0]].startswith("bad output: images/instance-labels/")
    assert reasons[names[1]] == "non-zero exit: the job ended with the status Failed"
    assert reasons[names[2]] == "missing output: the submission has no job of it"
    assert all(content["case"][name]["SEG"] == 0.0 for name in names)
    assert content["aggregates"]["SEG"]["mean"] == 0.0
    assert content["aggregates"]["SEG"]["n"] == 3
    assert f"warning: {names[2]}: missing output" in capsys.readouterr().err


def test_one_failed_case_counts_in_the_mean_as_in_the_benchmark(
    dataset, watershed, tmp_path, fakes, submission_of, unpacked, evaluated
):
    def behave(image, output):
        if image.array.any() and (image.array > 0).sum() > 60:
            return None  # nothing is written
        return fakes.perfect(image, output)

    task = TASKS["segment"]
    (job,) = plan(dataset, [watershed], engine := fakes.Engine(behave), tmp_path / "run")
    run_job(job, task, engine, fakes.limits, "invoke", lambda *_: None)
    code, content = evaluated(submission_of(dataset, task, job), unpacked(dataset, task))
    values, means = expected(dataset, task, job)
    assert (code, len(content["failed"])) == (0, 1)
    assert content["case"] == values
    assert means_of(content) == means
    assert content["aggregates"]["SEG"]["mean"] == 0.6667


def test_the_table_for_people(segmented, evaluated, tmp_path):
    evaluated(segmented.submission, segmented.truth)
    text = (tmp_path / "metrics" / "cases.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    assert [row["case"] for row in rows] == ["case_1.tif", "case_2.tif", "case_3.tif"]
    assert [float(row["SEG"]) for row in rows] == [1.0, 1.0, 1.0]
    assert {row["failed"] for row in rows} == {""}


def test_a_submission_without_any_job_has_the_worst_values(segmented, evaluated):
    (segmented.submission / "predictions.json").write_text("[]")
    code, content = evaluated(segmented.submission, segmented.truth)
    assert code == 0
    assert len(content["failed"]) == 3
    assert content["aggregates"]["SEG"]["mean"] == 0.0


def test_wrong_predictions_leave_no_metrics_and_one_line(segmented, evaluated, capsys, tmp_path):
    assert evaluated(segmented.submission, segmented.truth)[0] == 0
    (segmented.submission / "predictions.json").write_text("{}")
    capsys.readouterr()
    code, content = evaluated(segmented.submission, segmented.truth)
    assert (code, content) == (2, None)
    assert capsys.readouterr().err.strip().endswith("expected a list of jobs, found {}")


def test_a_missing_ground_truth_is_one_line(segmented, evaluated, tmp_path, capsys):
    code, content = evaluated(segmented.submission, tmp_path / "nowhere")
    assert (code, content) == (2, None)
    assert "evaluation.json: no such file" in capsys.readouterr().err


def hostile_link(folder, truth):
    """Hand in the truth itself by a link."""
    (file,) = folder.rglob("*.tif")
    file.unlink()
    file.symlink_to(next(truth.rglob("case_3.tif")))


def hostile_folder_link(folder, truth):
    """Hand in the folder of the truth by a link."""
    place = folder / "output" / "images" / "instance-labels"
    shutil.rmtree(place)
    place.symlink_to(next(truth.rglob("case_3.tif")).parent)


def hostile_output_link(folder, truth):
    """Hand in another folder as the whole output."""
    (folder / "output").rename(folder / "elsewhere")
    (folder / "output").symlink_to(folder / "elsewhere")


def hostile_pipe(folder, truth):
    """Hand in a pipe, which would block for ever."""
    (file,) = folder.rglob("*.tif")
    file.unlink()
    os.mkfifo(file)


def hostile_two(folder, truth):
    """Hand in two images."""
    (file,) = folder.rglob("*.tif")
    shutil.copyfile(file, file.with_name("second.tif"))


def hostile_shape(folder, truth):
    """Hand in labels of another shape."""
    (file,) = folder.rglob("*.tif")
    volume = read(file)
    write(file, replace(volume, array=volume.array[:, :5]))


def hostile_hole(folder, truth):
    """Hand in a file of holes, many times larger than the case."""
    (file,) = folder.rglob("*.tif")
    with file.open("r+b") as stream:
        stream.truncate(2**28 + 2**20)


def hostile_none(folder, truth):
    """Hand in no output at all."""
    shutil.rmtree(folder / "output")


@pytest.mark.parametrize(
    "attack",
    [
        hostile_link, hostile_folder_link, hostile_output_link, hostile_pipe, hostile_two,
        hostile_shape, hostile_hole, hostile_none,
    ],
)  # fmt: skip
def test_hostile_outputs_fail_their_case_alone(segmented, evaluated, attack):
    job = json.loads((segmented.submission / "predictions.json").read_text())[0]
    attack(segmented.submission / job["pk"], segmented.truth)
    code, content = evaluated(segmented.submission, segmented.truth)
    assert code == 0
    (failed,) = content["failed"]
    assert failed["case"] == job["inputs"][0]["image"]["name"]
    assert failed["reason"].startswith(("bad output: ", "missing output: "))
    assert content["aggregates"]["SEG"]["mean"] == 0.6667


def test_the_truth_folder_is_only_read(segmented, evaluated):
    before = {p: p.stat().st_mtime_ns for p in segmented.truth.rglob("*")}
    for folder in (p for p in [segmented.truth, *segmented.truth.rglob("*")] if p.is_dir()):
        folder.chmod(0o555)
    assert evaluated(segmented.submission, segmented.truth)[0] == 0
    assert before == {p: p.stat().st_mtime_ns for p in segmented.truth.rglob("*")}
    for folder in (p for p in [segmented.truth, *segmented.truth.rglob("*")] if p.is_dir()):
        folder.chmod(0o755)


def test_another_place_of_the_socket_is_taken_from_the_list(segmented, evaluated):
    path = segmented.submission / "predictions.json"
    jobs = json.loads(path.read_text())
    for job in jobs:
        output = segmented.submission / job["pk"] / "output" / "images"
        (output / "instance-labels").rename(output / "labels-3D")
        place = job["outputs"][0].pop("interface")
        job["outputs"][0]["socket"] = place | {"relative_path": "images/labels-3D"}
    path.write_text(json.dumps(jobs))
    code, content = evaluated(segmented.submission, segmented.truth)
    assert (code, content["failed"]) == (0, [])


def test_a_place_that_is_no_image_fails_the_case(segmented, evaluated):
    path = segmented.submission / "predictions.json"
    jobs = json.loads(path.read_text())
    jobs[0]["outputs"][0]["interface"]["relative_path"] = "labels.json"
    path.write_text(json.dumps(jobs))
    _, content = evaluated(segmented.submission, segmented.truth)
    assert "expected a path images/..." in content["failed"][0]["reason"]
