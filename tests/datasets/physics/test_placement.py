import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cytosuite.datasets.physics.hulls import hulls
from cytosuite.datasets.physics.placement import count_for, scatter, subcultures
from cytosuite.datasets.physics.shapes import SPHERE, draw_nuclei
from cytosuite.datasets.physics.tissue import ellipsoid, shell
from cytosuite.errors import InputError


def ball(centre, radius):
    return ellipsoid(centre, (radius,) * 3)


BALL = ball((5, 10, 15), 40)


def _population(count, **options):
    nuclei = draw_nuclei(np.random.default_rng(5), count, diameter_um=9, **options)
    return nuclei.semi_axes_um, nuclei.rotations


def _check(axes, rotations, centres, region):
    """No surface point lies in another ellipsoid or clearly outside of the region."""
    points = (rotations * axes[:, None, :]) @ SPHERE + centres[:, :, None]
    for i, own in enumerate(points):
        local = np.einsum("nji,njk->nik", rotations, own - centres[:, :, None])
        distance = np.sqrt(((local / axes[:, :, None]) ** 2).sum(axis=1))
        distance[i] = 9
        assert distance.min() > 0.999
    assert region.distance_at(points.transpose(0, 2, 1).reshape(-1, 3)).max() < 0.1


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 99), core=st.sampled_from([0.3, 0.6]), count=st.integers(1, 60))
def test_sparse_nuclei_are_all_placed(seed, core, count):
    axes, rotations = _population(count, axis_spread=0.15)
    region, _ = shell((0, 0, 0), (50, 55, 60), core)
    centres, placed = scatter(np.random.default_rng(seed), axes, rotations, region)
    assert placed.tolist() == list(range(count))
    _check(axes, rotations, centres, region)


def test_ends_when_the_tissue_is_too_full():
    axes, rotations = _population(400, axis_spread=0.1)
    region = ball((0, 0, 0), 40)
    centres, placed = scatter(np.random.default_rng(0), axes, rotations, region)
    assert 50 < len(placed) < 400
    assert (np.diff(placed) > 0).all()
    assert len(centres) == len(placed)
    _check(axes[placed], rotations[placed], centres, region)
    fraction = 4 / 3 * np.pi * axes[placed].prod(axis=1).sum() / region.volume_um3
    assert 0.2 < fraction < 0.33  # random sequential placement gets no farther


def test_all_get_a_turn_before_one_gets_a_second():
    axes, rotations = _population(1500)
    placed = scatter(np.random.default_rng(0), axes, rotations, BALL, break_criterion=300)[1]
    assert placed.max() > 900  # beyond the first batch
    assert len(placed) < 300


def test_patience_places_more():
    axes, rotations = _population(400)
    counts = [
        len(scatter(np.random.default_rng(0), axes, rotations, BALL, break_criterion=limit)[1])
        for limit in (1, 30, 1000)
    ]
    assert counts == sorted(set(counts))


@pytest.mark.parametrize("limit", [2, 4, 50])
def test_trials_have_the_result_they_have_one_by_one(limit):
    axes, rotations = _population(60)
    region = ball((0, 0, 0), 18)
    rng = np.random.default_rng(3)
    centres, placed = scatter(rng, axes, rotations, region, break_criterion=limit)
    bodies = hulls(axes, rotations)
    wanted, failures = {}, 0
    points = region.draw(np.random.default_rng(3), 60)  # the first batch
    for body, point in enumerate(points):
        own, others = np.array([body]), np.array(list(wanted), int)
        excess, _ = bodies.part(own).outside_um(point[None], region)
        apart = point - np.array(list(wanted.values())).reshape(-1, 3)
        near = bodies.closeness(np.repeat(own, len(others)), others, apart)
        failures += 1
        if failures <= limit and excess[0] <= 0 and (near >= 1).all():
            wanted[body], failures = point, 0
        elif failures == limit:
            break
    assert set(wanted) <= set(placed)
    assert all((centres[placed == body] == point).all() for body, point in wanted.items())
    if failures == limit:
        assert placed.tolist() == sorted(wanted)


def test_gap_and_overlap():
    axes, rotations = _population(300, axis_spread=0, diameter_spread=0)
    found = {}
    for name, options in {"gap": {"gap_um": 2}, "overlap": {"max_overlap": 0.2}}.items():
        centres, _ = scatter(np.random.default_rng(0), axes, rotations, BALL, **options)
        apart = np.linalg.norm(centres[:, None] - centres, axis=2)
        found[name] = (apart + 99 * np.eye(len(centres))).min()
    assert 11 <= found["gap"] < 11.5
    height = 1 - found["overlap"] / 9
    assert 0.1 < height**2 * (3 - height) / 2 <= 0.2


def test_chance_comes_from_the_generator_alone():
    axes, rotations = _population(100)
    first, same, other = (
        scatter(np.random.default_rng(seed), axes, rotations, BALL)[0] for seed in (1, 1, 2)
    )
    assert first.tobytes() == same.tobytes() != other.tobytes()


def test_nothing_to_place_and_nothing_that_fits():
    axes, rotations = _population(3)
    centres, placed = scatter(np.random.default_rng(0), axes[:0], rotations[:0], BALL)
    assert centres.shape == (0, 3)
    assert placed.shape == (0,)
    with pytest.raises(InputError, match=r"a nucleus of up to .* does not fit into tissue"):
        scatter(np.random.default_rng(0), axes, rotations, ball((0, 0, 0), 3))


def test_subcultures_lie_apart_in_the_tissue():
    region = ellipsoid((0, 0, 0), (50, 70, 70))
    diameters, flattening = (30, 50, 40), (1.0, 0.8, 0.5)
    balls = subcultures(np.random.default_rng(0), region, diameters, flattening)
    for part, diameter, flat in zip(balls, diameters, flattening, strict=True):
        whole = np.pi / 6 * flat * diameter**3
        assert 0.88 * whole < part.volume_um3 < 1.01 * whole
        assert part.minus(region.scaled(0.5)).volume_um3 > 0
        assert np.diff(part.box_um, axis=0)[0] == pytest.approx(
            (flat * diameter, diameter, diameter), rel=0.15
        )
        assert region.distance_at(part.draw(np.random.default_rng(1), 500)).max() < 0.3
    for i, one in enumerate(balls):
        points = one.draw(np.random.default_rng(1), 2000)
        for other in balls[i + 1 :]:
            assert other.distance_at(points).min() > -0.3


def test_explains_subcultures_that_have_no_place():
    message = (
        r"no place for a subculture of 50 µm in tissue of 268\d\d\d µm³ after \d of 9; lower the "
        "diameters or the number of subcultures, or make the tissue larger"
    )
    with pytest.raises(InputError, match=message):
        subcultures(np.random.default_rng(0), BALL, [50] * 9)
    with pytest.raises(InputError, match=re.escape("no place for a subculture of 99 µm")):
        subcultures(np.random.default_rng(0), BALL, [20, 99])


def test_no_subcultures():
    assert subcultures(np.random.default_rng(0), BALL, []) == []


def test_count_gives_the_fraction():
    assert count_for(BALL, 0.4, 400) == round(0.4 * 4 / 3 * np.pi * 40**3 / 400)
    assert count_for(BALL, 0.001, 1e6) == 1
