import numpy as np
import pytest
from rasters import away_from

from cytosuite.algorithms.harmonicnet.suppression import Candidates, find, kept
from cytosuite.bodies.grid import Grid
from cytosuite.bodies.stars import label, stars_from

BALL = np.sqrt(4 * np.pi)
SHAPE = (9, 10, 11)
SPACING = (2.0, 1.0, 0.5)


def _balls(*rows):
    """Return candidates of rows of certainty, z, y, x and radius in µm."""
    table = np.array(rows, np.float64)
    coefficients = np.zeros((len(table), 9), np.float32)
    coefficients[:, 0] = BALL * table[:, 4]
    return Candidates(table[:, 0].astype(np.float32), table[:, 1:4], coefficients)


def test_stars_overlap_as_their_voxels_do(rng):
    drawn = rng.normal(size=(40, 36)).astype(np.float32) * 0.8
    drawn[:, 0] = BALL * rng.uniform(4, 7, 40)
    for number in range(20):
        pair = drawn[2 * number : 2 * number + 2]
        centres = 12 + np.stack([np.zeros(3), rng.uniform(-4, 4, 3)])
        grid = Grid((48,) * 3, (0.5,) * 3)
        masks = []
        for star, centre in zip(pair, centres, strict=True):
            masks.append(label(stars_from(star[None]), centre[None], grid) > 0)
        share = (masks[0] & masks[1]).sum() / min(mask.sum() for mask in masks)
        candidates = Candidates(np.array([0.9, 0.8], np.float32), centres, pair)
        assert len(kept(candidates, share + 0.06, 0)) == 2
        assert len(kept(candidates, share - 0.06, 0)) == 1


def test_a_small_star_in_a_large_one_goes_by_its_own_volume():
    assert kept(_balls((0.9, 9, 9, 9, 8), (0.8, 9, 9, 12, 2)), 0.9, 0).tolist() == [0]
    assert kept(_balls((0.8, 9, 9, 9, 8), (0.9, 9, 9, 12, 2)), 0.9, 0).tolist() == [1]


def test_a_suppressed_star_suppresses_none():
    row = _balls((0.9, 9, 9, 9, 5), (0.8, 9, 9, 12, 5), (0.7, 9, 9, 15, 5))
    assert kept(row, 0.4, 0).tolist() == [0, 2]


def test_the_order_of_candidates_decides_nothing_not_even_among_equals(rng):
    rows = np.column_stack([np.full(60, 0.5), rng.uniform(0, 20, (60, 3)), rng.uniform(2, 5, 60)])
    chosen = {tuple(row) for row in rows[kept(_balls(*rows), 0.3, 0)]}
    shuffled = rng.permutation(rows)
    assert {tuple(row) for row in shuffled[kept(_balls(*shuffled), 0.3, 0)]} == chosen
    assert 5 < len(chosen) < 50


def test_small_and_negative_stars_are_left_out():
    rows = _balls((0.9, 9, 9, 9, 1), (0.8, 30, 9, 9, 4), (0.7, 60, 9, 9, -5))
    assert kept(rows, 0.5, 20.0).tolist() == [1]
    assert kept(rows, 0.5, 0.0).tolist() == [0, 1]
    assert kept(_balls((0.9, 9, 9, 9, 1)), 0.5, 20.0).tolist() == []


def _hill(centre):
    """Return heat that falls as a Gaussian around a place in voxels."""
    return (0.9 * np.exp(-(away_from(centre, SHAPE) ** 2) / 4.5)).astype(np.float32)


def test_centres_lie_between_voxels_in_um_from_the_outer_corner():
    candidates = find(_hill((4.3, 5.0, 5.6)), np.ones((4, *SHAPE), np.float32), SPACING, 0.5)
    assert candidates.centres_um == pytest.approx(np.array([[4.8 * 2, 5.5, 6.1 * 0.5]]), abs=1e-4)
    assert candidates.certainty == pytest.approx(_hill((4.3, 5.0, 5.6)).max())


def test_a_maximum_at_a_face_stays_there():
    candidates = find(_hill((8.0, 0.0, 5.0)), np.ones((1, *SHAPE), np.float32), SPACING, 0.5)
    assert candidates.centres_um == pytest.approx(np.array([[17.0, 0.5, 2.75]]), abs=1e-4)


def test_coefficients_are_the_mean_of_the_neighbours_by_heat_and_maps_stay(rng):
    maps = rng.random((3, *SHAPE), np.float32)
    heat = rng.random(SHAPE, np.float32)
    heat[4, 5, 5] = 2
    heat[0, 0, 0] = 3
    before = maps.copy(), heat.copy()
    candidates = find(heat, maps, SPACING, 1.0)
    for number, box in enumerate([np.s_[:2, :2, :2], np.s_[3:6, 4:7, 4:7]]):
        expected = (maps[(slice(None), *box)] * heat[box]).sum(axis=(1, 2, 3)) / heat[box].sum()
        assert candidates.coefficients[number] == pytest.approx(expected, rel=1e-5)
    assert (maps == before[0]).all()
    assert (heat == before[1]).all()


def test_no_heat_gives_no_candidates():
    candidates = find(np.zeros(SHAPE, np.float32), np.ones((4, *SHAPE), np.float32), SPACING, 0.5)
    assert candidates.centres_um.shape == (0, 3)
    assert candidates.coefficients.shape == (0, 4)
