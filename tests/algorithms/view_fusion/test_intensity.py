import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from light_sheet import DTYPES, noise, view

from cytosuite.algorithms.view_fusion.intensity import (
    KNEE,
    Units,
    cast,
    to_counts,
    to_network,
    units_of,
)
from cytosuite.metrics.percentiles import percentiles

ONE = Units(0.0, 1.0)


@pytest.mark.parametrize("dtype", [*DTYPES, "int8", "int64"])
@pytest.mark.parametrize("seed", [0, 1])
def test_units_are_the_percentiles_of_the_metric(dtype, seed):
    image = np.random.default_rng(seed).gamma(3, 10, (5, 17, 19)).clip(0, 120).astype(dtype)
    assert units_of(image) == pytest.approx(percentiles(image, (2.0, 99.8)), rel=1e-12)
    assert units_of(image) == pytest.approx(
        np.percentile(image.astype(float), (2, 99.8)), rel=1e-12
    )


@settings(deadline=None, max_examples=60)
@given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.int8, np.uint16, np.int16]), hnp.array_shapes(max_dims=3)
    )
)
def test_units_of_any_image_of_few_bits(image):
    assert units_of(image) == pytest.approx(np.percentile(image.astype(float), (2, 99.8)))


def test_units_of_an_image_in_other_orders_are_the_same():
    image = view()
    for other in (image[::-1, :, ::-1], image.transpose(2, 0, 1), np.asfortranarray(image)):
        assert units_of(other) == units_of(image)


def test_units_of_a_mask():
    mask = np.zeros((10, 10, 10), bool)
    assert units_of(mask) == (0, 0)
    mask[:5] = True
    assert units_of(mask) == (0, 1)


@pytest.mark.parametrize("shape", [(24, 512, 512), (1, 6144, 1024)])
def test_units_take_no_copy_of_the_image(shape):
    image = noise(shape)
    tracemalloc.start()
    units_of(image)
    assert tracemalloc.get_traced_memory()[1] < image.size  # half of its own bytes
    tracemalloc.stop()


def test_the_percentiles_become_0_and_1_whatever_gain_and_offset():
    image = view()
    low, high = units_of(image)
    np.testing.assert_allclose(
        to_network(np.array([low, high]), units_of(image)), [0, 1], atol=1e-7
    )
    other = 7 * image.astype(np.uint16) + 300
    np.testing.assert_allclose(
        to_network(other, units_of(other)), to_network(image, units_of(image)), atol=1e-5
    )


def test_a_part_is_scaled_as_the_whole():
    image = view()
    units = units_of(image)
    whole = to_network(image, units)
    np.testing.assert_array_equal(to_network(image[3:5, 2:9], units), whole[3:5, 2:9])


def test_units_are_linear_up_to_the_knee_and_smooth_beyond():
    values = np.linspace(-6, 6, 4801)
    made = to_network(values, ONE)
    near = np.abs(values) <= KNEE
    np.testing.assert_array_equal(made[near], values[near].astype(np.float32))
    np.testing.assert_allclose(made, -made[::-1])
    slope = np.diff(made.astype(float)) / np.diff(values)
    assert slope.min() > 0
    assert slope.max() < 1.001
    assert np.abs(np.diff(slope)).max() < 4e-3  # no jump of the slope at the knee
    assert made[-1] == pytest.approx(KNEE + np.log(5))


def test_a_hot_voxel_moves_no_units_and_stays_within_reach():
    image = noise()
    units = units_of(image)
    image[4, 5, 6] = 65535
    assert units_of(image) == pytest.approx(units, abs=1)
    values = to_network(image, units_of(image))
    assert 5 < values.max() < 12
    assert to_counts(values, units_of(image), "uint16")[4, 5, 6] == 65535


@pytest.mark.parametrize(
    "units", [Units(0, 1), Units(120.37, 121.9), Units(3, 65000.5), Units(7, 7)]
)
def test_all_grey_values_of_16_bits_come_back(units):
    image = np.arange(65536, dtype=np.uint16).reshape(4, 128, 128)
    made = to_counts(to_network(image, units), units, image.dtype)
    assert made.dtype == image.dtype
    np.testing.assert_array_equal(made, image)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floats_come_back_nearly(dtype):
    image = np.random.default_rng(0).normal(1e6, 50, (8, 20, 20)).astype(dtype)
    made = to_counts(to_network(image, units_of(image)), units_of(image), dtype)
    assert made.dtype == dtype
    np.testing.assert_allclose(made, image, rtol=0, atol=0.07 if dtype == "float32" else 1e-4)


def test_grey_values_are_rounded_not_cut_off():
    values = np.array([[1.4, 1.6, 2.0, 0.9]])
    np.testing.assert_array_equal(to_counts(values, ONE, "uint8"), [[1, 2, 2, 1]])


@pytest.mark.parametrize("dtype", [*DTYPES, "int64", "uint64", "float16", "bool"])
def test_grey_values_stay_within_the_range_of_the_dtype(dtype):
    values = np.array([-1e30, -1.0, 0, 1, 1e30, np.nan, np.inf, -np.inf])
    made = to_counts(values, Units(0.0, 1e19), dtype)
    assert made.dtype == dtype
    assert np.isfinite(made.astype(float)).all()
    assert (np.diff(made[:5].astype(float)) >= 0).all()
    assert made[5] == made[2]  # NaN is 0
    if np.dtype(dtype).kind in "iu":
        limits = np.iinfo(dtype)
        assert made[0] == limits.min
        assert made[4] > limits.max * 0.999
        assert made[6] == made[4]


def test_a_range_is_held_by_floats_that_cannot_name_its_end():
    for dtype in ("uint32", "int64", "uint64"):
        made = cast(np.array([1e25], np.float32), dtype)
        assert np.iinfo(dtype).max * 0.999 < made[0] <= np.iinfo(dtype).max


def test_a_constant_image_is_flat_and_comes_back():
    image = np.full((4, 6, 8), 1234, np.uint16)
    units = units_of(image)
    assert units.flat
    assert units.scale == 1
    np.testing.assert_array_equal(to_network(image, units), 0)
    np.testing.assert_array_equal(to_counts(to_network(image, units), units, "uint16"), image)
    assert not units_of(view()).flat


@pytest.mark.parametrize("size", [1e-300, 1e-40, 1e15])
def test_floats_of_any_size_become_numbers(size):
    image = np.zeros((4, 10, 10))
    image[:2] = size * np.random.default_rng(0).random((2, 10, 10))
    image[0, 0, 0] = 1e15
    values = to_network(image, units_of(image))
    assert np.isfinite(values).all()
    assert np.isfinite(to_counts(values, units_of(image), "float32")).all()


def test_empty_tiles_are_no_mistake():
    assert to_counts(np.zeros((0, 3, 3), np.float32), ONE, "uint8").shape == (0, 3, 3)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30),
    st.floats(-100, 100),
    st.floats(0.1, 1e4),
)
def test_both_ways_keep_the_order(values, low, scale):
    units = Units(low, low + scale)
    given = np.sort(np.array(values))
    made = to_network(given, units)
    assert (np.diff(made) >= 0).all()
    back = to_counts(made, units, "float64")
    np.testing.assert_allclose(back, given, rtol=1e-4, atol=1e-4 * scale + 1e-4)
