"""Tables of points, their matches, and the scores of files of points."""

import numpy as np
import pytest
from mistakes import refused
from participants import scored
from rows import lines
from toys import made_in, put

from cytosuite.benchmark.commands.files.applied import count_in_cells
from cytosuite.benchmark.runs.data.recipe import DataRequest, recipe
from cytosuite.benchmark.scores.cases import score_case
from cytosuite.benchmark.scores.controls import control_answer
from cytosuite.benchmark.scores.matches import match_points
from cytosuite.benchmark.scores.points import write_point_scores, write_points
from cytosuite.benchmark.scores.score import scores_of
from cytosuite.contract.points import Points
from cytosuite.contract.tasks import TASKS
from cytosuite.files import write_json, write_text
from cytosuite.formats import write
from cytosuite.metrics import board_metrics
from cytosuite.metrics.points.matching import matched_points
from cytosuite.volume import Volume

SPACING = (2.0, 0.5, 0.5)
TRUE = Points([[1, 2, 3], [2, 8, 8], [3, 9, 1]], SPACING)
FOUND = Points([[9, 9, 9], [1, 3, 3]], SPACING, confidence=[0.5, 1])
FAR = Points(1000 * TRUE.array, SPACING)  # µm in place of mm
CELLS = np.zeros((4, 12, 12), np.uint8)
CELLS[:, :6] = 4
CELLS[:, 8:] = 7


def test_each_point_has_a_row_with_its_place_class_and_distance(tmp_path):
    pairs = matched_points(TRUE.array, FOUND.array, SPACING)
    write_point_scores(tmp_path / "s.csv", pairs, TRUE, FOUND, CELLS)
    heads = "side,label,class,matched_label,distance_um,cell,depth_um"
    assert lines(tmp_path / "s.csv", heads) == [
        "truth,1,matched,2,0.5,4,2",
        "truth,2,missed,0,,7,4",
        "truth,3,missed,0,,7,6",
        "prediction,1,false,0,,0,18",
        "prediction,2,matched,1,0.5,4,2",
    ]
    matches = match_points(pairs)
    assert (matches.missed, matches.extra, matches.found) == ((2, 3), (1,), 1)
    assert matches.answer_classes == {1: "false"}


def test_the_points_of_an_answer_are_listed_with_what_is_known(tmp_path):
    write_points(tmp_path / "o.csv", FOUND)
    assert (tmp_path / "o.csv").read_text().splitlines()[:2] == [
        "label,centroid_z_um,centroid_y_um,centroid_x_um,cell,z_px,y_px,x_px,confidence,name",
        "1,18,4.5,4.5,0,9,9,9,0.5,1",
    ]
    write_points(tmp_path / "o.csv", Points([[1000000000.25, 1234567]], (0.5, 0.5)))
    assert "1,500000000.125,617283.5,0,1000000000.25,1234567,1" in (tmp_path / "o.csv").read_text()


def test_the_blank_control_has_no_points():
    assert len(control_answer("blank", lambda: TRUE, None)()) == 0
    assert control_answer("oracle", lambda: TRUE, None)() is TRUE


@pytest.fixture
def folder(tmp_path):
    """Return images, points (a table and JSON), and answers as `apply` writes them, one missing."""
    for name in ("a", "b", "c"):
        put(tmp_path / f"d/images/{name}.tif", CELLS)
        put(tmp_path / f"labels/{name}.tif", CELLS)
        write_json(tmp_path / f"d/points/{name}.json", TRUE.document())
    (tmp_path / "d/points/a.json").unlink()
    (tmp_path / "d/points/a.csv").write_text("z,y,x\n1,2,3\n2,8,8\n3,9,1\n")
    write_json(tmp_path / "out/a-detected-points.json", FOUND.document())
    write_json(tmp_path / "out/b-detected-points.json", TRUE.document())
    write_json(tmp_path / "out/a.json", {"a": "record"})
    return tmp_path


def test_a_folder_of_points_is_scored_by_name(folder):
    scores = scored(folder / "d", folder / "out", objects=folder / "o.csv")
    assert [scores["case"][name]["F1"] for name in "abc"] == [0.4, 1, 0]
    assert scores["failed"] == ["c"]
    assert scores["aggregates"]["F1"]["mean"] == pytest.approx(1.4 / 3)
    assert "right_cell" not in scores["aggregates"]
    write_json(folder / "out/c-detected-points.json", FAR.document())
    assert lines(folder / "o.csv", "case,class").count("c,missed") == 3
    scores = scored(
        folder / "d",
        folder / "out",
        radius=0.4,
        truth_labels=folder / "labels",
        metrics=["right_cell", "recall"],
    )
    assert scores["case"]["a"]["recall"] == 0
    assert scores["case"]["b"]["right_cell"] == 1
    assert "points outside of the image in 1 file (prediction c): 3 of 3" in scores["doubts"][0]
    (folder / "labels").rename(folder / "d/labels")
    scores = scored(folder / "d", folder / "d/labels", metrics=["SEG"])
    assert scores["aggregates"]["SEG"]["mean"] == 1
    (folder / "d/images/b.tif").rename(folder / "d/images/b.h5")  # no image is needed
    assert scored(folder / "d", folder / "out", spacing=SPACING)["case"]["b"]["F1"] == 1


@pytest.fixture
def judged(folder, answers):
    """Return a function that scores points, or a failure, as an answer to a case, by a radius."""

    def judge(points, radius=None):
        asked = DataRequest(str(folder / "d"), task="detect", radius=radius)
        dataset = made_in(folder / "made", recipe(asked))
        task = TASKS["detect"]
        points = points.document() if isinstance(points, Points) else points
        jobs = answers(dataset, task, "output.json", watershed=lambda _: points)
        *_, answer = score_case(dataset.cases[0], task, board_metrics("detect"), jobs)
        return answer

    return judge


@pytest.mark.parametrize(
    "points, radius, score", [(FOUND, None, 0.4), (FOUND, 0.4, 0.0), (FAR, None, 0.0)]
)
def test_a_dataset_is_judged_by_its_radius_and_points_far_away_are_doubted(
    judged, points, radius, score
):
    answer = judged(points, radius)
    assert answer.values["F1"] == score
    assert len(answer.record.warnings) == (points is FAR)


@pytest.mark.parametrize("most, score", [(9, 0.0), (2, np.nan)])
def test_an_answer_that_metrics_refuse_is_the_worst_unless_they_refuse_the_truth_too(
    judged, monkeypatch, most, score
):
    """Else who gives too many points on a hard case has it left out of the mean."""
    monkeypatch.setattr("cytosuite.metrics.points.matching.MOST_PAIRS", most)
    answer = judged(Points(np.repeat(TRUE.array, 4, axis=0), SPACING))
    assert "expected at most" in answer.refused["F1"]
    both = answer, judged("bad output")
    assert scores_of(both, board_metrics("detect")).pooled["watershed", "F1"] == 0
    for reply in both:
        assert reply.values["F1"] == pytest.approx(score, nan_ok=True)
    assert np.isnan(answer.values["RMSE_lateral"])
    pooled = [matched.predictions for matched in answer.evidence.values()]
    assert pooled == [0] * (score == 0)  # as of a failed case


def test_points_are_counted_by_cell_also_where_a_picture_lies_beside_the_labels(folder):
    out = folder / "out"
    cells = folder / "labels"
    record = {"image": "/data/a.nd2", "spacing_um": SPACING}
    for name in ("a", "b"):
        write_json(out / f"{name}.json", record | {"image": f"/data/{name}.nd2"})
        (cells / f"{name}.png").write_text("a picture of the labels")
    assert count_in_cells(out, cells) == out / "cells.csv"
    counts = ["a.nd2,4,1", "a.nd2,7,0", "b.nd2,4,1", "b.nd2,7,2"]
    assert lines(out / "cells.csv", "image,cell,points") == counts
    assert lines(out / "objects.csv", "cell") == [*"04477"]
    (cells / "b.tif").unlink()
    (cells / "b.png").unlink()
    refused("expected labels of cells named b, found none", count_in_cells, out, cells)


def test_images_of_one_name_in_two_folders_keep_their_points(folder):
    for name, room in (("a", "1"), ("b", "2")):
        write_json(folder / f"out/{name}.json", {"image": f"/{room}/x.tif", "spacing_um": SPACING})
    count_in_cells(folder / "out", folder / "labels")
    assert lines(folder / "out/cells.csv", "image,points") == ["a,1", "a,0", "b,1", "b,2"]


@pytest.mark.parametrize(
    "name, step, line",
    [
        ("b.h5", 1, "no voxel size in 1 file (truth b): 1 µm was assumed"),
        ("b.mha", 2000, "the numbers were read as µm, which is 2 x 2 µm"),
    ],
)
def test_an_image_of_any_kind_gives_the_voxel_size_as_in_a_report(tmp_path, name, step, line):
    for side, x in ("points", 3), ("out", 4):
        write_text(tmp_path / side / "b.csv", f"y,x\n2,{x}\n")
    words = {"spacing_source": "assumed"} if step == 1 else {}
    write(tmp_path / "images" / name, Volume(CELLS[0], (step, step), "YX", words))
    scores = scored(tmp_path, tmp_path / "out", ["RMSE_lateral"])
    assert scores["case"]["b"]["RMSE_lateral"] == (1 if step == 1 else 2)
    assert line in scores["doubts"][0]


def test_two_files_need_the_voxel_size(folder):
    pair = folder / "d/points/b.json", folder / "out/a-detected-points.json"
    assert scored(*pair, spacing=SPACING)["case"]["b"]["precision"] == 0.5
    assert scored(*pair, image=folder / "d/images/b.tif")["case"]["b"]["F1"] == 0.4
    refused(r"b\.json: its voxel size is not known: give --image", scored, *pair)
    refused(
        "right_cell needs --truth-labels", scored, *pair, spacing=SPACING, metrics=["right_cell"]
    )
    refused(
        "no table with a column x or x_um is named like one of",
        scored,
        folder / "d",
        folder / "labels",
    )
    refused("--radius: expected points", scored, folder / "labels", folder / "labels", radius=1.0)
