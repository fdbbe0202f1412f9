import re

import numpy as np
import pytest

from cytosuite.errors import InputError
from cytosuite.volume import Volume


def test_keeps_what_it_is_given():
    volume = Volume(np.zeros((2, 3, 4)), (2.0, 0.5, 0.5), metadata={"channel": "nucleus"})
    assert volume.shape == (2, 3, 4)
    assert volume.spacing == (2.0, 0.5, 0.5)
    assert not volume.spacing_is_assumed


def test_time_and_channel_axes_have_no_spacing():
    assert Volume(np.zeros((2, 3, 4, 5, 6)), (1, 1, 1), "TCZYX").spacing == (1.0, 1.0, 1.0)


def test_like_keeps_the_scene():
    volume = Volume(np.zeros((3, 4)), (0.2, 0.2), "YX", {"study": 2})
    other = volume.like(np.ones((3, 4), np.uint16))
    assert (other.spacing, other.axes, other.metadata) == (volume.spacing, "YX", {"study": 2})


def _other_shape():
    """expected the shape (3, 4), found (4, 3)"""
    Volume(np.zeros((3, 4)), (1, 1), "YX").like(np.zeros((4, 3)))


def _unknown_axis():
    """axes must be an ordered subset of TCZYX that ends in YX, found 'QYX'"""
    Volume(np.zeros((1, 2, 3)), (1, 1, 1), "QYX")


def _wrong_order():
    """axes must be an ordered subset of TCZYX that ends in YX, found 'ZTYX'"""
    Volume(np.zeros((1, 1, 2, 3)), (1, 1, 1), "ZTYX")


def _twice():
    """axes must be an ordered subset of TCZYX that ends in YX, found 'YYX'"""
    Volume(np.zeros((1, 2, 3)), (1, 1, 1), "YYX")


def _dimensions():
    """an image with axes ZYX has 3 dimensions, found shape (2, 3)"""
    Volume(np.zeros((2, 3)), (1, 1, 1))


def _too_few_sizes():
    """spacing must be 3 positive numbers in µm (z, y, x), found [0.5, 0.5]"""
    Volume(np.zeros((1, 2, 3)), (0.5, 0.5))


def _zero_size():
    """spacing must be 2 positive numbers in µm (y, x), found [0.0, 1.0]"""
    Volume(np.zeros((2, 3)), (0.0, 1.0), "YX")


def _nan_size():
    """spacing must be 2 positive numbers in µm (y, x), found [nan, 1.0]"""
    Volume(np.zeros((2, 3)), (float("nan"), 1.0), "YX")


@pytest.mark.parametrize(
    "mistake",
    [
        _other_shape,
        _unknown_axis,
        _wrong_order,
        _twice,
        _dimensions,
        _too_few_sizes,
        _zero_size,
        _nan_size,
    ],
)
def test_explains(mistake):
    with pytest.raises(InputError, match=f"^{re.escape(mistake.__doc__)}$"):
        mistake()
