import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cytosuite.datasets.physics.packing import pack
from cytosuite.datasets.physics.shapes import SPHERE, draw_nuclei
from cytosuite.datasets.physics.tissue import ellipsoid, irregular, shell
from cytosuite.errors import InputError


def ball(centre, radius):
    return ellipsoid(centre, (radius,) * 3)


def _population(count, **options):
    nuclei = draw_nuclei(np.random.default_rng(5), count, diameter_um=9, **options)
    return nuclei.semi_axes_um, nuclei.rotations


def _volumes(axes):
    return 4 / 3 * np.pi * axes.prod(axis=1)


def _filled(region, axes, fraction):
    """Return the region scaled so that ellipsoids fill a fraction of it."""
    return region.scaled((_volumes(axes).sum() / fraction / region.volume_um3) ** (1 / 3))


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


def _outermost(axes, rotations, centres, region):
    """Return how far the farthest surface point is outside of a region, in µm."""
    points = _surfaces(axes, rotations, centres).transpose(0, 2, 1).reshape(-1, 3)
    return region.distance_at(points).max()


REGIONS = {
    "ellipsoid": lambda: ellipsoid((10, 20, 30), (30, 40, 45)),
    "irregular": lambda: irregular(np.random.default_rng(2), (10, 20, 30), (30, 40, 45), 0.15),
    "shell": lambda: shell((10, 20, 30), (40, 45, 45), 0.5)[0],
    "blastocyst": lambda: shell((10, 20, 30), (40, 45, 45), 0.5, (0, 10, 0))[0],
}


@pytest.mark.parametrize("outline", REGIONS)
@pytest.mark.parametrize("fraction", [0.2, 0.42])
def test_ellipsoids_do_not_overlap_and_lie_inside(outline, fraction):
    axes, rotations = _population(80, axis_spread=0.15)
    region = _filled(REGIONS[outline](), axes, fraction)
    centres = pack(np.random.default_rng(0), axes, rotations, region)
    assert _deepest(axes, rotations, centres) > 0.95
    assert _outermost(axes, rotations, centres, region) < 0.2


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 99), flat=st.floats(0.6, 1), gap=st.floats(0, 2))
def test_any_spheroid_is_packed(seed, flat, gap):
    axes, rotations = _population(25, axis_spread=0.2)
    region = _filled(ellipsoid((0, 0, 0), (40 * flat, 40, 35)), axes + gap / 2, 0.3)
    centres = pack(np.random.default_rng(seed), axes, rotations, region, gap_um=gap)
    assert _deepest(axes, rotations, centres) > 0.95
    assert _outermost(axes, rotations, centres, region) < 0.4  # µm; worst of 300 draws 0.27


def test_gap_keeps_spheres_apart_and_off_the_surface():
    axes, rotations = _population(30, axis_spread=0, diameter_spread=0)
    region = ball((0, 0, 0), 26)
    centres = pack(np.random.default_rng(0), axes, rotations, region, gap_um=2)
    apart = np.linalg.norm(centres[:, None] - centres, axis=2) + 99 * np.eye(30)
    assert 0.98 * (9 + 2) < apart.min() < 9 + 3  # some touch
    assert np.linalg.norm(centres, axis=1).max() < 26 - 4.5 - 1 + 0.2


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_neighbours_cover_no_more_than_the_allowed_share(share):
    axes, rotations = _population(60, axis_spread=0, diameter_spread=0)
    region = _filled(ball((0, 0, 0), 30), axes, 0.65)  # too full without overlap
    centres = pack(np.random.default_rng(0), axes, rotations, region, max_overlap=share)
    apart = np.linalg.norm(centres[:, None] - centres, axis=2) + 99 * np.eye(60)
    height = 1 - apart / 9  # of the cap that a neighbour covers, in radii
    covered = np.where(height > 0, height**2 * (3 - height) / 2, 0)
    assert 0.7 * share < covered.max() < share + 0.02
    assert _outermost(axes, rotations, centres, region) < 0.2


def test_groups_stay_in_their_own_regions():
    axes, rotations = _population(90, axis_spread=0.1)
    first, second = ball((-14, 0, 0), 15), ball((16, 5, 0), 14)
    rest = ball((0, 0, 0), 35).minus(first).minus(second)
    groups = [(np.arange(10), first), (np.arange(40, 48), second)]
    centres = pack(np.random.default_rng(0), axes, rotations, rest, groups=groups)
    others = np.setdiff1d(np.arange(90), np.concatenate([chosen for chosen, _ in groups]))
    for chosen, region in [*groups, (others, rest)]:
        assert _outermost(axes[chosen], rotations[chosen], centres[chosen], region) < 0.2
    assert _deepest(axes, rotations, centres) > 0.95


def test_all_in_groups_leave_nobody_for_the_tissue():
    axes, rotations = _population(6)
    home = ball((100, 0, 0), 20)
    nowhere = ball((0, 0, 0), 1)
    groups = [(np.arange(6), home), (np.zeros(0, int), nowhere)]
    centres = pack(np.random.default_rng(0), axes, rotations, nowhere, groups=groups)
    assert (home.distance_at(centres) < 0).all()


@pytest.mark.parametrize("count", [0, 1])
def test_few_nuclei_need_no_neighbours(count):
    axes, rotations = _population(count)
    region = ball((0, 0, 0), 20)
    assert pack(np.random.default_rng(0), axes, rotations, region).shape == (count, 3)


def test_chance_comes_from_the_generator_alone():
    axes, rotations = _population(20)
    first, same, other = (
        pack(np.random.default_rng(seed), axes, rotations, ball((0, 0, 0), 25))
        for seed in (1, 1, 2)
    )
    assert first.tobytes() == same.tobytes()
    assert (first != other).any()


def test_thousand_nuclei_reach_the_density_of_tissue():
    axes, rotations = _population(1000)
    region = _filled(ellipsoid((0, 0, 0), (40, 50, 50)), axes, 0.5)
    centres = pack(np.random.default_rng(0), axes, rotations, region)
    assert _volumes(axes).sum() / region.volume_um3 == pytest.approx(0.5)
    assert _outermost(axes, rotations, centres, region) < 0.2
    chosen = np.argsort(np.linalg.norm(centres, axis=1))[:150]  # the middle, checked densely
    assert _deepest(axes[chosen], rotations[chosen], centres[chosen]) > 0.95


def test_explains_a_density_that_cannot_be_reached():
    axes, rotations = _population(40, axis_spread=0, diameter_spread=0)
    message = (
        r"after 50 rounds only (\d+) of 40 nuclei are free of overlap and inside; with gaps they "
        r"fill (\d+) % of 17\d\d\d µm³ of tissue, all would fill 86 %; "
        "lower volume_fraction, gap_um or n_nuclei"
    )
    with pytest.raises(InputError, match=message) as caught:
        pack(np.random.default_rng(0), axes, rotations, ball((0, 0, 0), 16.2), rounds=50)
    free, share = map(int, re.search(message, str(caught.value)).groups())
    assert 0 < free < 40
    assert share == pytest.approx(86 * free / 40, abs=1)


def test_gives_up_where_more_rounds_would_not_help():
    axes, rotations = _population(40, axis_spread=0, diameter_spread=0)
    with pytest.raises(InputError, match="after [468]00 rounds only"):
        pack(np.random.default_rng(0), axes, rotations, ball((0, 0, 0), 16.2), rounds=100_000)


def test_explains_a_nucleus_larger_than_the_tissue():
    axes, rotations = _population(2, axis_spread=0, diameter_spread=0)
    message = (
        "a nucleus of up to 9.0 µm with its gap does not fit into tissue of 8.0 x 18.0 x 18.0 µm "
        "that is at most 7."
    )
    with pytest.raises(InputError, match=re.escape(message)):
        pack(np.random.default_rng(0), axes, rotations, ellipsoid((0, 0, 0), (4, 9, 9)))
