import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mistakes import refused
from rasters import away_from

from cytosuite.datasets.physics import tissue
from cytosuite.datasets.physics.shapes import of_length_1
from cytosuite.volume import Volume


@settings(max_examples=20)
@given(
    axes=st.tuples(*[st.floats(5, 20)] * 3),
    angles=st.tuples(st.floats(0.2, 1.4), st.floats(0.2, 1.4)),
    depth=st.floats(0.5, 2),
)
def test_a_step_along_the_normal_changes_the_distance_by_its_length(axes, angles, depth):
    # From a point on the surface inwards; near it only, where that point stays the nearest.
    a = np.array(axes)
    polar, around = angles
    unit = np.array([np.cos(polar), np.sin(polar) * np.sin(around), np.sin(polar) * np.cos(around)])
    depth *= min(axes) ** 2 / max(axes) / 10  # below the radius of curvature
    point = unit * a
    normal = unit / a / np.linalg.norm(unit / a)
    # with one sample per octant the spacing puts it where we want it
    result = tissue.distance_to_ellipsoid(1, tuple(2 * (point - depth * normal)), axes)
    assert result[1, 1, 1] == pytest.approx(-depth, rel=1e-3, abs=1e-4)
    assert (result == result[1, 1, 1]).all()


def _analytic(axes):
    return 4 / 3 * np.pi * np.prod(axes)


@pytest.mark.parametrize("bumps", [0.0, 0.25])
def test_irregular_tissue_keeps_its_volume_and_has_the_wanted_bumps(bumps, rng):
    axes = (30, 45, 50)
    region = tissue.irregular(np.random.default_rng(3), (1, 2, 3), axes, bumps)
    assert region.volume_um3 == pytest.approx(_analytic(axes), rel=0.01)
    directions = of_length_1(rng.normal(size=(300, 3)))
    scales = np.linspace(0.3, 2.5, 441)
    points = (1, 2, 3) + (directions[:, None] * np.array(axes)) * scales[:, None]
    inside = region.distance_at(points.reshape(-1, 3)).reshape(300, -1) < 0
    radius = scales[inside.argmin(axis=1)]  # where a ray leaves the tissue
    assert np.log(radius).std() == pytest.approx(bumps, abs=0.02 + 0.15 * bumps)


def test_a_direction_has_its_own_value_on_every_processor(rng):
    # A product of matrices rounds the last columns of a block as no others, on some of them.
    axes = rng.normal(size=(18, 3))
    weights = np.ones(18)
    directions = tissue._sphere(107)
    whole = tissue._harmonics(directions, axes, weights)
    alone = [tissue._harmonics(column[:, None], axes, weights) for column in directions.T]
    assert (np.concatenate(alone) == whole).all()


def test_shell_and_core_make_the_whole():
    axes = (30, 40, 50)
    outer, core = tissue.shell((0, 0, 0), axes, 0.5)
    assert outer.volume_um3 == pytest.approx(7 / 8 * _analytic(axes), rel=0.01)
    assert core.volume_um3 == pytest.approx(_analytic(axes) / 8, rel=0.01)
    assert outer.depth_um == pytest.approx(12.5, abs=1)  # half the wall along x


def test_a_blastocyst_has_a_layer_a_mass_at_its_pole_and_a_cavity():
    axes = (30, 40, 50)
    pole = np.array([0.0, 0.6, 0.8])
    whole, layer, mass, cavity = tissue.blastocyst((1, 2, 3), axes, 0.8, pole, 20_000)
    parts = [layer.volume_um3, mass.volume_um3, cavity.volume_um3]
    inside = 0.8**3 * _analytic(axes)
    assert parts == pytest.approx([_analytic(axes) - inside, 20_000, inside - 20_000], rel=0.03)
    ends = (1, 2, 3) + np.array([0.75, -0.75])[:, None] * pole * axes
    assert (mass.distance_at(ends) < 0).tolist() == [True, False]
    assert (cavity.distance_at(ends) < 0).tolist() == [False, True]
    assert whole.volume_um3 == pytest.approx(_analytic(axes), rel=0.01)


def test_a_mass_that_fills_the_inside_leaves_no_cavity():
    axes = (30, 40, 50)
    _, _, mass, cavity = tissue.blastocyst((0, 0, 0), axes, 0.8, np.array([1.0, 0, 0]), 1e6)
    assert cavity is None
    assert mass.volume_um3 == pytest.approx(0.8**3 * _analytic(axes), rel=0.02)


def test_full_field_reaches_beyond_the_grid():
    region = tissue.fill((50, 100, 120), 10)
    assert region.box_um == pytest.approx(np.array([[-10] * 3, [60, 110, 130]]), abs=0.01)
    assert region.volume_um3 == pytest.approx(70 * 120 * 140, rel=0.01)
    points = np.array([[0, 0, 0], [50, 100, 120], [25, 50, 60]], float)
    assert region.distance_at(points) == pytest.approx([-10, -10, -35], abs=1.5)


@pytest.mark.parametrize(
    "shape, spacing",
    [((40, 40, 40), (1.5, 1.5, 1.5)), ((25, 151, 150), (2.5, 0.4, 0.4)), ((100,) * 3, (0.6,) * 3)],
)
def test_mask_of_a_ball_is_that_ball(shape, spacing, rng):
    mask = np.int16(7) * (away_from(np.divide(shape, 2) - 0.5, shape, spacing) < 25)
    region = tissue.from_mask(Volume(mask, spacing), (10, 20, 30))
    assert region.volume_um3 == pytest.approx((mask > 0).sum() * np.prod(spacing), rel=0.015)
    points = of_length_1(rng.normal(size=(500, 3)))
    for radius in (12, 20, 25):
        distances = region.distance_at((10, 20, 30) + radius * points)
        assert distances.mean() == pytest.approx(radius - 25, abs=0.3)
        assert distances.std() < 0.25 * max(region.spacing)


@pytest.mark.parametrize("size", [59, 60, 111])
def test_faces_of_a_mask_stay_where_they_are(size):
    region = tissue.from_mask(
        Volume(np.pad(np.ones((size,) * 3, bool), (2, 3)), (1.0, 1.0, 1.0)), (0, 0, 0)
    )
    faces = np.array([[-size / 2, 0, 0], [size / 2, 0, 0], [0, 0, -size / 2], [0, size / 2, 0]])
    assert region.distance_at(faces) == pytest.approx(0, abs=0.1)


def test_refuses_masks_that_show_no_tissue():
    message = "a mask of tissue is empty: all of its 4 x 5 x 6 voxels are 0"
    refused(
        message, tissue.from_mask, Volume(np.zeros((4, 5, 6), np.uint8), (1.0, 1.0, 1.0)), (0, 0, 0)
    )
    refused(
        "a mask of tissue must have the axes ZYX, found YX",
        tissue.from_mask,
        Volume(np.ones((5, 6), np.uint8), (1.0, 1.0), "YX"),
        (0, 0, 0),
    )
