"""The table of judged objects: what is in it, both scores from it, when it is written."""

import csv

import numpy as np
import pandas as pd
import pytest

from cytosuite.benchmark.record import read_record
from cytosuite.benchmark.results import cases as cases_module
from cytosuite.benchmark.results.gather import RunFacts, gather
from cytosuite.benchmark.results.object_scores import (
    ObjectPlaces,
    measured_places,
    write_object_scores,
    written_places,
)
from cytosuite.benchmark.results.objects import write_objects
from cytosuite.benchmark.results.score import score
from cytosuite.metrics import det, seg
from cytosuite.metrics.labels import object_table
from cytosuite.metrics.labels.overlap import overlap
from cytosuite.tasks import TASKS
from cytosuite.volume import Volume

SEGMENT = TASKS["segment"]
FACTS = RunFacts("fake", "invoke", "make benchmark DATASET=toy", "1 GiB")


def rows_of(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def from_file(path):
    """Return SEG and DET from the file alone."""
    table = pd.read_csv(path)
    truth, prediction = (table[table["side"] == side] for side in ("truth", "prediction"))
    found, covering = ((side["matched_label"] > 0).sum() for side in (truth, prediction))
    missed, spurious = len(truth) - found, len(prediction) - covering
    cost = 5 * (found - covering) + 10 * missed + spurious
    return truth["seg"].mean(), 1 - min(cost, 10 * len(truth)) / (10 * len(truth))


@pytest.fixture
def run(answers, dataset_of, toys):
    """Return a dataset, and jobs: one finds one of two objects and invents one, one fails."""

    def one(image):
        found = np.where(toys.labels() == 1, 70_000, 0).astype(np.uint32)
        found[0, 0, :3] = 5
        return found

    dataset = dataset_of(2, microscopy_image=toys.image, instance_labels=toys.labels)
    return dataset, answers(dataset, SEGMENT, ours=one, slow=lambda image: "time-out")


def test_a_case_has_a_row_for_every_object_of_both_sides(run):
    dataset, jobs = run
    score(dataset, SEGMENT, jobs)
    rows = rows_of(jobs[0].folder / "c0" / "object_scores.csv")
    keys = ("side", "label", "class", "matched_label", "iou", "share_covered", "seg")
    assert [tuple(row[key] for key in keys) for row in rows] == [
        ("truth", "1", "matched", "70000", "1.0", "1.0", "1.0"),
        ("truth", "2", "missed", "0", "0.0", "0.0", "0.0"),
        ("prediction", "5", "false", "0", "0.0", "0.0", ""),
        ("prediction", "70000", "matched", "1", "1.0", "1.0", ""),
    ]
    places = ("centroid_z_um", "centroid_y_um", "centroid_x_um", "volume_um3", "depth_um")
    assert [rows[0][name] for name in places] == ["11", "3", "3", "147", "11"]
    assert [row["touches_border"] for row in rows] == ["0", "0", "1", "0"]


def test_a_failed_case_is_an_empty_answer(run):
    dataset, jobs = run
    score(dataset, SEGMENT, jobs)
    path = jobs[1].folder / "c1" / "object_scores.csv"
    assert [(row["side"], row["class"]) for row in rows_of(path)] == [("truth", "missed")] * 2
    assert from_file(path) == (0, 0)


@pytest.mark.parametrize("seed", range(4))
def test_both_scores_follow_from_the_file(tmp_path, seed):
    rng = np.random.default_rng(seed)
    blocks = np.kron(rng.integers(0, 9, (3, 4, 4)), np.ones((2, 4, 4), int)).astype(np.uint16)
    answer = np.where(rng.random(blocks.shape) < 0.8, np.roll(blocks, seed, axis=2), 0)
    truth, prediction = (Volume(labels, (2.0, 0.5, 0.5)) for labels in (blocks, answer))
    table = overlap(blocks, answer)
    path = tmp_path / "scores.csv"
    write_object_scores(path, table, measured_places(truth), measured_places(prediction))
    assert from_file(path) == pytest.approx((seg.of(table), det.of(table)), abs=1e-15)
    assert len(rows_of(path)) == table.truth_labels.size + table.prediction_labels.size


def test_places_are_those_of_the_measured_objects(tmp_path, toys):
    labels = Volume(toys.labels(), (2.0, 0.5, 0.5))
    write_objects(tmp_path / "objects.csv", labels, labels, labels)
    assert written_places(tmp_path / "objects.csv") == measured_places(labels)


def test_a_plane_has_no_depth(tmp_path):
    flat = Volume(np.array([[1, 1, 0], [0, 0, 3]]), (0.5, 0.5), "YX")
    table = overlap(flat.array, flat.array)
    for name in ("a", "b"):
        write_object_scores(tmp_path / name, table, measured_places(flat), measured_places(flat))
    head, *_ = (tmp_path / "a").read_text().splitlines()
    assert head.endswith("seg,centroid_y_um,centroid_x_um,area_um2,touches_border")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_without_objects_there_is_the_head_alone(tmp_path):
    empty = np.zeros((1, 2, 2), np.uint8)
    write_object_scores(tmp_path / "a", overlap(empty, empty), ObjectPlaces(), ObjectPlaces())
    assert rows_of(tmp_path / "a") == []


def test_the_truth_is_measured_once_per_case_and_only_when_it_is_needed(run, monkeypatch):
    dataset, jobs = run
    calls = []

    def counted(labels):
        calls.append(labels)
        return measured_places(labels)

    monkeypatch.setattr(cases_module, "measured_places", counted)
    score(dataset, SEGMENT, jobs)
    assert len(calls) == 2  # cases, of two algorithms
    score(dataset, SEGMENT, jobs)
    assert len(calls) == 2


def test_an_altered_table_is_made_again_and_its_digest_kept(run):
    dataset, jobs = run
    score(dataset, SEGMENT, jobs)
    path = jobs[0].folder / "c0" / "object_scores.csv"
    whole = path.read_bytes()
    path.write_text("side\n")
    score(dataset, SEGMENT, jobs)
    assert path.read_bytes() == whole
    assert set(read_record(path.parent).digests) >= {"objects.csv", "object_scores.csv"}


def test_small_objects_that_are_ignored_have_no_row(run, monkeypatch):
    dataset, jobs = run
    monkeypatch.setattr(type(dataset.cases[0]), "min_object_voxels", 6 * 7 * 7 + 1)
    score(dataset, SEGMENT, jobs)
    rows = rows_of(jobs[0].folder / "c0" / "object_scores.csv")
    assert [(row["side"], row["label"]) for row in rows] == [("truth", "2"), ("prediction", "5")]


def test_without_a_truth_there_is_no_table(answers, dataset_of, toys):
    dataset = dataset_of(1, microscopy_image=toys.image)
    jobs = answers(dataset, SEGMENT, ours=lambda image: toys.labels())
    assert gather(dataset, SEGMENT, jobs, FACTS).object_scores == {}


def test_a_truth_that_is_noise_is_a_note_of_the_report(answers, dataset_of, toys, monkeypatch):
    monkeypatch.setattr(object_table, "OBJECTS", 1)
    dataset = dataset_of(1, microscopy_image=toys.image, instance_labels=toys.labels)
    jobs = answers(dataset, SEGMENT, slow=lambda image: "time-out")
    found = gather(dataset, SEGMENT, jobs, FACTS)
    assert found.object_scores == {}
    assert any(note.startswith("object_scores.csv: not computed for 1 a") for note in found.notes)


def test_results_name_the_tables_of_all_cases_and_the_classes(run):
    dataset, jobs = run
    found = gather(dataset, SEGMENT, jobs, FACTS)
    assert set(found.object_scores) == {(a, c) for a in ("ours", "slow") for c in ("c0", "c1")}
    ours, slow = found.matches["ours", "c0"], found.matches["slow", "c0"]
    assert (ours.truth_classes, ours.answer_classes) == ({2: "missed"}, {5: "false"})
    assert (slow.truth_classes, slow.answer_classes) == ({1: "missed", 2: "missed"}, {})
    assert found.matches["oracle", "c1"].truth_classes == {}
