"""An evaluation gives the scores of a benchmark, and nothing but a clear line otherwise."""

import shutil
from dataclasses import replace

import pytest

from cytosuite.benchmark.submission.judging.evaluate import Evaluator
from cytosuite.files import read_json, write_json
from cytosuite.formats import read, write


def test_files_of_any_name_and_kind_are_found(segmented, evaluated):
    _, before = evaluated(segmented)
    for path in sorted(segmented.submission.rglob("*.tif")):
        write(file := path.with_name(f"5c0b-{path.stem}.mha"), labels := read(path))
        path.unlink()
    code, content = evaluated(segmented)
    assert (code, content) == (0, before)
    write(file, labels.like(labels.array.clip(0, 1)))
    _, content = evaluated(segmented)
    assert "a mask in place of labels? in 1 case" in content["evaluation"]["notes"][-1]


def test_a_truth_that_is_altered_after_the_start_changes_no_score(segmented, evaluated, tmp_path):
    _, before = evaluated(segmented)
    evaluator = Evaluator(segmented.submission, tmp_path / "again", segmented.truth)
    copies = [path for path in evaluator.dataset.cases[0].folder.rglob("*") if path.is_file()]
    assert {path.stat().st_mode & 0o777 for path in copies} == {0o400}
    for path in segmented.truth.rglob("*.*"):
        path.write_bytes(b"altered")
    evaluator.run_case()
    assert read_json(tmp_path / "again/metrics.json") == before
    del evaluator
    assert not any(path.exists() for path in copies)


def test_failed_and_missing_cases_have_the_worst_value_and_are_named(segmented, evaluated, capsys):
    path = segmented.submission / "predictions.json"
    first, second, third = read_json(path)
    (file,) = (segmented.submission / first["pk"]).rglob("*.tif")
    file.write_bytes(b"no image")
    second["status"] = "Failed"
    write_json(path, [first, second])
    code, content = evaluated(segmented)
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


def test_wrong_predictions_leave_no_metrics_and_one_line(segmented, evaluated, capsys):
    assert evaluated(segmented)[0] == 0
    (segmented.submission / "predictions.json").write_text("{}")
    capsys.readouterr()
    code, content = evaluated(segmented)
    assert (code, content) == (2, None)
    assert capsys.readouterr().err.strip().endswith("expected a list of jobs, found {}")


def hostile_link(file, truth):
    file.unlink()
    file.symlink_to(next(truth.rglob("case_3.tif")))


def hostile_output_link(file, truth):
    output = file.parents[2]
    output.symlink_to(output.rename(output.with_name("elsewhere")))


def hostile_shape(file, truth):
    volume = read(file)
    write(file, replace(volume, array=volume.array[:, :5]))


def hostile_hole(file, truth):
    with file.open("r+b") as stream:
        stream.truncate(2**28 + 2**20)


def hostile_none(file, truth):
    shutil.rmtree(file.parents[2])


@pytest.mark.parametrize(
    "attack", [hostile_link, hostile_output_link, hostile_shape, hostile_hole, hostile_none]
)
def test_hostile_outputs_fail_their_case_alone(segmented, evaluated, attack):
    job = read_json(segmented.submission / "predictions.json")[0]
    attack(*(segmented.submission / job["pk"] / "output").rglob("*.tif"), segmented.truth)
    code, content = evaluated(segmented)
    assert code == 0
    (failed,) = content["failed"]
    assert failed["case"] == job["inputs"][0]["image"]["name"]
    assert failed["reason"].startswith(("bad output: ", "missing output: "))
    assert content["aggregates"]["SEG"]["mean"] == 0.6667


def test_another_place_of_the_socket_is_taken_from_the_list(segmented, evaluated):
    path = segmented.submission / "predictions.json"
    jobs = read_json(path)
    for job in jobs:
        output = segmented.submission / job["pk"] / "output/images"
        (output / "instance-labels").rename(output / "labels-3D")
        job["outputs"][0]["socket"] = job["outputs"][0].pop("interface") | {
            "relative_path": "images/labels-3D"
        }
    write_json(path, jobs)
    code, content = evaluated(segmented)
    assert (code, content["failed"]) == (0, [])
