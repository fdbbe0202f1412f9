import re

import numpy as np
import pytest
from mistakes import refused

from cytosuite.datasets.physics.packing import (
    check_room,
    contact_share,
    count_for,
    hulls,
    pack,
    press,
    scatter,
    shrinkage,
    subcultures,
)
from cytosuite.datasets.physics.shapes import SPHERE, draw_nuclei
from cytosuite.datasets.physics.tissue import ellipsoid, irregular, shell

TURNS = np.tile(np.eye(3), (2, 1, 1))
REGIONS = {
    "ellipsoid": lambda: ellipsoid((10, 20, 30), (30, 40, 45)),
    "irregular": lambda: irregular(np.random.default_rng(2), (10, 20, 30), (30, 40, 45), 0.15),
    "shell": lambda: shell((10, 20, 30), (40, 45, 45), 0.5, (0, 10, 0))[0],
}


def ball(radius, centre=(0, 0, 0)):
    return ellipsoid(centre, (radius,) * 3)


def test_room_for_a_nucleus():
    bodies = hulls(np.array([[4.0, 4, 6], [3, 3, 3]]), TURNS)
    check_room(bodies, ball(7))
    check_room(bodies.part(np.zeros(0, int)), ball(1))
    message = "a nucleus of up to 12.0 µm with its gap does not fit into tissue of 10.0 x 10.0 x 10.0 µm that is at most 9.7 µm thick; lower diameter_um or gap_um, or make the tissue larger"
    refused(message, check_room, bodies, ball(5))


def _population(count, **options):
    nuclei = draw_nuclei(np.random.default_rng(5), count, diameter_um=9, **options)
    return nuclei.semi_axes_um, nuclei.rotations


def _filled(region, axes, fraction):
    """Return the region scaled so that ellipsoids fill a fraction of it."""
    return region.scaled(np.cbrt(_share(region, axes) / fraction), (0.0, 0.0, 0.0))


def _share(region, axes):
    """Return the share of the region that ellipsoids fill."""
    return 4 / 3 * np.pi * axes.prod(axis=1).sum() / region.volume_um3


def _surfaces(axes, rotations, centres):
    """Return points (N, 3, n) on the surfaces."""
    return (rotations * axes[:, None, :]) @ SPHERE + centres[:, :, None]


def _deepest(axes, rotations, centres):
    """Return the smallest relative distance of any surface point to another's centre."""
    least = np.inf
    for i, points in enumerate(_surfaces(axes, rotations, centres)):
        local = np.einsum("nji,njk->nik", rotations, points - centres[:, :, None])
        distance = np.sqrt(((local / axes[:, :, None]) ** 2).sum(axis=1))
        distance[i] = np.inf
        least = min(least, distance.min())
    return least


def _apart(centres):
    return np.linalg.norm(centres[:, None] - centres, axis=2) + 99 * np.eye(len(centres))


def _outermost(axes, rotations, centres, region):
    """Return how far the farthest surface point is outside of a region, in µm."""
    points = _surfaces(axes, rotations, centres).transpose(0, 2, 1).reshape(-1, 3)
    return region.distance_at(points).max()


@pytest.mark.parametrize("outline", REGIONS)
def test_ellipsoids_do_not_overlap_and_lie_inside(outline, rng):
    axes, rotations = _population(80, axis_spread=0.15)
    region = _filled(REGIONS[outline](), axes, 0.42)
    centres = pack(rng, axes, rotations, region)
    assert _deepest(axes, rotations, centres) > 0.95
    assert _outermost(axes, rotations, centres, region) < 0.2


def test_gap_keeps_spheres_apart_and_off_the_surface(rng):
    axes, rotations = _population(30, axis_spread=0, diameter_spread=0)
    centres = pack(rng, axes, rotations, ball(26), gap_um=2)
    assert 0.98 * (9 + 2) < _apart(centres).min() < 9 + 3  # some touch
    assert np.linalg.norm(centres, axis=1).max() < 26 - 4.5 - 1 + 0.2


def test_neighbours_cover_no_more_than_the_allowed_share(rng):
    axes, rotations = _population(60, axis_spread=0, diameter_spread=0)
    region = _filled(ball(30), axes, 0.65)  # too full without overlap
    centres = pack(rng, axes, rotations, region, max_overlap=0.2)
    height = 1 - _apart(centres) / 9  # of the cap that a neighbour covers, in radii
    assert 0.7 * 0.2 < np.where(height > 0, height**2 * (3 - height) / 2, 0).max() < 0.2 + 0.02
    assert _outermost(axes, rotations, centres, region) < 0.2


def test_explains_a_density_that_cannot_be_reached(rng):
    axes, rotations = _population(40, axis_spread=0, diameter_spread=0)
    message = (
        r"after 50 rounds only (\d+) of 40 nuclei are free of overlap and inside; with gaps they "
        r"fill (\d+) % of 17\d\d\d µm³ of tissue, all would fill 86 %; "
        "lower volume_fraction, gap_um or n_nuclei"
    )
    arguments = rng, axes, rotations, ball(16.2)
    caught = refused(message, pack, *arguments, rounds=50)
    free, share = map(int, re.search(message, str(caught)).groups())
    assert 0 < free < 40
    assert share == pytest.approx(86 * free / 40, abs=1)
    # It gives up where more rounds would not help.
    refused("after [468]00 rounds only", pack, *arguments, rounds=100_000)


BALL = ball(40, (5, 10, 15))


def test_ends_when_the_tissue_is_too_full(rng):
    axes, rotations = _population(400, axis_spread=0.1)
    region = ball(40)
    centres, placed = scatter(rng, axes, rotations, region)
    assert _outermost(axes[placed], rotations[placed], centres, region) < 0.1
    assert 50 < len(placed) < 400
    assert (np.diff(placed) > 0).all()
    assert _deepest(axes[placed], rotations[placed], centres) > 0.999
    assert 0.2 < _share(region, axes[placed]) < 0.33  # random sequential placement gets no farther


def test_subcultures_lie_apart_in_the_tissue(rng):
    region = ellipsoid((0, 0, 0), (50, 70, 70))
    diameters = (30, 50, 40)
    flattening = (1.0, 0.8, 0.5)
    balls = subcultures(rng, region, diameters, flattening)
    for part, diameter, flat in zip(balls, diameters, flattening, strict=True):
        whole = np.pi / 6 * flat * diameter**3
        assert 0.88 * whole < part.volume_um3 < 1.01 * whole
        assert part.minus(region.scaled(0.5, (0.0, 0.0, 0.0))).volume_um3 > 0
        assert np.diff(part.box_um, axis=0)[0] == pytest.approx(
            (flat * diameter, diameter, diameter), rel=0.15
        )
        assert region.distance_at(part.draw(np.random.default_rng(1), 500)).max() < 0.3
    for i, one in enumerate(balls):
        points = one.draw(np.random.default_rng(1), 2000)
        for other in balls[i + 1 :]:
            assert other.distance_at(points).min() > -0.3


def test_explains_subcultures_that_have_no_place(rng):
    message = (
        r"no place for a subculture of 50 µm in tissue of 268\d\d\d µm³ after \d of 9; lower the "
        "diameters or the number of subcultures, or make the tissue larger"
    )
    refused(message, subcultures, rng, BALL, [50] * 9, [1.0] * 9)
    refused("no place for a subculture of 99 µm", subcultures, rng, BALL, [20, 99], [1.0] * 2)


def test_count_gives_the_fraction():
    assert count_for(BALL, 0.4, 400, "") == round(0.4 * 4 / 3 * np.pi * 40**3 / 400)
    assert count_for(BALL, 0.001, 1e6, "") == 1
    line = r"2.68e\+32 nuclei or cells of 1e-27 µm³ fill .*, at most 65535 are allowed; raise it"
    refused(line, count_for, BALL, 1.0, 1e-27, "raise it")


@pytest.mark.parametrize("apart", [1.0, 1.6, 2.0])
def test_contact_of_two_balls_is_the_share_of_their_caps(apart):
    share = contact_share(np.array([[0.0, 0, 0], [0, 0, 5 * apart]]), np.full((2, 3), 5.0), TURNS)
    assert share == pytest.approx((1 - apart / 2) / 2, abs=0.01)


@pytest.mark.parametrize("contact, fraction", [(0.02, 0.2), (0.1, 0.2), (0.03, 0.45)])
def test_bodies_are_drawn_together_until_they_touch_as_wanted(contact, fraction, rng):
    axes, rotations = _population(60, axis_spread=0.15)
    region = _filled(ball(40), axes, fraction)
    options = {"gap_um": 0.5} if fraction < 0.4 else {"max_overlap": 0.2}
    bodies = (pack(rng, axes, rotations, region, **options), axes, rotations)
    limits = {"contact": contact, "max_overlap": 0.1}
    moved, share = press(*bodies, region, **limits)
    assert share == contact_share(moved, axes, rotations) == pytest.approx(contact, abs=0.015)
    assert _deepest(axes, rotations, moved) > 2 * shrinkage(0.1) - 1 - 0.1
    assert _outermost(axes, rotations, moved, region) < 1.0
    again, _ = press(*bodies, region, **limits)
    assert (again == moved).all()


def test_bodies_too_far_apart_stay_without_contact():
    centres = np.array([[0.0, 0, -15], [0, 0, 15]])
    moved, share = press(
        centres, np.full((2, 3), 5.0), TURNS, ball(40), contact=0.1, max_overlap=0.1
    )
    assert share == 0
    assert moved == pytest.approx(centres)
