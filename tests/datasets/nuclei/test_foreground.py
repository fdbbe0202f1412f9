import numpy as np
import pytest

from cytosuite.datasets.nuclei.parameters import Parameters
from cytosuite.datasets.nuclei.population import Plane, foreground

VOLUME = {"shape": (40, 80, 120), "spacing_um": (1.0, 0.5, 0.5)}  # 40 x 40 x 60 µm
FLAT = {"shape": (100, 160), "spacing_um": (0.5, 0.5)}  # 50 x 80 µm


def _region(base, seed=0, **changes):
    return foreground(np.random.default_rng(seed), Parameters(**(base | changes)))


def _points(region):
    return region.draw(np.random.default_rng(1), 4000)


def _size(base):
    return np.array(Parameters(**base).image.detector.size_um)


def _away(region):
    """Return how far points lie from the middle, relative to an ellipsoid of 36 x 36 x 54 µm."""
    return np.linalg.norm((_points(region) - [20, 20, 30]) / [18, 18, 27], axis=1)


def test_points_of_a_plane_lie_in_its_middle_and_everywhere_in_the_image():
    points = _points(_region(FLAT))
    assert (points[:, 0] == 0.5).all()
    assert points[:, 1:].mean(axis=0) == pytest.approx([25, 40], abs=1)
    assert points[:, 1:].min() > 0
    assert (points[:, 1:] < [50, 80]).all()


def test_a_margin_lets_the_foreground_reach_beyond_the_image():
    points = _points(_region(FLAT, margin_um=10.0))
    assert points[:, 1:].min() < -8
    assert points[:, 2].max() > 88


@pytest.mark.parametrize("base", [VOLUME, FLAT])
def test_an_ellipsoid_is_as_wide_as_its_share_of_the_image(base):
    region = _region(base, foreground="ellipsoid", width=0.6)
    size = _size(base)
    points = _points(region)[:, 1:]
    assert np.ptp(points, axis=0) == pytest.approx(0.6 * size[1:], rel=0.06)
    assert points.mean(axis=0) == pytest.approx(size[1:] / 2, abs=1)
    assert isinstance(region, Plane) == (base is FLAT)


def test_a_shell_is_empty_in_its_middle():
    away = _away(_region(VOLUME, foreground="shell", width=0.9, core=0.6))
    assert away.min() == pytest.approx(0.6, abs=0.06)
    assert away.max() == pytest.approx(1.0, abs=0.04)


@pytest.mark.parametrize("base", [VOLUME, FLAT])
def test_discs_hold_the_points_near_their_centres_in_the_image_and_its_margin(base):
    points = _points(_region(base, foreground="discs", discs=1, disc_radius_um=12))
    size = _size(base)
    assert (points >= -0.5).all()
    assert (points <= size + 0.5).all()
    assert np.ptp(points, axis=0).max() <= 24.5
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    assert np.linalg.norm(points - middle, axis=1).max() < 17
    wide = _points(_region(base, foreground="discs", discs=50, disc_radius_um=12, margin_um=8.0))
    first = 1 if base is FLAT else 0  # all points of a plane lie in it
    assert wide[:, first:].min(axis=0) == pytest.approx([-8] * (3 - first), abs=1)
    assert wide[:, first:].max(axis=0) == pytest.approx(size[first:] + 8, abs=1)
    assert base is VOLUME or (wide[:, 0] == 0.5).all()


LAYER = {"foreground": "layer", "width": 0.9, "thickness_um": 3.0}  # semi-axes 18, 18, 27 µm


def test_a_layer_is_as_thick_as_asked_for_however_coarse_its_samples():
    # less than half a sample along x
    away = _away(_region(VOLUME, **LAYER | {"thickness_um": 0.5}))
    assert away.max() < 1.01
    assert away.min() > 1 - 0.5 / 18 - 0.01


def test_the_volume_of_a_layer_is_that_between_two_surfaces():
    region = _region(VOLUME, **LAYER)
    outer, inner = (4 / 3 * np.pi * np.prod(axes) for axes in ((18, 18, 27), (15, 15, 24)))
    assert region.volume_um3 == pytest.approx(outer - inner, rel=0.03)
    assert region.depth_um == 1.5
    solid = _region(VOLUME, **LAYER | {"thickness_um": 50.0})
    assert solid.volume_um3 == pytest.approx(outer, rel=0.02)


def test_pits_and_bumps_change_the_surface():
    plain = _region(VOLUME, **LAYER)
    bumpy = _region(VOLUME, **LAYER, bumps=0.1)
    pitted = _region(VOLUME, **LAYER, dents=4, dent_um=6.0)
    smooth, rough = (np.ptp(_away(region)) for region in (plain, bumpy))
    assert rough > 1.5 * smooth
    assert 0.85 < (pitted.distance < 0).sum() / (plain.distance < 0).sum() < 0.99


def test_the_region_of_a_map_is_the_shell_of_its_ball():
    region = _region(VOLUME, foreground="map", latitude_deg=60, thickness_um=2.0)
    radius = 20 / np.deg2rad(60)
    away = np.linalg.norm(_points(region), axis=1)
    assert away.min() == pytest.approx(radius - 1, abs=0.1)
    assert away.max() == pytest.approx(radius + 1, abs=0.1)
