from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import toys
from rows import lines, rows_of

from cytosuite.benchmark.runs.record import read_record
from cytosuite.benchmark.scores.objects import (
    join_tables,
    measured_places,
    write_object_scores,
    write_objects,
    written_places,
)
from cytosuite.benchmark.scores.score import score
from cytosuite.contract.tasks import TASKS
from cytosuite.errors import InputError
from cytosuite.metrics import det, seg
from cytosuite.metrics.labels.overlap import overlap
from cytosuite.volume import Volume

SEGMENT = TASKS["segment"]


def from_file(path):
    table = pd.read_csv(path)
    truth, prediction = (table[table["side"] == side] for side in ("truth", "prediction"))
    matched, covering = ((side["matched_label"] > 0).sum() for side in (truth, prediction))
    cost = 5 * (matched - covering) + 10 * (len(truth) - matched) + (len(prediction) - covering)
    return truth["seg"].mean(), 1 - min(cost, 10 * len(truth)) / (10 * len(truth))


@pytest.fixture
def run(answers, dataset_of):
    """Return a dataset, and jobs: one finds one of two objects and invents one, one fails."""

    def one(image):
        labels = np.where(toys.labels() == 1, 70_000, 0).astype(np.uint32)
        labels[0, 0, :3] = 5
        return labels

    dataset = dataset_of(2, microscopy_image=toys.image, instance_labels=toys.labels)
    return dataset, answers(dataset, SEGMENT, ours=one, slow=lambda image: "time-out")


def test_a_case_has_a_row_for_every_object_of_both_sides(run):
    dataset, jobs = run
    score(dataset, SEGMENT, jobs)
    path = jobs[0].folder / "c0/object_scores.csv"
    assert lines(path, "side,label,class,matched_label,iou,share_covered,seg,touches_border") == [
        "truth,1,matched,70000,1.0,1.0,1.0,0",
        "truth,2,missed,0,0.0,0.0,0.0,0",
        "prediction,5,false,0,0.0,0.0,,1",
        "prediction,70000,matched,1,1.0,1.0,,0",
    ]
    places = "centroid_z_um,centroid_y_um,centroid_x_um,volume_um3"
    assert lines(path, f"{places},depth_um")[0] == "11,3,3,147,11"  # 294 voxels x 0.5
    path = path.with_name("objects.csv")
    assert lines(path, "label,truth_label") == ["5,0", "70000,1"]
    assert lines(path, f"iou,{places}")[1] == "1,11,3,3,147"
    row = rows_of(path)[1]
    assert 115 < float(row["mean_intensity"]) < 125 < float(row["max_intensity"]) < 145


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


def test_an_altered_table_is_made_again_and_its_digest_kept(run):
    dataset, jobs = run
    score(dataset, SEGMENT, jobs)
    path = jobs[0].folder / "c0/object_scores.csv"
    whole = path.read_bytes()
    path.write_text("side\n")
    score(dataset, SEGMENT, jobs)
    assert path.read_bytes() == whole
    assert set(read_record(path.parent).digests) >= {"objects.csv", "object_scores.csv"}


def test_the_bytes_are_always_the_same(tmp_path):
    labels = Volume(np.array([[1, 1, 0], [0, 0, 3]]), (1 / 3, 0.1), "YX")
    write_objects(tmp_path / "a", labels, labels)
    assert (tmp_path / "a").read_text().splitlines() == [
        "label,centroid_y_um,centroid_x_um,area_um2,extent,length_y_um,length_x_um,mean_intensity,max_intensity,touches_border",
        "1,0,0.05,0.0666667,1,0.333333,0.2,1,1,1",
        "3,0.333333,0.2,0.0333333,1,0.333333,0.1,3,3,1",
    ]


def test_tables_of_other_columns_are_joined_by_name(tmp_path):
    write_objects(tmp_path / "flat", Volume(np.array([[4]]), (1.0, 1.0), "YX"))
    deep = Volume(np.array([[[5]]]), (2.0, 1.0, 1.0))
    write_objects(tmp_path / "deep", deep, truth=deep)
    join_tables(
        tmp_path / "all",
        ["who", "case"],
        {("a", "flat"): tmp_path / "flat", ("b,c", "deep"): tmp_path / "deep"},
    )
    assert lines(tmp_path / "all", "who,case,area_um2,volume_um3,iou") == [
        "a,flat,1,,",
        "b,c,deep,,2,1",
    ]


def test_objects_have_the_class_of_their_annotation(tmp_path):
    truth = Volume(np.array([[1, 1, 0, 2]]), (1.0, 1.0), "YX")
    answer = truth.like(np.array([[7, 7, 8, 0]]))
    places = replace(measured_places(truth), kinds={"1": "basal", "2": "activated"})
    table = overlap(truth.array, answer.array)
    write_object_scores(tmp_path / "t.csv", table, places, measured_places(answer))
    assert lines(tmp_path / "t.csv", "side,label,kind") == [
        "truth,1,basal",
        "truth,2,activated",
        "prediction,7,basal",
        "prediction,8,",
    ]


@pytest.mark.parametrize(
    "content",
    [b"", b"x\n1\n", b"label\n\xe9\n", b"x,label\n1\n", b"label\n" + b"a" * 200_000, b"label\n2"],
)
def test_a_table_of_others_is_refused_in_a_line(tmp_path, content):
    labels = Volume(np.ones((4, 4), np.uint8), (1.0, 1.0), "YX")
    table = overlap(labels.array, labels.array)
    (tmp_path / "objects.csv").write_bytes(content)
    with pytest.raises(InputError, match="remove the file$"):
        places = written_places(tmp_path / "objects.csv")
        write_object_scores(tmp_path / "t.csv", table, places, places)
    assert not (tmp_path / "t.csv").exists()
