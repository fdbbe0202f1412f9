import csv
import io
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from cytosuite import large
from cytosuite.benchmark.catalog import ROOT
from cytosuite.benchmark.commands.app import app
from cytosuite.benchmark.commands.options import ScoreOptions
from cytosuite.benchmark.commands.score import score_files, table
from cytosuite.benchmark.commands.table import show
from cytosuite.errors import InputError
from cytosuite.formats import write
from cytosuite.metrics import board_metrics
from cytosuite.metrics.tracks.lineage import Track
from cytosuite.metrics.tracks.track_folder import write_sequence
from cytosuite.volume import Volume


def _asked(truth, prediction, metrics=(), image=None, **more):
    """Return the options of a scoring."""
    return ScoreOptions(truth=truth, prediction=prediction, metrics=metrics, image=image, **more)


def _labels(*places, shape=(4, 12, 12)):
    """Return cubes of 2 x 3 x 3 voxels at (z, y, x)."""
    labels = np.zeros(shape, np.uint16)
    for number, (z, y, x) in enumerate(places, start=1):
        labels[z : z + 2, y : y + 3, x : x + 3] = number
    return labels


def _write(path, array, spacing=(2.0, 0.5, 0.5)):
    axes = "ZYX"[-array.ndim :]
    write(path, Volume(array, spacing[-array.ndim :], axes))
    return path


@pytest.fixture
def folders(tmp_path):
    """Return two folders: one case perfect, one with half of two objects found, one missing."""
    two = _labels((0, 0, 0), (2, 6, 6))
    for name in ("a", "b", "c"):
        _write(tmp_path / "truth" / f"{name}.tif", two)
    _write(tmp_path / "prediction" / "a.tif", two)
    _write(tmp_path / "prediction" / "b.mha", _labels((0, 0, 0)))
    return tmp_path / "truth", tmp_path / "prediction"


def test_two_files(tmp_path):
    truth = _write(tmp_path / "t.tif", _labels((0, 0, 0), (2, 6, 6)))
    found = score_files(
        _asked(truth, _write(tmp_path / "p.tif", _labels((0, 0, 0))), ["seg", "det"])
    )
    assert found.cases == {"t": {"SEG": 0.5, "DET": 0.5}}
    assert found.failed == []


def test_folders_are_matched_by_name_and_a_missing_prediction_has_the_worst_value(folders):
    found = score_files(_asked(*folders, ["SEG", "DET"]))
    assert found.cases == {
        "a": {"SEG": 1.0, "DET": 1.0},
        "b": {"SEG": 0.5, "DET": 0.5},
        "c": {"SEG": 0.0, "DET": 0.0},
    }
    assert found.failed == ["c"]
    assert found.aggregates["SEG"] == {"mean": 0.5, "n": 3, "undefined": 0, "failed": 1}


def test_masks_of_the_challenge_are_matched_by_their_frame(tmp_path):
    two = _labels((0, 0, 0), (2, 6, 6))
    for number in range(2):
        _write(tmp_path / "01_GT" / "SEG" / f"man_seg00{number}.tif", two)
        _write(tmp_path / "01_RES" / f"mask00{number}.tif", two)
    found = score_files(_asked(tmp_path / "01_GT" / "SEG", tmp_path / "01_RES", ["SEG"]))
    assert set(found.cases) == {"man_seg000", "man_seg001"}
    assert found.aggregates["SEG"]["pooled"] == 1.0


def test_pooled_values_weigh_objects_alike(folders, tmp_path):
    truth, prediction = folders
    _write(truth / "c.tif", _labels((0, 0, 0), (0, 0, 6), (0, 6, 0), (0, 6, 6)))
    _write(prediction / "c.tif", _labels())
    found = score_files(_asked(truth, prediction, ["SEG"]))
    assert found.aggregates["SEG"]["mean"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert found.aggregates["SEG"]["pooled"] == pytest.approx(3 / 8)


def test_undefined_values_are_counted_and_left_out_of_json(tmp_path):
    truth = _write(tmp_path / "t.tif", _labels())
    found = score_files(_asked(truth, truth, ["SEG"]))
    assert found.aggregates["SEG"]["undefined"] == 1
    assert found.as_json()["case"] == {"t": {}}
    json.dumps(found.as_json(), allow_nan=False)


def test_without_names_all_label_scores_are_given(folders):
    names = set(score_files(_asked(*folders)).aggregates)
    assert {"SEG", "DET", "F1", "AP50", "PQ", "AJI"} <= names
    assert not {"SSIM", "TRA", "DET_NFP"} & names


def test_a_metric_on_no_board_is_given_by_name(folders):
    found = score_files(_asked(*folders, ["det_nfp"]))
    assert found.cases["b"] == {"DET_NFP": 0.5}


def test_the_border_can_be_left_out(tmp_path):
    truth = _write(tmp_path / "t.tif", _labels((0, 0, 0), (0, 5, 5)))
    prediction = _write(tmp_path / "p.tif", _labels((0, 5, 5)))
    assert score_files(_asked(truth, prediction, ["SEG"])).cases["t"]["SEG"] == 0.5
    assert score_files(_asked(truth, prediction, ["SEG"], border=4)).cases["t"]["SEG"] == 1.0


def test_small_objects_can_be_ignored_with_what_matches_them(tmp_path):
    truth = _labels((0, 0, 0))
    truth[3, 9, 9] = 2
    first = _write(tmp_path / "t.tif", truth)
    second = _write(tmp_path / "p.tif", _labels((0, 0, 0), (2, 8, 8)))
    whole = score_files(_asked(first, second, ["SEG", "precision"])).cases["t"]
    assert (whole["SEG"], whole["precision"]) == (pytest.approx((1 + 1 / 18) / 2), 1 / 2)
    judged = _asked(first, second, ["SEG", "precision"], min_object_voxels=2)
    assert score_files(judged).cases["t"] == {"SEG": 1.0, "precision": 1.0}


def test_distances_between_surfaces_are_in_micrometres_of_the_file(tmp_path):
    cube = np.zeros((6, 12, 12), np.uint16)
    cube[1:5, 2:8, 2:8] = 1
    truth = _write(tmp_path / "t.tif", cube)
    prediction = _write(tmp_path / "p.tif", np.roll(cube, 1, axis=2))
    small = score_files(_asked(truth, prediction, ["ASSD"])).cases["t"]["ASSD"]
    large = score_files(_asked(truth, prediction, ["ASSD"], spacing=(4.0, 1.0, 1.0))).cases["t"]
    assert large["ASSD"] == pytest.approx(2 * small)
    assert small > 0


@pytest.fixture
def images(tmp_path):
    """Return a truth, a prediction and an input image."""
    rng = np.random.default_rng(0)
    truth = rng.random((12, 24, 24)).astype(np.float32)
    noise = rng.normal(0, 0.1, truth.shape).astype(np.float32)
    return (
        _write(tmp_path / "t.tif", truth),
        _write(tmp_path / "p.tif", truth + noise),
        _write(tmp_path / "i.tif", truth + 4 * noise),
    )


def test_image_metrics(images):
    truth, prediction, image = images
    request = _asked(truth, prediction, ["ssim", "psnr", "n_ssim"], image, data_range=1.0)
    values = score_files(request).cases["t"]
    assert 0.5 < values["SSIM"] < 1
    assert values["PSNR"] == pytest.approx(20, abs=0.5)
    assert 0 < values["N_SSIM"] < 1


def test_sets_of_images_need_no_pairs(tmp_path, images):
    for number in range(3):
        noise = np.random.default_rng(number).random((8, 16, 16)).astype(np.float32)
        _write(tmp_path / "real" / f"{number}.tif", noise)
        _write(tmp_path / "fake" / f"other{number}.tif", noise + 0.25)
    found = score_files(_asked(tmp_path / "real", tmp_path / "fake", ["W1"]))
    assert found.aggregates["W1"]["set"] == pytest.approx(0.25, abs=1e-6)
    assert found.cases == {}


def test_metrics_of_objects_need_their_labels(tmp_path):
    labels = _labels((0, 1, 1), (0, 6, 6), (2, 6, 1))
    noise = np.random.default_rng(0).random(labels.shape).astype(np.float32)
    _write(tmp_path / "images" / "a.tif", noise + labels)
    _write(tmp_path / "labels" / "a.tif", labels)
    request = _asked(tmp_path / "images", tmp_path / "images", ["object_similarity"])
    with pytest.raises(InputError, match="object_similarity needs --truth-labels"):
        score_files(request)
    folder = tmp_path / "labels"
    request = replace(request, truth_labels=folder, prediction_labels=folder)
    assert score_files(request).aggregates["object_similarity"]["set"] == pytest.approx(1.0)


@pytest.fixture
def tracks(tmp_path):
    """Return a data set of the Cell Tracking Challenge with a perfect result."""
    frames = [_labels((0, 0, 0), (2, 6, 6)), _labels((0, 0, 1), (2, 6, 7))]
    lines = [Track(1, 0, 1), Track(2, 0, 1)]
    write_sequence(tmp_path / "set" / "01_GT", frames, lines, truth=True)
    write_sequence(tmp_path / "set" / "01_RES", frames, lines)
    return tmp_path / "set"


def test_tracks_are_scored_by_sequence(tracks):
    for request in (
        _asked(tracks / "01_GT", tracks / "01_RES", ["tra", "LNK"]),
        _asked(tracks, tracks, ["TRA", "LNK"]),
    ):
        found = score_files(request)
        assert found.cases == {"01": {"TRA": 1.0, "LNK": 1.0}}
        assert found.aggregates["TRA"]["mean"] == 1.0


def _cytosuite(*words):
    command = [sys.executable, "-m", "cytosuite.benchmark", "score", *map(str, words)]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.slow
def test_the_command_prints_a_table_and_writes_json(folders, tmp_path):
    truth, prediction = folders
    words = ["--truth", truth, "--prediction", prediction, "--metrics", "seg,det"]
    done = _cytosuite(*words, "--json", tmp_path / "scores.json")
    assert done.returncode == 1
    assert "no prediction: c" in done.stdout
    found = json.loads((tmp_path / "scores.json").read_text())
    assert found["aggregates"]["SEG"]["mean"] == 0.5
    assert json.loads(_cytosuite(*words, "--json", "-").stdout) == found
    (truth / "c.tif").unlink()
    assert _cytosuite(*words).returncode == 0


@pytest.fixture
def shown(folders):
    """Return a function that runs the command in this process: stdout and stderr."""

    def shown(*words):
        given = ["score", "--truth", folders[0], "--prediction", folders[1], *words]
        done = CliRunner().invoke(app, [str(word) for word in given])
        assert done.exit_code == 1, done.output  # a prediction is missing
        return done.stdout, done.stderr

    return shown


def test_every_score_is_there_when_all_is_asked_for(shown):
    head, *rows = shown("--wide")[0].splitlines()
    assert head.split()[:5] == ["case", "SEG", "DET", "OP_CSB", "F1"]
    assert head.split() == ["case", *score_names()]
    assert rows[1].split()[:4] == ["b", "0.500", "0.500", "0.500"]
    assert rows[3].split()[:2] == ["[mean]", "0.500"]
    assert rows[-1] == "no prediction: c"


def score_names():
    """Return the metrics that are given without names."""
    return [m.name for m in board_metrics("segment") if "spacing" not in m.evidence.needs]


def test_the_primary_columns_fit_80_columns(folders):
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    show(table(score_files(_asked(*folders))), console)
    head, *rows = console.file.getvalue().splitlines()
    assert head.split()[:5] == ["case", "SEG", "DET", "OP_CSB", "F1"]
    assert rows[0].split()[:3] == ["a", "1.000", "1.000"]
    assert all(len(row) <= 80 for row in rows)


def test_all_is_a_file_or_stdout(shown, tmp_path):
    out, err = shown("--csv", "-", "--json", tmp_path / "s.json")
    rows = list(csv.DictReader(out.splitlines()))
    assert [row["case"] for row in rows] == ["a", "b", "c", "[mean]"]
    assert list(rows[0])[1:] == score_names()
    assert err == "no prediction: c\n"
    found = json.loads((tmp_path / "s.json").read_text())
    assert float(rows[3]["SEG"]) == found["aggregates"]["SEG"]["mean"] == 0.5
    out, _ = shown("--json", "-", "--csv", tmp_path / "s.csv")
    assert json.loads(out) == found
    assert (tmp_path / "s.csv").read_text().splitlines()[0].startswith("case,SEG,DET")


def test_it_tells_which_case_it_scores(folders):
    seen = []
    score_files(_asked(*folders), lambda *step: seen.append(step))
    assert seen == [(0, 3, "a.tif"), (1, 3, "b.tif"), (2, 3, "c.tif")]


def _unknown_metric(truth, prediction):
    """no metric called 'SEGG'; did you mean 'SEG'?"""
    return _asked(truth, prediction, ["SEGG"])


def _tracks_of_files(truth, prediction):
    """metric TRA compares tracks: give the layout of the Cell Tracking Challenge, --truth 01_GT"""
    return _asked(truth, prediction, ["SEG", "tra"])


def _missing(truth, prediction):
    """nothing: no such file or folder"""
    return _asked(truth / "nothing", prediction)


def _file_and_folder(truth, prediction):
    """expected two files or two folders"""
    return _asked(truth / "a.tif", prediction)


def _strangers(truth, prediction):
    """no file is named like one in"""
    for path in prediction.iterdir():
        path.rename(prediction / f"result_{path.name}")
    return _asked(truth, prediction)


def _no_range(truth, prediction):
    """metric SSIM needs --data-range; give it or leave it out"""
    return _asked(truth, prediction, ["SSIM"])


def _no_input(truth, prediction):
    """metric N_SSIM needs --image; give it or leave it out"""
    return _asked(truth, prediction, ["N_SSIM"], data_range=1.0)


@pytest.mark.parametrize(
    "mistake",
    [
        _unknown_metric,
        _tracks_of_files,
        _missing,
        _file_and_folder,
        _strangers,
        _no_range,
        _no_input,
    ],
)
def test_explains(folders, mistake):
    with pytest.raises(InputError, match=mistake.__doc__.replace("?", r"\?")):
        score_files(mistake(*folders))


def test_metrics_of_files_say_so_where_there_are_tracks(tracks):
    with pytest.raises(InputError, match="metric SSIM compares files: give two, or two folders"):
        score_files(_asked(tracks, tracks, ["TRA", "SSIM"]))


def test_a_grey_image_in_place_of_labels_is_a_doubt(tmp_path):
    rng, places = np.random.default_rng(0), [(0, 0, 0), (0, 0, 3), (2, 6, 6)]  # two of them touch
    truth = _write(tmp_path / "t.tif", _labels(*places))
    noisy = _write(tmp_path / "p.tif", (100 + rng.poisson(20, (4, 12, 12))).astype(np.uint16))
    (line,) = score_files(_asked(truth, noisy, ["SEG"])).doubts
    assert line.startswith("grey values in place of labels? in 1 file (prediction t): ")
    found = score_files(_asked(truth, truth))
    assert found.doubts == found.as_json()["doubts"] == []
    assert score_files(_asked(noisy, noisy, ["PSNR"], data_range=100)).doubts == []
    words = ["score", "--truth", str(truth), "--prediction", str(noisy), "--metrics", "SEG"]
    assert line in CliRunner().invoke(app, words).stdout


def test_a_border_is_refused_for_tracks(tracks):
    with pytest.raises(InputError, match="objects cannot be left out of tracks"):
        score_files(_asked(tracks, tracks, border=2))
    with pytest.raises(InputError, match="objects of tracks cannot be ignored"):
        score_files(_asked(tracks, tracks, min_object_voxels=2))


def test_objects_are_listed_with_what_became_of_each(folders, tmp_path):
    path = tmp_path / "objects.csv"
    found = score_files(_asked(*folders, ["seg"], objects=path))
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [(row["case"], row["side"], row["class"]) for row in rows] == [
        *(("a", side, "matched") for side in ("truth", "truth", "prediction", "prediction")),
        *(("b", "truth", "matched"), ("b", "truth", "missed"), ("b", "prediction", "matched")),
        *(("c", "truth", "missed"), ("c", "truth", "missed")),
    ]
    for case, values in found.cases.items():
        own = [float(row["seg"]) for row in rows if (row["case"], row["side"]) == (case, "truth")]
        assert sum(own) / len(own) == values["SEG"]
    assert (rows[1]["depth_um"], rows[1]["volume_um3"]) == ("5", "9")
    assert rows[6]["centroid_z_um"] == "1"


def test_the_given_voxel_size_and_the_border_hold_for_objects(folders, tmp_path):
    path = tmp_path / "objects.csv"
    score_files(_asked(*folders, ["det"], objects=path, spacing=(1.0, 1.0, 1.0), border=4))
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [(row["case"], row["label"]) for row in rows] == [
        ("a", "2"), ("a", "2"), ("b", "2"), ("c", "2"),
    ]  # fmt: skip
    assert {row["volume_um3"] for row in rows} == {"18"}


@pytest.mark.parametrize(
    ("metrics", "name", "message"),
    [
        (["psnr"], "o.csv", "--objects: expected a metric of the overlap of labels, like SEG or"),
        (["seg"], "-", "--objects -: expected a CSV file of its own"),
        (["seg"], "truth/a.tif", "a.tif: the table would overwrite it; name another file"),
    ],
)
def test_objects_that_cannot_be_listed(folders, tmp_path, monkeypatch, metrics, name, message):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name if name != "-" else type(tmp_path)("-")
    pair = [folder / "a.tif" for folder in folders]
    with pytest.raises(InputError, match=message):
        score_files(_asked(*pair, metrics, objects=path))
    assert not (tmp_path / "o.csv").exists()


def test_an_ome_zarr_is_scored_as_the_tiff_is_in_memory_or_on_disk(tmp_path, monkeypatch):
    truth, found = _labels((0, 0, 0), (2, 6, 6)), _labels((0, 0, 1), (2, 6, 6))
    plain = _asked(
        _write(tmp_path / "t" / "a.tif", truth),
        _write(tmp_path / "p" / "a.tif", found),
        objects=tmp_path / "plain.csv",
    )
    expected = score_files(plain)
    _write(tmp_path / "t2" / "a.ome.zarr", truth)
    _write(tmp_path / "p2" / "a.ozx", found)
    Image.new("RGB", (4, 4)).save(tmp_path / "p2" / "a.png")  # a preview
    for kind, sides in {
        "files": (tmp_path / "t2" / "a.ome.zarr", tmp_path / "p2" / "a.ozx"),
        "folders": (tmp_path / "t2", tmp_path / "p2"),
        "mixed": (tmp_path / "t", tmp_path / "p2"),
    }.items():
        objects = tmp_path / f"{kind}.csv"
        assert score_files(_asked(*sides, objects=objects)) == expected
        assert objects.read_bytes() == plain.objects.read_bytes()
    monkeypatch.setattr(large, "fits", lambda _: False)
    monkeypatch.setattr(large, "SLAB", 100)
    for more in ({}, {"border": 1}, {"min_object_voxels": 10}):
        assert score_files(replace(plain, objects=None, **more)).failed == []
    assert score_files(plain) == expected
    with pytest.raises(InputError, match="expected two files or two folders"):
        score_files(_asked(tmp_path / "t2" / "a.ome.zarr", tmp_path / "p"))


def test_a_missing_prediction_of_a_truth_on_disk_is_an_empty_one(folders, monkeypatch, tmp_path):
    asked = _asked(*folders, objects=tmp_path / "objects.csv")
    expected = score_files(asked)
    table = asked.objects.read_bytes()
    monkeypatch.setattr(large, "fits", lambda _: False)
    assert score_files(asked) == expected
    assert expected.failed == ["c"]
    assert asked.objects.read_bytes() == table
