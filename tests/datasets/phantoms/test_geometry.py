import numpy as np
import pytest

from cytosuite.datasets.phantoms import geometry

BALL = 4 / 3 * np.pi * 5**3


def _ball(spacing, radius=5.0):
    counts = [int(np.ceil(radius / s)) + 4 for s in spacing]
    z, y, x = ((np.arange(-n, n + 1) - 0.2) * s for n, s in zip(counts, spacing, strict=True))
    return np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2)


@pytest.mark.parametrize("spacing", [(0.5, 0.5, 0.5), (1.0, 0.5, 0.5), (1.75, 0.8, 0.8)])
def test_distance_to_a_ball_is_right_to_a_fraction_of_a_voxel(spacing):
    away = _ball(spacing)
    distance = geometry.signed_distance(away < 5, spacing)
    near = abs(away - 5) < 1.5
    error = (distance - (away - 5))[near]
    assert np.sqrt((error**2).mean()) < 0.13 * max(spacing)
    assert abs(error.mean()) < 0.05 * max(spacing)
    assert distance.dtype == np.float32


def test_two_planes_are_half_a_voxel_from_the_surface():
    mask = np.zeros((12, 5, 5), bool)
    mask[6:] = True
    distance = geometry.signed_distance(np.pad(mask, ((0, 0), (9, 9), (9, 9)), "edge"), (2, 1, 1))
    line = distance[2:10, 11, 11]
    assert line == pytest.approx([7, 5, 3, 1, -1, -3, -5, -7], abs=0.4)


@pytest.mark.parametrize("target", [None, 480.0, 560.0])
def test_the_surface_encloses_the_volume_asked_for(target):
    spacing = (1.0, 0.6, 0.6)
    mask = _ball(spacing) < 5
    distance = geometry.signed_distance(mask, spacing, target)
    expected = np.count_nonzero(mask) * np.prod(spacing) if target is None else target
    assert geometry.enclosed_um3(distance, spacing) == pytest.approx(expected, rel=1e-3)


def test_volume_is_measured_between_voxels():
    spacing = (1.0, 0.8, 0.8)
    assert geometry.enclosed_um3(_ball(spacing) - 5, spacing) == pytest.approx(BALL, rel=0.02)


def test_values_between_voxels_of_a_ramp_are_the_ramp():
    values = geometry.between_voxels(np.arange(5.0)[:, None, None] * np.ones((5, 2, 2)))
    inner = np.sort(values[1:4].ravel())
    expected = np.repeat(np.arange(3, 12) / 3 - 1 / 3 + 1 / 3 - 1 / 3, 4 * 9)
    assert inner == pytest.approx(np.sort(expected))


def test_moments_of_a_box_are_exact():
    inside = np.zeros((9, 9, 9), bool)
    inside[1:5, 2:8, 3:6] = True  # 4 x 6 x 3 voxels
    centre, covariance = geometry.moments(inside, (2.0, 1.0, 1.0), 100.0)
    assert centre == pytest.approx([5.0, 4.5, 4.0])
    assert covariance[0, 0] / covariance[1, 1] == pytest.approx((8 / 6) ** 2)
    axes = np.sqrt(5 * np.linalg.eigvalsh(covariance))
    assert 4 / 3 * np.pi * axes.prod() == pytest.approx(100.0)


def test_the_surface_of_a_ball_is_a_sphere():
    spacing = (0.7, 0.5, 0.5)
    away = _ball(spacing)
    points = geometry.crossings_um((away - 5).astype(np.float32), spacing)
    middle = (np.array(away.shape) - 1) / 2 * spacing + 0.2 * np.array(spacing)
    assert np.linalg.norm(points - middle, axis=1) == pytest.approx(5.0, abs=0.05)


@pytest.mark.parametrize(("tilt", "turn"), [(180.0, 180.0), (30.0, 180.0), (0.0, 20.0)])
def test_rotations_keep_to_their_limits(tilt, turn):
    rotations = geometry.draw_rotations(np.random.default_rng(0), 3000, tilt, turn)
    assert rotations @ rotations.transpose(0, 2, 1) == pytest.approx(
        np.broadcast_to(np.eye(3), rotations.shape), abs=1e-12
    )
    assert np.linalg.det(rotations) == pytest.approx(1)
    cosine = rotations[:, 0, 0]
    assert cosine.min() >= np.cos(np.deg2rad(tilt)) - 1e-12
    assert cosine.mean() == pytest.approx((1 + np.cos(np.deg2rad(tilt))) / 2, abs=0.03)
    if tilt == 0:
        angles = np.degrees(np.arctan2(rotations[:, 2, 1], rotations[:, 1, 1]))
        assert abs(angles).max() == pytest.approx(turn, rel=0.01)
    if tilt == 180:  # uniform: no direction is preferred
        assert abs(rotations.mean(axis=0)).max() < 0.05
        assert (rotations**2).mean(axis=0) == pytest.approx(np.full((3, 3), 1 / 3), abs=0.03)
