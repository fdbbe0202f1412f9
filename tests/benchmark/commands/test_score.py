"""Scores of outputs that are named like their view, beside folders of Fuse My Cells."""

import csv
import os
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from layouts import grey
from mistakes import refused
from participants import scored
from PIL import Image
from roifile import ROI_TYPE, ImagejRoi
from rows import columns

from cytosuite.benchmark.commands.options.score import ScoreOptions
from cytosuite.benchmark.commands.score import layout, score_files, table
from cytosuite.files import read_json
from cytosuite.folders.rois import write_rois
from cytosuite.formats import write
from cytosuite.formats.hdf5 import write_named
from cytosuite.metrics import board_metrics, n_ssim, psnr, ssim
from cytosuite.metrics.tracks.lineage import Track
from cytosuite.metrics.tracks.track_folder import write_sequence
from cytosuite.volume import Volume


def _labels(*places):
    """Return cubes of 2 x 3 x 3 voxels at (z, y, x)."""
    labels = np.zeros((4, 12, 12), np.uint16)
    for number, (z, y, x) in enumerate(places, 1):
        labels[z : z + 2, y : y + 3, x : x + 3] = number
    return labels


TWO = _labels((0, 0, 0), (2, 6, 6))


def _write(path, array, spacing=(2.0, 0.5, 0.5), **words):
    write(path, Volume(array, spacing[-array.ndim :], "ZYX"[-array.ndim :], words))
    return path


@pytest.fixture
def folders(tmp_path):
    """Return two folders: one case perfect, one with half of two objects found, one missing."""
    for name in ("a", "b", "c"):
        _write(tmp_path / f"truth/{name}.tif", TWO)
    _write(tmp_path / "prediction/a.tif", TWO)
    _write(tmp_path / "prediction/b.mha", _labels((0, 0, 0)))
    return tmp_path / "truth", tmp_path / "prediction"


@pytest.mark.parametrize("named", [{}, {"segmenter": "watershed:tissue-nuclei-3d"}])
def test_overlap_restored_is_that_of_a_segmenter_that_the_scores_name(tmp_path, named):
    z, y, x = np.indices((16, 48, 48))
    ball = 900 * (4 * (z - 8) ** 2 + (y - 24) ** 2 + (x - 24) ** 2 < 200) + (7 * x + 3 * y) % 5
    dim = np.where(x > 24, ball // 8, ball)
    truth, image = (
        _write(tmp_path / f"{name}.tif", array.astype(np.uint16), (1.0, 0.5, 0.5))
        for name, array in (("truth", ball), ("image", dim))
    )
    scores = scored(truth, truth, ["N_IOU"], image=image, **named)
    assert scores["aggregates"]["N_IOU"]["mean"] == 1
    name = named.get("segmenter", "watershed:spheroid-nuclei-3d")
    assert scores["doubts"] == [f"N_IOU: masks by {name}"]


def test_folders_are_matched_by_name_and_a_missing_prediction_has_the_worst_value(folders):
    scores = scored(*folders, ["SEG", "DET"])
    assert scores["case"] == {
        "a": {"SEG": 1.0, "DET": 1.0},
        "b": {"SEG": 0.5, "DET": 0.5},
        "c": {"SEG": 0.0, "DET": 0.0},
    }
    assert scores["failed"] == ["c"]
    for place in folders:
        stack = Volume(TWO, (2.0, 0.5, 0.5), "ZYX")
        write_named(place / "a.h5", {"raw": stack.like(TWO + 7), "label": stack}, False)
        (place / "a.tif").unlink()
    assert scored(*folders, ["SEG", "DET"]) == scores
    assert scores["aggregates"]["SEG"] == {
        "mean": 0.5,
        "median": 0.5,
        "min": 0,
        "max": 1,
        "n": 3,
        "undefined": 0,
        "failed": 1,
        "std": pytest.approx((1 / 6) ** 0.5),
        "pooled": 3 / 6,  # a failed case is empty
    }


@pytest.mark.parametrize("name", ["mask000", "man_seg000"])
def test_planes_of_the_challenge_are_compared_with_their_plane_of_the_frame(tmp_path, name):
    for plane, labels in ((0, TWO[0]), (3, TWO[2] + 5 * TWO[0])):
        _write(tmp_path / f"SEG/man_seg_000_00{plane}.tif", labels)
    path = _write(tmp_path / f"01_RES/{name}.tif", TWO)
    _write(tmp_path / f"01_RES/{name[:-1]}1.tif", _labels())  # of the next frame
    scores = scored(tmp_path / "SEG", tmp_path / "01_RES", ["SEG"], spacing=(1.0, 0.5, 0.5))
    assert {case: row["SEG"] for case, row in scores["case"].items()} == {
        "man_seg_000_000": 1.0,
        "man_seg_000_003": 0.5,
    }
    _write(path, TWO[:2])
    scores = scored(tmp_path / "SEG", tmp_path / "01_RES", ["SEG"])
    assert scores["failed"] == ["man_seg_000_003"]
    assert scores["doubts"][-1].endswith(f"{path}: expected a plane 3, found 2")


def test_a_prediction_that_cannot_be_scored_fails_its_case_alone(folders):
    truth, prediction = folders
    (prediction / "c.tif").symlink_to(truth / "c.tif")
    assert "in 1 file (prediction c): what" in scored(truth, prediction, ["SEG"])["doubts"][0]
    (prediction / "c.tif").unlink()
    expected = scored(truth, prediction, ["SEG", "Dice"])
    (prediction / "c.tif").write_bytes(b"broken")
    _write(prediction / "d.tif", TWO)
    scores = scored(truth, prediction, ["SEG", "Dice"])
    spare, line = scores.pop("doubts")
    assert spare == "no truth of this name in 1 file (d): not scored"
    assert line.startswith(f"c: the prediction cannot be scored: {prediction / 'c.tif'}: cannot be")
    del expected["doubts"]
    assert scores == expected
    for name in ("a.tif", "b.mha"):
        _write(prediction / name, TWO[:2])
    shape = "must have the same shape"
    table = truth / "o.csv"
    refused(shape, scored, truth, prediction, ["SEG"], objects=table)  # of all cases
    assert not table.exists()
    bad = _write(truth / "b.tif", TWO.astype(np.float32))
    line = f"{bad}: truth: labels must be of an integer"
    refused(line, scored, bad, prediction / "b.mha", ["SEG"])
    _write(prediction / "a.tif", TWO)
    scores = scored(truth, prediction, ["SEG"], objects=table)
    assert scores["aggregates"]["SEG"]["failed"] == 2
    assert scores["case"] == {"a": {"SEG": 1.0}, "b": {}, "c": {"SEG": 0.0}}
    assert (scores["failed"], scores["aggregates"]["SEG"]["pooled"]) == (["b", "c"], 0.5)
    assert scores["doubts"][1].startswith(line)


def test_a_metric_or_table_that_refuses_a_truth_leaves_all_others(folders):
    ((truth, _), table), squares = (folders, folders[0] / "o.csv"), np.arange(576) ** 2 % 97
    _write(truth / "b.tif", squares.astype(np.uint16).reshape(4, 12, 12))
    scores = scored(truth, truth, ["SSIM", "MAE", "SEG"], data_range=1.0, objects=table)
    assert scores["case"]["b"] == {"MAE": 0.0, "SEG": 1.0}
    lines = " ".join(scores["doubts"])
    assert "not scored in 3 files (truth a, truth b, truth c): SSIM: axis 0 of shape" in lines
    assert "objects not listed in 1 file (truth b): objects are not measured: " in lines


@pytest.mark.parametrize(
    "axes, line",
    [
        ("CYX", "several channels in 1 file (prediction t): the first of 4 counts; save the one"),
        ("TYX", "several frames in 1 file (prediction t): an object is one number in all; give"),
    ],
)
def test_channels_and_frames_of_labels_are_a_doubt(tmp_path, axes, line):
    write(tmp_path / "p.tif", Volume(TWO, (1.0, 1.0), axes))
    truth = _write(tmp_path / "t.tif", TWO[0] if axes == "CYX" else TWO)
    assert scored(truth, tmp_path / "p.tif", ["SEG"])["doubts"][0].startswith(line)


def test_distances_between_surfaces_are_in_micrometres_of_the_file(tmp_path):
    cube = np.zeros((6, 12, 12), np.uint16)
    cube[1:5, 2:8, 2:8] = 1
    truth = _write(tmp_path / "t.tif", cube)
    prediction = _write(tmp_path / "p.tif", np.roll(cube, 1, axis=2))
    sizes = None, (4.0, 1.0, 1.0)
    small, large = (
        scored(truth, prediction, ["ASSD"], spacing=size)["case"]["t"]["ASSD"] for size in sizes
    )
    assert large == pytest.approx(2 * small)
    assert small > 0
    in_mm = scored(_write(tmp_path / "t.mha", cube, (2e3, 500, 500)), prediction, ["ASSD"])
    assert in_mm["case"]["t"]["ASSD"] == pytest.approx(small)
    assert "the numbers were read as µm" in in_mm["doubts"][0]
    doubts = scored(truth, _write(prediction, cube, (2.0, 0.6, 0.6)), ["ASSD"])["doubts"]
    assert doubts == ["voxel size differs in 1 file (prediction t): the one of the truth counts"]
    _write(truth, cube, spacing_source="assumed")
    for metric in ("ASSD", "edge_degradation"):
        doubts = [scored(truth, truth, [metric], spacing=size)["doubts"] for size in sizes]
        assert [len(lines) for lines in doubts] == [1, 0]


def test_metrics_of_objects_need_their_labels(tmp_path, rng):
    labels = _labels((0, 1, 1), (0, 6, 6), (2, 6, 1))
    _write(tmp_path / "images/a.tif", rng.random(labels.shape).astype(np.float32) + labels)
    _write(tmp_path / "labels/a.tif", labels)
    arguments = tmp_path / "images", tmp_path / "images", ["object_similarity"]
    refused("object_similarity needs --truth-labels", scored, *arguments)
    folder = tmp_path / "labels"
    scores = scored(*arguments, truth_labels=folder, prediction_labels=folder)
    assert scores["aggregates"]["object_similarity"]["set"] == pytest.approx(1.0)
    scores = scored(*arguments[:2], ["label_AUC"], image=arguments[0], truth_labels=folder)
    assert scores["aggregates"]["label_AUC"]["mean"] == 1


def test_published_limits_of_edges_on_demand(tmp_path):
    for side, fade in (("real", 0.99), ("fake", 0.9)):
        plane = (np.indices((100, 100)).sum(0) // 20 % 2).astype(np.float32)
        stack = plane * np.float32(fade) ** np.arange(50)[:, None, None]
        _write(tmp_path / side / f"{side}.tif", stack, (2.0, 1.0, 1.0))  # sets need no pairs
    sides = tmp_path / "real", tmp_path / "fake"
    published, suited, sized = (
        scored(*sides, ["edge_degradation"], **more)["aggregates"]["edge_degradation"]["set"]
        for more in ({"edges": "published"}, {}, {"spacing": (2.0, 2.0, 2.0)})
    )
    assert published > 0
    assert suited != pytest.approx(published, rel=0.01)
    assert suited != pytest.approx(sized, rel=0.01)
    refused("real.tif: --spacing: spacing must be 3", scored, *sides, ["W1"], spacing=(1.0, 1.0))
    refused("--edges published: expected a metric like", scored, *sides, ["W1"], edges="published")


@pytest.fixture
def tracks(tmp_path):
    """Return a data set of the Cell Tracking Challenge with a perfect result."""
    frames = [TWO, _labels((0, 0, 1), (2, 6, 7))]
    lines = [Track(1, 0, 1), Track(2, 0, 1)]
    write_sequence(tmp_path / "set/01_GT", frames, lines, truth=True)
    write_sequence(tmp_path / "set/01_RES", frames, lines)
    return tmp_path / "set"


def test_tracks_are_scored_by_sequence(tracks):
    for sides in ((tracks / "01_GT", tracks / "01_RES"), (tracks, tracks)):
        scores = scored(*sides, ["tra", "LNK"])
        assert scores["case"] == {"01": {"TRA": 1.0, "LNK": 1.0}}
        assert scores["aggregates"]["TRA"]["mean"] == 1.0
    for number, lost in (("02", "02_RES/res_track.txt"), ("03", "03_GT/TRA/man_track000.tif")):
        for end in ("GT", "RES"):
            shutil.copytree(tracks / f"01_{end}", tracks / f"{number}_{end}")
        (tracks / lost).unlink()
    scores = scored(tracks, tracks, ["tra", "AOGM"])
    assert scores["case"] == {"01": {"TRA": 1.0, "AOGM": 0.0}, "02": {"TRA": 0.0}, "03": {}}
    assert scores["failed"] == ["02", "03"]
    lines = r"02_RES: res_track.txt is missing; exp.* .*man_track000.tif: no such file"
    assert re.search(lines, " ".join(scores["doubts"]))


def test_a_grey_image_in_place_of_labels_is_a_doubt(tmp_path, cli, rng):
    truth = _write(tmp_path / "t.tif", _labels((0, 0, 0), (0, 0, 3), (2, 6, 6)))
    noisy = _write(tmp_path / "p.tif", (100 + rng.poisson(20, (4, 12, 12))).astype(np.uint16))
    (line,) = scored(truth, noisy, ["SEG"])["doubts"]
    assert line.startswith("grey values in place of labels? in 1 file (prediction t): ")
    assert scored(truth, truth)["doubts"] == []
    assert scored(noisy, noisy, ["PSNR"], data_range=100)["doubts"] == []
    assert line in cli("score --truth", truth, "--prediction", noisy, "--metrics SEG").stdout


def test_the_given_voxel_size_border_and_least_size_hold_for_objects(folders, tmp_path):
    path = tmp_path / "objects.csv"
    scored(*folders, ["det"], objects=path, spacing=(1.0, 1.0, 1.0), border=4)
    assert columns(path, "case", "label", "volume_um3") == [(name, "2", "18") for name in "aabc"]
    sizes = {size: scored(*folders, ["SEG"], min_object_voxels=size)["case"] for size in (18, 19)}
    assert sizes == {
        18: {"a": {"SEG": 1.0}, "b": {"SEG": 0.5}, "c": {"SEG": 0.0}},
        19: {"a": {}, "b": {}, "c": {}},  # the truth allows no value
    }


def test_an_ome_zarr_is_scored_as_the_tiff_is_in_memory_or_on_disk(tmp_path, monkeypatch, tight):
    zarr = tmp_path / "t2/a.ome.zarr"
    second = tmp_path / "p2"
    truth = TWO
    labels = _labels((0, 0, 1), (2, 6, 6))
    plain = _write(tmp_path / "t/a.tif", truth), _write(tmp_path / "p/a.tif", labels)
    table = tmp_path / "plain.csv"
    expected = scored(*plain, objects=table)
    _write(zarr, truth)
    _write(second / "a.ozx", labels)
    Image.new("RGB", (4, 4)).save(second / "a.png")  # a preview
    for kind, sides in {
        "files": (zarr, second / "a.ozx"),
        "folders": (zarr.parent, second),
        "mixed": (tmp_path / "t", second),
    }.items():
        objects = tmp_path / f"{kind}.csv"
        assert scored(*sides, objects=objects) == expected
        assert objects.read_bytes() == table.read_bytes()
    # As many voxels of each value; the preview is no image.
    assert scored(zarr.parent, second, metrics=["W1"])["aggregates"]["W1"]["set"] == 0
    tight()
    monkeypatch.setattr("cytosuite.volume.memory.SLAB", 100)
    assert scored(*plain, objects=table) == expected
    refused("expected two files or two folders", scored, zarr, tmp_path / "p")


RNG = np.random.default_rng(0)
TRUTH = RNG.gamma(2, 500, (12, 24, 24)).astype(np.uint16)
VIEW = (TRUTH + RNG.normal(0, 900, TRUTH.shape)).clip(0, 65535).astype(np.uint16)
ANSWER = (TRUTH + RNG.normal(0, 300, TRUTH.shape)).clip(0, 65535).astype(np.uint16)
EXPECTED = {
    "N_SSIM": n_ssim(TRUTH, ANSWER, VIEW),
    "SSIM": ssim(TRUTH, ANSWER, data_range=9000),
    "PSNR": psnr(TRUTH, ANSWER, data_range=9000),
}


@pytest.mark.parametrize("name", ["image_1_nucleus_angle", "image_1_nucleus_fused"])
def test_outputs_have_the_name_of_the_view_or_of_the_truth(tmp_path, name):
    challenge = _volumes(
        tmp_path / "challenge",
        image_1_nucleus_angle=VIEW,
        image_1_nucleus_fused=TRUTH,
        image_2_nucleus_angle=VIEW,  # a view alone
    )
    answers = _volumes(tmp_path / "answers", **{name: ANSWER})
    scores = scored(
        challenge, answers, ["n_ssim", "ssim", "psnr"], image=challenge, data_range=9000
    )
    assert scores["case"] == {"image_1_nucleus_fused": pytest.approx(EXPECTED)}
    assert all(0.3 < EXPECTED[name] < 1 for name in ("N_SSIM", "SSIM"))


def test_labels_are_matched_by_their_whole_names(tmp_path):
    truth, answers = (
        _volumes(tmp_path / name, a_angle=_labels((0, 0, 0)), a_fused=_labels((2, 6, 6)))
        for name in ("truth", "answers")
    )
    assert scored(truth, answers, ["SEG"])["case"] == {
        "a_angle": {"SEG": 1.0},
        "a_fused": {"SEG": 1.0},
    }
    (answers / "a_fused.tif").unlink()
    assert scored(truth, answers, ["SEG"])["failed"] == ["a_fused"]


def _volumes(folder, **arrays):
    for name, array in arrays.items():
        _write(folder / f"{name}.tif", array, (1.0, 0.5, 0.5))
    return folder


@pytest.mark.parametrize(
    "line, change",
    {
        r"no metric called 'SEGG'; did you mean 'SEG'\?": {"metrics": ["SEGG"]},
        "metric TRA compares tracks: give the layout of the Cell Tracking": {"metrics": ["tra"]},
        "no file is named like one in .*truth; expected for example": {"prediction": "strangers"},
        r"truth/ \(a folder: name it, or --recursive\)": {"truth": "."},
        "metric SSIM needs --data-range; give it or leave it out": {"metrics": ["SSIM"]},
        "--objects: expected a metric of the overlap": {"metrics": ["psnr"], "objects": "o.csv"},
        "a.tif: the table would overwrite it": {"csv": "truth/a.tif", "truth": "truth/a.tif"},
        "b.tif: the table would overwrite it": {"json": "prediction/../truth/b.tif"},
        "list.csv: the table would overwrite it": {"csv": "prediction/list.csv"},
        "doses.csv: the table would overwrite it": {"csv": "truth/doses.csv"},
    }.items(),
)
def test_explains(folders, tmp_path, monkeypatch, change, line):
    monkeypatch.chdir(tmp_path)
    _write(tmp_path / "strangers/x.tif", _labels())
    (tmp_path / "prediction/list.csv").write_text("case_1.tif")
    (tmp_path / "truth/doses.csv").write_text("case,dose\na,1\n")
    arguments = {"truth": "truth", "prediction": "prediction"} | change
    refused(line, scored, **{n: Path(v) if isinstance(v, str) else v for n, v in arguments.items()})
    assert not (tmp_path / "o.csv").exists()


@pytest.mark.parametrize("side", [0, 1])
def test_two_files_of_one_name_are_refused_and_pictures_and_hidden_files_are_none(folders, side):
    place = folders[side]
    for name in ("a.png", "._a.tif", "lost.png", "lost-objects.csv"):
        (place / name).write_bytes(b"no labels")
    assert scored(*folders, ["SEG"])["case"]["a"] == {"SEG": 1.0}
    _write(place / "a.mha", _labels())
    refused(r"expected one file named a, found a\.mha and a\.tif", scored, *folders, ["SEG"])


@pytest.mark.parametrize(
    "line, more",
    {
        "metric SSIM compares files: give two, or two folders": {"metrics": ["TRA", "SSIM"]},
        "objects cannot be left out of tracks": {"border": 2},
        "objects of tracks cannot be ignored": {"min_object_voxels": 2},
    }.items(),
)
def test_what_tracks_do_not_have_is_refused(tracks, more, line):
    refused(line, scored, tracks, tracks, **more)


def test_tables_and_files_hold_the_same_scores(folders, tmp_path, cli):
    words = ("score", "--truth", folders[0], "--prediction", folders[1])
    names = [m.name for m in board_metrics("segment") if "spacing" not in m.evidence.needs]
    shown = cli(*words, "--wide --json", tmp_path / "s.json")
    assert shown.exit_code == 1  # a prediction is missing
    head, *rows = shown.stdout.splitlines()
    assert head.split() == ["case", *names]
    assert rows[1].split()[:4] == ["b", "0.500", "0.500", "0.500"]
    assert rows[3].split()[:2] == ["[mean]", "0.500"]
    assert rows[-1] == "no prediction: c"
    for _ in range(2):  # tables may lie beside predictions, and are replaced
        assert cli(*words, "--csv", folders[1] / "s.csv").exit_code == 1
        assert cli(*words, "--json", folders[1] / "s.json").exit_code == 1
    done = cli(*words, "--csv -")
    table = list(csv.DictReader(done.stdout.splitlines()))
    assert [row["case"] for row in table] == ["a", "b", "c", "[mean]", "[pooled]"]
    assert list(table[0])[1:] == names
    assert done.stderr == "no prediction: c\n"
    assert (
        float(table[3]["SEG"]) == read_json(tmp_path / "s.json")["aggregates"]["SEG"]["mean"] == 0.5
    )
    (folders[0] / "c.tif").unlink()
    assert cli(*words).exit_code == 0


def test_names_of_any_bytes_are_escaped(folders, tmp_path, cli):
    for folder in folders:
        _write(folder / os.fsdecode(b"\x1b\xff.tif"), TWO)
    cli("score --truth", folders[0], "--prediction", folders[1], "--json", tmp_path / "s.json")
    assert [*read_json(tmp_path / "s.json")["case"]] == [r"\x1b\udcff", "a", "b", "c"]


def test_undefined_values_are_counted_and_left_out_of_json(tmp_path):
    truth = _write(tmp_path / "t.tif", _labels())
    counts = {"SEG": 1, "PSNR": 1, "edge_degradation": 1}
    scores = score_files(
        ScoreOptions(truth=truth, prediction=truth, data_range=1.0, metrics=[*counts])
    )
    values = layout(scores)
    first, *_, last = table(scores, values).rows
    assert last == {"case": "[undefined]", **counts}
    assert first["PSNR"] == np.inf  # which JSON does not have
    assert values["case"] == {"t": {}}


def test_rois_are_scored_as_labels_with_a_line_on_what_does_not_count(tmp_path):
    path = _write(tmp_path / "truth/a.tif", TWO)
    rois = tmp_path / "corrected/a_rois.zip"
    write_rois(rois, Volume(TWO, (2.0, 0.5, 0.5), "ZYX"))
    with zipfile.ZipFile(rois, "a") as archive:
        archive.writestr("x.roi", ImagejRoi(roitype=ROI_TYPE.LINE).tobytes())
    for sides in ((path.parent, rois.parent), (path, rois), (rois, path)):
        scores = scored(*sides, ["SEG", "DET"])
        assert [*scores["case"].values()] == [{"SEG": 1.0, "DET": 1.0}]
        assert "1 more are points, lines or texts and left out" in scores["doubts"][0]
    refused("expected an image of its size: --image", scored, rois, rois, ["SEG"])
    assert scored(rois, rois, ["SEG"], image=path)["aggregates"]["SEG"]["mean"] == 1


def test_a_truth_of_one_mask_per_object_is_read_in_place(tmp_path):
    truth = tmp_path / "truth"
    for name, row in {"images/a.png": 0, "masks/a/1.png": 1, "masks/a/2.png": 3}.items():
        grey(truth / name, np.eye(4)[[row]].T.repeat(4, 1))
    labels = np.zeros((4, 4), np.uint16)
    labels[1] = 5
    _write(tmp_path / "prediction/a.tif", labels)
    objects = tmp_path / "objects.csv"
    assert scored(truth, tmp_path / "prediction", ["SEG"], objects=objects)["case"] == {
        "a": {"SEG": 0.5}
    }
    assert len(objects.read_text().split()) == 4
