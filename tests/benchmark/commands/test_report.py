"""Reports over finished runs and folders of predictions."""

import csv
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from layouts import grey
from mistakes import refused
from participants import scores

from cytosuite.benchmark.commands.benchmark import benchmark_command
from cytosuite.benchmark.commands.options.benchmark import BenchmarkOptions
from cytosuite.benchmark.commands.options.report import ReportOptions
from cytosuite.benchmark.commands.report import report_command
from cytosuite.benchmark.commands.run.sources import taken_in
from cytosuite.contract.tasks import TASKS
from cytosuite.files import read_json, write_json
from cytosuite.formats import read, write
from cytosuite.volume import Volume


@pytest.fixture
def report(tmp_path, monkeypatch, quiet):
    """Return a function that makes a report in ``out``: exit code and output."""
    monkeypatch.chdir(tmp_path)

    def make(*sources, out="out", **options):
        settings = ReportOptions(
            sources=[str(s) for s in sources], out=out and Path(out), **options
        )
        return report_command(settings, quiet), quiet.export_text()

    return make


@pytest.fixture
def run(planes, runs, fakes, use, quiet):
    """Return a function that runs algorithms, which lose the first rows, into a folder."""

    def run(name, *algorithms, rows=6, **options):
        def behave(image, output):
            fakes.write_labels(image, output, cut(image.array.astype(np.uint16), rows))

        use(fakes.Engine(behave, identity=str(rows)))
        options |= {"dataset": str(planes), "runs": runs, "run": name}
        assert benchmark_command(BenchmarkOptions(algorithm=[*algorithms], **options), quiet) == 0
        quiet.export_text()
        return runs / name

    return run


def cut(labels, rows):
    """Return labels without their first rows."""
    return labels * (np.arange(labels.shape[0]) >= rows)[:, None].astype(labels.dtype)


@pytest.fixture
def predictions(planes):
    """Return a folder of predictions that lose the first six rows."""
    for name in "abc":
        truth = read(planes / f"labels/{name}.tif")
        write(planes.parent / f"mine/{name}.tif", truth.like(cut(truth.array, 6)))
    return planes.parent / "mine"


def board(folder):
    """Return the names on the leaderboard of a report."""
    return {*pd.read_csv(folder / "report/leaderboard.csv")["algorithm"]}


def test_run_report_score_and_evaluation_give_the_same_files_the_same_values(
    run, report, predictions, planes, tmp_path, runs, out, cli
):
    former = run("former", "watershed")
    assert report(predictions, truth=planes)[0] == 0
    mine = scores(out, "mine")
    assert mine == scores(former, "watershed")
    done = cli("score --truth", planes / "labels", "--prediction", predictions, "--csv -")
    for row in csv.DictReader(done.stdout.splitlines()):
        if (case := row.pop("case")) in "abc":
            assert mine.items() >= {((case, name), value) for name, value in row.items() if value}
    judged = cli(
        "build-evaluation",
        planes,
        "--run",
        former,
        "--runs",
        runs,
        "--out",
        tmp_path / "dist",
        "--engine process",
    )
    assert (judged.exit_code, judged.stdout.count(" scores, as in the run")) == (0, 1)
    assert (
        f"cytosuite report {predictions} --truth {planes}" in (out / "report/report.md").read_text()
    )


def test_runs_and_predictions_together_rank_as_one_run_of_both(
    run, report, predictions, tmp_path, runs, out
):
    both = run("both", "watershed", "cellpose3d")
    assert report(run("one", "watershed"), run("two", "cellpose3d"), f"third={predictions}")[0] == 0
    for name in ("watershed", "cellpose3d"):
        assert scores(both, name) == scores(out, name)
    assert scores(both, "watershed") == scores(out, "third")
    report(runs / "one", runs / "two", out="merged")
    table = "report/leaderboard.csv"
    assert (tmp_path / "merged" / table).read_text() == (both / table).read_text()
    assert report(tmp_path / "merged", out="again")[0] == 0  # a report is a run itself


def test_only_shared_cases_are_compared(run, report, planes, out):
    first = run("monday", "watershed")
    altered = read(planes / "labels/b.tif")
    write(planes / "labels/b.tif", altered.like(altered.array * 2))
    code, text = report(first, run("tuesday", "watershed", rows=7, min_object_voxels=26))
    assert code == 0
    assert "as monday, the first, does counts for all." in text
    assert (
        "note: The 2 of 3 cases that all runs share are compared; the others are left out." in text
    )
    assert set(pd.read_csv(out / "report/scores.csv")["case"]) == {"a", "c"}


def test_a_report_goes_on_where_it_was_left_and_follows_its_files(report, predictions, planes, out):
    report(predictions, truth=planes)
    record = out / "mine/a/record.json"
    shutil.rmtree(out / "mine/b")
    before = record.stat().st_ino
    report(predictions, truth=planes)
    assert record.stat().st_ino == before
    assert "3 results are there already, and their report" in report(predictions, truth=planes)[1]
    (predictions / "c.tif").unlink()
    code, text = report(predictions, truth=planes)
    assert (code, "failed: mine on c: missing output: mine: no file is named like c" in text) == (
        1,
        True,
    )


def test_all_folders_of_runs_are_its_runs_also_with_the_report_among_them(
    run, report, tmp_path, runs, monkeypatch
):
    run("monday", "watershed")
    run("tuesday", "watershed", rows=8)
    for name in ("training", "build"):  # of trainings, and of images that are built
        (runs / name).mkdir()
    monkeypatch.setattr("cytosuite.benchmark.commands.report.workplace", lambda: tmp_path)
    for _ in range(2):
        assert report(*sorted(runs.iterdir()), out=None)[0] == 0
    names = {"watershed (monday)", "watershed (tuesday)", "oracle", "blank"}
    assert board(runs / "report-monday+tuesday") == names
    assert report(*sorted(runs.iterdir()), out="third")[0] == 0  # a report, and runs of it


def test_an_algorithm_of_a_run_is_a_source_of_its_own(run, report, tmp_path, out):
    both = run("both", "watershed", "cellpose3d")
    other = run("other", "watershed", rows=7)
    part = both / "watershed"
    code, text = report(part, f"mine={other / 'watershed'}", out="parts")
    assert code == 0, text
    for name, home in (("watershed", both), ("mine", other)):
        assert scores(tmp_path / "parts", name) == scores(home, "watershed")
    assert board(tmp_path / "parts") == {"watershed", "mine", "oracle", "blank"}
    assert report(both, f"mine={part}")[0] == 0
    assert scores(out, "mine") == scores(both, "watershed")
    refused(
        "the run is named twice; name it once",
        report,
        part,
        part,
        out="twice",
    )
    assert report(f"a:b={part}", f"a-b={part}", out="twins")[0] == 0  # of one folder's name
    assert {"a:b (both)", "a-b (both_2)"} < board(tmp_path / "twins")
    (both / "cellpose3d/b/record.json").unlink()  # of another algorithm
    assert report(part, out="again")[0] == 0
    run("both", "watershed")
    note = "Results of cellpose3d here are left out: name all algorithms."
    assert note in (both / "report/report.md").read_text()
    refused("no run.json beside them names", report, both / "cellpose3d", out="left")


def test_a_run_with_a_defect_is_left_out_with_a_line(run, report, runs, tmp_path):
    good = run("good", "watershed")
    homes = [runs / name for name in ("torn", "lacking", "good")]
    facts = read_json(good / "run.json")
    facts["jobs"] = {"theirs": facts["jobs"]["watershed"]}  # an archive of others
    write_json(good / "run.json", facts)
    (good / "watershed").rename(good / "theirs")
    torn, lacking = (shutil.copytree(good, home) for home in homes[:2])
    (torn / "run.json").write_bytes((torn / "run.json").read_bytes()[:100])
    (lacking / "theirs/a/record.json").unlink()
    for part, blind in (("", False), ("theirs", True)):
        code, text = report(*(home / part for home in homes), out=f"of{part}", blind=blind)
        assert code == 1
        assert scores(tmp_path / f"of{part}", "theirs") == scores(good, "watershed") != {}
        assert text.count("note: Left out: ") == 2
        for place in (f"{torn}/run.json: ", f"{lacking}: theirs has no whole result for a; "):
            assert text.count(f"note: Left out: {place}") == 1


def test_pictures_arrays_and_labels_without_images_are_read(
    report, predictions, planes, tmp_path, out
):
    write_json(predictions / "run.json", {"lr": 0.1})  # of a training
    usual = report(predictions, truth=planes)[0]
    others = tmp_path / "others"
    for name, kind in zip("abc", ("png", "ome.zarr", "h5"), strict=True):
        labels = read(predictions / f"{name}.tif").array
        if kind == "png":
            grey(others / "a.png", labels)
        else:
            write(others / f"{name}.{kind}", Volume(labels, (3.0, 3.0), "YX"))
    code, text = report(others, truth=planes / "labels", out="bare")
    assert (usual, code) == (0, 0), text
    assert scores(out, "mine") == scores(tmp_path / "bare", "others")


def test_names_that_are_no_utf8_are_cases(report, predictions, planes, out):
    for folder in (predictions, planes):
        for path in [*folder.rglob("a.tif")]:
            path.rename(path.with_name(os.fsdecode(b"\xff.tif")))
    code, text = report(predictions, truth=planes)
    assert (code, {case for case, _ in scores(out, "mine")}) == (0, {"%FF", "b", "c"}), text


def other_names(run, mine, planes):
    """no file is named like an image; expected for example a.tif"""
    for path in sorted(mine.iterdir()):
        path.rename(mine / f"x{path.name}")
    return {"sources": [mine], "truth": planes}


def two_lines(run, mine, planes):
    """expected a short printable name without /"""
    return {"sources": [mine.rename(mine.with_name("new\nline"))], "truth": planes}


def without_labels(run, mine, planes):
    """planes: expected the truth beside images/, as in labels/"""
    shutil.rmtree(planes / "labels")
    return {"sources": [mine], "truth": planes}


def unlike(run, mine, planes):
    """expected cases with the same images and labels, found none"""
    one = run("former", "watershed")
    other = shutil.copytree(one, one.with_name("other"))
    write_json(
        other / "run.json", read_json(one / "run.json") | {"cases": dict.fromkeys("abc", "0")}
    )
    return {"sources": [one, other]}


@pytest.mark.parametrize("mistake", [other_names, two_lines, without_labels, unlike])
def test_a_mistake_is_one_line(mistake, run, report, predictions, planes):
    arguments = mistake(run, predictions, planes)
    refused(mistake.__doc__, report, *arguments.pop("sources"), **arguments)


def test_folders_of_tracks_are_refused_with_the_way():
    message = "mine: expected a finished run, found a folder; score its tracks with cytosuite score"
    refused(message, taken_in, {"mine": Path("mine")}, None, TASKS["track"], [])


TRUTH = {"truth": Path("planes")}


@pytest.mark.parametrize(
    "sources, options, line",
    [
        (["no-such"], {}, "no-such: expected a run, or a folder of predictions, found none"),
        (["mine"], {}, "predictions need a truth: give --truth FOLDER, or a run of the same data"),
        (["runs/a", "mine"], TRUTH, "the runs have a truth; leave it out"),
        (["a:b=runs/a/watershed", "a-b=mine"], {}, "the name a-b is taken; give NAME="),
        (
            ["../x=runs/a/watershed"],
            {},
            "which neither a control nor a file of runs has, found '../x'; give NAME=",
        ),
        *(
            (
                ["mine"],
                {**TRUTH, "out": out},
                "expected a folder of its own, found a source of the report",
            )
            for out in (".", "mine", "planes")
        ),
        (
            ["a:b=mine", "a-b=mine"],
            TRUTH,
            "two folders are named a-b (a colon counts as a hyphen); give one as NAME=",
        ),
    ],
)
def test_a_word_that_does_not_fit_is_one_line(run, report, predictions, sources, options, line):
    if any("runs/" in source for source in sources):
        run("a", "watershed")
    refused(line, report, *sources, **options)
