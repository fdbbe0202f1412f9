from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.stats import wasserstein_distance

from cytosuite.errors import InputError
from cytosuite.metrics.metric import metrics_of
from cytosuite.metrics.realism import wasserstein
from cytosuite.metrics.realism.wasserstein import transport, w1, w1_by_range, w1_by_std

DTYPES = ["u1", "i1", "<u2", ">u2", "i2", "i4", "u4", "i8", "f2", "<f4", ">f4", "f8"]
SAMPLES = arrays.arrays(np.uint8, st.integers(1, 40), elements=st.integers(0, 12))
quick = settings(max_examples=100, deadline=None)


@pytest.fixture(params=["sorted", "counted"])
def way(request, monkeypatch):
    """Small samples are sorted; here they also go the way of large ones."""
    if request.param == "counted":
        monkeypatch.setattr(wasserstein, "SMALL", 0)


def sample(dtype, size, seed=0, shape=2.0):
    values = np.random.default_rng(seed).gamma(shape, 12.0, size)
    return values.clip(0, 127).astype(dtype)


def scipy_distance(a, b):
    return wasserstein_distance(a.ravel().astype(float), b.ravel().astype(float))


@quick
@given(SAMPLES, st.integers(0, 200))
def test_a_shift_costs_its_length(values, shift):
    assert w1(values, values.astype(int) + shift) == pytest.approx(shift, abs=1e-12)


@quick
@given(SAMPLES, SAMPLES, st.sampled_from([0.25, 3.0]))
def test_scales_with_the_grey_values_and_is_symmetric(a, b, factor):
    assert w1(b, a) == pytest.approx(w1(a, b), abs=1e-12)
    assert w1(a * factor, b * factor) == pytest.approx(factor * w1(a, b), abs=1e-12)


@quick
@given(SAMPLES, SAMPLES, SAMPLES)
def test_a_detour_is_no_shorter(a, b, c):
    assert w1(a, c) <= w1(a, b) + w1(b, c) + 1e-12


@quick
@given(SAMPLES, SAMPLES)
def test_is_zero_for_equal_shares_only(a, b):
    assert w1(a, np.tile(a, 3)) == 0
    alike = np.array_equal(*(np.cumsum(np.bincount(x, minlength=13)) / x.size for x in (a, b)))
    assert alike or w1(a, b) > 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_agrees_with_scipy(way, dtype):
    a, b = sample(dtype, (7, 30, 31)), sample(dtype, 5000, 1, 2.3)
    found = transport(a, b)
    assert found.distance == pytest.approx(scipy_distance(a, b), rel=1e-9)
    assert found.real_std == pytest.approx(a.astype(float).std(), rel=1e-9)
    assert found.real_range == float(a.max()) - float(a.min())
    assert (found.real_voxels, found.synthetic_voxels) == (a.size, b.size)


def test_agrees_with_scipy_where_the_shares_cross_everywhere(way):
    a, b = sample("f4", 6000), sample("f4", 6000, 1)
    assert w1(a, b) == pytest.approx(scipy_distance(a, b), rel=1e-9)
    assert w1(a, a[::-1]) == 0


@pytest.mark.parametrize("odd", [1e20, -1e6, 0.0])
def test_a_hot_voxel_does_not_blur_the_rest(way, odd):
    a, b = sample("f4", 3000) + np.float32(60000), sample("f4", 3000, 1, 2.2) + np.float32(60000)
    a[7] = odd
    assert w1(a, b) == pytest.approx(scipy_distance(a, b), rel=1e-9)


def test_dtypes_may_differ(way):
    a, b, c = sample("u1", 3000), sample("i2", 2000, 1) - 100, sample("f4", 1000, 2)
    for one, other in ((a, b), (b, a), (a, c), (c, b)):
        assert w1(one, other) == pytest.approx(scipy_distance(one, other), rel=1e-9)


def test_unsigned_values_are_widened_before_any_difference(way):
    assert w1(np.full(9, 65535, np.uint16), np.zeros(4, np.uint16)) == 65535
    assert w1(np.full(9, 255, np.uint8), np.zeros(4, np.uint8)) == 255
    assert w1(np.full(5, 2**32 - 1, np.uint32), np.zeros(5, np.uint32)) == 2**32 - 1


def test_memory_layout_does_not_matter(way, tmp_path):
    a, b = sample("u2", (8, 20, 30)), sample("f4", (20, 22, 9), 1)
    expected = scipy_distance(a[::2, :, ::3], b[:, 1::2])
    assert w1(a[::2, :, ::3], b[:, 1::2]) == pytest.approx(expected, rel=1e-9)
    assert w1(a[::2, :, ::3].T, b[::-1, 1::2]) == pytest.approx(expected, rel=1e-9)
    mapped = np.memmap(tmp_path / "a", np.uint16, "w+", shape=a.shape)
    mapped[:] = a
    mapped.flags.writeable = False
    assert w1(mapped, b) == pytest.approx(scipy_distance(a, b), rel=1e-9)


def test_a_set_is_one_sample(way):
    parts = [sample("u2", n, n) for n in (100, 2000, 1)]
    whole = np.concatenate(parts)
    assert w1(parts, sample("u2", 50)) == w1(whole, sample("u2", 50))
    assert w1(sample("f4", 50), parts) == pytest.approx(w1(sample("f4", 50), whole), rel=1e-12)


def test_constant_images(way):
    flat = np.full((4, 5), 7.0, np.float32)
    assert w1(flat, flat) == 0
    assert w1(flat, flat + 2) == 2
    assert isnan(w1_by_std(flat, flat + 2))
    assert isnan(w1_by_range(flat, flat + 2))


def test_one_voxel(way):
    assert w1(np.array([3]), np.array([[10]])) == pytest.approx(7, rel=1e-12)


@pytest.mark.parametrize("metric", [w1, w1_by_std, w1_by_range])
def test_undefined_without_voxels(metric):
    some, none = np.ones(3, np.uint8), np.zeros((0, 4), np.uint8)
    for sides in ((some, none), (none, some), (none, none), ([], some)):
        assert isnan(metric(*sides))


@pytest.mark.parametrize("value", [nan, np.inf, -np.inf])
def test_refuses_what_is_no_number(way, value):
    bad = np.array([1.0, value, 2.0], np.float32)
    with pytest.raises(InputError, match=r"^synthetic image 1: grey values must be finite .*"):
        w1(np.ones(3), [np.ones(2), bad])


def test_refuses_complex_values():
    with pytest.raises(InputError, match=r"^real image 0: grey values must be integers or floats"):
        w1(np.ones(3, complex), np.ones(3))


def test_scaled_distances_do_not_depend_on_the_unit():
    a, b = sample("u2", 900), sample("u2", 900, 1, 3.0)
    for metric in (w1_by_std, w1_by_range):
        assert metric(a * 10.0, b * 10.0) == pytest.approx(metric(a, b), rel=1e-12)
    assert w1_by_std(a, b) == pytest.approx(w1(a, b) / a.std(), rel=1e-12)
    assert w1_by_range(a, b) == pytest.approx(w1(a, b) / (a.max() - a.min()), rel=1e-12)


def test_distances_are_better_the_lower_and_of_sets():
    for metric in (w1, w1_by_std, w1_by_range):
        assert metric in metrics_of("realism")
        assert (metric.best, metric.worst, metric.scope) == (0.0, None, "set")
        assert metric.higher_is_better is False


@quick
@given(SAMPLES, SAMPLES, st.randoms(use_true_random=False))
def test_weights_are_those_of_scipy(a, b, random):
    u, v = (np.array([random.randint(1, 9) / 4 for _ in x]) for x in (a, b))
    found = transport(a, b, real_weights=u, synthetic_weights=v)
    expected = wasserstein_distance(a.astype(float), b.astype(float), u, v)
    assert found.distance == pytest.approx(expected, abs=1e-12)
    mean = np.average(a, weights=u)
    assert found.real_std == pytest.approx(np.average((a - mean) ** 2, weights=u) ** 0.5, abs=1e-12)


def test_weights_per_image_give_images_of_any_size_the_same_say():
    small, large, other = np.full((2, 2), 4.0), np.full((30, 10), 8.0), np.zeros(5)
    assert w1([small, large], other) == pytest.approx((4 * 4 + 300 * 8) / 304)
    alike = {"real_weights": [1 / small.size, 1 / large.size]}
    assert w1([small, large], other, **alike) == pytest.approx(6)
    assert w1(small, large, real_weights=2.0, synthetic_weights=[np.ones((30, 10))]) == 4


@pytest.mark.parametrize("weights", [[1.0], [1.0, np.ones(3)], [0.0, 0.0], [1.0, -1.0], [1.0, nan]])
def test_refuses_weights_that_do_not_suit_the_images(weights):
    with pytest.raises(InputError, match="^weights"):
        w1([np.ones(2), np.zeros(2)], np.ones(2), real_weights=weights)


def test_negative_floats_whose_shares_cross(way):
    rng = np.random.default_rng(0)
    a, b = (rng.normal(0, 1, n).astype(np.float32) for n in (4000, 5000))
    assert w1(a, b) == pytest.approx(scipy_distance(a, b), rel=1e-9)
