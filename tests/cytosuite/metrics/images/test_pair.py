import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cytosuite.errors import InputError
from cytosuite.metrics.chunks import chunks
from cytosuite.metrics.images.pair import pair
from cytosuite.metrics.percentiles import percentiles

REAL = ["?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", ">u2", ">f4", "g"]


def image(dtype="f4", shape=(3, 4, 5)):
    return np.random.default_rng(0).integers(0, 100, shape).astype(dtype)


def test_keeps_the_arrays_as_they_are():
    truth, prediction = image("u2"), image("f8")[::1]
    images = pair(truth, prediction, data_range=255)
    assert images.truth is truth
    assert images.prediction is prediction
    assert images.data_range == 255.0


@pytest.mark.parametrize("dtype", REAL)
def test_takes_every_real_type(dtype):
    assert pair(image(dtype), image(), data_range=1).truth.dtype == np.dtype(dtype)


def test_takes_lists_and_any_layout(tmp_path):
    assert pair([[1, 2]], [[1.5, 2]], data_range=1).truth.shape == (1, 2)
    np.save(tmp_path / "image.npy", image())
    mapped = np.load(tmp_path / "image.npy", mmap_mode="r")
    for view in (mapped, np.asfortranarray(mapped), mapped[::-1, ::-1]):
        assert pair(view, mapped, data_range=1).truth.shape == mapped.shape


def _other_shape(arguments):
    """truth and prediction must have the same shape, found (3, 4, 5) and (3, 4, 4)"""
    arguments["prediction"] = image()[..., 1:]


def _complex(arguments):
    """prediction: grey values must be integer or floating numbers, found complex64"""
    arguments["prediction"] = image() * 1j


def _nan(arguments):
    """prediction: every voxel must be a finite number, found NaN or infinity"""
    arguments["prediction"][1, 2, 3] = np.nan


def _infinite(arguments):
    """truth: every voxel must be a finite number, found NaN or infinity"""
    arguments["truth"][2, 3, 4] = -np.inf


def _infinite_half(arguments):
    """truth: every voxel must be a finite number, found NaN or infinity"""
    arguments["truth"] = np.full((3, 4, 5), np.inf, np.float16)


def _empty(arguments):
    """truth: an image without voxels, found shape (3, 0, 5)"""
    arguments.update(truth=image()[:, :0], prediction=image()[:, :0])


def _no_range(arguments):
    """data_range must be a positive finite number, found 0"""
    arguments["data_range"] = 0


def _infinite_range(arguments):
    """data_range must be a positive finite number, found inf"""
    arguments["data_range"] = float("inf")


def _range_in_words(arguments):
    """data_range must be a positive finite number, found '255'"""
    arguments["data_range"] = "255"


MISTAKES = [value for name, value in globals().items() if name.startswith("_") and callable(value)]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
def test_explains(mistake):
    arguments = {"truth": image(), "prediction": image(), "data_range": 1.0}
    mistake(arguments)
    with pytest.raises(InputError, match=re.escape(mistake.__doc__)) as error:
        pair(**arguments)
    assert "\n" not in str(error.value)


def test_range_must_be_given():
    with pytest.raises(TypeError, match="data_range"):
        pair(image(), image())


@given(
    arrays.arrays(
        st.sampled_from([np.uint8, np.int8, np.uint16, np.int16, np.int32, np.float32, np.float64]),
        st.integers(1, 50),
        elements=st.integers(-100, 100).map(abs),
    ),
    st.lists(st.floats(0, 100), min_size=1, max_size=3),
    st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_percentiles_are_those_of_numpy(values, ranks, negative):
    if negative and values.dtype.kind != "u":
        values = -values
    expected = np.percentile(values.astype(np.float64), ranks)
    np.testing.assert_allclose(percentiles(values, tuple(ranks)), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", REAL)
def test_percentiles_of_every_type_and_layout(dtype):
    values = (image(dtype, (7, 8, 9)) * (-1 if np.dtype(dtype).kind in "if" else 1)).astype(dtype)
    expected = np.percentile(values.astype(np.float64), (2, 50, 99.8))
    for view in (values, np.asfortranarray(values), values[:, ::-1]):
        np.testing.assert_allclose(percentiles(view, (2, 50, 99.8)), expected, rtol=1e-13)


def test_percentiles_of_floats_between_and_beyond():
    values = np.array([-3.4e38, -1e-40, -0.0, 0.0, 1e-40, 1.5, 3.4e38], np.float32)
    for k in range(7):
        assert percentiles(values, (100 * k / 6,))[0] == pytest.approx(float(values[k]), rel=1e-6)


def test_chunks_pair_voxels_whatever_the_layouts():
    a = np.arange(60).reshape(3, 4, 5)
    b = np.asfortranarray(a).astype(">f4")
    seen = 0
    for left, right in chunks(a, b, dtype=np.float64, size=7):
        np.testing.assert_array_equal(left, right)
        seen += left.size
    assert seen == 60


@pytest.mark.parametrize("dtype", ["u2", "f4", "f8"])
def test_many_percentiles_at_once(dtype):
    values = np.random.default_rng(0).normal(500, 100, 9999).clip(0).astype(dtype)
    ranks = tuple(range(101))
    expected = np.percentile(values.astype(np.float64), ranks)
    np.testing.assert_allclose(percentiles(values, ranks), expected, rtol=1e-12)
