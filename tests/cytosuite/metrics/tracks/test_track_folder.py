import re
from dataclasses import replace

import films
import numpy as np
import pytest
import tifffile

from cytosuite.errors import InputError
from cytosuite.metrics.tracks.lineage import Track, TrackedSequence
from cytosuite.metrics.tracks.matched_tracks import match_tracks
from cytosuite.metrics.tracks.track_folder import open_sequence, read_sequence, write_sequence
from cytosuite.metrics.tracks.tracking import seg


def save(path, labels):
    """Write labels as another program would."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, np.asarray(labels), photometric="minisblack")


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


class TestRoundTrip:
    @pytest.mark.parametrize("truth", [False, True])
    def test_what_was_written_is_read(self, tmp_path, truth):
        film = films.simulate(0)
        write_sequence(tmp_path / "01", film.frames, film.tracks, truth=truth)
        found = read_sequence(tmp_path / "01")
        assert sorted(found.tracks, key=str) == sorted(film.tracks, key=str)
        assert all((found.frames[t] == film.frames[t]).all() for t in range(films.FRAMES))
        assert found.frames[0].dtype == np.uint16

    def test_official_names_of_a_result(self, result):
        names = sorted(path.name for path in result.iterdir())
        assert names == [*(f"mask00{t}.tif" for t in range(4)), "res_track.txt"]
        assert (result / "res_track.txt").read_text() == "1 0 1 0\n2 2 3 1\n3 2 3 1\n"

    def test_official_names_of_a_truth(self, truth):
        names = sorted(path.relative_to(truth).as_posix() for path in truth.rglob("*.t*"))
        expected = [
            f"{name}00{t}.tif" for name in ("SEG/man_seg", "TRA/man_track") for t in range(4)
        ]
        assert names == sorted([*expected, "TRA/man_track.txt"])

    def test_other_programs_read_the_frames(self, result):
        labels = tifffile.imread(result / "mask002.tif")
        assert (labels == films.padded(films.division()).frames[2]).all()
        assert labels.dtype == np.uint16

    def test_volumes_keep_their_axes(self, tmp_path):
        frames = np.ones((2, 3, 4, 5), np.int64)
        write_sequence(tmp_path / "01_RES", frames, [Track(1, 0, 1)])
        assert read_sequence(tmp_path / "01_RES").frames[1].shape == (3, 4, 5)

    def test_a_thousand_frames_and_one_take_four_digits(self, tmp_path):
        frames = np.zeros((1001, 2, 2), np.uint8)
        write_sequence(tmp_path / "01_RES", frames, [])
        assert (tmp_path / "01_RES" / "mask0000.tif").is_file()
        assert len(open_sequence(tmp_path / "01_RES").frames) == 1001


class TestReading:
    def test_tabs_blank_lines_and_foreign_line_ends_are_accepted(self, result):
        text = "1\t0\t1\t0\r\n\r\n2\t2 3  1\r\n3\t2\t3\t1"
        (result / "res_track.txt").write_text(text, newline="")
        assert read_sequence(result).tracks == films.division().tracks

    def test_frames_are_read_when_they_are_asked_for(self, result):
        found = open_sequence(result)
        save(result / "mask001.tif", np.full((5, 10), 7, np.uint16))
        assert (found.frames[1] == 7).all()

    def test_other_files_do_not_matter(self, result):
        save(result / "overview.tif", np.zeros((3, 3), np.uint8))
        (result / "notes.txt").write_text("good")
        read_sequence(result)

    def test_four_digits(self, result):
        for path in sorted(result.glob("mask*.tif")):
            path.rename(path.with_name(path.name.replace("mask", "mask0")))
        assert len(read_sequence(result).frames) == 4

    def test_frames_of_eight_bits(self, result):
        for path in result.glob("mask*.tif"):
            save(path, tifffile.imread(path).astype(np.uint8))
        assert read_sequence(result).frames[0].dtype == np.uint8

    def test_masks_are_only_where_cells_were_drawn(self, truth):
        (truth / "SEG" / "man_seg002.tif").unlink()
        assert [mask.frame for mask in read_sequence(truth).masks] == [0, 1, 3]

    def test_a_truth_without_masks_has_none(self, truth, result):
        for path in (truth / "SEG").iterdir():
            path.unlink()
        (truth / "SEG").rmdir()
        found = read_sequence(truth)
        assert found.masks == []
        assert np.isnan(seg(found, read_sequence(result)))


class TestPlanes:
    @pytest.fixture
    def folders(self, tmp_path):
        """Return truth and result of one cell in 4 x 6 x 6 voxels, two planes of which are drawn."""
        rng = np.random.default_rng(0)
        drawn = np.kron(rng.integers(0, 4, (4, 3, 3)), np.ones((1, 4, 4), int)).astype(np.uint16)
        found = np.kron(rng.integers(0, 2, (4, 3, 3)), np.ones((1, 4, 4), int)) * drawn
        found[:, 0, 0] = drawn[:, 0, 0] = 0
        found[:, 1, 1] = [1, 2, 3, 1]
        for name, frames, options in (("GT", drawn, {"truth": True}), ("RES", found, {})):
            tracks = [Track(int(n), 0, 0) for n in np.unique(frames[frames > 0])]
            write_sequence(tmp_path / name, frames[None], tracks, **options)
        (tmp_path / "GT" / "SEG" / "man_seg000.tif").unlink()
        for plane in (1, 3):
            save(tmp_path / "GT" / "SEG" / f"man_seg_000_00{plane}.tif", drawn[plane])
        return tmp_path / "GT", tmp_path / "RES"

    def test_each_plane_is_an_image_of_its_own(self, folders):
        truth, result = (read_sequence(folder) for folder in folders)
        drawn, found = truth.frames[0], result.frames[0]
        single = [match_tracks(plane_of(drawn, z), plane_of(found, z)).jaccard for z in (1, 3)]
        values = match_tracks(truth, result).jaccard
        assert sorted(values) == sorted(np.concatenate(single))
        assert [mask.planes for mask in truth.masks] == [1, 3]

    def test_stacked_planes_are_those_of_py_ctcmetrics(self, folders):
        peer = pytest.importorskip("ctc_metrics.utils.representations")
        files = folders[0] / "SEG" / "man_seg_000.tif", folders[1] / "mask000.tif"
        labels, *_, jaccard = peer.match(*map(str, files))
        truth = read_sequence(folders[0], stack_planes=True)
        expected = sum(jaccard) / len(labels)
        assert seg(truth, read_sequence(folders[1])) == pytest.approx(expected, abs=1e-12)
        assert seg(read_sequence(folders[0]), read_sequence(folders[1])) != pytest.approx(expected)

    def test_stacked_planes_of_different_shapes_are_refused(self, folders):
        save(folders[0] / "SEG" / "man_seg_000_003.tif", np.ones((3, 3), np.uint16))
        truth = read_sequence(folders[0], stack_planes=True)
        with pytest.raises(InputError, match=r"GT/SEG/man_seg_000: planes of shape \(12, 12\)"):
            match_tracks(truth, read_sequence(folders[1]))


def plane_of(volume, plane):
    """Return one plane as a film of one frame."""
    labels = volume[plane]
    tracks = [Track(int(n), 0, 0) for n in np.unique(labels[labels > 0])]
    return TrackedSequence(tracks, labels[None])


GOOD = "1 0 1 0\n2 2 3 1\n3 2 3 1\n"
WHOLE = "line 4: expected whole numbers L B E P, found"
FRAMES = {  # contents of the second frame, which is missing where there are none
    "mask001.tif: no such file": None,
    "mask001.tif: cannot be read as TIFF": b"II*\x00nothing",
    "01_RES/mask001.tif: shape (3, 3), the first frame has (5, 10)": np.ones((3, 3), np.uint16),
    "01_RES/mask001.tif: labels of dtype float32, expected integers": np.ones((5, 10), np.float32),
}
TABLES = {
    "01_RES/res_track.txt: label 3: a second row": GOOD + "3 2 3 1",
    f"01_RES/res_track.txt: {WHOLE} 'a b c d'": GOOD + "a b c d",
    f"01_RES/res_track.txt: {WHOLE} '4 0 0'": GOOD + "4 0 0",
    f"01_RES/res_track.txt: {WHOLE} '4.0 0 0 0'": GOOD + "4.0 0 0 0",
    f"01_RES/res_track.txt: {WHOLE} '4 0 99999999999999999999 0'": GOOD
    + "4 0 99999999999999999999 0",
    "01_RES/mask002.tif: label 4 is missing (and in 1 more frames)": GOOD + "4 2 3 0",
    "01_RES/mask002.tif: label 3 has no row (and in 1 more frames)": "1 0 1 0\n2 2 3 1\n",
    "01_RES/res_track.txt: label 3: begins in frame 2, not after its parent 2": GOOD[:-2] + "2",
    "01_RES/res_track.txt: label 3: its parent 8 has no row": GOOD[:-2] + "8",
    "01_RES/res_track.txt: no rows, the frames hold 3 labels": "",
}


def refused(result, message, problems=1):
    """Hold that reading is refused with a message that holds another."""
    with pytest.raises(InputError, match=re.escape(message)) as error:
        read_sequence(result)
    assert re.match(f"{problems} format errors?, nothing was read: ", str(error.value))


@pytest.mark.parametrize(("message", "contents"), FRAMES.items())
def test_explains_a_frame(result, message, contents):
    (result / "mask001.tif").unlink()
    if isinstance(contents, bytes):
        (result / "mask001.tif").write_bytes(contents)
    elif contents is not None:
        save(result / "mask001.tif", contents)
    refused(result, message)


@pytest.mark.parametrize(("message", "text"), TABLES.items())
def test_explains_a_table(result, message, text):
    assert (result / "res_track.txt").read_text() == GOOD
    (result / "res_track.txt").write_text(text)
    refused(result, message)


def test_explains_two_files_of_a_frame(result):
    (result / "mask01.tif").write_bytes((result / "mask001.tif").read_bytes())
    refused(result, "01_RES/mask01.tif: a second file of frame 1")


@pytest.mark.parametrize("name", ["mask999999999.tif", f"mask{'9' * 200}.tif"])
def test_explains_a_frame_that_no_sequence_has(result, name):
    (result / "mask001.tif").rename(result / name)
    refused(result, f"01_RES/{name}: expected at most 100000 frames", problems=4)


def test_explains_a_table_of_too_many_rows(result):
    (result / "res_track.txt").write_text(GOOD * 30000)
    message = f"{GOOD.count(chr(10)) * 30000} rows, expected at most one for each of 65535 labels"
    refused(result, f"01_RES/res_track.txt: {message}", problems=2)


@pytest.mark.parametrize("word", ["1_0", "\u0661", "1.0", "9" * 5000, "0x1", "1\0"])
def test_explains_what_is_no_whole_number(result, word):
    (result / "res_track.txt").write_text(f"{word} 0 1 0\n", encoding="utf-8")
    with pytest.raises(InputError, match="line 1: expected whole numbers L B E P, found '"):
        read_sequence(result)


def test_explains_a_binary_table(result):
    (result / "res_track.txt").write_bytes(b"\xff\xfe\x00\x01")
    table = "01_RES/res_track.txt"
    refused(result, f"{table}: expected a text file; {table}: no rows", problems=2)


def test_all_mistakes_stand_in_one_message(result):
    (result / "res_track.txt").write_text(GOOD + "7 0 9 6")
    (result / "mask001.tif").unlink()
    with pytest.raises(InputError) as error:
        read_sequence(result)
    for phrase in (
        "ends in frame 9",
        "parent 6 has no row",
        "mask001.tif: no such file",
        "label 7 is",
    ):
        assert phrase in str(error.value)
    assert "\n" not in str(error.value)


def test_the_largest_label_of_16_bits_is_read(tmp_path):
    write_sequence(tmp_path / "01_RES", np.full((1, 2, 2), 65535), [Track(65535, 0, 0)])
    assert read_sequence(tmp_path / "01_RES").frames[0].max() == 65535


def test_labels_over_16_bits_are_refused(result):
    save(result / "mask003.tif", np.full((5, 10), 65536, np.uint32))
    (result / "res_track.txt").write_text("1 0 1 0\n2 2 2 1\n3 2 2 1\n65536 3 3 0\n")
    with pytest.raises(InputError, match="res_track.txt: label 65536: over 65535$"):
        read_sequence(result)


def test_a_folder_without_frames(result):
    for path in result.glob("*.tif"):
        path.unlink()
    with pytest.raises(InputError, match=r"01_RES/mask000\.tif: no such file"):
        read_sequence(result)


def test_a_folder_that_is_neither(tmp_path):
    with pytest.raises(InputError, match=r"expected a truth with TRA/man_track.txt or .* neither$"):
        read_sequence(tmp_path)
    with pytest.raises(InputError, match="found no such folder$"):
        read_sequence(tmp_path / "nothing")


def test_a_truth_without_its_table(truth):
    (truth / "TRA" / "man_track.txt").unlink()
    with pytest.raises(InputError, match=r"01_GT/TRA/man_track.txt: no such file; .*no rows"):
        read_sequence(truth)


class TestWriting:
    def test_a_folder_with_content_is_left_alone(self, result):
        before = sorted(result.iterdir())
        with pytest.raises(InputError, match="expected a new or empty folder"):
            write_sequence(result, np.zeros((1, 2, 2), int), [])
        assert sorted(result.iterdir()) == before

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"tracks": []}, "no rows"),
            ({"frames": np.full((2, 3, 3), -1)}, "label -1 is negative"),
            ({"frames": np.ones((2, 3, 3))}, "expected integers"),
            ({"tracks": [Track(1, 0, 5)]}, "ends in frame 5"),
        ],
    )
    def test_contradictions_are_not_written(self, tmp_path, change, message):
        film = TrackedSequence([Track(1, 0, 1)], np.ones((2, 3, 3), int))
        film = replace(film, **change)
        with pytest.raises(InputError, match=f"nothing was written: .*{message}"):
            write_sequence(tmp_path / "01_RES", film.frames, film.tracks)
        assert not any(tmp_path.iterdir())

    def test_labels_over_16_bits_are_not_cut(self, tmp_path):
        frames = np.full((1, 2, 2), 65537)
        with pytest.raises(InputError, match="label 65537: over 65535"):
            write_sequence(tmp_path / "01_RES", frames, [Track(65537, 0, 0)])
