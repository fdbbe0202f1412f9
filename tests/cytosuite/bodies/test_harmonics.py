import numpy as np
import pytest
from scipy import special

from cytosuite.bodies._kernels import radius_at
from cytosuite.bodies.harmonics import basis, fibonacci_sphere, legendre, radius_table


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
