import numpy as np
import pytest

from cytosuite.datasets.physics.bodies import label
from cytosuite.datasets.physics.globe import Globe
from cytosuite.datasets.physics.grid import Grid
from cytosuite.datasets.physics.harmonics import draw_stars
from cytosuite.errors import InputError

GLOBE = Globe((10.0, 100.0, 200.0), 60.0)
RADIUS = 50 / np.deg2rad(60)


def _point(latitude, longitude, away=RADIUS):
    """Return a point of the ball by its angles in degrees."""
    b, l = np.deg2rad([latitude, longitude])  # noqa: E741
    return away * np.array([np.cos(b) * np.cos(l), np.sin(b), -np.cos(b) * np.sin(l)])


def _balls(points, radius=3.0):
    axes, turns = np.full((len(points), 3), radius), np.tile(np.eye(3), (len(points), 1, 1))
    return draw_stars(np.random.default_rng(0), axes, turns, order=0)


def test_radius_and_latitudes_are_those_of_the_rows():
    assert GLOBE.radius_um == pytest.approx(RADIUS)
    rows = GLOBE.latitude(np.array([0.0, 50.0, 100.0]))
    assert np.rad2deg(rows) == pytest.approx([-60, 0, 60])


def test_parallels_are_rows_meridians_columns_and_the_outside_is_the_first_plane():
    points = np.stack([_point(0, 0), _point(60, 0), _point(0, -90), _point(0, 0, RADIUS + 5)])
    quarter = RADIUS * np.pi / 2
    expected = [[5, 50, 100], [5, 100, 100], [5, 50, 100 - quarter], [0, 50, 100]]
    assert GLOBE.shown(points) == pytest.approx(np.array(expected))


def test_a_ball_widens_with_the_secant_of_its_latitude():
    points = np.stack([_point(0, 10), _point(50, 10)])
    shown, places = GLOBE.spread(_balls(points), points)
    grid = Grid((40, 400, 800), (0.25, 0.25, 0.25))
    labels = label(shown, places, grid)
    for number, secant in ((1, 1.0), (2, 1 / np.cos(np.deg2rad(50)))):
        found = np.argwhere(labels == number) * 0.25
        high, wide = np.ptp(found[:, 1]), np.ptp(found[:, 2])
        assert high == pytest.approx(6, abs=0.5)
        assert wide == pytest.approx(6 * secant, abs=0.5)
        assert found.mean(axis=0) == pytest.approx(places[number - 1], abs=0.3)


def test_what_stands_upright_on_the_ball_stands_upright_in_the_map():
    points = np.stack([_point(b, l) for b in (-40, 0, 30) for l in (-60, 0, 45)])  # noqa: E741
    stars = _balls(points)
    turns = np.linalg.qr(np.random.default_rng(1).normal(size=(9, 3, 3)))[0]
    turns[:, :, 2] = points / RADIUS
    turned, _ = GLOBE.spread(type(stars)(stars.axes_um, turns, *_rest(stars)), points)
    assert np.abs(turned.rotations[:, 0, 2]) == pytest.approx(1)


def _rest(stars):
    return stars.coefficients, stars.brightness, stars.semi_axes_um


def test_frames_are_rotations_and_small_steps_agree_with_the_map():
    points = np.stack([_point(b, l) for b in (-50, 20) for l in (-80, 15)])  # noqa: E741
    turned, places = GLOBE.spread(_balls(points), points)
    assert np.linalg.det(turned.rotations) == pytest.approx(1)
    step = 0.01
    for axis in range(3):
        moved = GLOBE.shown(points + step * np.eye(3)[axis])
        linear = turned.stretch * turned.rotations[:, :, axis] * step
        assert moved - places == pytest.approx(linear, abs=1e-5)


def test_the_pole_is_shown_with_a_finite_stretch_beyond_the_rows():
    points = _point(90, 0)[None]
    turned, places = GLOBE.spread(_balls(points), points)
    assert turned.stretch[0, 2] == pytest.approx(2 / np.cos(np.deg2rad(60)))
    assert places[0, 1] > 100


def test_a_map_wider_than_the_equator_is_refused():
    with pytest.raises(InputError, match=r"400 µm wide, but the equator 300 µm long; lower"):
        Globe((10.0, 100.0, 400.0), 60.0)
