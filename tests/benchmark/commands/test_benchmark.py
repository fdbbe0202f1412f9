"""The main job with an engine that runs functions."""

import shlex
import shutil
from pathlib import Path
from types import SimpleNamespace

import house
import numpy as np
import pandas as pd
import pytest
from mistakes import no_model, refused
from rasters import counted
from toys import put

from cytosuite.benchmark.catalog.places import ROOT
from cytosuite.benchmark.commands.benchmark import benchmark_command
from cytosuite.benchmark.commands.export import export_command
from cytosuite.benchmark.commands.options.benchmark import BenchmarkOptions
from cytosuite.benchmark.commands.options.export import ExportOptions
from cytosuite.benchmark.commands.request import chosen
from cytosuite.benchmark.commands.run.planned import FAILURES, _failures, command_of
from cytosuite.benchmark.engines.outcome import Outcome
from cytosuite.benchmark.runs.data.shard import Shard
from cytosuite.benchmark.runs.record import Record
from cytosuite.contract.tasks import TASKS
from cytosuite.files import read_json, write_json

REFUSAL = "made for axes CYX or ZYX, found YX; watershed has nuclei-2d"


@pytest.fixture
def run(planes, runs, fakes, use, quiet):
    """Return a function that runs a benchmark, and gives exit code, output and engine."""

    def run(**options):
        engine = use(fakes.Engine(fakes.bright))
        settings = BenchmarkOptions(runs=runs, **{"dataset": str(planes), **options})
        return benchmark_command(settings, quiet), quiet.export_text(), engine

    return run


def test_an_algorithm_without_a_model_for_the_axes_is_left_out_in_sight(volumes_alone, run, runs):
    code, text, engine = run()
    assert code == 0
    assert f"note: cellpose3d did not run: {REFUSAL}.\n" in text
    assert engine.calls == ["a", "b", "c"]
    (report,) = runs.glob("planes*/report/report.md")
    assert f"cellpose3d did not run: {REFUSAL}" in report.read_text()


def test_a_report_is_kept_until_something_that_decides_it_changes(run, runs):
    _, first, _ = run()
    (page,) = runs.glob("planes*/report/index.html")
    (table,) = runs.glob("planes*/watershed/a/objects.csv")

    def again(**options):
        """Run again; return whether the report was kept, and what was said."""
        before = page.stat().st_ino
        code, text, engine = run(**options)
        assert (code, engine.calls) == (0, [])
        return page.stat().st_ino == before, text

    unchanged, text = again()
    assert unchanged
    assert "6 results are there already, and their report" in text
    assert text.splitlines()[-7:] == first.splitlines()[-7:]
    whole = page.read_bytes()
    page.write_text("altered")
    assert not again()[0]
    assert len(page.read_bytes()) == len(whole)
    table.unlink()
    assert not again()[0]
    assert table.is_file()
    assert again()[0]
    assert not again(blind=True)[0]
    assert again(blind=True, wide=True)[0]


def test_or_refused_where_it_is_named(volumes_alone, run):
    alone = REFUSAL.replace("CYX or ", "")
    no_model(
        f"^cellpose3d tissue-nuclei-3d: {alone}$",
        run,
        algorithm=["cellpose3d", "watershed"],
        model="tissue-nuclei-3d",
    )


def test_a_named_model_is_part_of_the_run(run, runs):
    _, _, engine = run(model="nuclei-2d")
    assert set(engine.models) == {"watershed"}
    (record,) = runs.glob("planes*/watershed/a/record.json")
    assert '"by": "user"' in record.read_text()
    (report,) = runs.glob("planes*/report/report.md")
    assert "MODEL=nuclei-2d" in report.read_text()


def test_one_part_of_a_folder_is_run_and_all_parts_are_written(run, planes, runs):
    (planes / "splits.toml").write_text('rules = [{ part = "test", match = "b" }]')
    _, text, engine = run(algorithm=["watershed"], only="test")
    assert engine.calls == ["b"]
    assert "note: Parts by splits.toml, of which test alone is run: 2 train, 0 validate" in text
    (table,) = runs.glob("planes-test-*/splits.csv")
    assert [row.split(",")[:2] for row in table.read_text().splitlines()[1:]] == [
        ["a", "train"],
        ["b", "test"],
        ["c", "train"],
    ]


@pytest.mark.slow
def test_models_of_one_algorithm_are_run_side_by_side_and_found_again(run, tmp_path, runs, quiet):
    mine = tmp_path / "mine.json"
    write_json(mine, read_json(ROOT / "weights/watershed/nuclei-2d.json") | {"name": "mine"})
    words = {"algorithm": ["watershed:nuclei-2d", f"watershed:{mine}"], "run": "arms"}
    code, _, engine = run(**words)
    home = runs / "arms"
    assert (code, len(engine.calls)) == (0, 6)
    assert set(engine.models) == {"watershed:nuclei-2d", "watershed:mine"}
    assert {path.name for path in home.glob("watershed*")} == {
        "watershed-nuclei-2d",
        "watershed-mine",
    }
    report = (home / "report/report.md").read_text()
    assert "## Models of one algorithm" in report
    assert "| mine |" in report
    assert "6 results are there already" in run(**words)[1]
    out = tmp_path / "ctc"
    export_command(ExportOptions(ctc=home, algorithm=["watershed:mine"], out=out), quiet)
    assert (out / "planes/01_RES/mask000.tif").is_file()
    refused("MODEL=nuclei-2d is for an algorithm without a model", run, **words, model="nuclei-2d")


def test_a_folder_that_was_read_for_another_task_says_how_it_is_read_for_this(tmp_path, run):
    views = tmp_path / "views"
    for role in ("angle", "fused"):
        put(views / f"image_1_nucleus_{role}.tif", counted(2, 16, 16))
    remedy = "as read for fuse; TASK=segment reads it for this"
    refused(remedy, run, dataset=str(views), algorithm=["watershed"])


def test_algorithms_of_two_tasks_or_without_their_inputs_are_refused(run):
    tasks = "algorithms of one task are compared, found enhance, segment"
    refused(tasks, run, algorithm=["watershed", "cyclegan3d"])
    refused(
        "; nuclei offers acquisition-metadata, instance-labels, microscopy-image",
        run,
        algorithm=["view_fusion"],
        dataset="nuclei",
        cases=1,
        settings=["shape=[64,64]", "spacing_um=[1,1]", "n_nuclei=2"],
        workers=1,
    )


def test_an_image_of_others_alone_runs_no_algorithm_of_ours():
    def beside(*names, **more):
        return chosen(
            BenchmarkOptions(dataset="x", algorithm=["team:v1", *names], **more), "enhance"
        )

    assert beside() == (TASKS["enhance"], [], {})
    assert beside(task="fuse") == (TASKS["fuse"], [], {})
    task, manifests, _ = beside("watershed")
    assert (task.name, [one.name for one in manifests]) == ("segment", ["watershed"])
    refused("no algorithm called 'watershd'; did you mean", beside, "watershd")


def test_an_algorithm_that_fails_alike_is_given_up_in_sight_unless_told(
    run, planes, fakes, monkeypatch
):
    for name in "defg":
        for folder in ("images", "labels"):
            path = planes / folder
            (path / f"{name}.tif").write_bytes((path / "a.tif").read_bytes())

    def fail(*_):
        return Outcome("non-zero exit", 0.1, None, 1, "no weights")

    monkeypatch.setattr(fakes.Engine, "_predict", fail)
    code, text, _ = run(algorithm=["watershed"])
    assert code == 1
    said = " ".join(text.split())
    assert "note: watershed: 4 cases were not run and count as failed, since its first" in said
    assert "KEEP_GOING=1 runs them." in said
    _, text, _ = run(algorithm=["watershed"], keep_going=True)
    assert "were not run" not in text


def test_several_datasets_are_one_run_with_their_names_in_the_scores(
    run, planes, tmp_path, runs, quiet
):
    other = tmp_path / "more, by hand"
    shutil.copytree(planes, other)
    put(other / "images/d.tif", np.ones((9, 9), np.uint16))
    code, text, engine = run(dataset=f"{planes},{other}", algorithm=["watershed"], blind=True)
    assert code == 0, text
    assert engine.calls == [
        *(f"planes-{name}" for name in "abc"), *(f"more_by_hand-{name}" for name in "abcd"),
    ]  # fmt: skip
    assert "note: Cases of 2 datasets: planes (3), more, by hand (4).\n" in text
    assert "\nblind report: " in text
    (folder,) = runs.glob("planes+more*")
    scores = pd.read_csv(folder / "report/scores.csv")
    rows = scores[(scores["algorithm"] == "watershed") & (scores["metric"] == "SEG")]
    assert dict(zip(rows["case"], rows["dataset"], strict=True)) == {
        **{f"planes-{name}": "planes" for name in "abc"},
        **{f"more_by_hand-{name}": "more, by hand" for name in "abc"},
    }  # fmt: skip
    assert set(pd.read_csv(folder / "report/object_scores.csv")["case"]) == set(rows["case"])
    blind = pd.read_csv(folder / "blind/scores.csv")
    assert set(blind["dataset"]) == {"test"}
    assert all(name.startswith("blind_") for name in blind["case"].dropna())
    place = tmp_path / "ctc"
    export_command(ExportOptions(ctc=folder, out=place, truth=True), quiet)
    assert len(list(place.rglob("*_RES"))) == 7
    assert read_json(folder / "run.json")["dataset"] == "planes+more, by hand"


def test_the_first_failures_are_named_with_a_log_and_the_others_counted():
    common = {"algorithm": "net", "version": "1", "key": "k", "status": "time-out"}
    for count, words in ((1, ""), (11, "1 more case"), (14, "4 more cases")):
        names = [f"case{n:02d}" for n in range(1, count + 1)]
        records = {("net", n): Record(case=n, message="too slow", **common) for n in names}
        done = Record(case="case00", **common | {"status": "ok"})
        lines, log = _failures(
            SimpleNamespace(records={("net", "case00"): done, **records}, logs=records)
        )
        assert lines[0] == "failed: net on case01: time-out: too slow"
        assert len(lines) == min(count, FAILURES) + bool(words)
        assert lines[-1] == f"failed: {words}, all of them in the report" or not words
        assert log == "net/case01/log.txt"


OPTIONS = {
    "size": "mini",
    "cases": 3,
    "settings": ["camera.photons=5", "output.steps=true"],
    "seed": 4,
    "task": "segment",
    "algorithm": ["watershed", "mine"],
    "through": ["smooth"],
    "reference": Path("real images"),
    "only": "test",
    "splits": Path("own.toml"),
    "run": "mine",
    "api": "exec",
    "memory": 2.5,
    "timeout": 60.0,
    "device": "cuda",
    "base_image": "debian:12",
    "spacing": (2.0, 0.5, 0.5),
    "recursive": True,
    "channel_index": "DAPI",
    "frame": "0",
    "scene": 1,
}


def test_a_flag_is_repeated_as_a_flag_outside_a_checkout(monkeypatch):
    monkeypatch.setattr("cytosuite.benchmark.commands.run.planned.CHECKOUT", None)
    assert command_of(BenchmarkOptions(dataset="a", recursive=True, frame="2"), "process") == (
        "cytosuite benchmark a --recursive --frame 2 --engine process"
    )


def test_the_command_holds_what_decides_the_results(tmp_path):
    options = BenchmarkOptions(dataset="spheroid", runs=tmp_path, workers=3, retry=True)
    assert command_of(options, "docker") == "make benchmark DATASET=spheroid ENGINE=docker"
    shown = command_of(BenchmarkOptions(dataset="a b", **OPTIONS), "docker")
    for word in (
        "TIMEOUT=60",
        "MEMORY=2.5",
        "DEVICE=cuda",
        "SPACING=2,0.5,0.5",
        "FRAME=0",
        "SET='camera.photons=5 output.steps=true'",
        "REFERENCE='real images'",
    ):
        assert f" {word}" in shown
    words = shlex.split(shown)
    assert len(words) == len(OPTIONS) + 4
    assert "--timeout 60" in house.printed(house.ran(words[0], "-n", *words[1:]))


def test_a_shard_runs_its_cases_and_says_that_nothing_is_scored(run, runs):
    options = {"algorithm": ["watershed"], "run": "x"}
    _, text, engine = run(**options, shard=Shard(1, 2))
    assert engine.calls == ["a", "c"]
    said = (
        "shard 1/2: 2 cases, nothing is scored: give the command without --shard after all shards"
    )
    assert text.splitlines()[-1] == said
    assert run(**options, shard=Shard(4, 4))[0] == 0  # without a case
    assert not (runs / "x/report").exists()


def test_images_without_labels_are_run_and_shown(run, planes, runs):
    shutil.rmtree(planes / "labels")
    code, text, _ = run(algorithm=["watershed"])
    assert code == 0
    assert "note: There are no labels" in text
    assert "SEG, DET, F1 and the other scores are not possible" in text
    assert list(runs.glob("planes*/report/index.html"))
