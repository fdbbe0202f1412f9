import re

import numpy as np
import pytest

from cytosuite.errors import InputError
from cytosuite.metrics.chunks import chunks
from cytosuite.metrics.images.pair import pair

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


def test_chunks_pair_voxels_whatever_the_layouts():
    a = np.arange(60).reshape(3, 4, 5)
    b = np.asfortranarray(a).astype(">f4")
    seen = 0
    for left, right in chunks(a, b, dtype=np.float64, size=7):
        np.testing.assert_array_equal(left, right)
        seen += left.size
    assert seen == 60
