from collections import Counter

import numpy as np
import pytest
from mistakes import refused

from cytosuite.datasets.nuclei.parameters import Parameters
from cytosuite.datasets.nuclei.series import (
    APART,
    by_track,
    colonies,
    generate,
    simulate_series,
    write_series,
)
from cytosuite.datasets.physics.bodies import volumes_um3
from cytosuite.folders.index import index
from cytosuite.formats import read
from cytosuite.metrics.tracks.lineage import Track, TrackedSequence
from cytosuite.metrics.tracks.track_folder import read_sequence, score_tracks, write_sequence
from cytosuite.metrics.tracks.tracking import tra

ROOMY = {"shape": (128, 128), "spacing_um": (1.0, 1.0), "n_nuclei": 5, "radius_um": (5, 6)}
SMALL = Parameters(**ROOMY)
LIVELY = SMALL.model_copy(update={"step_um": 1.0, "division": 0.3})


def _series(seed, parameters, frames):
    """Return labels by frame and by track, the tracks, and the samples of a series."""
    steps = list(simulate_series(np.random.default_rng(seed), parameters, frames))
    labels = [sample.volume("instance-labels").array for sample, *_ in steps]
    samples, presence, mothers = zip(*steps, strict=True)
    return labels, *by_track(labels, presence, mothers), list(samples)


def _tracks(presence, mothers):
    """Return the tracks of cells by their names, and those of their mothers, in frames."""
    frames = [[np.array(names, np.int64) for names in side] for side in (presence, mothers)]
    numbers, tracks = by_track([np.arange(len(names) + 1) for names in presence], *frames)
    for frame, shown in enumerate(numbers):
        there = {track.label for track in tracks if track.begin <= frame <= track.end}
        assert {*shown.tolist()} == {0, *there}
    return tracks


def test_a_cell_is_one_track_and_a_division_begins_two():
    tracks = _tracks([[1], [1], [2, 3], [2, 3]], [[0], [0], [1, 1], [1, 1]])
    assert tracks == [Track(1, 0, 1, 0), Track(2, 2, 3, 1), Track(3, 2, 3, 1)]


def test_a_cell_that_is_hidden_for_a_frame_goes_on_as_its_own_child():
    tracks = _tracks([[1, 2], [2], [1, 2]], [[0, 0], [0], [0, 0]])
    assert tracks == [Track(1, 0, 0, 0), Track(3, 2, 2, 1), Track(2, 0, 2, 0)]


def test_a_cell_keeps_its_grey_value():
    still = SMALL.model_copy(update={"smooth_um": 0.0, "step_um": 1.0, "division": 0.0})
    _, labels, tracks, samples = _series(0, still, 3)
    for track in tracks:
        seen = [
            s.volume("structure-sketch").array[numbers == track.label]
            for s, numbers in zip(samples, labels, strict=True)
        ]
        assert len(np.unique(np.concatenate(seen))) == 1


def test_a_written_series_is_a_sequence_with_a_perfect_score_against_itself(tmp_path):
    told = []
    write_series(tmp_path / "set", np.random.default_rng(3), LIVELY, 5, done=told.append)
    assert told == [1, 2, 3, 4, 5]
    truth = tmp_path / "set/01_GT"
    _, labels, tracks, samples = _series(3, LIVELY, 5)
    write_sequence(tmp_path / "01_RES", labels, tracks)
    assert score_tracks(truth, tmp_path / "01_RES", ["TRA", "SEG"]) == {"TRA": 1, "SEG": 1}
    assert len([track for track in read_sequence(truth).tracks if track.parent]) >= 2
    items = index(tmp_path / "set").items
    assert [item.name for item in items] == [f"01_t00{n}" for n in range(5)]
    assert all("instance-labels" in item.files for item in items)
    image = read(tmp_path / "set/01/t004.tif")
    assert (image.array == samples[4].volume("microscopy-image").array).all()
    true = read(truth / "SEG/man_seg004.tif")
    assert image.spacing == true.spacing == (1.0, 1.0)
    assert image.metadata["series_seed"] == true.metadata["series_seed"] > 0
    assert (tmp_path / "set/01_SKETCH/t004.tif").is_file()


def test_a_sequence_is_not_written_over_another(tmp_path, rng):
    (tmp_path / "02_GT").mkdir()
    (tmp_path / "02_GT/mine.txt").write_text("precious")
    refused(
        "02_GT: the folder is not empty",
        write_series,
        tmp_path,
        rng,
        SMALL,
        1,
        "02",
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["02_GT"]


def _run(frames, step_um, division, seed=0, **changes):
    rng = np.random.default_rng(seed)
    return list(
        colonies(rng, Parameters(**(ROOMY | changes), step_um=step_um, division=division), frames)
    )


def test_steps_have_the_length_asked_for_and_stay_in_the_plane():
    first, second = _run(2, 0.5, 0.0, n_nuclei=200, shape=(900, 900), gap_um=0)
    moved = second.centres_um - first.centres_um
    assert np.abs(moved[:, 0]).max() < 1e-3
    assert np.median(np.abs(moved[:, 1:])) == pytest.approx(0.6745 * 0.5, rel=0.15)


def test_every_ripe_nucleus_divides_in_two_halves_of_its_volume():
    first, second = _run(2, 0.0, 1.0)
    assert second.names.tolist() == list(range(6, 16))
    assert second.mothers.tolist() == np.repeat(first.names, 2).tolist()
    assert second.size == pytest.approx(2**-0.5)
    axes = first.present.axes_um[:, 1:].prod(axis=1)
    pairs = second.present.axes_um[:, 1:].prod(axis=1).reshape(-1, 2)
    assert pairs.sum(axis=1) == pytest.approx(axes)


def test_daughters_start_on_the_long_axis_of_their_mother():
    first, second = _run(2, 0.0, 1.0, seed=2, n_nuclei=1, order=0, elongation=1.6)
    apart = second.centres_um[0] - second.centres_um[1]
    cosine = abs(apart @ first.stars.rotations[0, :, 2]) / np.linalg.norm(apart)
    assert cosine == pytest.approx(1, abs=1e-3)
    assert np.linalg.norm(apart) >= 2 * APART * first.stars.axes_um[0, 2] - 0.01


def test_daughters_grow_to_the_full_size_in_eight_frames_and_divide_no_earlier():
    frames = _run(10, 0.0, 1.0, n_nuclei=1)
    assert [len(colony.names) for colony in frames] == [1] + [2] * 9
    sizes = [colony.size[0] for colony in frames]
    assert (np.diff(sizes[1:]) > 0).all()
    assert sizes[9] == pytest.approx(1)
    assert volumes_um3(frames[9].present) == pytest.approx(volumes_um3(frames[9].stars))


def test_nuclei_that_stand_on_a_surface_stay_upright_on_it():
    first, *_, last = _run(
        6,
        1.0,
        0.1,
        shape=(40, 60, 60),
        spacing_um=(1.0,) * 3,
        n_nuclei=12,
        foreground="layer",
        width=0.9,
        thickness_um=10.0,
        outward=True,
        radius_um=2.5,
        elongation=2.0,
    )
    assert len(last.names) >= len(first.names)
    for colony in (first, last):
        away = (colony.centres_um - [20, 30, 30]) / np.square([18, 27, 27])  # of an ellipsoid
        long = colony.stars.rotations[:, :, 2]
        cosine = (away * long).sum(axis=1) / np.linalg.norm(away, axis=1)
        assert np.abs(cosine).min() > 0.95
        assert cosine.min() < 0 < cosine.max()  # by the smaller turn, outwards or inwards
        depth = 1 - np.linalg.norm((colony.centres_um - [20, 30, 30]) / [18, 27, 27], axis=1)
        assert 0 < depth.min() < depth.max() < 10 / 18


@pytest.mark.parametrize("seed, shape", [(11, (64, 64)), (4, (16, 64, 64))])  # 11: with a gap
def test_a_movie_is_its_frames_with_their_tracks(seed, shape):
    parameters = Parameters(
        frames=5,
        frame_labels=True,
        shape=shape,
        spacing_um=(1.0,) * len(shape),
        n_nuclei=5,
        division=0.2,
        step_um=4.0,
    )
    sample = generate(np.random.default_rng(seed), parameters)
    labels = sample.volume("tracked-labels")
    tracks = sample.sockets["tracks"]
    assert sample.volume("microscopy-movie").shape == (5, *shape)
    assert labels.axes == "T" + "ZYX"[-len(shape) :]
    assert np.array_equal(labels.array > 0, sample.volume("frame-labels").array > 0)
    assert tra(*[TrackedSequence(tracks, labels.array)] * 2) == 1
    children = Counter(track.parent for track in tracks if track.parent)
    assert sample.conditions["divisions"] == sum(n > 1 for n in children.values())
