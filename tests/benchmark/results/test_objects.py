import csv

import numpy as np
import pytest

from cytosuite.benchmark.results.objects import join_tables, write_objects
from cytosuite.benchmark.results.score import score
from cytosuite.metrics.labels import object_table
from cytosuite.tasks import TASKS
from cytosuite.volume import Volume

HEAD = ["label", "centroid_y_um", "centroid_x_um", "area_um2", "extent", "length_y_um"]
HEAD += ["length_x_um", "mean_intensity", "max_intensity", "touches_border"]
SEGMENT = TASKS["segment"]


def rows_of(path):
    return list(csv.DictReader(path.read_text().splitlines()))


@pytest.fixture
def run(answers, dataset_of, toys):
    """Return a dataset, the job of an algorithm that finds one of two objects, and its scores."""

    def one(image):
        return np.where(toys.labels() == 1, 70_000, 0).astype(np.uint32)

    dataset = dataset_of(2, microscopy_image=toys.image, instance_labels=toys.labels)
    jobs = answers(dataset, SEGMENT, ours=one)
    return dataset, jobs, score(dataset, SEGMENT, jobs)


def test_a_run_holds_the_objects_of_every_case_with_their_partners(run):
    _, (job,), _ = run
    (row,) = rows_of(job.folder / "c0" / "objects.csv")
    assert (row["label"], row["truth_label"], row["iou"]) == ("70000", "1", "1")
    assert row["volume_um3"] == "147"  # 6 x 7 x 7 voxels of 2 x 0.5 x 0.5 µm
    assert (row["centroid_z_um"], row["centroid_y_um"]) == ("11", "3")
    assert 115 < float(row["mean_intensity"]) < 125 < float(row["max_intensity"]) < 145
    assert row["touches_border"] == "0"


def test_a_table_that_is_there_is_not_computed_again(run):
    dataset, jobs, _ = run
    path = jobs[0].folder / "c0" / "objects.csv"
    before = path.stat().st_mtime_ns
    score(dataset, SEGMENT, jobs)
    assert path.stat().st_mtime_ns == before


@pytest.mark.parametrize("fault", [b"", b"label\n1\n"])
def test_a_table_that_was_altered_is_computed_again(run, fault):
    dataset, jobs, _ = run
    path = jobs[0].folder / "c0" / "objects.csv"
    whole = path.read_bytes()
    path.write_bytes(fault)
    score(dataset, SEGMENT, jobs)
    assert path.read_bytes() == whole


def test_a_failed_case_and_other_tasks_have_no_table(answers, dataset_of, toys, tmp_path):
    dataset = dataset_of(1, microscopy_image=toys.image, enhanced_image=toys.image)
    (job,) = answers(dataset, TASKS["enhance"], ours=lambda image: image.array)
    score(dataset, TASKS["enhance"], [job])
    (failed,) = answers(dataset, SEGMENT, slow=lambda image: "time-out")
    score(dataset, SEGMENT, [failed])
    assert not list(tmp_path.rglob("objects.csv"))


def test_without_truth_there_are_no_partners(answers, dataset_of, toys):
    dataset = dataset_of(1, microscopy_image=toys.image)
    (job,) = answers(dataset, SEGMENT, ours=lambda image: toys.labels())
    score(dataset, SEGMENT, [job])
    (first, _) = rows_of(job.folder / "c0" / "objects.csv")
    assert "iou" not in first
    assert first["label"] == "1"


def test_noise_is_a_note_of_the_report(answers, dataset_of, toys, monkeypatch):
    monkeypatch.setattr(object_table, "OBJECTS", 1)
    dataset = dataset_of(1, microscopy_image=toys.image, instance_labels=toys.labels)
    jobs = answers(dataset, SEGMENT, ours=lambda image: toys.labels())
    (note,) = score(dataset, SEGMENT, jobs).notes
    assert note.startswith("objects.csv: not computed for 1 answers; the first is ours on c0")


def test_the_bytes_are_always_the_same(tmp_path):
    labels = Volume(np.array([[1, 1, 0], [0, 0, 3]]), (1 / 3, 0.1), "YX")
    for name in ("a", "b"):
        write_objects(tmp_path / name, labels, labels)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_text().splitlines() == [
        ",".join(HEAD),
        "1,0,0.05,0.0666667,1,0.333333,0.2,1,1,1",
        "3,0.333333,0.2,0.0333333,1,0.333333,0.1,3,3,1",
    ]


def test_tables_of_other_columns_are_joined_by_name(tmp_path):
    flat = Volume(np.array([[4]]), (1.0, 1.0), "YX")
    write_objects(tmp_path / "flat", flat)
    deep = Volume(np.array([[[5]]]), (2.0, 1.0, 1.0))
    write_objects(tmp_path / "deep", deep, truth=deep)
    files = {("a", "flat"): tmp_path / "flat", ("b,c", "deep"): tmp_path / "deep"}
    join_tables(tmp_path / "all", ["who", "case"], files)
    first, second = rows_of(tmp_path / "all")
    assert (first["who"], first["case"], first["area_um2"], first["volume_um3"]) == (
        "a", "flat", "1", "",
    )  # fmt: skip
    assert (second["who"], second["volume_um3"], second["iou"]) == ("b,c", "2", "1")
