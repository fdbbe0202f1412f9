"""Folders of the Cell Tracking Challenge: labels stay as they are, and other programs agree."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mistakes import refused

from cytosuite.benchmark.runs.record import read_record
from cytosuite.benchmark.submission import ctc
from cytosuite.benchmark.submission.ctc import (
    Segmentation,
    segmentations,
    sequences,
    tracks_of_labels,
    truths,
    write_ctc,
)
from cytosuite.formats import read
from cytosuite.metrics import det, seg
from cytosuite.metrics.tracks.lineage import row_problems
from cytosuite.metrics.tracks.track_folder import read_sequence

ONE = {"01": ["a", "b", "c"]}


def frames_of(*arrays):
    return [Segmentation(n, lambda a=a: a) for n, a in zip("abcdefgh", arrays, strict=False)]


def row(*labels, dtype=np.uint16):
    """Return a small plane with these labels, one pixel each, and background."""
    return np.array([[0, *labels, 0]], dtype)


def test_sequences_of_several_datasets_are_numbered_anew():
    assert sequences(["b-01_t000", "b-01_t001", "a-01_t000", "a-02_t000"]) == {
        "01": ["a-01_t000"], "02": ["a-02_t000"], "03": ["b-01_t000", "b-01_t001"],
    }  # fmt: skip
    assert sequences(["a-01_t000", "spheroid_01"]) == {"01": ["a-01_t000"], "02": ["spheroid_01"]}


def test_a_series_follows_the_numbers_in_its_names():
    assert sequences(["f10", "f8", "f9"], series=True) == {"01": ["f8", "f9", "f10"]}
    refused(
        "numbered without a gap, found f8, then f10", sequences, ["f10", "f8", "f7"], series=True
    )
    times = [f"{minute // 60}h{minute % 60}m" for minute in range(50, 75)]
    assert sequences(times[::-1], series=True) == {"01": times}
    planes = [f"t{t}_z{z}" for t in range(2) for z in range(3)]
    refused("numbered without a gap, found t0_z2, then t1_z0", sequences, planes, series=True)


def test_a_missing_frame_is_refused():
    refused(
        "sequence 01: frame 1 is missing; expected all from 0 to 2",
        sequences,
        ["01_t000", "01_t002"],
    )


def test_two_cases_of_one_frame_are_refused():
    line = "expected one case of each frame, found 01_t000 and 01_t0000"
    refused(line, sequences, ["01_t000", "01_t0000"])


def test_movies_are_numbered_anew_where_one_name_is_no_number(monkeypatch, tmp_path):
    record = SimpleNamespace(ok=True, outputs=dict.fromkeys(("tracked-labels", "tracks"), ""))
    monkeypatch.setattr(ctc, "read_record", lambda _: record)
    monkeypatch.setattr(ctc, "read_movie", lambda *_: None)
    cases = [SimpleNamespace(name=name, truth=lambda _: {}) for name in ("02", "a")]
    assert [name for name, _ in ctc.movies(tmp_path, cases, truth=False)] == ["01_RES", "02_RES"]


@settings(max_examples=200)
@given(st.lists(st.sets(st.integers(1, 6)), min_size=1, max_size=8), st.booleans())
def test_tracks_are_always_valid_and_every_label_is_in_one(presence, anew):
    numbers, tracks = tracks_of_labels([sorted(labels) for labels in presence], anew=anew)
    assert not anew or [t.label for t in tracks] == list(range(1, len(tracks) + 1))
    assert list(row_problems(tracks, len(presence))) == []
    for frame, labels in enumerate(presence):
        written = {numbers[frame].get(label, label) for label in labels}
        assert len(written) == len(labels)
        assert written == {t.label for t in tracks if t.begin <= frame <= t.end}


def test_a_label_that_comes_back_is_a_new_track(tmp_path):
    write_ctc(tmp_path, frames_of(row(200, 3, dtype=np.uint8), row(3, 0), row(200, 3)), ONE)
    assert (tmp_path / "01_RES/res_track.txt").read_text() == "3 0 2 0\n200 0 0 0\n201 2 2 200\n"
    assert read(tmp_path / "01_RES/mask002.tif").array.tolist() == [[0, 201, 3, 0]]
    read_sequence(tmp_path / "01_RES")


def test_a_gap_of_the_largest_label_takes_a_number_that_is_free(tmp_path):
    write_ctc(tmp_path, frames_of(row(1, 65535), row(1, 0), row(1, 65535)), ONE)
    assert read(tmp_path / "01_RES/mask002.tif").array.tolist() == [[0, 1, 2, 0]]
    assert 65535 in {track.parent for track in read_sequence(tmp_path / "01_RES").tracks}


@pytest.mark.parametrize("anew", [False, True])
def test_more_tracks_than_16_bits_hold_are_refused(tmp_path, anew):
    every = np.arange(65536, dtype=np.uint16)[None]
    refused(
        "01_RES: expected at most 65535 tracks",
        write_ctc,
        tmp_path,
        frames_of(every, 0 * every, every),
        ONE,
        anew=anew,
    )
    assert not any(tmp_path.iterdir())


def test_a_label_over_16_bits_is_refused(tmp_path):
    refused(
        r"a: expected labels up to 65535.*found 65536 \(2 objects\)",
        write_ctc,
        tmp_path,
        frames_of(row(1, 65536, dtype=np.uint32)),
        {"01": ["a"]},
    )
    write_ctc(tmp_path, frames_of(row(65535, dtype=np.uint32)), {"01": ["a"]})
    assert read(tmp_path / "01_RES/mask000.tif").array.dtype == np.uint16


def test_an_empty_mask_is_written_and_said(tmp_path):
    (remark,) = write_ctc(tmp_path, frames_of(row(0)), {"01": ["a"]})
    assert "01_RES holds no object" in remark
    assert (tmp_path / "01_RES/res_track.txt").read_text() == ""
    assert not read(tmp_path / "01_RES/mask000.tif").array.any()


def test_a_truth_that_lacks_a_frame_is_left_out_and_said(tmp_path):
    plan = {"01": ["a", "b"], "02": ["c"]}
    frames = [frame for frame in frames_of(row(1), row(1), row(1)) if frame.case != "b"]
    (remark,) = write_ctc(tmp_path, frames, plan, truth=True)
    assert remark == "01_GT is not written: 1 frames have no labels"
    assert [path.name for path in tmp_path.iterdir()] == ["02_GT"]


def test_results_of_a_run_with_a_failed_case(segmented, tmp_path):
    cases, task, job = segmented.dataset.cases, segmented.task, segmented.job
    broken = job.folder / "case_2"
    read_record(broken).model_copy(update={"status": "time-out", "outputs": {}}).write(broken)
    plan = sequences([case.name for case in cases])
    remarks = write_ctc(tmp_path / "o", list(segmentations(job.folder, job.key, cases, task)), plan)
    assert remarks[0] == "02_RES: case_2 failed, its mask is empty"
    mask = read(tmp_path / "o/02_RES/mask000.tif").array
    assert mask.shape == (4, 24, 24)
    assert not mask.any()


def spoiled(labels):
    """Return labels with a missing, a cut and an added object, and high numbers."""
    answer = np.where(labels == 1, 0, labels).astype(np.uint16)
    answer[2][answer[2] == 2] = 0
    answer[0, 20:23, 20:23] = 9
    return answer


def test_an_independent_program_accepts_the_folders_and_agrees(segmented, tmp_path):
    evaluate = pytest.importorskip("ctc_metrics.scripts.evaluate")
    validate = pytest.importorskip("ctc_metrics.scripts.validate")
    true = truths(segmented.dataset.cases)[2]
    answer = Segmentation(true.case, lambda: spoiled(true.labels()))
    # Its DET needs an edge between frames: the volume twice doubles numerator and denominator.
    plan = {"01": [true.case, "again"]}
    for name, one, kind in (("r", answer, False), ("g", true, True)):
        write_ctc(tmp_path / name, [one, Segmentation("again", one.labels)], plan, truth=kind)
    result = str(tmp_path / "r/01_RES")
    truth = str(tmp_path / "g/01_GT")
    assert validate.validate_sequence(result, threads=1) == {"Valid": 1}
    *loaded, _, valid = evaluate.load_data(result, truth, True, True, threads=1)
    scores = evaluate.calculate_metrics(*loaded, ["Valid", "SEG", "DET"], valid)
    assert 0 < (expected := seg(true.labels(), answer.labels())) < 1
    assert scores["SEG"] == pytest.approx(expected, abs=1e-12)
    assert scores["DET"] == pytest.approx(det(true.labels(), answer.labels()), abs=1e-12)
