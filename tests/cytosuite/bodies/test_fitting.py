import numpy as np
import pytest
from rasters import away_from

from cytosuite.bodies import fit
from cytosuite.bodies.harmonics import basis, fibonacci_sphere

UNIT = (1.0, 1.0, 1.0)
DIRECTIONS = fibonacci_sphere(300)


def _ellipsoid(semi_axes, spacing, centre=(15.2, 14.7, 15.4)):
    shape = [round(30 / step) for step in spacing]
    return away_from(np.divide(centre, spacing), shape, np.divide(spacing, semi_axes)) <= 1


@pytest.mark.parametrize("spacing", [UNIT, (2.5, 0.5, 0.5), (0.5, 1.0, 0.8)])
def test_a_fit_has_centre_and_radii_of_an_ellipsoid_in_um_at_any_voxel_size(spacing):
    labels = np.where(_ellipsoid((8.0, 10.0, 11.0), spacing), 5, 0).astype(np.uint16)
    stars = fit(labels, spacing, 6, 0.0)
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
