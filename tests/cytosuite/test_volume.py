import re

import numpy as np
import pytest

from cytosuite.errors import InputError
from cytosuite.volume import Header, Volume, scalars


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


def _subnormal_size():
    """spacing must be 1e-12 to 1e+12 µm, found [5e-324, 1.0]"""
    Volume(np.zeros((2, 3)), (5e-324, 1.0), "YX")


def _endless_size():
    """spacing must be 1e-12 to 1e+12 µm, found [1e+300, 1.0]"""
    Volume(np.zeros((2, 3)), (1e300, 1.0), "YX")


def _complex():
    """expected real numbers of at most 64 bits, found dtype complex64"""
    Volume(np.zeros((2, 3), np.complex64), (1.0, 1.0), "YX")


def _objects():
    """expected real numbers of at most 64 bits, found dtype object"""
    Volume(np.zeros((2, 3), object), (1.0, 1.0), "YX")


def _header_with_another_shape():
    """an image with axes ZYX has 3 dimensions, found shape (2, 3)"""
    Header((2, 3), np.dtype(np.uint8), (1.0, 1.0, 1.0), "ZYX")


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
        _subnormal_size,
        _endless_size,
        _complex,
        _objects,
        _header_with_another_shape,
    ],
)
def test_explains(mistake):
    with pytest.raises(InputError, match=f"^{re.escape(mistake.__doc__)}$"):
        mistake()


def test_only_metadata_that_every_program_can_hold_count():
    good = {"channel": "µ  m", "study": 2, "gain": 0.1, "on": True, "most": 2**64 - 1}
    bad = {"nan": float("nan"), "inf": float("inf"), "more": 2**64, "k" * 101: 1, "a\nb": 1, "": 1}
    found, warnings = scalars(good | bad | {"list": [], "none": None})
    assert found == good
    assert warnings == ("metadata that no program can hold do not count: nan, inf, more, ...",)
    assert scalars(good) == (good, ())


def test_texts_of_metadata_are_one_short_line():
    found, warnings = scalars({"a": "x\n\ty", "b": "\ud800", "c": "long " * 999})
    assert (found["a"], found["b"], len(found["c"])) == ("x y", "\\ud800", 1000)
    assert warnings == ()
