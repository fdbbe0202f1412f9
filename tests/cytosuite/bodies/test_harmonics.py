import numpy as np
import pytest
from rasters import away_from
from scipy import special

from cytosuite.bodies import fit
from cytosuite.bodies._kernels import radius_at
from cytosuite.bodies.harmonics import basis, fibonacci_sphere, legendre, radius_table

UNIT = (1.0, 1.0, 1.0)
DIRECTIONS = fibonacci_sphere(300)


def test_legendre_functions_are_those_of_scipy_but_for_the_phase():
    polar = np.linspace(0, np.pi, 17)
    values = legendre(20, np.cos(polar))
    for degree in (0, 1, 2, 7, 20):
        for m in range(degree + 1):
            peer = special.sph_harm_y(degree, m, polar, 0.0).real
            assert values[m, degree] == pytest.approx((-1) ** m * peer, abs=1e-10)


def test_harmonics_are_orthonormal_on_the_sphere():
    rows = basis(6, fibonacci_sphere(20_000))
    assert rows.T @ rows * 4 * np.pi / 20_000 == pytest.approx(np.eye(49), abs=2e-3)


def test_columns_are_constant_then_along_x_z_y():
    directions = fibonacci_sphere(50)
    z, y, x = directions * np.sqrt(3 / (4 * np.pi))
    rows = basis(1, directions)
    assert rows == pytest.approx(np.stack([np.full(50, (4 * np.pi) ** -0.5), x, z, y], axis=1))
    assert basis(7, directions)[:, :4] == pytest.approx(rows)


def test_interpolation_is_exact_at_samples_and_errs_little_between(rng):
    drawn = rng.normal(size=(2, 21, 21))
    drawn *= np.triu(np.ones((21, 21))) * np.maximum(np.arange(21), 1.0) ** -3
    drawn[0, 0, 0] = np.sqrt(4 * np.pi)
    drawn[1, 0] = 0
    directions = fibonacci_sphere(500)
    table = radius_table(drawn)
    rows = basis(20, directions)
    exact = np.zeros(500)
    for degree in range(21):
        for m in range(-degree, degree + 1):
            exact += drawn[int(m < 0), abs(m), degree] * rows[:, degree * (degree + 1) + m]
    assert [radius_at(*direction, table) for direction in directions.T] == pytest.approx(
        exact, abs=4e-3
    )
    assert radius_at(1.0, 0.0, 0.0, table) == pytest.approx(table[0, 0])
    assert radius_at(0.0, 0.0, -1.0, table) == pytest.approx(table[30, 90])  # φ = 270°


def _ellipsoid(semi_axes, spacing, centre=(15.2, 14.7, 15.4)):
    shape = [round(30 / step) for step in spacing]
    return away_from(np.divide(centre, spacing), shape, np.divide(spacing, semi_axes)) <= 1


@pytest.mark.parametrize("spacing", [UNIT, (2.5, 0.5, 0.5), (0.5, 1.0, 0.8)])
def test_a_fit_has_centre_and_radii_of_an_ellipsoid_in_um_at_any_voxel_size(spacing):
    stars = fit(
        np.where(_ellipsoid((8.0, 10.0, 11.0), spacing), 5, 0).astype(np.uint16), spacing, 6, 0.0
    )
    assert stars.ids.tolist() == [5]
    assert stars.centres[0] == pytest.approx((15.2, 14.7, 15.4), abs=0.1)
    expected = 1 / np.sqrt(((DIRECTIONS.T / (8.0, 10.0, 11.0)) ** 2).sum(axis=1))
    errors = basis(6, DIRECTIONS) @ stars.coefficients[0] - expected
    assert abs(errors.mean()) < 0.1
    assert np.sqrt((errors**2).mean()) < 0.25 * max(spacing)


def test_smoothing_damps_high_degrees_and_leaves_the_mean():
    labels = _ellipsoid((6.0, 9.0, 12.0), UNIT).astype(np.uint8)
    rough, smooth = (fit(labels, UNIT, 8, value).coefficients[0] for value in (0, 0.6))
    assert smooth[0] == pytest.approx(rough[0], rel=2e-3)
    assert np.linalg.norm(smooth[4:9]) < np.linalg.norm(rough[4:9])
    assert np.linalg.norm(smooth[49:]) < 0.3 * np.linalg.norm(rough[49:])


def test_the_centre_of_a_crescent_lies_in_it():
    labels = _ellipsoid((9.0, 9.0, 9.0), UNIT).astype(np.int32)
    labels[_ellipsoid((9.0, 9.0, 9.0), UNIT, (15.2, 14.7, 20.0))] = 0
    (centre,) = fit(labels, UNIT, 3, 0.006).centres
    assert labels[tuple(np.rint(centre).astype(int))] == 1


def test_objects_are_fitted_alone_gaps_are_left_out_and_no_object_gives_none():
    labels = np.zeros((12, 24, 24), np.uint16)
    labels[2:9, 2:9, 2:9], labels[2:9, 9:16, 2:9] = 3, 8  # they touch
    both = fit(labels, UNIT, 3, 0.006)
    assert both.ids.tolist() == [3, 8]
    assert both.coefficients[0] == pytest.approx(both.coefficients[1], abs=1e-5)
    assert both.centres[1] - both.centres[0] == pytest.approx((0, 7, 0))
    none = fit(np.zeros((4, 4, 4), np.uint16), UNIT, 3, 0.006)
    assert none.centres.shape == (0, 3)
    assert none.coefficients.shape == (0, 16)
