import numpy as np
import pytest

from cytosuite.datasets.folder.collect import collect
from cytosuite.datasets.nuclei.parameters import Parameters
from cytosuite.datasets.nuclei.series import by_track, simulate_series, tracks_of, write_series
from cytosuite.errors import InputError
from cytosuite.formats import read
from cytosuite.metrics.tracks.lineage import Track
from cytosuite.metrics.tracks.track_folder import read_sequence, score_tracks, write_sequence

SMALL = Parameters(shape=(128, 128), spacing_um=(1.0, 1.0), n_nuclei=5, radius_um=(5, 6))
LIVELY = SMALL.model_copy(update={"step_um": 1.0, "division": 0.3})


def _series(seed, parameters, frames):
    """Return labels by frame and by track, the tracks, and the samples of a series."""
    made = list(simulate_series(np.random.default_rng(seed), parameters, frames))
    labels = [sample.volume("instance-labels").array for sample, *_ in made]
    mothers = {
        name: mother
        for _, names, own in made
        for name, mother in zip(names.tolist(), own.tolist(), strict=True)
    }
    return (
        labels,
        *by_track(labels, [names for _, names, _ in made], mothers),
        [s for s, *_ in made],
    )


def _names(*frames):
    return [np.array(frame, np.int64) for frame in frames]


def test_a_cell_is_one_track_and_a_division_begins_two():
    found = tracks_of(_names([1], [1], [2, 3], [2, 3]), {1: 0, 2: 1, 3: 1})
    assert found[1] == [Track(1, 0, 1, 0)]
    assert found[2] == [Track(2, 2, 3, 1)]
    assert found[3] == [Track(3, 2, 3, 1)]


def test_a_cell_that_is_hidden_for_a_frame_goes_on_as_its_own_child():
    found = tracks_of(_names([1, 2], [2], [1, 2]), {1: 0, 2: 0})
    assert found[1] == [Track(1, 0, 0, 0), Track(3, 2, 2, 1)]
    assert found[2] == [Track(2, 0, 2, 0)]


def test_a_daughter_of_a_cell_that_was_never_seen_has_no_parent():
    assert tracks_of(_names([], [2]), {1: 0, 2: 1})[2] == [Track(1, 1, 1, 0)]


def test_labels_of_tracks_are_the_labels_of_frames_under_other_numbers():
    labels, found, tracks, _ = _series(0, LIVELY, 6)
    assert len(labels) == len(found) == 6
    assert any(track.parent for track in tracks)
    for frame, (own, new) in enumerate(zip(labels, found, strict=True)):
        assert ((own > 0) == (new > 0)).all()
        pairs = np.unique(np.stack([own.ravel(), new.ravel()]), axis=1)
        assert pairs.shape[1] == len(np.unique(own))
        there = {track.label for track in tracks if track.begin <= frame <= track.end}
        assert set(np.unique(new)) - {0} == there


def test_a_cell_keeps_its_grey_value():
    still = SMALL.model_copy(update={"smooth_um": 0.0, "step_um": 1.0, "division": 0.0})
    _, labels, tracks, samples = _series(0, still, 3)
    for track in tracks:
        seen = [
            s.volume("structure-sketch").array[found == track.label]
            for s, found in zip(samples, labels, strict=True)
        ]
        assert len(np.unique(np.concatenate(seen))) == 1


def test_a_written_series_is_a_sequence_with_a_perfect_score_against_itself(tmp_path):
    told = []
    write_series(tmp_path / "set", np.random.default_rng(3), LIVELY, 5, done=told.append)
    assert told == [1, 2, 3, 4, 5]
    truth = tmp_path / "set" / "01_GT"
    _, labels, tracks, samples = _series(3, LIVELY, 5)
    write_sequence(tmp_path / "01_RES", labels, tracks)
    assert score_tracks(truth, tmp_path / "01_RES", ["TRA", "SEG"]) == {"TRA": 1, "SEG": 1}
    daughters = [track for track in read_sequence(truth).tracks if track.parent]
    assert len(daughters) >= 2
    items = collect(tmp_path / "set").items
    assert [item.name for item in items] == [f"01_t00{n}" for n in range(5)]
    assert all("instance-labels" in item.files for item in items)
    image = read(tmp_path / "set" / "01" / "t004.tif")
    assert (image.array == samples[4].volume("microscopy-image").array).all()
    assert image.spacing == (1.0, 1.0)
    assert (tmp_path / "set" / "01_SKETCH" / "t004.tif").is_file()


def test_the_same_seed_writes_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_series(tmp_path / name, np.random.default_rng(1), LIVELY, 2)
    files = [path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*")]
    assert len(files) == 2 * 4 + 1
    for path in files:
        assert (tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes()


def test_a_sequence_is_not_written_over_another(tmp_path):
    (tmp_path / "02_GT").mkdir()
    (tmp_path / "02_GT" / "mine.txt").write_text("precious")
    with pytest.raises(InputError, match="02_GT: the folder is not empty"):
        write_series(tmp_path, np.random.default_rng(0), SMALL, 1, "02")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["02_GT"]


def test_a_series_without_frames_is_refused():
    with pytest.raises(InputError, match="at least 1 frame, found 0"):
        next(simulate_series(np.random.default_rng(0), SMALL, 0))
