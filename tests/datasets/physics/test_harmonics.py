from dataclasses import replace

import numpy as np
import pytest
from rasters import cube
from scipy import ndimage

from cytosuite.bodies.grid import Grid
from cytosuite.bodies.harmonics import ring_table
from cytosuite.bodies.stars import label
from cytosuite.datasets.physics import bodies
from cytosuite.datasets.physics.harmonics import LEAST, Globe, draw_stars
from cytosuite.datasets.physics.shapes import random_rotations

MIDDLE = np.array([[12.0, 12.0, 12.0]])
GLOBE = Globe((10.0, 100.0, 200.0), 60.0)
RADIUS = 50 / np.deg2rad(60)


def _stars(count=1, seed=0, axes=None, rotations=None, **options):
    axes = np.full((count, 3), 8.0) if axes is None else np.array(axes, float)
    turns = np.broadcast_to(np.eye(3), (len(axes), 3, 3)) if rotations is None else rotations
    return draw_stars(np.random.default_rng(seed), axes, turns, **options)


def test_power_falls_with_the_degree_as_asked_for():
    drawn = _stars(count=1500, order=6, circularity=6.0).coefficients
    for degree in (2, 3, 5):
        square = (drawn[..., degree] ** 2).sum(axis=(1, 2)).mean() / (4 * np.pi)
        assert square == pytest.approx(degree**-6.0, rel=0.06)
    assert not drawn[..., 1].any()
    rings = _stars(count=1500, order=6, circularity=6.0, plane=True).coefficients
    assert (rings[..., 2] ** 2).sum(axis=1).mean() == pytest.approx(2**-6.0, rel=0.06)


def test_no_surface_comes_near_the_centre_however_rough():
    wild = _stars(count=30, circularity=0.0)
    assert LEAST - 1e-5 <= min(wild.table(index).min() for index in range(30)) < LEAST + 0.01


def test_an_ellipsoid_is_as_long_as_its_axes_where_its_rotation_turns_them():
    swapped = np.array([[[0, 0, 1.0], [0, 1, 0], [-1, 0, 0]]])  # third axis along z
    stars = _stars(axes=[[3, 5, 9]], rotations=swapped, order=0)
    inside = np.argwhere(label(stars, MIDDLE, cube(24, 0.25, 0.25, 0.25)))
    assert np.ptp(inside, axis=0) * 0.125 == pytest.approx([9, 5, 3], abs=0.15)


def test_labels_have_the_volume_of_the_stated_ellipsoids_in_one_piece():
    stars = _stars(seed=2, axes=[[5, 6, 8]])
    labels = label(stars, MIDDLE, cube(24, 0.25, 0.25, 0.25))
    assert np.count_nonzero(labels) * 0.25**3 == pytest.approx(
        bodies.volumes_um3(stars)[0], rel=0.01
    )
    assert ndimage.label(labels)[1] == 1


def test_a_body_in_a_plane_has_its_area_and_ring():
    stars = _stars(seed=3, plane=True, axes=[[6, 5, 8]], circularity=4.0)
    labels = label(stars, np.array([[0.5, 12.0, 12.0]]), Grid((1, 240, 240), (1.0, 0.1, 0.1)))
    expected = np.pi * stars.semi_axes_um[0, 1:].prod()
    assert np.count_nonzero(labels) * 0.01 == pytest.approx(expected, rel=0.01)
    ring = ring_table(stars.coefficients[0])
    assert (ring[0] == ring[1]).all()
    along_y = np.flatnonzero(labels[0, :, 120])[-1] * 0.1 - 12
    assert along_y == pytest.approx(5 * ring[0, 0], abs=0.15)


@pytest.mark.parametrize("plane", [False, True])
def test_no_surface_exceeds_the_reach_and_it_is_not_far_off(plane, rng):
    axes = rng.uniform(3, 6, (200, 3))
    turns = random_rotations(rng, 200)
    stars = draw_stars(rng, axes, turns, order=12, circularity=4.0, plane=plane)
    farthest = [stars.table(i).max() * axes[i].max() for i in range(200)]
    assert (stars.reach_um >= farthest).all()
    assert np.median(stars.reach_um / farthest) < 2
    wide = replace(stars, stretch=np.tile([1.0, 1.0, 3.0], (200, 1)))
    assert wide.reach_um == pytest.approx(3 * stars.reach_um)
    balls = draw_stars(rng, axes, turns, order=0, plane=plane)
    assert balls.reach_um == pytest.approx(axes.max(axis=1), rel=1e-4)


def _point(latitude, longitude, away=RADIUS):
    """Return a point of the ball by its angles in degrees."""
    b, l = np.deg2rad([latitude, longitude])  # noqa: E741
    return away * np.array([np.cos(b) * np.cos(l), np.sin(b), -np.cos(b) * np.sin(l)])


def test_parallels_are_rows_meridians_columns_and_the_outside_is_the_first_plane():
    points = np.stack([_point(0, 0), _point(60, 0), _point(0, -90), _point(0, 0, RADIUS + 5)])
    expected = [[5, 50, 100], [5, 100, 100], [5, 50, 100 - (RADIUS * np.pi / 2)], [0, 50, 100]]
    assert GLOBE.shown(points) == pytest.approx(np.array(expected))


def test_frames_are_rotations_and_small_steps_agree_with_the_map():
    points = np.stack([_point(b, l) for b in (-50, 20) for l in (-80, 15)])  # noqa: E741
    turned, places = GLOBE.spread(_stars(axes=np.full((4, 3), 3.0), order=0), points)
    assert np.linalg.det(turned.rotations) == pytest.approx(1)
    step = 0.01
    for axis in range(3):
        moved = GLOBE.shown(points + step * np.eye(3)[axis])
        linear = turned.stretch * turned.rotations[:, :, axis] * step
        assert moved - places == pytest.approx(linear, abs=1e-5)
