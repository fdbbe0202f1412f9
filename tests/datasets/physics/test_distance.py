import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cytosuite.datasets.physics import distance


def _ticks(count, step=1.0):
    return (np.arange(count) - count / 2 + 0.5) * step


def _radius(count, step=1.0):
    t = _ticks(count, step)
    return np.sqrt(t[:, None, None] ** 2 + t[:, None] ** 2 + t**2)


def test_ball_is_the_plain_distance():
    result = distance.to_ellipsoid(12, (1, 1, 1), (9, 9, 9))
    assert result.dtype == np.float32
    assert result == pytest.approx(_radius(24) - 9, abs=1e-5)


@settings(max_examples=20, deadline=None)
@given(
    axes=st.tuples(*[st.floats(5, 20)] * 3),
    angles=st.tuples(st.floats(0.2, 1.4), st.floats(0.2, 1.4)),
    depth=st.floats(0.5, 2),
)
def test_a_step_along_the_normal_changes_the_distance_by_its_length(axes, angles, depth):
    """From a point on the surface inwards; near it only, where that point stays the nearest."""
    a = np.array(axes)
    polar, around = angles
    unit = np.array([np.cos(polar), np.sin(polar) * np.sin(around), np.sin(polar) * np.cos(around)])
    depth *= min(axes) ** 2 / max(axes) / 10  # below the radius of curvature
    point = unit * a
    normal = unit / a / np.linalg.norm(unit / a)
    sample = point - depth * normal
    # with one sample per octant the spacing puts it where we want it
    result = distance.to_ellipsoid(1, tuple(2 * sample), axes)
    assert result[1, 1, 1] == pytest.approx(-depth, rel=1e-3, abs=1e-4)
    assert (result == result[1, 1, 1]).all()


def test_box_by_hand():
    ticks = np.array([-3.0, 0.0, 1.0])
    result = distance.to_box((ticks, ticks, ticks), (-2, -2, -2), (2, 4, 4))
    assert result[1, 1, 1] == -2  # the low sides are 2 away, the high side of z as well
    assert result[2, 1, 1] == -1
    assert result[0, 1, 1] == 1
    assert result[0, 0, 1] == pytest.approx(np.sqrt(2))


def test_first_order_removes_the_scale_of_a_level_function():
    radius = _radius(32)
    result = distance.first_order(((radius / 10) ** 2 - 1).astype(np.float32), (1, 1, 1))
    near = abs(radius - 10) < 1
    assert result[near] == pytest.approx((radius - 10)[near], abs=0.06)


@pytest.mark.parametrize("step", [0.5, 2.0])
def test_distance_spreads_from_the_surface_to_all_samples(step):
    radius = _radius(40, step)
    wanted = radius - 15 * step
    near = np.where(abs(wanted) < 2 * step, wanted, np.sign(wanted) * 99).astype(np.float32)
    result = distance.everywhere(near, (step, step, step))
    assert abs(result - wanted).max() < 0.15 * step
    assert ((result < 0) == (wanted < 0)).all()


@settings(max_examples=15, deadline=None)
@given(place=st.floats(-0.5, 0.5), axis=st.integers(0, 2))
def test_edge_of_shares_is_found_within_the_voxel(place, axis):
    shares = (np.arange(12) - 5.5 - place + 0.5).clip(0, 1)  # tissue beyond tick 5.5 + place - 6
    image = np.ones((12, 12, 12)) * np.expand_dims(shares, [a for a in range(3) if a != axis])
    spacing = (2.0, 1.0, 0.5)
    result = distance.from_shares(image.astype(np.float32), spacing)
    line = np.moveaxis(result, axis, 0)[:, 6, 6] / spacing[axis]
    crossing = np.interp(0, -line[4:8], np.arange(4, 8) - 5.5)
    assert crossing == pytest.approx(place, abs=0.08)
    assert np.moveaxis(result, axis, 0)[0, 6, 6] > 0 > np.moveaxis(result, axis, 0)[-1, 6, 6]
