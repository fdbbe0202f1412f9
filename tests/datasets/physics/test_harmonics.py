from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage, special
from scipy.spatial import Delaunay

from cytosuite.datasets.physics import bodies
from cytosuite.datasets.physics.dye import fibonacci_sphere
from cytosuite.datasets.physics.grid import Grid
from cytosuite.datasets.physics.harmonics import (
    LEAST,
    draw_stars,
    legendre,
    radius_table,
    ring_table,
)
from cytosuite.datasets.physics.shapes import random_rotations
from cytosuite.datasets.physics.star_kernel import radius_at
from cytosuite.errors import InputError

MIDDLE = np.array([[12.0, 12.0, 12.0]])


def _stars(count=1, radius=8.0, seed=0, axes=None, rotations=None, **options):
    axes = np.full((count, 3), radius) if axes is None else np.array(axes, float)
    turns = np.broadcast_to(np.eye(3), (len(axes), 3, 3)) if rotations is None else rotations
    return draw_stars(np.random.default_rng(seed), axes, turns, **options)


def _grid(*spacing):
    return Grid(tuple(round(24 / step) for step in spacing), spacing)


def _harmonics(order, directions):
    """Return all real harmonics ((order + 1)², n) at directions (3, n), the first the pole."""
    falling = legendre(order, directions[0])
    angle = np.arctan2(directions[2], directions[1])
    rows = []
    for degree in range(order + 1):
        for m in range(-degree, degree + 1):
            wave = np.sin(-m * angle) if m < 0 else np.cos(m * angle)
            rows.append(falling[abs(m), degree] * wave * (np.sqrt(2) if m else 1))
    return np.array(rows)


def _mean_over_sphere(table):
    """Return the mean of a table of radii over all directions, by the area of its cells."""
    sine = np.sin(np.linspace(0, np.pi, len(table)))
    return (table[:, :-1].mean(axis=1) * sine).sum() / sine.sum()


def test_the_basis_is_orthonormal():
    cosine, weights = np.polynomial.legendre.leggauss(12)
    angle = np.arange(24) * np.pi / 12
    sine = np.sqrt(1 - cosine**2)
    ring = [np.cos(angle), np.sin(angle)]
    directions = np.array([np.repeat(cosine, 24), *(np.outer(sine, part).ravel() for part in ring)])
    basis = _harmonics(8, directions)
    product = (basis * np.repeat(weights, 24) * np.pi / 12) @ basis.T
    assert product == pytest.approx(np.eye(81), abs=1e-12)


def test_legendre_functions_are_those_of_scipy_but_for_the_phase():
    polar = np.linspace(0, np.pi, 17)
    found = legendre(20, np.cos(polar))
    for degree in (0, 1, 2, 7, 20):
        for m in range(degree + 1):
            if hasattr(special, "sph_harm_y"):
                peer = special.sph_harm_y(degree, m, polar, 0.0).real
            else:
                peer = special.sph_harm(m, degree, 0.0, polar).real
            assert found[m, degree] == pytest.approx((-1) ** m * peer, abs=1e-10)


def test_the_first_coefficient_alone_is_a_sphere():
    coefficients = np.zeros((2, 5, 5))
    coefficients[0, 0, 0] = np.sqrt(4 * np.pi)
    assert radius_table(coefficients) == pytest.approx(1)


def test_a_coefficient_of_degree_two_is_its_polynomial():
    coefficients = np.zeros((2, 3, 3))
    coefficients[0, 0, 2] = 1.0
    table = radius_table(coefficients)
    cosine = np.cos(np.linspace(0, np.pi, len(table)))
    assert table[:, 5] == pytest.approx(np.sqrt(5 / 16 / np.pi) * (3 * cosine**2 - 1), abs=1e-6)


def test_tables_close_around_the_axis_and_at_the_poles():
    table = _stars().table(0)
    assert (table[:, 0] == table[:, -1]).all()
    assert np.ptp(table[0]) == pytest.approx(0, abs=1e-5)
    assert np.ptp(table[-1]) == pytest.approx(0, abs=1e-5)


def test_interpolation_is_exact_at_samples_and_errs_little_between():
    stars = _stars(order=20)
    drawn, table = stars.coefficients[0], stars.table(0)
    directions = fibonacci_sphere(500)
    falling = legendre(20, directions[0])
    angle = np.arange(21)[:, None] * np.arctan2(directions[2], directions[1])
    norm = np.where(np.arange(21) > 0, np.sqrt(2), 1)[:, None]
    exact = np.zeros(500)
    for part, wave in enumerate((norm * np.cos(angle), norm * np.sin(angle))):
        exact += np.einsum("ml,mln,mn->n", drawn[part], falling, wave)
    found = [radius_at(*direction, table) for direction in directions.T]
    assert found == pytest.approx(exact, abs=2e-3)
    assert radius_at(1.0, 0.0, 0.0, table) == pytest.approx(table[0, 0])
    assert radius_at(0.0, 0.0, -1.0, table) == pytest.approx(table[30, 90])  # φ = 270°


@pytest.mark.parametrize("seed", range(5))
def test_the_mean_radius_is_the_one_asked_for(seed):
    assert _mean_over_sphere(_stars(seed=seed).table(0)) == pytest.approx(1, abs=1e-4)
    assert _stars(seed=seed, plane=True).table(0)[0, :-1].mean() == pytest.approx(1, abs=1e-5)


def test_power_falls_with_the_degree_as_asked_for():
    drawn = _stars(count=4000, order=6, circularity=6.0).coefficients
    for degree in (2, 3, 5):
        square = (drawn[..., degree] ** 2).sum(axis=(1, 2)).mean() / (4 * np.pi)
        assert square == pytest.approx(degree**-6.0, rel=0.06)
    assert not drawn[..., 1].any()
    rings = _stars(count=4000, order=6, circularity=6.0, plane=True).coefficients
    assert (rings[..., 2] ** 2).sum(axis=1).mean() == pytest.approx(2**-6.0, rel=0.06)


def test_no_surface_comes_near_the_centre_however_rough():
    wild = _stars(count=30, circularity=0.0)
    for index in range(30):
        assert wild.table(index).min() >= LEAST - 1e-5
    assert min(wild.table(index).min() for index in range(30)) < LEAST + 0.01


@pytest.mark.parametrize("spacing", [(0.3, 0.3, 0.3), (1.0, 0.2, 0.2)])
def test_a_sphere_has_its_volume(spacing):
    labels = bodies.label(_stars(order=0), MIDDLE, _grid(*spacing))
    volume = np.count_nonzero(labels) * np.prod(spacing)
    assert volume == pytest.approx(4 / 3 * np.pi * 8**3, rel=0.005)


def test_a_sphere_holds_the_voxels_with_centres_within_its_radius():
    labels = bodies.label(_stars(order=0, radius=5.05), MIDDLE, _grid(1, 1, 1))
    away = np.sqrt(((np.indices((24,) * 3) - 11.5) ** 2).sum(axis=0))
    assert (labels == (away < 5.05)).all()


def test_an_ellipsoid_is_as_long_as_its_axes_where_its_rotation_turns_them():
    swapped = np.array([[[0, 0, 1.0], [0, 1, 0], [-1, 0, 0]]])  # third axis along z
    stars = _stars(axes=[[3, 5, 9]], rotations=swapped, order=0)
    inside = np.argwhere(bodies.label(stars, MIDDLE, _grid(0.25, 0.25, 0.25)))
    assert np.ptp(inside, axis=0) * 0.125 == pytest.approx([9, 5, 3], abs=0.15)


@pytest.mark.parametrize("seed", range(4))
def test_labels_have_the_volume_of_the_stated_ellipsoids_in_one_piece(seed):
    stars = _stars(seed=seed, axes=[[5, 6, 8]])
    labels = bodies.label(stars, MIDDLE, _grid(0.25, 0.25, 0.25))
    volume = np.count_nonzero(labels) * 0.25**3
    assert volume == pytest.approx(bodies.volumes_um3(stars)[0], rel=0.01)
    assert ndimage.label(labels)[1] == 1


def test_a_body_in_a_plane_has_its_area_and_ring():
    stars = _stars(seed=3, plane=True, axes=[[6, 5, 8]], circularity=4.0)
    grid = Grid((1, 240, 240), (1.0, 0.1, 0.1))
    labels = bodies.label(stars, np.array([[0.5, 12.0, 12.0]]), grid)
    area = np.count_nonzero(labels) * 0.01
    assert area == pytest.approx(np.pi * stars.semi_axes_um[0, 1:].prod(), rel=0.01)
    ring = ring_table(stars.coefficients[0])
    assert (ring[0] == ring[1]).all()
    along_y = np.flatnonzero(labels[0, :, 120])[-1] * 0.1 - 12
    assert along_y == pytest.approx(5 * ring[0, 0], abs=0.15)


def test_voxels_agree_with_a_hull_of_the_surface_where_that_is_convex():
    """The published way: the Delaunay triangulation of points on the surface."""
    stars = _stars(circularity=9.0, order=6)
    grid = _grid(0.5, 0.5, 0.5)
    labels = bodies.label(stars, MIDDLE, grid)[0:48] > 0
    directions = fibonacci_sphere(3000)
    table = stars.table(0)
    radii = 8 * np.array([radius_at(*direction, table) for direction in directions.T])
    hull = Delaunay(12 + (radii * directions).T)
    voxels = (np.stack(np.indices(grid.shape), axis=-1) + 0.5) * 0.5
    peer = hull.find_simplex(voxels.reshape(-1, 3)).reshape(grid.shape) >= 0
    assert (labels != peer).sum() / peer.sum() < 0.01


def test_a_slab_holds_the_voxels_of_the_whole():
    stars = _stars(count=3)
    centres = np.random.default_rng(0).uniform(6, 18, (3, 3))
    grid = _grid(0.5, 0.5, 0.5)
    whole = bodies.label(stars, centres, grid)
    slab = bodies.label(stars, centres, grid.slab(17, 30))
    assert (slab != whole[17:30]).sum() <= 3  # but for rounding of positions


def test_bodies_beside_the_grid_leave_no_patch():
    assert not list(_stars().patches(np.array([[12.0, 12.0, 60.0]]), _grid(1, 1, 1)))


def test_dye_is_as_bright_as_its_body_with_a_soft_rim():
    grid, stars = _grid(0.5, 0.5, 0.5), _stars(order=0)
    image = bodies.paint(stars, MIDDLE, grid, None, np.zeros(grid.shape, np.float32))
    assert image[24, 24, 24] == 1
    assert image.sum() * 0.125 == pytest.approx(4 / 3 * np.pi * 8**3, rel=0.02)
    assert ((image > 0.05) & (image < 0.95)).any()


def test_an_order_out_of_range_is_refused():
    with pytest.raises(InputError, match="order of harmonics must be 0 to 40, found 41"):
        _stars(order=41)


@pytest.mark.parametrize("plane", [False, True])
def test_no_surface_exceeds_the_reach_and_it_is_not_far_off(plane):
    rng = np.random.default_rng(0)
    axes, turns = rng.uniform(3, 6, (200, 3)), random_rotations(rng, 200)
    stars = draw_stars(rng, axes, turns, order=12, circularity=4.0, plane=plane)
    farthest = [stars.table(i).max() * axes[i].max() for i in range(200)]
    assert (stars.reach_um >= farthest).all()
    assert np.median(stars.reach_um / farthest) < 2
    wide = replace(stars, stretch=np.tile([1.0, 1.0, 3.0], (200, 1)))
    assert wide.reach_um == pytest.approx(3 * stars.reach_um)
    round_ones = draw_stars(rng, axes, turns, order=0, plane=plane)
    assert round_ones.reach_um == pytest.approx(axes.max(axis=1), rel=1e-4)
