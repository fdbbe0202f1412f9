import numpy as np
import pytest
from scipy.spatial import cKDTree

from cytosuite.datasets.membrane import places
from cytosuite.datasets.physics.tissue import ellipsoid, fill

BALL = ellipsoid((0.0, 0.0, 0.0), (30.0, 30.0, 30.0))


def _greedy(points, apart):
    """Return the kept points, one after the other."""
    kept = []
    for number, point in enumerate(points):
        if all(np.linalg.norm(point - points[other]) > apart for other in kept):
            kept.append(number)
    return kept


@pytest.mark.parametrize("seed", range(6))
def test_thinned_points_are_those_of_one_trial_after_the_other(seed):
    points = np.random.default_rng(seed).uniform(0, 10, (400, 3))
    assert places.thinned(points, 2.0).tolist() == _greedy(points, 2.0)


def test_thinned_points_are_apart_and_leave_no_room():
    points = np.random.default_rng(0).uniform(0, 20, (3000, 3))
    kept = points[places.thinned(points, 3.0)]
    assert not len(cKDTree(kept).query_pairs(3.0))
    assert (cKDTree(kept).query(points)[0] <= 3.0).all()
    assert len(places.thinned(points[:0], 3.0)) == 0
    assert len(places.thinned(points[:9], 0.0)) == 9


def test_scattered_centres_have_the_density_of_the_cells():
    size, cell = (60.0, 50.0, 40.0), 10.0
    centres = places.scattered(np.random.default_rng(0), fill(size, cell), cell)
    room = np.prod(np.add(size, 2 * cell))
    assert len(centres) == pytest.approx(room / places.ball_um3(cell), rel=0.02)
    nearest = cKDTree(centres).query(centres, k=2)[0][:, 1]
    assert nearest.min() > 0.7 * cell  # uniform random points: near 0


def test_moved_points_lie_at_their_depths():
    points = BALL.draw(np.random.default_rng(0), 500)
    points = points[np.linalg.norm(points, axis=1) > 8]
    depth = np.linspace(0, 15, len(points))
    found = places.moved(points, BALL, depth)
    assert np.linalg.norm(found, axis=1) == pytest.approx(30 - depth, abs=0.1)
    along = (found * points).sum(1) / np.linalg.norm(points, axis=1) / np.linalg.norm(found, axis=1)
    assert along.min() > 0.999


@pytest.mark.parametrize("cell", [5.0, 8.0])
def test_a_layer_has_cells_of_the_wanted_area(cell):
    rng, edge = np.random.default_rng(0), places.ball_um3(cell) ** (1 / 3)
    crowd = places.candidates(rng, BALL, cell)
    assert len(crowd) == places.CROWD * round(30**3 * 8 / cell**3)
    chosen = crowd[np.linalg.norm(crowd, axis=1) > 30 - edge]
    centres = places.layer(rng, chosen, BALL, edge / 2, edge**2, 0.0)
    radii = np.linalg.norm(centres, axis=1)
    assert radii == pytest.approx(30 - edge / 2, abs=0.15)
    assert 4 * np.pi * (30 - edge / 2) ** 2 / len(centres) == pytest.approx(edge**2, rel=0.1)


def test_jitter_moves_centres_along_the_depth():
    rng = np.random.default_rng(0)
    crowd = places.candidates(rng, BALL, 5.0)
    chosen = crowd[np.linalg.norm(crowd, axis=1) > 24]
    centres = places.layer(rng, chosen, BALL, 3.0, 25.0, 0.5)
    assert np.std(np.linalg.norm(centres, axis=1)) == pytest.approx(0.5, rel=0.15)
    assert places.layer(rng, chosen[:0], BALL, 3.0, 25.0, 0.5).shape == (0, 3)
