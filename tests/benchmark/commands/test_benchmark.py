"""The main job with an engine that runs functions."""

from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from cytosuite.benchmark.commands import data as module
from cytosuite.benchmark.commands.benchmark import benchmark
from cytosuite.benchmark.commands.options import BenchmarkOptions
from cytosuite.errors import InputError, ModelError
from cytosuite.formats import write
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
        monkeypatch.setattr(module, "choose", lambda wanted, device: (engine, "engine: fake"))
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
