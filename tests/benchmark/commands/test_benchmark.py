"""The main job with an engine that runs functions."""

import json
import shutil
from io import StringIO

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from cytosuite.benchmark.commands import data as module
from cytosuite.benchmark.commands.benchmark import _chosen as chosen_of
from cytosuite.benchmark.commands.benchmark import benchmark
from cytosuite.benchmark.commands.ctc import ctc_command
from cytosuite.benchmark.commands.options import BenchmarkOptions
from cytosuite.benchmark.engines.outcome import Outcome
from cytosuite.errors import InputError, ModelError
from cytosuite.formats import write
from cytosuite.tasks import TASKS
from cytosuite.volume import Volume

REFUSAL = "made for axes ZYX, found YX; watershed has nuclei-2d"


@pytest.fixture
def planes(tmp_path):
    """Return a folder of two annotated planes."""
    array = np.zeros((24, 24), np.uint16)
    array[4:9, 4:9] = 100
    for name in "ab":
        plane = Volume(array, (0.5, 0.5), "YX")
        write(tmp_path / "planes" / "images" / f"{name}.tif", plane)
        write(tmp_path / "planes" / "labels" / f"{name}.tif", plane.like(array // 100))
    return tmp_path / "planes"


@pytest.fixture
def run(planes, tmp_path, fakes, monkeypatch):
    """Return a function that runs a benchmark, and gives exit code, output and engine."""

    def behave(image, output):
        fakes.write_labels(image, output, (image.array > 0).astype(np.uint16))

    def run(**options):
        engine = fakes.Engine(behave)
        monkeypatch.setattr(module, "choose", lambda wanted, device, say: (engine, "engine: fake"))
        said = Console(file=StringIO(), width=120)
        own = {"dataset": str(planes), **options}
        given = BenchmarkOptions(runs=tmp_path / "runs", **own)
        return benchmark(given, said), said.file.getvalue(), engine

    return run


def test_an_algorithm_without_a_model_for_the_axes_is_left_out_in_sight(run, tmp_path):
    code, text, engine = run()
    assert code == 0
    assert f"note: cellpose3d did not run: {REFUSAL}.\n" in text
    assert engine.calls == ["a", "b"]
    (report,) = (tmp_path / "runs").glob("planes*/report/report.md")
    assert f"cellpose3d did not run: {REFUSAL}" in report.read_text()


def test_or_refused_where_it_is_named(run):
    with pytest.raises(ModelError, match=f"^cellpose3d: {REFUSAL}$"):
        run(algorithm=["cellpose3d"])
    with pytest.raises(ModelError, match=f"^cellpose3d tissue-nuclei-3d: {REFUSAL}$"):
        run(algorithm=["cellpose3d", "watershed"], model="tissue-nuclei-3d")


def test_a_named_model_is_part_of_the_run(run, tmp_path):
    _, _, engine = run(model="nuclei-2d")
    assert set(engine.models) == {"watershed"}
    (record,) = (tmp_path / "runs").glob("planes*/watershed/a/record.json")
    assert '"by": "user"' in record.read_text()
    (report,) = (tmp_path / "runs").glob("planes*/report/report.md")
    assert "MODEL=nuclei-2d" in report.read_text()


def test_a_folder_that_was_read_for_another_task_says_how_it_is_read_for_this(tmp_path, run):
    views = tmp_path / "views"
    for role in ("angle", "fused"):
        stack = Volume(np.arange(512, dtype=np.uint16).reshape(2, 16, 16), (1.0, 0.5, 0.5))
        write(views / f"image_1_nucleus_{role}.tif", stack)
    remedy = "as read for fuse; TASK=segment reads it for this"
    with pytest.raises(InputError, match=remedy):
        run(dataset=str(views), algorithm=["watershed"])


def test_an_image_of_others_is_refused_before_any_work(run, tmp_path):
    for algorithm in (["team:v1"], ["watershed", "their.tar.gz"]):
        with pytest.raises(InputError, match=f"^{algorithm[-1]}: an image of others runs with Doc"):
            run(algorithm=algorithm)
    assert not (tmp_path / "runs").exists()


def test_an_image_of_others_alone_runs_no_algorithm_of_ours():
    options = BenchmarkOptions(dataset="x", algorithm=["team:v1"])
    assert chosen_of(options, "enhance") == (TASKS["enhance"], [])
    options = BenchmarkOptions(dataset="x", algorithm=["team:v1"], task="fuse")
    assert chosen_of(options, "enhance") == (TASKS["fuse"], [])
    options = BenchmarkOptions(dataset="x", algorithm=["team:v1", "watershed"])
    task, found = chosen_of(options, "enhance")
    assert (task.name, [one.name for one in found]) == ("segment", ["watershed"])
    with pytest.raises(InputError, match="no algorithm called 'watershd'; did you mean"):
        chosen_of(BenchmarkOptions(dataset="x", algorithm=["team:v1", "watershd"]), "segment")


def test_a_blind_report_lies_beside_the_full_one(run, tmp_path):
    _, text, _ = run(algorithm=["watershed"], blind=True)
    (home,) = (tmp_path / "runs").glob("planes*")
    assert {path.name for path in home.iterdir()} >= {"report", "blind", "blind-names.json"}
    assert "blind report: " in text
    full, blind = ((home / name / "report.md").read_text() for name in ("report", "blind"))
    assert "BLIND=1" in full
    assert str(tmp_path) in full
    assert str(tmp_path) not in blind


def test_an_algorithm_that_fails_alike_is_given_up_in_sight_unless_told(
    run, planes, fakes, monkeypatch
):
    for name in "cdefg":
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


def test_several_datasets_are_one_run_with_their_names_in_the_scores(run, planes, tmp_path):
    other = tmp_path / "more, by hand"
    shutil.copytree(planes, other)
    write(other / "images" / "c.tif", Volume(np.ones((9, 9), np.uint16), (0.5, 0.5), "YX"))
    code, text, engine = run(dataset=f"{planes},{other}", algorithm=["watershed"], blind=True)
    assert code == 0, text
    assert engine.calls == [
        "planes-a", "planes-b", *(f"more_by_hand-{name}" for name in "abc"),
    ]  # fmt: skip
    assert "note: Cases of 2 datasets: planes (2), more, by hand (3).\n" in text
    (folder,) = (tmp_path / "runs").glob("planes+more*")
    scores = pd.read_csv(folder / "report" / "scores.csv")
    own = scores[(scores["algorithm"] == "watershed") & (scores["metric"] == "SEG")]
    assert dict(zip(own["case"], own["dataset"], strict=True)) == {
        "planes-a": "planes", "planes-b": "planes",
        "more_by_hand-a": "more, by hand", "more_by_hand-b": "more, by hand",
    }  # fmt: skip
    objects = pd.read_csv(folder / "report" / "object_scores.csv")
    assert set(objects["case"]) == set(own["case"])
    blind = pd.read_csv(folder / "blind" / "scores.csv")
    assert set(blind["dataset"]) == {"test"}
    assert all(name.startswith("blind_") for name in blind["case"].dropna())
    place = tmp_path / "ctc"
    ctc_command(folder, out=place, truth=True)
    assert len(list(place.rglob("*_RES"))) == 5
    assert json.loads((folder / "run.json").read_text())["dataset"] == "planes+more, by hand"


def test_the_datasets_are_a_condition_of_the_report(run, planes, tmp_path):
    for name in ("x", "y"):
        shutil.copytree(planes, tmp_path / name)
    (tmp_path / "y" / "labels" / "b.tif").unlink()  # other cases than those of x
    folders = ",".join(str(tmp_path / name) for name in ("x", "y"))
    code, _, _ = run(dataset=folders, algorithm=["watershed"])
    assert code == 0
    (table,) = (tmp_path / "runs").glob("x+y*/report/by_condition.csv")
    found = pd.read_csv(table)
    assert {*zip(found["condition"], found["group"], strict=True)} == {
        ("dataset", "x"), ("dataset", "y"),
    }  # fmt: skip
