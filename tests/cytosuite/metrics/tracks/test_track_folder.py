import re
from dataclasses import replace

import films
import numpy as np
import pytest
import tifffile
from layouts import foreign
from mistakes import refused

from cytosuite.metrics import metrics_of
from cytosuite.metrics.tracks.lineage import Track, TrackedSequence
from cytosuite.metrics.tracks.matched_tracks import match_tracks
from cytosuite.metrics.tracks.track_folder import (
    open_sequence,
    read_sequence,
    score_tracks,
    write_sequence,
)
from cytosuite.metrics.tracks.tracking import seg


@pytest.fixture
def result(tmp_path):
    """Return a result folder of one family in four frames of 4 x 6 voxels."""
    return written(tmp_path / "01_RES")


@pytest.fixture
def truth(tmp_path):
    """Return a truth folder of the same."""
    return written(tmp_path / "01_GT", truth=True)


def written(folder, **options):
    film = films.padded(films.division())
    write_sequence(folder, film.frames, film.tracks, **options)
    return folder


@pytest.mark.parametrize("truth", [False, True])
def test_what_was_written_is_read(tmp_path, truth):
    film = films.simulate(0)
    write_sequence(tmp_path / "01", film.frames, film.tracks, truth=truth)
    sequence = read_sequence(tmp_path / "01")
    assert sorted(sequence.tracks, key=str) == sorted(film.tracks, key=str)
    assert np.array_equal(sequence.frames, film.frames)
    assert sequence.frames[0].dtype == np.uint16
    for path in (tmp_path / "01").rglob("*.tif"):
        path.rename(path.with_suffix(".tiff"))
    named_in_full = read_sequence(tmp_path / "01")
    assert len(named_in_full.frames) == films.FRAMES
    assert len(named_in_full.masks or ()) == len(sequence.masks or ())


def test_official_names_of_a_result(result):
    names = sorted(path.name for path in result.iterdir())
    assert names == [*(f"mask00{t}.tif" for t in range(4)), "res_track.txt"]
    assert (result / "res_track.txt").read_text() == "1 0 1 0\n2 2 3 1\n3 2 3 1\n"


def test_official_names_of_a_truth(truth):
    names = sorted(path.relative_to(truth).as_posix() for path in truth.rglob("*.t*"))
    expected = [f"{name}00{t}.tif" for name in ("SEG/man_seg", "TRA/man_track") for t in range(4)]
    assert names == sorted([*expected, "TRA/man_track.txt"])


def test_tabs_blank_lines_and_foreign_line_ends_are_accepted(result):
    (result / "res_track.txt").write_text("1\t0\t1\t0\r\n\r\n2\t2 3  1\r\n3\t2\t3\t1", newline="")
    assert read_sequence(result).tracks == films.division().tracks


def test_a_truth_without_masks_has_none(truth, result):
    for path in (truth / "SEG").iterdir():
        path.unlink()
    (truth / "SEG").rmdir()
    sequence = read_sequence(truth)
    assert sequence.masks == []
    assert np.isnan(seg(sequence, read_sequence(result)))


def test_each_plane_that_was_drawn_is_a_mask(truth):
    (truth / "SEG/man_seg002.tif").unlink()
    foreign(truth / "SEG/man_seg_002_001.tif", np.ones((5, 10), np.uint16))
    masks = [(mask.frame, mask.plane, mask.name) for mask in read_sequence(truth).masks]
    assert sorted(masks)[2] == (2, 1, "01_GT/SEG/man_seg_002_001.tif")
    assert [plane for _, plane, _ in masks].count(None) == 3


GOOD = "1 0 1 0\n2 2 3 1\n3 2 3 1\n"
WHOLE = "line 4: expected whole numbers L B E P, found"


def faulty(result, message, problems=1):
    """Hold that reading is refused with a message that holds another."""
    start = f"^{problems} format errors?, nothing was read: .*"
    refused(start + re.escape(message), read_sequence, result)


@pytest.mark.parametrize(
    "message, change",
    {  # contents of a file, which is missing where there are none
        "mask001.tif: no such file": ("mask001.tif", None),
        "mask001.tif: cannot be read as TIFF": ("mask001.tif", b"II*\x00nothing"),
        f"01_RES/res_track.txt: {WHOLE} 'a b c d'": ("res_track.txt", f"{GOOD}a b c d".encode()),
        f"01_RES/res_track.txt: {WHOLE} '4 0 0'": ("res_track.txt", f"{GOOD}4 0 0".encode()),
    }.items(),
)
def test_explains(result, message, change):
    assert (result / "res_track.txt").read_text() == GOOD
    name, content = change
    (result / name).unlink()
    if content:
        (result / name).write_bytes(content)
    faulty(result, message)


def test_explains_two_files_of_a_frame(result):
    (result / "mask01.tif").write_bytes((result / "mask001.tif").read_bytes())
    faulty(result, "01_RES/mask01.tif: a second file of frame 1")


@pytest.mark.parametrize("name", ["mask999999999.tif", f"mask{'9' * 200}.tif"])
def test_explains_a_frame_that_no_sequence_has(result, name):
    (result / "mask001.tif").rename(result / name)
    faulty(result, f"01_RES/{name}: expected at most 100000 frames", problems=4)


@pytest.mark.parametrize("word", ["1_0", "\u0661", "9" * 5000, "1\0"])
def test_explains_what_is_no_whole_number(result, word):
    (result / "res_track.txt").write_text(f"{word} 0 1 0\n", encoding="utf-8")
    refused("line 1: expected whole numbers L B E P, found '", read_sequence, result)


def test_labels_over_16_bits_are_refused(result):
    foreign(result / "mask003.tif", np.full((5, 10), 65536, np.uint32))
    (result / "res_track.txt").write_text("1 0 1 0\n2 2 2 1\n3 2 2 1\n65536 3 3 0\n")
    refused("res_track.txt: label 65536: over 65535$", read_sequence, result)


def test_a_folder_that_is_neither(tmp_path):
    refused(r"expected a truth with TRA/man_track.txt or .* neither$", read_sequence, tmp_path)
    refused("found no such folder$", read_sequence, tmp_path / "nothing")


def test_a_folder_with_content_is_left_alone(result):
    before = sorted(result.iterdir())
    refused("folder is not empty", write_sequence, result, np.zeros((1, 2, 2), int), [])
    assert sorted(result.iterdir()) == before


@pytest.mark.parametrize(
    "change, message",
    [({"tracks": []}, "no rows"), ({"frames": np.full((2, 3, 3), -1)}, "label -1 is negative")],
)
def test_contradictions_are_not_written(tmp_path, change, message):
    film = TrackedSequence([Track(1, 0, 1)], np.ones((2, 3, 3), int))
    film = replace(film, **change)
    refused(
        f"nothing was written: .*{message}",
        write_sequence,
        tmp_path / "01_RES",
        film.frames,
        film.tracks,
    )
    assert not any(tmp_path.iterdir())


@pytest.fixture
def scored(tmp_path):
    """Return the folders of a simulated truth and of a faulty tracking of it."""
    truth = films.simulate(2)
    tracking = films.corrupt(films.simulate(2), 2)
    write_sequence(tmp_path / "01_GT", truth.frames, truth.tracks, truth=True)
    write_sequence(tmp_path / "01_RES", tracking.frames, tracking.tracks)
    return tmp_path / "01_GT", tmp_path / "01_RES"


def test_scores_are_those_of_the_sequences(scored):
    tracks = match_tracks(films.simulate(2), films.corrupt(films.simulate(2), 2))
    expected = {metric.name: metric.of(tracks) for metric in metrics_of("tracks")}
    assert score_tracks(*scored) == pytest.approx(expected, nan_ok=True, abs=1e-12)
    assert list(score_tracks(*scored, ["TRA", "CT", "DET"])) == ["TRA", "CT", "DET"]
    drawn = scored[0] / "SEG/man_seg001.tif"
    foreign(drawn, np.roll(tifffile.imread(drawn), 1, axis=1))  # no longer the file of the markers
    assert score_tracks(*scored, ["SEG"])["SEG"] < expected["SEG"]
    assert [mask.same for mask in open_sequence(scored[0]).masks][:3] == [True, False, True]


def test_an_unknown_name_is_refused_with_the_nearest(scored):
    message = "no metric of tracks called 'TRK'; did you mean 'TRA'"
    refused(message, score_tracks, *scored, ["TRA", "TRK"])


def test_problems_of_both_folders_stand_in_one_message(scored):
    (scored[0] / "TRA/man_track002.tif").unlink()
    (scored[1] / "res_track.txt").write_text("")
    both = "^2 format .*man_track002.tif: no such file.*01_RES/res_track.txt: no rows"
    refused(both, score_tracks, *scored)
