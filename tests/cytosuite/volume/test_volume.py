import re

import numpy as np
import pytest
from mistakes import refused

from cytosuite.volume import Header, Volume, listed_channels, scalars, with_channel


def test_like_keeps_the_scene():
    volume = Volume(np.zeros((3, 4)), (0.2, 0.2), "YX", {"study": 2})
    other = volume.like(np.ones((3, 4), np.uint16))
    assert (other.spacing, other.axes, other.metadata) == (volume.spacing, "YX", {"study": 2})


MISTAKES = [
    ("expected the shape", lambda: Volume(np.zeros((3, 4)), (1, 1), "YX").like(np.zeros((4, 3)))),
    ("axes must be an ordered subset of", lambda: Volume(np.zeros((1, 2, 3)), (1, 1, 1), "QYX")),
    ("an image with axes ZYX has 3 dimensions,", lambda: Volume(np.zeros((2, 3)), (1, 1, 1))),
    ("spacing must be 3 positive numbers in µm", lambda: Volume(np.zeros((1, 2, 3)), (0.5, 0.5))),
    ("spacing must be 2 positive numbers in", lambda: Volume(np.zeros((2, 3)), (0.0, 1.0), "YX")),
    ("spacing must be 2 pos", lambda: Volume(np.zeros((2, 3)), (5e-324, 1.0), "YX")),
    ("expected real numbers", lambda: Volume(np.zeros((2, 3), np.complex64), (1.0, 1.0), "YX")),
    ("expected pixels as an ndarray, found list;", lambda: Volume([[1]], (1.0, 1.0), "YX")),
    ("expected pixels as an ndarray, found Mas", lambda: Volume(np.ma.ones((2, 3)), (1, 1), "YX")),
    ("an image with axes", lambda: Header((2, 3), np.dtype(np.uint8), (1.0, 1.0, 1.0), "ZYX")),
]


@pytest.mark.parametrize("expected, mistake", MISTAKES)
def test_explains(expected, mistake):
    refused(f"^{re.escape(expected)}", mistake)


def test_only_metadata_that_every_program_can_hold_count():
    good = {"channel": "µ  m", "study": 2, "gain": 0.1, "on": True, "most": 2**64 - 1}
    bad = {"nan": float("nan"), "inf": float("inf"), "more": 2**64, "k" * 101: 1, "a\nb": 1, "": 1}
    found, warnings = scalars(good | bad | {"list": [], "none": None})
    assert found == good
    assert warnings == ("metadata that no program can hold do not count: nan, inf, more, ...",)
    assert scalars(good) == (good, ())
    numbers, _ = scalars({"gain": np.float32(3), "planes": np.int64(2), "on": np.bool_(True)})
    assert [*map(type, numbers.values())] == [float, int, bool]


def test_names_of_channels_are_whole_and_those_of_the_channels_at_hand():
    assert with_channel({"channels": "A, B"}, ["A", "B"], "YX", {"C": 1})[0] == {"channel": "B"}
    assert with_channel({}, ["A, 1", "B"], "CYX", {}) == ({"channels": "A,1, B"}, ())
    metadata, (warning,) = with_channel({}, ["A" * 600, "B" * 600], "CYX", {})
    assert (metadata, "too long" in warning) == ({}, True)
    assert listed_channels({"channels": 3}) == []
