import numpy as np
import pytest

from cytosuite.datasets.folder.collect import collect
from cytosuite.datasets.nuclei.motion import Motion
from cytosuite.datasets.nuclei.parameters import Parameters
from cytosuite.datasets.nuclei.series import simulate_series, tracks_of, write_series
from cytosuite.errors import InputError
from cytosuite.formats import read
from cytosuite.metrics.tracks.lineage import Track
from cytosuite.metrics.tracks.track_folder import score_tracks, write_sequence

SMALL = Parameters(shape=(128, 128), spacing_um=(1.0, 1.0), n_nuclei=5, radius_um=(5, 6))
LIVELY = Motion(1.0, 0.3)


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
    samples, labels, tracks = simulate_series(np.random.default_rng(0), SMALL, 6, LIVELY)
    assert len(samples) == len(labels) == 6
    assert any(track.parent for track in tracks)
    for frame, (sample, found) in enumerate(zip(samples, labels, strict=True)):
        own = sample.volume("instance-labels").array
        assert ((own > 0) == (found > 0)).all()
        pairs = np.unique(np.stack([own.ravel(), found.ravel()]), axis=1)
        assert pairs.shape[1] == len(np.unique(own))
        there = {track.label for track in tracks if track.begin <= frame <= track.end}
        assert set(np.unique(found)) - {0} == there


def test_a_cell_keeps_its_grey_value():
    still = SMALL.model_copy(update={"smooth_um": 0.0})
    samples, labels, tracks = simulate_series(np.random.default_rng(0), still, 3, Motion(1.0, 0))
    for track in tracks:
        seen = [
            s.volume("structure-sketch").array[found == track.label]
            for s, found in zip(samples, labels, strict=True)
        ]
        assert len(np.unique(np.concatenate(seen))) == 1


def test_a_written_series_is_a_sequence_with_a_perfect_score_against_itself(tmp_path):
    write_series(tmp_path / "set", 3, SMALL, 5, LIVELY)
    truth = tmp_path / "set" / "01_GT"
    samples, labels, tracks = simulate_series(np.random.default_rng(3), SMALL, 5, LIVELY)
    write_sequence(tmp_path / "01_RES", labels, tracks)
    assert score_tracks(truth, tmp_path / "01_RES", ["TRA", "SEG"]) == {"TRA": 1, "SEG": 1}
    items = collect(tmp_path / "set").items
    assert [item.name for item in items] == [f"01_t00{n}" for n in range(5)]
    assert all("instance-labels" in item.files for item in items)
    image = read(tmp_path / "set" / "01" / "t004.tif")
    assert (image.array == samples[4].volume("microscopy-image").array).all()
    assert image.spacing == (1.0, 1.0)
    assert (tmp_path / "set" / "01_SKETCH" / "t004.tif").is_file()


def test_the_same_seed_writes_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_series(tmp_path / name, 1, SMALL, 2, LIVELY)
    files = [path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*")]
    assert len(files) == 2 * 4 + 1
    for path in files:
        assert (tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes()


def test_a_series_without_frames_is_refused():
    with pytest.raises(InputError, match="at least 1 frame, found 0"):
        simulate_series(np.random.default_rng(0), SMALL, 0, Motion())
