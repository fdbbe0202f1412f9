import numpy as np
import pytest

from cytosuite.shapes import stretched
from cytosuite.volume import Volume


def _labels(radii, shape=(24, 90, 90), spacing=(1.0, 1.0, 1.0)):
    """Return nine ellipsoids of given radii in voxels."""
    grid = np.stack(np.indices(shape), axis=-1)
    labels = np.zeros(shape, np.uint16)
    centres = ((shape[0] // 2, y, x) for y in (15, 45, 75) for x in (15, 45, 75))
    for number, centre in enumerate(centres, start=1):
        labels[(((grid - np.array(centre)) / radii) ** 2).sum(-1) < 1] = 7 * number
    return Volume(labels, spacing)


@pytest.mark.parametrize("radii", [(6, 6, 6), (3, 8, 8), (11, 5, 5), (6, 7, 6)])
def test_objects_as_long_along_y_as_along_x_are_not_told(radii):
    assert stretched(_labels(radii)) == ""


def test_the_pixels_size_counts():
    assert stretched(_labels((6, 5, 10), spacing=(1.0, 1.0, 0.5))) == ""
    assert stretched(_labels((6, 8, 8), spacing=(1.0, 1.0, 0.5))).startswith(
        "objects odd: 2 times as long along y as along x"
    )


def test_swapped_axes_are_told():
    right = _labels((4, 8, 8), spacing=(2.0, 1.0, 1.0))
    assert stretched(right) == ""
    swapped = Volume(right.array.transpose(2, 1, 0), right.spacing)
    line = stretched(swapped)
    assert line.startswith("objects odd: 2.1 times as long along y as along x; check the order")
    assert len(line) < 300


def test_few_objects_and_those_cut_by_the_border_are_not_told():
    labels = _labels((3, 10, 5)).array[12].copy()
    assert stretched(Volume(labels, (1.0, 1.0), "YX")) != ""
    labels[labels > 7 * 7] = 0
    assert stretched(Volume(labels, (1.0, 1.0), "YX")) == ""
    bars = np.repeat(np.arange(1, 31, dtype=np.uint16), 3)[None].repeat(80, axis=0)
    assert stretched(Volume(bars, (1.0, 1.0), "YX")) == ""


@pytest.mark.parametrize("value", [0, 2**32 - 1])
def test_any_label_will_do(value):
    labels = np.full((4, 12, 12), value, np.uint32)
    assert stretched(Volume(labels, (1.0, 1.0, 1.0))) == ""
