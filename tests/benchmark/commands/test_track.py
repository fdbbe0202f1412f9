"""The task ``track`` by its commands: benchmark, export and apply."""

import shutil
from collections import Counter

import numpy as np
import pytest
from mistakes import refused
from rows import rows_of
from toys import put

from cytosuite.benchmark.runs.data.recipe import DataRequest, recipe
from cytosuite.contract.tracks import read_tracks
from cytosuite.datasets.nuclei.parameters import Parameters
from cytosuite.datasets.nuclei.series import write_series
from cytosuite.formats import read, write
from cytosuite.metrics.tracks.track_folder import read_sequence, score_tracks
from cytosuite.volume import Volume

SMALL = {"shape": (128, 128), "spacing_um": (0.5, 0.5), "n_nuclei": 6, "division": 0.1}
LINKING = "--algorithm linking --engine process"


@pytest.fixture
def scores(cli, runs):
    """Return a function that runs a benchmark and gives its scores by algorithm and metric."""

    def run(*words):
        done = cli(
            "benchmark", *words, "--task track", LINKING, "--runs", runs, "--run run",
        )  # fmt: skip
        assert done.exit_code == 0, done.output
        return {
            (row["algorithm"], row["metric"]): float(row["value"] or "nan")
            for row in rows_of(runs / "run/report/scores.csv")
        }

    return run


@pytest.fixture
def sequences(tmp_path):
    """Return a folder with a sequence of the Cell Tracking Challenge and its truth."""
    write_series(tmp_path / "film", np.random.default_rng(1), Parameters(**SMALL), frames=4)
    return tmp_path / "film"


@pytest.mark.slow
def test_a_simulated_movie_is_tracked_scored_and_exported(cli, scores, runs, out):
    settings = [
        f"--set='{key}={list(v) if isinstance(v, tuple) else v}'" for key, v in SMALL.items()
    ]
    measured = scores("nuclei/gowt1", "--cases", 1, *settings, "--set=frames=4")
    assert measured["oracle", "TRA"] == measured["nearest", "DET"] == 1
    assert measured["blank", "TRA"] == 0
    assert measured["linking", "TRA"] > 0.9
    assert measured["nearest", "LNK"] < 1  # it knows no division
    report = runs / "run/report"
    kinds = Counter(row["kind"] for row in rows_of(report / "link_errors.csv"))
    assert kinds["other kind"] == measured["linking", "EC"]
    absent = sum(kinds[kind] for kind in ("missed division", "gap", "swap", "break"))
    assert absent == measured["linking", "EA"]
    assert "## Errors of links" in (report / "report.md").read_text()
    assert cli("export --ctc", runs / "run", "--truth --out", out).exit_code == 0
    exported = score_tracks(out / "nuclei/01_GT", out / "nuclei/01_RES")
    for name in ("TRA", "SEG", "LNK", "CT"):
        assert exported[name] == pytest.approx(measured["linking", name])


@pytest.mark.slow
def test_sequences_of_a_folder_are_judged_by_their_markers(scores, sequences):
    measured = scores(sequences)
    assert measured["oracle", "TRA"] == measured["oracle", "SEG"] == 1
    assert measured["linking", "TRA"] > 0.9


def test_sequences_folders_of_frames_and_movies_are_tracked_alike(cli, sequences, tmp_path, out):
    frames = np.stack([read(path).array for path in sorted((sequences / "01").glob("*.tif"))])
    shutil.copytree(sequences / "01", tmp_path / "frames")
    movies = {"pages.tif": "ZYX", "movie.tif": "TYX", "film.h5": "TYX"}  # many programs write z
    for name, axes in movies.items():
        write(tmp_path / name, Volume(frames, (1.0, 0.5, 0.5)[-2 - (axes == "ZYX") :], axes))
    places = [sequences, *(tmp_path / name for name in ("frames", *movies))]
    assert cli("apply", *places, LINKING, "--out", out).exit_code == 0
    first, tracks = read(out / "01.tif"), read_tracks(out / "01-tracks.csv")
    assert first.axes == "TYX"
    assert len(tracks) >= 6
    for name in ("frames", "pages", "movie", "film"):
        assert np.array_equal(read(out / f"{name}.tif").array, first.array)
        assert read_tracks(out / f"{name}-tracks.csv") == tracks
    assert len(read_sequence(sequences / "01_GT").frames) == len(first.array)
    truth = sequences / "01_GT"
    value = score_tracks(truth, out / "01.tif", ["TRA"])["TRA"]
    assert value > 0.8
    assert f"{value:.3f}" in cli("score", "--truth", truth, "--prediction", out).stdout


def test_frames_follow_their_numbers_and_one_that_is_missing_is_named(cli, sequences, out):
    film = sequences / "01"
    for number, path in enumerate(sorted(film.iterdir())):
        path.rename(film / f"t{number + 8}.tif")
    assert cli("apply", film, LINKING, "--out", out).exit_code == 0
    truth = read_sequence(sequences / "01_GT").frames
    for objects, cells in zip(read(out / "01.tif").array, truth, strict=True):
        assert (objects[cells > 0] > 0).mean() > 0.8
    (film / "t9.tif").rename(film / "overview.tif")
    message = "numbered without a gap, found overview, then t8"
    assert message in cli("apply", film, LINKING, "--out", out / "a").output


def test_frames_of_different_shapes_are_no_movie(cli, sequences, out):
    put(sequences / "01/t004.tif", np.ones((9, 9), np.uint8))
    done = cli("apply", sequences, LINKING, "--out", out)
    assert done.exit_code == 1
    assert "t004.tif: expected the shape (128, 128), found (9, 9)" in done.output


def test_a_movie_whose_frames_pass_an_algorithm_is_refused_with_the_way():
    message = "a movie in one file does not pass diffusion; make its frames first"
    refused(message, recipe, DataRequest("nuclei/lively", task="track"))
