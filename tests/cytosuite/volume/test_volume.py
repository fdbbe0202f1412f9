import numpy as np
import pytest
from mistakes import refused

from cytosuite.volume import Header, Volume, listed_channels, scalars, with_channel


def test_like_keeps_the_scene():
    volume = Volume(np.zeros((3, 4)), (0.2, 0.2), "YX", {"study": 2})
    other = volume.like(np.ones((3, 4), np.uint16))
    assert (other.spacing, other.axes, other.metadata) == (volume.spacing, "YX", {"study": 2})


PIXELS = {
    "expected real numbers": np.zeros((2, 3), np.complex64),
    "expected pixels as an ndarray, found list;": [[1]],
    "expected pixels as an ndarray, found Mas": np.ma.ones((2, 3)),
}


@pytest.mark.parametrize(
    "message, shape, spacing, axes",
    [
        ("axes must be an ordered subset of", (1, 2, 3), (1, 1, 1), "QYX"),
        ("an image with axes ZYX has 3 dimensions,", (2, 3), (1, 1, 1), "ZYX"),
        ("spacing must be 3 positive numbers in µm", (1, 2, 3), (0.5, 0.5), "ZYX"),
        ("spacing must be 2 positive numbers in", (2, 3), (0.0, 1.0), "YX"),
        ("spacing must be 2 pos", (2, 3), (5e-324, 1.0), "YX"),
    ],
)
def test_explains(message, shape, spacing, axes):
    for call, *more in ((Header, np.dtype(np.uint8)), (Volume,)):
        refused(f"^{message}", call, shape if more else np.zeros(shape), *more, spacing, axes)


def test_explains_pixels():
    for message, array in PIXELS.items():
        refused(f"^{message}", Volume, array, (1.0, 1.0), "YX")
    refused("^expected the shape", Volume(np.zeros((3, 4)), (1, 1), "YX").like, np.zeros((4, 3)))


def test_only_metadata_that_every_program_can_hold_count():
    good = {"channel": "µ  m", "study": 2, "gain": 0.1, "on": True, "most": 2**64 - 1}
    bad = {"nan": float("nan"), "inf": float("inf"), "more": 2**64, "k" * 101: 1, "a\nb": 1, "": 1}
    metadata, warnings = scalars(good | bad | {"list": [], "none": None})
    assert metadata == good
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
