import re

import numpy as np
import pytest

from cytosuite.errors import InputError
from datasets.packing import pack
from datasets.shapes import SPHERE, draw_nuclei


def _population(count, **options):
    nuclei = draw_nuclei(np.random.default_rng(5), count, diameter_um=9, **options)
    return nuclei.semi_axes_um, nuclei.rotations


def _radius(axes, fraction):
    return float((axes.prod(axis=1).sum() / fraction) ** (1 / 3))


def _deepest(axes, rotations, centres):
    """Return the smallest relative distance of any surface point to another's centre."""
    least = np.inf
    for i, (a, r, c) in enumerate(zip(axes, rotations, centres, strict=True)):
        points = (r * a) @ SPHERE + c[:, None]  # (3, n) on the surface of nucleus i
        local = np.einsum("nji,njk->nik", rotations, points - centres[:, :, None])
        distance = np.sqrt(((local / axes[:, :, None]) ** 2).sum(axis=1))
        distance[i] = np.inf
        least = min(least, distance.min())
    return least


@pytest.mark.parametrize("fraction", [0.2, 0.4])
def test_ellipsoids_do_not_overlap_and_lie_inside(fraction):
    axes, rotations = _population(60, axis_spread=0.2)
    radius = _radius(axes, fraction)
    centres = pack(np.random.default_rng(0), axes, rotations, (radius,) * 3)
    assert _deepest(axes, rotations, centres) > 0.95
    surface = (rotations * axes[:, None, :]) @ SPHERE + centres[:, :, None]
    assert np.linalg.norm(surface, axis=1).max() < 1.1 * radius


def test_gap_keeps_spheres_apart():
    axes, rotations = _population(30, axis_spread=0, diameter_spread=0)
    centres = pack(np.random.default_rng(0), axes, rotations, (30, 30, 30), gap_um=2)
    apart = np.linalg.norm(centres[:, None] - centres, axis=2) + 99 * np.eye(30)
    assert apart.min() > 0.98 * (9 + 2)


def test_flat_container_is_kept():
    axes, rotations = _population(40, axis_spread=0)
    centres = pack(np.random.default_rng(0), axes, rotations, (12, 40, 25))
    assert (abs(centres).max(axis=0) < np.array([12, 40, 25]) - 3).all()


@pytest.mark.parametrize("count", [0, 1])
def test_few_nuclei_need_no_neighbours(count):
    axes, rotations = _population(count)
    assert pack(np.random.default_rng(0), axes, rotations, (20, 20, 20)).shape == (count, 3)


def test_chance_comes_from_the_generator_alone():
    axes, rotations = _population(20)
    first, same, other = (
        pack(np.random.default_rng(seed), axes, rotations, (25, 25, 25)) for seed in (1, 1, 2)
    )
    assert (first == same).all()
    assert (first != other).any()


def test_thousand_nuclei_reach_the_density_of_tissue():
    axes, rotations = _population(1000)
    radius = _radius(axes, 0.45)
    assert len(pack(np.random.default_rng(0), axes, rotations, (radius,) * 3)) == 1000


def test_explains_a_density_that_cannot_be_reached():
    axes, rotations = _population(40, axis_spread=0, diameter_spread=0)
    message = (
        r"after 50 rounds only \d+ of 40 nuclei in a spheroid with semi-axes 16.2 x 16.2 x 16.2 µm "
        r"are free of overlap \(all of them with their gaps would fill 86 % of it\); "
        "lower volume_fraction, gap_um or n_nuclei"
    )
    with pytest.raises(InputError, match=message):
        pack(np.random.default_rng(0), axes, rotations, (16.2,) * 3, rounds=50)


def test_explains_a_nucleus_larger_than_the_spheroid():
    axes, rotations = _population(2, axis_spread=0, diameter_spread=0)
    message = (
        "a nucleus with semi-axes up to 4.5 µm does not fit into a spheroid with semi-axes "
        "4.0 x 9.0 x 9.0 µm; lower diameter_um or raise n_nuclei"
    )
    with pytest.raises(InputError, match=re.escape(message)):
        pack(np.random.default_rng(0), axes, rotations, (4, 9, 9))
