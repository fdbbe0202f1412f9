from math import isnan, nan

import numpy as np
import pytest
from mistakes import refused
from scipy.stats import wasserstein_distance

from cytosuite.metrics.realism.wasserstein import transport, w1, w1_by_range, w1_by_std


@pytest.fixture(params=["sorted", "counted"])
def way(request, monkeypatch):
    """Small samples are sorted; here they also go the way of large ones."""
    if request.param == "counted":
        monkeypatch.setattr("cytosuite.metrics.realism.wasserstein.SMALL", 0)


def sample(dtype, size, seed=0, shape=2.0):
    return np.random.default_rng(seed).gamma(shape, 12.0, size).clip(0, 127).astype(dtype)


def scipy_distance(a, b):
    return wasserstein_distance(a.ravel().astype(float), b.ravel().astype(float))


@pytest.mark.parametrize("dtype", ["i1", ">u2", "i8", ">f4", "f8"])
def test_agrees_with_scipy(way, dtype):
    a = sample(dtype, (7, 30, 31))
    b = sample(dtype, 5000, 1, 2.3)
    evidence = transport(a, b)
    assert evidence.distance == pytest.approx(scipy_distance(a, b), rel=1e-9)
    assert evidence.real_std == pytest.approx(a.astype(float).std(), rel=1e-9)
    assert evidence.real_range == float(a.max()) - float(a.min())


def test_agrees_with_scipy_where_the_shares_cross_everywhere(way, rng):
    c, d = (rng.normal(0, 1, n).astype(np.float32) for n in (4000, 5000))
    assert w1(c, d) == pytest.approx(scipy_distance(c, d), rel=1e-9)
    assert w1(c, c[::-1]) == 0


@pytest.mark.parametrize("odd", [1e20, -1e6, 0.0])
def test_a_hot_voxel_does_not_blur_the_rest(way, odd):
    a = sample("f4", 3000) + np.float32(60000)
    b = sample("f4", 3000, 1, 2.2) + np.float32(60000)
    a[7] = odd
    assert w1(a, b) == pytest.approx(scipy_distance(a, b), rel=1e-9)


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


@pytest.mark.parametrize("metric", [w1, w1_by_std, w1_by_range])
def test_undefined_without_voxels(metric):
    some = np.ones(3, np.uint8)
    none = np.zeros((0, 4), np.uint8)
    for sides in ((some, none), (none, some), (none, none), ([], some)):
        assert isnan(metric(*sides))


@pytest.mark.parametrize("value", [nan, -np.inf])
def test_refuses_what_is_no_number(way, value):
    bad = np.array([1.0, value, 2.0], np.float32)
    refused(r"^synthetic image 1: grey values must be finite .*", w1, np.ones(3), [np.ones(2), bad])


def test_refuses_complex_values():
    refused(
        r"^real image 0: grey values must be integers or floats",
        w1,
        np.ones(3, complex),
        np.ones(3),
    )
