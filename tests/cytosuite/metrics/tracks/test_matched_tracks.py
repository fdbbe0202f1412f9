import re
from dataclasses import replace

import films
import numpy as np
import pytest
from mistakes import refused

from cytosuite.metrics.tracks.lineage import Mask, Track, TrackedSequence
from cytosuite.metrics.tracks.matched_tracks import longest_runs, match_tracks


def test_more_than_half_is_a_match_half_exactly_is_none():
    truth = films.sequence([(1, 0, 1)], "1111", "1111")
    assert match_tracks(truth, films.sequence([(5, 0, 1)], "555.", "55..")).match.tolist() == [
        0,
        -1,
    ]


def test_one_object_may_match_several_cells_and_is_then_not_unique():
    tracks = match_tracks(*films.three_merged())
    assert tracks.match.tolist() == [0, 0, 0]
    assert tracks.covered.tolist() == [3]
    assert tracks.counterpart.tolist() == [-1]


def _read(masks):
    return [replace(mask, read=lambda array=mask.read: np.array(array)) for mask in masks]


def test_masks_replace_the_markers():
    truth = replace(films.one_track(2), masks=_read([Mask(1, [5, 5, 0, 7])]))
    assert match_tracks(truth, films.one_track(2)).jaccard.tolist() == [0.5, 0.25]


def test_each_plane_is_an_image_of_its_own():
    film = TrackedSequence([Track(1, 0, 0)], [np.ones((3, 1, 4), int)])
    truth = replace(film, masks=_read([Mask(0, [[1] * 4], 0), Mask(0, [[1, 1, 0, 0]], 2)]))
    assert match_tracks(truth, film).jaccard.tolist() == [1.0, 0.5]


ONES = np.ones(4, int)


def mask(frame, size=4, plane=None):
    """Return a mask of ones."""
    return [Mask(frame, lambda: np.ones(size, int), plane, "seg.tif")]


RESULTS = {
    "RES: 1 frames, truth has 2": {"frames": [ONES], "tracks": [Track(1, 0, 0)]},
    "RES: frames of shape (5,), truth has (4,)": {"frames": [np.ones(5, int)] * 2},
    "RES frame 1: shape (5,), the first frame has (4,)": {"frames": [ONES, np.ones(5, int)]},
    "RES frame 1: labels of dtype float64, expected integers": {"frames": [ONES, np.ones(4)]},
    "RES frame 1: label -3 is negative": {"frames": [ONES, np.full(4, -3)]},
    "RES frame 0: label 9 has no row (and in 1 more frames)": {
        "frames": [np.array([1, 1, 9, 0])] * 2
    },
    "RES frame 1: label 1 outside the frames of its row": {"tracks": [Track(1, 0, 0)]},
    "RES frame 0: label 2 is missing (and in 1 more frames)": {
        "tracks": [Track(1, 0, 1), Track(2, 0, 1)]
    },
    "RES/tracks.txt: no rows, the frames hold 1 labels": {"tracks": []},
    "RES/tracks.txt: label 1: ends in frame 5, the last frame is 1": {"tracks": [Track(1, 0, 5)]},
}
TRUTHS = {
    "truth frame 1: label 1 is missing": {"name": "truth", "frames": [ONES, 0 * ONES]},
    "seg.tif: the sequence has 2 frames": {"masks": mask(2)},
    "seg.tif: truth and prediction must have the same shape": {"masks": mask(1, size=3)},
    "seg.tif: no plane 1 in a frame of shape (4,)": {"masks": mask(1, plane=1)},
}


@pytest.mark.parametrize("message", [*RESULTS, *TRUTHS])
def test_explains(message):
    truth = replace(films.one_track(2), **TRUTHS.get(message, {}))
    result = replace(films.one_track(2), name="RES", table="RES/tracks.txt")
    result = replace(result, **RESULTS.get(message, {}))
    refused(
        rf"^1 format error, nothing was scored: {re.escape(message)}", match_tracks, truth, result
    )


def test_longest_runs_of_a_track_that_is_lost_and_found():
    truth = films.one_track(6)
    result = films.sequence(
        [(1, 0, 1), (2, 2, 2), (3, 3, 5)], "1111", "1111", "2222", *["3333"] * 3
    )
    runs = longest_runs(match_tracks(truth, result))
    assert [column.tolist() for column in runs] == [[0, 1, 2], [0, 0, 0], [2, 1, 3]]


def test_runs_of_one_pair_are_not_added():
    truth = films.one_track(5)
    runs = longest_runs(
        match_tracks(truth, films.sequence([(1, 0, 4)], "1111", "1111", "1...", "1111", "111."))
    )
    assert [column.tolist() for column in runs] == [[0], [0], [2]]
