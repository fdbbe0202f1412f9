import re
from dataclasses import replace

import films
import numpy as np
import pytest

from cytosuite.errors import InputError
from cytosuite.metrics.tracks.lineage import Mask, Track, TrackedSequence
from cytosuite.metrics.tracks.matched_tracks import check_sequence, longest_runs, match_tracks


class Watched:
    """Frames that count how many of their arrays are alive at a time."""

    def __init__(self, frames):
        self.frames, self.reads = frames, []

    def __len__(self):
        return len(self.frames)

    def __getitem__(self, frame):
        self.reads.append(frame)
        return self.frames[frame]


def test_more_than_half_is_a_match_half_exactly_is_none():
    truth = films.sequence([(1, 0, 1)], [1, 1, 1, 1], [1, 1, 1, 1])
    found = films.sequence([(5, 0, 1)], [5, 5, 5, 0], [5, 5, 0, 0])
    assert match_tracks(truth, found).match.tolist() == [0, -1]


def test_one_object_may_match_several_cells_and_is_then_not_unique():
    tracks = match_tracks(*films.three_merged())
    assert tracks.match.tolist() == [0, 0, 0]
    assert tracks.covered.tolist() == [3]
    assert tracks.counterpart.tolist() == [-1]


@pytest.mark.parametrize("seed", range(3))
def test_a_sequence_matches_itself(seed):
    film = films.simulate(seed)
    tracks = match_tracks(film, films.relabelled(film, seed))
    assert (tracks.counterpart[tracks.match] == np.arange(tracks.truth.vertices)).all()
    assert (tracks.jaccard == 1).all()
    assert tracks.jaccard.size == tracks.truth.vertices


def test_frames_are_read_once_and_in_order():
    truth, found = films.simulate(1), films.corrupt(films.simulate(1), 1)
    watched = [replace(film, frames=Watched(film.frames)) for film in (truth, found)]
    match_tracks(*watched)
    assert [film.frames.reads for film in watched] == [list(range(films.FRAMES))] * 2


@pytest.mark.parametrize(
    "kind",
    [
        lambda frames: np.asarray(frames, np.int64)[:, ::1, :],
        lambda frames: np.asfortranarray(frames),
        lambda frames: np.repeat(frames, 2, axis=2)[:, :, ::2],
        lambda frames: [frame.astype(">u4") for frame in frames],
        lambda frames: [frame[:, :, None] for frame in frames],
    ],
)
def test_memory_layout_and_dtype_do_not_matter(kind):
    truth, found = films.simulate(2), films.corrupt(films.simulate(2), 2)
    expected = match_tracks(truth, found)
    other = match_tracks(*(replace(film, frames=kind(film.frames)) for film in (truth, found)))
    assert (other.match == expected.match).all()
    assert (other.jaccard == expected.jaccard).all()


def test_frames_may_be_mapped_from_a_file(tmp_path):
    film = films.simulate(3)
    np.save(tmp_path / "frames.npy", film.frames)
    mapped = replace(film, frames=np.load(tmp_path / "frames.npy", mmap_mode="r"))
    assert (match_tracks(film, mapped).jaccard == 1).all()


def test_labels_up_to_the_largest_of_16_bits():
    high = films.sequence([(65535, 0, 0), (65534, 0, 0)], np.array([65535, 65534], np.uint16))
    assert match_tracks(high, high).match.tolist() == [0, 1]


def test_frames_without_a_cell_contribute_nothing():
    tracks = match_tracks(films.empty(), films.empty())
    assert (tracks.match.size, tracks.jaccard.size) == (0, 0)


def test_no_frames_at_all():
    assert match_tracks(films.sequence([]), films.sequence([])).match.size == 0


def _masks(*masks):
    """Return one track in two frames whose whole cells are drawn in these masks."""
    read = [replace(mask, read=lambda array=mask.read: np.array(array)) for mask in masks]
    return replace(films.one_track(2), masks=read)


def test_masks_replace_the_markers():
    truth = _masks(Mask(1, [5, 5, 0, 7]))
    assert match_tracks(truth, films.one_track(2)).jaccard.tolist() == [0.5, 0.25]


def test_no_masks_give_no_values():
    truth = replace(films.one_track(2), masks=[])
    assert match_tracks(truth, films.one_track(2)).jaccard.size == 0


def planes(*masks):
    """Return truth and prediction of one cell in three planes of 1 x 4 voxels."""
    film = TrackedSequence([Track(1, 0, 0)], [np.ones((3, 1, 4), int)])
    read = [replace(mask, read=lambda array=mask.read: np.array(array)) for mask in masks]
    return replace(film, masks=read), film


def test_each_plane_is_an_image_of_its_own():
    masks = Mask(0, [[1, 1, 1, 1]], 0), Mask(0, [[1, 1, 0, 0]], 2)
    assert match_tracks(*planes(*masks)).jaccard.tolist() == [1.0, 0.5]


def test_stacked_planes_are_one_image():
    assert match_tracks(*planes(Mask(0, [[[1] * 4], [[1, 1, 0, 0]]], (0, 2)))).jaccard == [0.75]


ONES = np.ones(4, int)


def mask(frame, size=4, planes=None):
    """Return a mask of ones."""
    return [Mask(frame, lambda: np.ones(size, int), planes, "seg.tif")]


RESULTS = {
    "RES: 1 frames, truth has 2": {"frames": [ONES], "tracks": [Track(1, 0, 0)]},
    "RES: frames of shape (5,), truth has (4,)": {"frames": [np.ones(5, int)] * 2},
    "RES frame 1: shape (5,), the first frame has (4,)": {"frames": [ONES, np.ones(5, int)]},
    "RES frame 1: labels of dtype float64, expected integers": {"frames": [ONES, np.ones(4)]},
    "RES frame 0: labels of dtype float32, expected integers": {
        "frames": [np.full(4, np.nan, np.float32), ONES]
    },
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
    "seg.tif: no plane 1 in a frame of shape (4,)": {"masks": mask(1, planes=1)},
}


def test_a_plane_below_the_last_is_refused():
    with pytest.raises(InputError, match=r"no plane 3 in a frame of shape \(3, 1, 4\)$"):
        match_tracks(*planes(Mask(0, [[1] * 4], 3)))


@pytest.mark.parametrize("message", [*RESULTS, *TRUTHS])
def test_explains(message):
    truth = replace(films.one_track(2), **TRUTHS.get(message, {}))
    found = replace(films.one_track(2), name="RES", table="RES/tracks.txt")
    found = replace(found, **RESULTS.get(message, {}))
    expected = rf"^1 format error, nothing was scored: {re.escape(message)}"
    with pytest.raises(InputError, match=expected):
        match_tracks(truth, found)


def test_all_problems_of_both_sides_stand_in_one_message():
    truth = replace(films.one_track(2), name="GT", tracks=[Track(1, 0, 1), Track(1, 0, 1)])
    found = replace(films.one_track(2), name="RES", frames=[np.array([1, 0, 0, 8])] * 2)
    with pytest.raises(InputError, match="^2 format errors") as error:
        match_tracks(truth, found)
    assert "label 1: a second row" in str(error.value)
    assert "RES frame 0: label 8 has no row" in str(error.value)


def test_a_sequence_is_checked_alone():
    check_sequence(films.simulate(0))
    with pytest.raises(InputError, match="^1 format error, nothing was written: "):
        check_sequence(replace(films.one_track(), tracks=[]), "nothing was written")


def test_longest_runs_of_a_track_that_is_lost_and_found():
    truth = films.one_track(6)
    labels = np.repeat([1, 1, 2, 3, 3, 3], 4).reshape(6, 4)
    found = films.sequence([(1, 0, 1), (2, 2, 2), (3, 3, 5)], *labels)
    runs = longest_runs(match_tracks(truth, found))
    assert [column.tolist() for column in runs] == [[0, 1, 2], [0, 0, 0], [2, 1, 3]]


def test_runs_of_one_pair_are_not_added():
    truth = films.one_track(5)
    frames = [[1] * 4, [1] * 4, [1, 0, 0, 0], [1] * 4, [1, 1, 1, 0]]
    runs = longest_runs(match_tracks(truth, films.sequence([(1, 0, 4)], *frames)))
    assert [column.tolist() for column in runs] == [[0], [0], [2]]


def test_no_runs_without_matches():
    runs = longest_runs(match_tracks(films.one_track(), films.empty(3)))
    assert [column.size for column in runs] == [0, 0, 0]
