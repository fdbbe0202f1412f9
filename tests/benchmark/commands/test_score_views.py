"""Scores of outputs that are named like their view, beside folders of Fuse My Cells."""

import csv
import os
import subprocess
import sys

import numpy as np
import pytest
import tifffile

from cytosuite.benchmark.catalog import ROOT
from cytosuite.benchmark.commands.options import ScoreOptions
from cytosuite.benchmark.commands.score import score_files
from cytosuite.errors import InputError
from cytosuite.formats import write
from cytosuite.metrics import n_ssim
from cytosuite.volume import Volume

RNG = np.random.default_rng(0)
TRUTH = RNG.gamma(2, 500, (12, 24, 24)).astype(np.uint16)
VIEW = (TRUTH + RNG.normal(0, 900, TRUTH.shape)).clip(0, 65535).astype(np.uint16)
ANSWER = (TRUTH + RNG.normal(0, 300, TRUTH.shape)).clip(0, 65535).astype(np.uint16)
EXPECTED = n_ssim(TRUTH, ANSWER, VIEW)


def _write(folder, **arrays):
    for name, array in arrays.items():
        write(folder / f"{name}.tif", Volume(array, (1.0, 0.5, 0.5)))
    return folder


def _scores(truth, prediction, image=None, metrics=("N_SSIM",)):
    options = ScoreOptions(truth=truth, prediction=prediction, image=image, metrics=list(metrics))
    return score_files(options)


@pytest.fixture
def challenge(tmp_path):
    """Return a folder with the two halves of a pair and a view alone."""
    arrays = {"image_1_nucleus_angle": VIEW, "image_1_nucleus_fused": TRUTH}
    return _write(tmp_path / "challenge", **arrays, image_2_nucleus_angle=VIEW)


@pytest.mark.parametrize("name", ["image_1_nucleus_angle", "image_1_nucleus_fused"])
def test_outputs_have_the_name_of_the_view_or_of_the_truth(tmp_path, challenge, name):
    answers = _write(tmp_path / "answers", **{name: ANSWER})
    found = _scores(challenge, answers, challenge)
    assert found.cases == {"image_1_nucleus_fused": {"N_SSIM": pytest.approx(EXPECTED)}}
    assert 0.3 < EXPECTED < 1


def test_truth_and_views_may_lie_in_folders_of_their_own(tmp_path):
    truth = _write(tmp_path / "truth", image_1_nucleus_fused=TRUTH)
    views = _write(tmp_path / "views", image_1_nucleus_angle=VIEW)
    answers = _write(tmp_path / "answers", image_1_nucleus_angle=ANSWER)
    assert _scores(truth, answers, views).cases["image_1_nucleus_fused"]["N_SSIM"] == EXPECTED


def test_the_view_itself_restores_nothing_and_the_truth_all(tmp_path, challenge):
    views = _write(tmp_path / "views", image_1_nucleus_angle=VIEW)
    case = "image_1_nucleus_fused"
    assert _scores(challenge, views, challenge).cases[case]["N_SSIM"] == pytest.approx(0, abs=1e-12)
    assert _scores(challenge, challenge, challenge).cases[case]["N_SSIM"] == pytest.approx(1)


def test_a_missing_output_has_the_worst_value_and_is_named(tmp_path, challenge):
    _write(challenge, image_3_nucleus_fused=TRUTH, image_3_nucleus_angle=VIEW)
    answers = _write(tmp_path / "answers", image_1_nucleus_angle=ANSWER)
    found = _scores(challenge, answers, challenge)
    assert found.failed == ["image_3_nucleus_fused"]
    assert set(found.cases) == {"image_1_nucleus_fused", "image_3_nucleus_fused"}


def test_labels_are_matched_by_their_whole_names(tmp_path):
    first, second = np.zeros((2, 4, 8, 8), np.uint16)
    first[:, :4], second[:, 4:] = 1, 1
    truth = _write(tmp_path / "truth", a_angle=first, a_fused=second)
    answers = _write(tmp_path / "answers", a_angle=first, a_fused=second)
    found = _scores(truth, answers, metrics=["SEG"])
    assert found.cases == {"a_angle": {"SEG": 1.0}, "a_fused": {"SEG": 1.0}}
    (answers / "a_fused.tif").unlink()
    assert _scores(truth, answers, metrics=["SEG"]).failed == ["a_fused"]


def test_outputs_of_other_specimens_are_explained(tmp_path, challenge):
    answers = _write(tmp_path / "answers", image_9_nucleus_angle=ANSWER)
    with pytest.raises(
        InputError, match="no file is named like one in .*image_1_nucleus_fused.tif"
    ):
        _scores(challenge, answers, challenge)


@pytest.mark.slow
def test_a_folder_goes_through_all_commands(tmp_path, challenge):
    def run(*words):
        command = [sys.executable, "-m", "cytosuite.benchmark", *map(str, words)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        options = {"cwd": tmp_path, "env": environment, "capture_output": True, "text": True}
        done = subprocess.run(command, check=False, timeout=300, **options)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    local = ("--engine", "process", "--algorithm", "view_fusion", "--model", "gaussian-nucleus")
    shown = run("benchmark", challenge, *local, "--runs", "runs", "--csv", "board.csv")
    assert "1 of 2 images have no fused-fluorescence-lightsheet-3d-microscopy" in shown
    with (tmp_path / "board.csv").open() as stream:
        board = {row["algorithm"]: row for row in csv.DictReader(stream)}
    assert (float(board["oracle"]["N_SSIM"]), float(board["identity"]["N_SSIM"])) == (1, 0)
    run("apply", challenge, "--out", "answers", *local)
    answer = tmp_path / "answers" / "image_1_nucleus_angle.tif"
    with tifffile.TiffFile(answer) as file:
        assert file.shaped_metadata[0]["PhysicalSizeX"] == 0.5
    scored = _scores(challenge, tmp_path / "answers", challenge)
    (value,) = scored.cases["image_1_nucleus_fused"].values()
    assert value == pytest.approx(float(board["view_fusion"]["N_SSIM"]), abs=1e-6)
    assert value != 0
