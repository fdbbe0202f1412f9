import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cytosuite.datasets.physics import tissue
from cytosuite.datasets.physics.tissue import Region
from cytosuite.errors import InputError
from cytosuite.volume import Volume


def _analytic(axes):
    return 4 / 3 * np.pi * np.prod(axes)


@settings(max_examples=10, deadline=None)
@given(axes=st.tuples(*[st.floats(20, 120)] * 3))
def test_volume_of_an_ellipsoid(axes):
    region = tissue.ellipsoid((5, -3, 8), axes)
    assert region.volume_um3 == pytest.approx(_analytic(axes), rel=0.01)
    wanted = np.array([(5, -3, 8)] * 2) + np.array([[-1], [1]]) * np.array(axes)
    assert region.box_um == pytest.approx(wanted, abs=0.5)


def test_refuses_an_ellipsoid_without_extent():
    message = "semi-axes of tissue must be positive, found (10, 0, 10) µm"
    with pytest.raises(InputError, match=re.escape(message)):
        tissue.ellipsoid((0, 0, 0), (10, 0, 10))


@pytest.mark.parametrize("bumps", [0.0, 0.1, 0.25])
def test_irregular_tissue_keeps_its_volume_and_has_the_wanted_bumps(bumps):
    axes = (30, 45, 50)
    region = tissue.irregular(np.random.default_rng(3), (1, 2, 3), axes, bumps)
    assert region.volume_um3 == pytest.approx(_analytic(axes), rel=0.01)
    directions = np.random.default_rng(0).normal(size=(300, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    scales = np.linspace(0.3, 2.5, 441)
    points = (1, 2, 3) + (directions[:, None] * np.array(axes)) * scales[:, None]
    inside = region.distance_at(points.reshape(-1, 3)).reshape(300, -1) < 0
    radius = scales[inside.argmin(axis=1)]  # where a ray leaves the tissue
    assert np.log(radius).std() == pytest.approx(bumps, abs=0.02 + 0.15 * bumps)


def test_distances_of_irregular_tissue_have_slope_one():
    region = tissue.irregular(np.random.default_rng(3), (0, 0, 0), (30, 45, 50), 0.2)
    slopes = np.gradient(region.distance, *region.spacing)
    slope = np.sqrt(sum(part**2 for part in slopes))
    near = (region.distance < 5) & (region.distance > -8)
    assert np.median(slope[near]) == pytest.approx(1, abs=0.02)
    assert np.quantile(abs(slope[near] - 1), 0.95) < 0.15


def test_a_direction_has_its_own_value_on_every_processor():
    """A product of matrices rounds the last columns of a block as no others, on some of them."""
    axes = np.random.default_rng(0).normal(size=(18, 3))
    weights, directions = np.ones(18), tissue._sphere(1007)
    whole = tissue._harmonics(directions, axes, weights)
    alone = [tissue._harmonics(column[:, None], axes, weights) for column in directions.T]
    assert (np.concatenate(alone) == whole).all()


def test_irregular_tissue_comes_from_the_generator_alone():
    first, same, other = (
        tissue.irregular(np.random.default_rng(seed), (0, 0, 0), (30, 30, 30), 0.1)
        for seed in (1, 1, 2)
    )
    assert first.distance.tobytes() == same.distance.tobytes()
    assert (first.distance != other.distance).any()


def test_shell_and_core_make_the_whole():
    axes = (30, 40, 50)
    outer, core = tissue.shell((0, 0, 0), axes, 0.5)
    assert outer.volume_um3 == pytest.approx(7 / 8 * _analytic(axes), rel=0.01)
    assert core.volume_um3 == pytest.approx(_analytic(axes) / 8, rel=0.01)
    assert outer.depth_um == pytest.approx(12.5, abs=1)  # half the wall along x


def test_displaced_core_is_cut_at_the_surface():
    outer, core = tissue.shell((0, 0, 0), (30, 30, 30), 0.5, (0, 20, 0))
    assert core.box_um[1] == pytest.approx((15, 30, 15), abs=0.6)
    assert core.volume_um3 < _analytic((15, 15, 15))
    scaled = outer.scaled(2).volume_um3 + core.scaled(2).volume_um3
    assert scaled == pytest.approx(8 * _analytic((30, 30, 30)), rel=0.01)
    assert core.scaled(2).box_um[1] == pytest.approx((30, 60, 30), abs=1.2)


def test_full_field_reaches_beyond_the_grid():
    region = tissue.fill((50, 100, 120), 10)
    assert region.box_um == pytest.approx(np.array([[-10] * 3, [60, 110, 130]]), abs=0.01)
    assert region.volume_um3 == pytest.approx(70 * 120 * 140, rel=0.01)
    points = np.array([[0, 0, 0], [50, 100, 120], [25, 50, 60]], float)
    assert region.distance_at(points) == pytest.approx([-10, -10, -35], abs=1.5)


def _ball_mask(shape, spacing, radius):
    ticks = [(np.arange(n) - n / 2 + 0.5) * s for n, s in zip(shape, spacing, strict=True)]
    far = ticks[0][:, None, None] ** 2 + ticks[1][:, None] ** 2 + ticks[2] ** 2
    return (far < radius**2).astype(np.int16) * 7


@pytest.mark.parametrize(
    ("shape", "spacing"),
    [((40, 40, 40), (1.5, 1.5, 1.5)), ((25, 151, 150), (2.5, 0.4, 0.4)), ((150,) * 3, (0.4,) * 3)],
)
def test_mask_of_a_ball_is_that_ball(shape, spacing):
    mask = _ball_mask(shape, spacing, 25)
    region = tissue.from_mask(Volume(mask, spacing), (10, 20, 30))
    assert isinstance(region, Region)
    assert region.volume_um3 == pytest.approx((mask > 0).sum() * np.prod(spacing), rel=0.015)
    points = np.random.default_rng(0).normal(size=(500, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    for radius in (12, 20, 25):
        found = region.distance_at((10, 20, 30) + radius * points)
        assert found.mean() == pytest.approx(radius - 25, abs=0.3)
        assert found.std() < 0.25 * max(region.spacing)


@pytest.mark.parametrize("size", [20, 59, 60, 111])
def test_faces_of_a_mask_stay_where_they_are(size):
    array = np.zeros((size + 5,) * 3, bool)
    array[2 : 2 + size, 2 : 2 + size, 2 : 2 + size] = True
    region = tissue.from_mask(Volume(array, (1.0, 1.0, 1.0)), (0, 0, 0))
    faces = np.array([[-size / 2, 0, 0], [size / 2, 0, 0], [0, 0, -size / 2], [0, size / 2, 0]])
    assert region.distance_at(faces) == pytest.approx(0, abs=0.1)


def test_refuses_masks_that_show_no_tissue():
    message = "a mask of tissue is empty: all of its 4 x 5 x 6 voxels are 0"
    with pytest.raises(InputError, match=message):
        tissue.from_mask(Volume(np.zeros((4, 5, 6), np.uint8), (1.0, 1.0, 1.0)), (0, 0, 0))
    with pytest.raises(InputError, match="a mask of tissue must have the axes ZYX, found YX"):
        tissue.from_mask(Volume(np.ones((5, 6), np.uint8), (1.0, 1.0), "YX"), (0, 0, 0))
