import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mistakes import refused
from rasters import places_of

from cytosuite.bodies.grid import Grid
from cytosuite.datasets.physics.tissue import Region, ellipsoid

BOX = Grid((30, 44, 52), (2.0, 1.3, 1.1), (-25.0, -10.0, 0.0))


def ball(centre, radius):
    return ellipsoid(centre, (radius,) * 3)


BALL = ball((10, 20, 30), 25)


def _far(points):
    return np.linalg.norm(points - (10, 20, 30), axis=-1) - 25


def test_distance_at_points_inside_and_far_beyond_the_samples():
    points = np.random.default_rng(0).uniform(-40, 40, (400, 3)) + np.array((10, 20, 30))
    expected = _far(points)
    inside = (expected < 0) & (expected > -20)
    assert BALL.distance_at(points)[inside] == pytest.approx(expected[inside], abs=0.1)
    assert BALL.distance_at(np.array([[10.0, 20.0, 300.0]])) == pytest.approx(245, rel=0.01)


def test_distance_on_a_grid_is_that_at_its_voxels():
    image = BALL.on(BOX)
    assert image.dtype == np.float32
    assert np.abs(image.ravel() - BALL.distance_at(places_of(BOX).reshape(-1, 3))).max() < 1e-3


@given(start=st.integers(0, 29), size=st.integers(1, 30), step=st.sampled_from([0.9002694, 2, 0.1]))
@settings(max_examples=25)
def test_slab_has_the_values_of_the_whole(start, size, step):
    grid = Grid((30, 9, 9), (step, 5.0, 7.0), (-15.1, -10.0, 0.0))
    stop = min(start + size, 30)
    assert BALL.on(grid.slab(start, stop)).tobytes() == BALL.on(grid)[start:stop].tobytes()


def test_tissue_above_the_grid_is_the_length_of_the_chord():
    grid = Grid((5, 31, 31), (2, 2, 2), (0.0, -11.0, -1.0))
    y = grid.centres(1)[:, None] - 20
    half = np.sqrt((25**2 - y**2 - (grid.centres(2) - 30) ** 2).clip(0))
    expected = (0 - (10 - half)).clip(0, 2 * half)
    above = BALL.above_um(grid)
    assert above == pytest.approx(expected, abs=0.8)  # the rim, where the chord is tangential
    assert abs(above - expected).mean() < 0.05


def test_drawn_points_are_uniform(rng):
    points = BALL.draw(rng, 20000)
    assert points.shape == (20000, 3)
    radius = _far(points) + 25
    assert radius.max() < 25.1
    assert points.mean(axis=0) == pytest.approx((10, 20, 30), abs=0.4)
    shares = [(radius < 25 * share ** (1 / 3)).mean() for share in (0.1, 0.5, 0.9)]
    assert shares == pytest.approx([0.1, 0.5, 0.9], abs=0.015)


def test_what_is_taken_away_and_what_is_kept_make_the_whole():
    hole = ball((10, 30, 30), 15)
    rest = BALL.minus(hole)
    core = BALL.intersect(hole)
    assert rest.volume_um3 + core.volume_um3 == pytest.approx(BALL.volume_um3, rel=1e-3)
    assert core.volume_um3 == pytest.approx(hole.volume_um3, rel=0.01)
    middle = np.array([[10.0, 30, 30], [10, 8, 30]])
    assert (rest.distance_at(middle) < 0).tolist() == [False, True]
    assert (core.distance_at(middle) < 0).tolist() == [True, False]


def test_scaled_copy_has_the_wanted_volume_in_the_same_place():
    region = ellipsoid((10, 20, 30), (20, 30, 40))
    double = region.scaled(2 ** (1 / 3), (10, 20, 30))
    assert double.volume_um3 == pytest.approx(2 * region.volume_um3, rel=1e-6)
    assert double.box_um.mean(axis=0) == pytest.approx(region.box_um.mean(axis=0), abs=0.01)
    assert double.depth_um == pytest.approx(region.depth_um * 2 ** (1 / 3))


def test_refuses_a_region_with_nothing_inside():
    message = "a region of tissue is empty: no sample of its grid lies inside; make it larger"
    refused(message, Region, np.ones((4, 4, 4), np.float32), (1, 1, 1), (0, 0, 0))
    refused(message, BALL.minus, ball((10, 20, 30), 40))
