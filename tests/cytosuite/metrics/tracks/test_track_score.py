from math import isnan

import films
import numpy as np
import pytest

from cytosuite.errors import InputError
from cytosuite.metrics import metrics_of
from cytosuite.metrics.tracks.matched_tracks import match_tracks
from cytosuite.metrics.tracks.track_folder import score_tracks, write_sequence


@pytest.fixture
def folders(tmp_path):
    """Return the folders of a simulated truth and of a faulty tracking of it."""
    truth, found = films.simulate(2), films.corrupt(films.simulate(2), 2)
    write_sequence(tmp_path / "01_GT", truth.frames, truth.tracks, truth=True)
    write_sequence(tmp_path / "01_RES", found.frames, found.tracks)
    return tmp_path / "01_GT", tmp_path / "01_RES"


def test_scores_are_those_of_the_sequences(folders):
    tracks = match_tracks(films.simulate(2), films.corrupt(films.simulate(2), 2))
    expected = {metric.name: metric.of(tracks) for metric in metrics_of("tracks")}
    assert score_tracks(*folders) == pytest.approx(expected, nan_ok=True, abs=1e-12)


def test_only_those_asked_for_in_their_order(folders):
    assert list(score_tracks(*folders, ["TRA", "CT", "DET"])) == ["TRA", "CT", "DET"]


def test_a_truth_scored_against_itself(folders):
    truth = films.simulate(2)
    write_sequence(folders[0].parent / "02_RES", truth.frames, truth.tracks)
    scores = score_tracks(folders[0], folders[0].parent / "02_RES")
    best = {metric.name: metric.best for metric in metrics_of("tracks")}
    assert {name for name, value in scores.items() if value != best[name]} <= {"CCA"}
    assert scores["CCA"] == 1.0 or isnan(scores["CCA"])


def test_an_unknown_name_is_refused_with_those_there_are(folders):
    with pytest.raises(InputError, match=r"is called TRK; there are .*TRA"):
        score_tracks(*folders, ["TRA", "TRK"])


def test_exchanged_folders_are_refused(folders):
    with pytest.raises(InputError, match="01_RES: TRA is missing"):
        score_tracks(*folders[::-1])


def test_problems_of_both_folders_stand_in_one_message(folders):
    (folders[0] / "TRA" / "man_track002.tif").unlink()
    (folders[1] / "res_track.txt").write_text("")
    with pytest.raises(InputError, match="^2 format errors, nothing was scored: ") as error:
        score_tracks(*folders)
    assert "man_track002.tif: no such file" in str(error.value)
    assert "01_RES/res_track.txt: no rows" in str(error.value)


def test_a_result_with_fewer_frames_is_refused(folders):
    last = films.FRAMES - 1
    (folders[1] / f"mask00{last}.tif").unlink()
    with pytest.raises(InputError, match=f"01_RES: {last} frames, 01_GT has {films.FRAMES}"):
        score_tracks(*folders)


def test_an_empty_result_is_scored(folders):
    empty = np.zeros_like(films.simulate(2).frames)
    write_sequence(folders[0].parent / "03_RES", empty, [])
    scores = score_tracks(folders[0], folders[0].parent / "03_RES", ["TRA", "SEG", "LNK", "TF"])
    assert scores == {"TRA": 0.0, "SEG": 0.0, "LNK": 0.0, "TF": 0.0}
