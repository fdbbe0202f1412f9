import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cytosuite.datasets.physics.hulls import check_room, closeness, hulls, shrinkage
from cytosuite.datasets.physics.tissue import ellipsoid, fill
from cytosuite.errors import InputError


def ball(centre, radius):
    return ellipsoid(centre, (radius,) * 3)


EYE = np.eye(3)[None]
AXES = st.tuples(*[st.floats(2, 8)] * 3)


def _rotation(seed):
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return q * np.sign(np.diag(r))


def _pair(axes_a, axes_b, seed):
    rotations = np.stack([_rotation(seed), _rotation(seed + 1)])
    return np.array([axes_a, axes_b]), rotations


@given(radii=st.tuples(st.floats(1, 9), st.floats(1, 9)), apart=st.floats(0.1, 30))
def test_balls_overlap_below_the_sum_of_their_radii(radii, apart):
    bodies = hulls(np.repeat(radii, 3).reshape(2, 3), np.repeat(EYE, 2, axis=0))
    first, second = np.array([0]), np.array([1])
    near = bodies.closeness(first, second, np.array([[0, apart, 0]]))
    assert near == pytest.approx(apart / sum(radii), rel=1e-6, abs=1e-3)


@settings(max_examples=40, deadline=None)
@given(a=AXES, b=AXES, seed=st.integers(0, 999), share=st.floats(1.0, 1.5))
def test_ellipsoids_said_to_be_free_share_no_point(a, b, seed, share):
    axes, rotations = _pair(a, b, seed)
    bodies = hulls(axes, rotations)
    towards = np.random.default_rng(seed).normal(size=(1, 3))
    one, two = np.array([0]), np.array([1])
    apart = towards / bodies.closeness(one, two, towards) * share  # sqrt(F) grows linearly
    sphere = np.random.default_rng(1).normal(size=(3, 4000))
    surface = rotations[0] * axes[0] @ (sphere / np.linalg.norm(sphere, axis=0)) + apart.T
    local = (rotations[1].T @ surface) / axes[1][:, None]
    assert (np.linalg.norm(local, axis=0) > 0.999).all()
    assert np.linalg.norm(rotations[1].T @ apart[0] / axes[1]) > 1  # nor is one in the other


def test_form_is_that_of_the_inverse_matrix():
    axes, rotations = _pair((2, 4, 7), (3, 3, 6), 4)
    bodies = hulls(axes, rotations)
    one, two, apart = np.array([0]), np.array([1]), np.array([[3.0, -7.0, 5.0]])
    s = bodies.radii[0] / bodies.radii.sum()
    inverse = np.linalg.inv((1 - s) * bodies.matrices[0] + s * bodies.matrices[1])
    wanted = np.sqrt(s * (1 - s) * apart[0] @ inverse @ apart[0])
    assert bodies.closeness(one, two, apart) == pytest.approx(wanted)
    assert closeness(apart.T, bodies.forms(one, two)) == pytest.approx(wanted)


def test_part_keeps_what_belongs_together():
    axes, rotations = _pair((2, 4, 7), (3, 3, 6), 4)
    bodies = hulls(axes, rotations)
    part = bodies.part(np.array([1]))
    assert (part.inner, part.reach, part.radii) == (3, 6, pytest.approx([54 ** (1 / 3)]))
    assert (part.matrices == bodies.matrices[1:]).all()


def test_support_decides_who_is_inside():
    floor = fill((100, 400, 400), 0)  # far from all sides but the one at z = 0
    bodies = hulls(np.array([[3.0, 5, 9]] * 3), np.repeat(EYE, 3, axis=0))
    centres = np.array([[2.0, 200, 200], [3.0, 200, 200], [40.0, 200, 200]])
    excess, normals = bodies.outside_um(centres, floor)
    assert excess == pytest.approx([1, 0, -np.inf], abs=1e-3)
    assert normals[:2] == pytest.approx(np.array([[-1, 0, 0]] * 2), abs=1e-6)


def test_curved_surfaces_are_not_crossed_beside_the_nearest_point():
    """A tilted ellipsoid in a small ball crosses it where its nearest tangent plane is kept."""
    home, axes = ball((0, 0, 0), 14), np.array([[3.0, 3, 8]])
    tilt = np.array([[[np.cos(0.7), 0, -np.sin(0.7)], [0, 1, 0], [np.sin(0.7), 0, np.cos(0.7)]]])
    sphere = np.random.default_rng(1).normal(size=(3, 4000))
    surface = (tilt[0] * axes[0] @ (sphere / np.linalg.norm(sphere, axis=0))).T
    surface += np.array([8.0, 0, 0])
    excess, _ = hulls(axes, tilt).outside_um(np.array([[8.0, 0, 0]]), home)
    flat = np.sqrt((tilt[0, 0] * axes[0]) @ (tilt[0, 0] * axes[0])) - (14 - 8)
    truth = np.linalg.norm(surface, axis=1).max() - 14
    assert flat < 0 < 0.4 < excess[0] < truth + 0.05
    assert excess == pytest.approx(truth, abs=0.2)


@given(st.floats(0, 0.9))
def test_balls_shrunk_for_an_overlap_touch_when_they_share_it(share):
    height = 1 - shrinkage(share)
    assert height**2 * (3 - height) / 2 == pytest.approx(share, abs=1e-9)


def test_no_overlap_means_no_shrinking():
    assert shrinkage(0) == pytest.approx(1)
    assert shrinkage(0.05) == pytest.approx(0.8114, abs=1e-4)


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_refuses_overlaps_that_are_no_share(share):
    message = f"max_overlap must be at least 0 and below 1, found {share}"
    with pytest.raises(InputError, match=re.escape(message)):
        shrinkage(share)


def test_room_for_a_nucleus():
    bodies = hulls(np.array([[4.0, 4, 6], [3, 3, 3]]), np.repeat(EYE, 2, axis=0))
    check_room(bodies, ball((0, 0, 0), 7))
    check_room(bodies.part(np.zeros(0, int)), ball((0, 0, 0), 1))
    message = (
        "a nucleus of up to 12.0 µm with its gap does not fit into tissue of 10.0 x 10.0 x 10.0 µm "
        "that is at most 9.7 µm thick; lower diameter_um or gap_um, or make the tissue larger"
    )
    with pytest.raises(InputError, match=re.escape(message)):
        check_room(bodies, ball((0, 0, 0), 5))


def test_a_wall_thinner_than_a_nucleus_is_no_room():
    wall = ball((0, 0, 0), 40).minus(ball((0, 0, 0), 34))
    with pytest.raises(InputError, match=r"that is at most [56]\.\d µm thick"):
        check_room(hulls(np.array([[4.0, 4, 4]]), EYE), wall)
