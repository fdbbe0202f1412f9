import numpy as np
import pytest

from cytosuite.datasets.nuclei.parameters import Parameters
from cytosuite.datasets.nuclei.population import annotate, layers, populate
from cytosuite.datasets.physics.grid import Grid
from cytosuite.datasets.physics.harmonics import draw_stars

GRID = Grid((1, 40, 90), (1.0, 1.0, 1.0))


def _row(*places, radius=8.0):
    """Return discs in a row at places along x."""
    axes = np.full((len(places), 3), radius)
    turns = np.broadcast_to(np.eye(3), (len(places), 3, 3))
    stars = draw_stars(np.random.default_rng(0), axes, turns, order=0, plane=True)
    return stars, np.array([[0.5, 20.0, place] for place in places])


def _numbers(*values):
    return np.array(values, np.uint16)


def test_discs_apart_need_one_layer_and_a_chain_two():
    assert len(layers(*_row(10, 40, 70), GRID, _numbers(1, 2, 3))) == 1
    first, second = layers(*_row(10, 22, 34), GRID, _numbers(1, 2, 3))
    assert set(np.unique(first)) == {0, 1, 3}
    assert set(np.unique(second)) == {0, 2}


def test_three_discs_over_each_other_need_three_layers_of_the_same_size():
    found = layers(*_row(30, 34, 38), GRID, _numbers(1, 2, 3))
    assert [np.unique(each).tolist() for each in found] == [[0, 1], [0, 2], [0, 3]]
    assert np.ptp([np.count_nonzero(each) for each in found]) == 0


def test_a_disc_without_a_number_is_left_out():
    (found,) = layers(*_row(30, 34), GRID, _numbers(0, 1))
    assert np.unique(found).tolist() == [0, 1]


def test_a_hidden_disc_is_left_out_of_labels_and_layers():
    stars, centres = _row(30, 30, 60)
    flat = Parameters(shape=(40, 90), spacing_um=(1, 1), max_overlap=0.5)
    found = annotate(stars, centres, flat)  # the second lies exactly under the first
    assert found.numbers.tolist() == [0, 2]
    assert [np.unique(each).tolist() for each in (found.labels, *found.layers)] == [[0, 1, 2]] * 2


def test_populations_have_the_sizes_and_turns_asked_for():
    wanted = Parameters(
        shape=(60, 300, 300),
        n_nuclei=60,
        radius_um=(4.0, 5.0),
        elongation=(1.5, 1.5),
        upright=True,
        turn_deg=20,
        order=0,
    )
    stars, centres, _ = populate(np.random.default_rng(0), np.random.default_rng(1), wanted)
    radii = stars.axes_um.prod(axis=1) ** (1 / 3)
    assert (radii >= 4).all()
    assert (radii <= 5).all()
    assert stars.axes_um[:, 2] / stars.axes_um[:, 0] == pytest.approx(1.5)
    long = stars.rotations[:, :, 2]
    turn = np.rad2deg(np.arctan2(long[:, 1], long[:, 2]))
    assert np.abs(turn).max() == pytest.approx(20, abs=2)
    assert not long[:, 0].any()
    assert np.linalg.det(stars.rotations) == pytest.approx(1)
    inside = [(c > 4 * 0.8).all() and (c < [56.8, 146.8, 146.8]).all() for c in centres]
    assert all(inside)
