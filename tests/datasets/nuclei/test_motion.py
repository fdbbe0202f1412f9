import numpy as np
import pytest

from cytosuite.datasets.nuclei.motion import APART, colonies
from cytosuite.datasets.nuclei.parameters import Parameters
from cytosuite.datasets.physics.bodies import volumes_um3
from cytosuite.errors import InputError

ROOMY = {"shape": (150, 150), "spacing_um": (1.0, 1.0), "n_nuclei": 5, "radius_um": (5, 6)}


def _run(frames, step_um, division, seed=0, **changes):
    rng = np.random.default_rng(seed)
    wanted = Parameters(**(ROOMY | changes), step_um=step_um, division=division)
    return list(colonies(rng, wanted, frames))


def test_nothing_changes_without_steps_and_divisions():
    first, *_, last = _run(4, 0.0, 0.0)
    assert (last.names == first.names).all()
    assert last.centres_um == pytest.approx(first.centres_um, abs=0.1)  # what packing leaves open
    assert (last.size == 1).all()


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
    along = first.stars.rotations[0, :, 2]
    cosine = abs(apart @ along) / np.linalg.norm(apart)
    assert cosine == pytest.approx(1, abs=1e-3)
    assert np.linalg.norm(apart) >= 2 * APART * first.stars.axes_um[0, 2] - 0.01


def test_daughters_grow_to_the_full_size_in_eight_frames_and_divide_no_earlier():
    frames = _run(10, 0.0, 1.0, n_nuclei=1)
    assert [len(colony.names) for colony in frames] == [1] + [2] * 9
    sizes = [colony.size[0] for colony in frames]
    assert (np.diff(sizes[1:]) > 0).all()
    assert sizes[9] == pytest.approx(1)
    volume = volumes_um3(frames[9].present)
    assert volume == pytest.approx(volumes_um3(frames[9].stars))


def test_a_volume_that_gets_too_full_is_refused():
    with pytest.raises(InputError, match="do not fit into the foreground"):
        _run(60, 0.0, 1.0, shape=(30, 30), n_nuclei=2, radius_um=5)


def test_nuclei_that_stand_on_a_surface_stay_upright_on_it():
    first, *_, last = _run(
        6,
        1.0,
        0.1,
        shape=(40, 60, 60),
        spacing_um=(1.0, 1.0, 1.0),
        n_nuclei=12,
        foreground="layer",
        width=0.9,
        radius_um=2.5,
        elongation=2.0,
        thickness_um=10.0,
        outward=True,
    )
    assert len(last.names) >= len(first.names)
    away = (last.centres_um - [20, 30, 30]) / np.square([18, 27, 27])  # gradient of an ellipsoid
    cosine = (away * last.stars.rotations[:, :, 2]).sum(axis=1) / np.linalg.norm(away, axis=1)
    assert np.abs(cosine).min() > 0.95
