"""Command ``evaluation``: files to upload, from simulated datasets and from folders."""

import json
import tarfile

import numpy as np
import pytest
from typer.testing import CliRunner

from cytosuite.benchmark.commands.app import app
from cytosuite.errors import InputError
from cytosuite.formats import write
from cytosuite.volume import Volume

RUNNER = CliRunner()


def evaluation(*words):
    return RUNNER.invoke(app, ["evaluation", *map(str, words)], catch_exceptions=False)


@pytest.fixture
def own(tmp_path):
    """Return a folder of two annotated images."""
    for number in (1, 2):
        labels = np.zeros((6, 20, 20), np.uint16)
        labels[1:4, 3:9, 3:9] = number
        grey = Volume(labels * 50, (1.0, 0.5, 0.5), "ZYX")
        write(tmp_path / "own" / "images" / f"a b.{number}.tif", grey)
        write(tmp_path / "own" / "labels" / f"a b.{number}.tif", grey.like(labels))
    return tmp_path / "own"


def test_a_folder_of_images(own, tmp_path):
    out = tmp_path / "dist"
    done = evaluation(own, "--runs", tmp_path / "runs", "--out", out)
    assert done.exit_code == 0
    assert [p.name for p in sorted(out.iterdir())] == [
        "own-evaluation.md", "own-ground-truth.tar.gz", "own-inputs",
    ]  # fmt: skip
    with tarfile.open(out / "own-ground-truth.tar.gz") as archive:
        described = json.load(archive.extractfile("evaluation.json"))
        names = [name for name in archive.getnames() if name.endswith(".tif")]
    assert [case["image"] for case in described["cases"]] == ["a b.1.tif", "a b.2.tif"]
    assert all("/instance-labels/" in name for name in names)
    text = (out / "own-evaluation.md").read_text()
    assert "`aggregates.SEG.mean`, desc" in text
    assert "`images/instance-labels`" in text


def test_it_can_be_written_again_and_is_the_same(own, tmp_path):
    before = None
    for _ in range(2):
        evaluation(own, "--runs", tmp_path / "runs", "--out", tmp_path / "dist")
        files = (p for p in sorted((tmp_path / "dist").rglob("*")) if p.is_file())
        found = {path: path.read_bytes() for path in files}
        assert before in (None, found)
        before = found


def test_another_folder_of_that_name_is_left_alone(own, tmp_path):
    (tmp_path / "dist" / "own-inputs").mkdir(parents=True)
    (tmp_path / "dist" / "own-inputs" / "mine.txt").touch()
    with pytest.raises(InputError, match="own-inputs: the folder is not empty"):
        evaluation(own, "--runs", tmp_path / "runs", "--out", tmp_path / "dist")


def test_images_without_labels_are_refused(own, tmp_path):
    for path in (own / "labels").iterdir():
        path.unlink()
    (own / "labels").rmdir()
    with pytest.raises(InputError, match="no metric to rank the task segment by"):
        evaluation(own, "--runs", tmp_path / "runs", "--out", tmp_path / "dist")
    assert not list((tmp_path / "dist").glob("*"))


def test_a_task_that_the_dataset_does_not_serve(own, tmp_path):
    with pytest.raises(InputError, match="fuse"):
        evaluation(own, "--task", "fuse", "--runs", tmp_path / "runs", "--out", tmp_path / "dist")


def test_no_such_task(own, tmp_path):
    with pytest.raises(InputError, match="no task called 'segmnt'; did you mean 'segment'"):
        evaluation(own, "--task", "segmnt", "--out", tmp_path / "dist")


@pytest.mark.slow
def test_a_simulated_dataset_for_another_task_has_its_name(tmp_path):
    words = ["--size", "mini", "--cases", "1", "--task", "enhance"]
    evaluation("spheroid", *words, "--runs", tmp_path / "runs", "--out", tmp_path / "dist")
    assert (tmp_path / "dist" / "spheroid-enhance-ground-truth.tar.gz").is_file()
