import numpy as np
import pytest
from light_sheet import view
from numpy.testing import assert_allclose, assert_array_equal
from rasters import counted

from cytosuite.algorithms.view_fusion.intensity import (
    KNEE,
    Units,
    to_counts,
    to_network,
    units_of,
)


@pytest.mark.parametrize("dtype", ["uint16", "int8", "float32", "bool"])
def test_units_are_the_percentiles_of_the_metric(dtype, rng):
    image = rng.gamma(3, 10, (5, 17, 19)).clip(0, 120).astype(dtype)
    assert units_of(image) == pytest.approx(
        np.percentile(image.astype(float), (2, 99.8)), rel=1e-12
    )


def test_the_percentiles_become_0_and_1_whatever_gain_and_offset():
    image = view()
    low, high = units_of(image)
    assert_allclose(to_network(np.array([low, high]), units_of(image)), [0, 1], atol=1e-7)
    other = 7 * image.astype(np.uint16) + 300
    assert_allclose(
        to_network(other, units_of(other)), to_network(image, units_of(image)), atol=1e-5
    )


def test_units_are_linear_up_to_the_knee_and_smooth_beyond():
    values = np.linspace(-6, 6, 4801)
    scaled = to_network(values, Units(0.0, 1.0))
    near = np.abs(values) <= KNEE
    assert_array_equal(scaled[near], values[near].astype(np.float32))
    assert_allclose(scaled, -scaled[::-1])
    slope = np.diff(scaled.astype(float)) / np.diff(values)
    assert slope.min() > 0
    assert slope.max() < 1.001
    assert np.abs(np.diff(slope)).max() < 4e-3  # no jump of the slope at the knee
    assert scaled[-1] == pytest.approx(KNEE + np.log(5))


@pytest.mark.parametrize(
    "units", [Units(0, 1), Units(120.37, 121.9), Units(3, 65000.5), Units(7, 7)]
)
def test_all_grey_values_of_16_bits_come_back(units):
    image = counted(4, 128, 128)
    counts = to_counts(to_network(image, units), units, image.dtype)
    assert counts.dtype == image.dtype
    assert_array_equal(counts, image)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint64", "float16", "bool"])
def test_grey_values_stay_within_the_range_of_the_dtype(dtype):
    counts = to_counts(
        np.array([-1e30, -1.0, 0, 1, 1e30, np.nan, np.inf, -np.inf]), Units(0.0, 1e19), dtype
    )
    assert counts.dtype == dtype
    assert np.isfinite(counts.astype(float)).all()
    assert (np.diff(counts[:5].astype(float)) >= 0).all()
    assert counts[5] == counts[2]  # NaN is 0
    if np.dtype(dtype).kind in "iu":
        limits = np.iinfo(dtype)
        assert counts[0] == limits.min
        assert counts[4] > limits.max * 0.999
        assert counts[6] == counts[4]
