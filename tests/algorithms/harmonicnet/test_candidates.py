import numpy as np
import pytest
from rasters import away_from

from cytosuite.algorithms.harmonicnet.suppression import find

SHAPE = (9, 10, 11)
SPACING = (2.0, 1.0, 0.5)


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
