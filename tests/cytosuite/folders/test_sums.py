"""Sums of images of two folders: by hand, quantised once, one image per name."""

import numpy as np
import pytest
from mistakes import refused
from PIL import Image

from cytosuite.folders.sides import side_by_side
from cytosuite.folders.sums import CLIPPED, weighted_sum
from cytosuite.formats import write
from cytosuite.volume import Volume


def _pair(home, first, second):
    for folder, array in (("a", first), ("b", second)):
        write(home / folder / "x.tif", Volume(np.array(array), (0.5, 0.25), "YX"))
    return home / "a/x.tif", home / "b/x.tif"


@pytest.mark.parametrize(
    "dtype, expected, clipped",
    [(np.uint8, [[3, 2], [255, 0]], 0.25), (np.float32, [[3.25, 1.5], [300.5, 0]], None)],
)
def test_a_sum_is_rounded_and_clipped_once_in_the_dtype_of_its_images(
    tmp_path, dtype, expected, clipped
):
    paths = _pair(
        tmp_path, np.array([[1, 1], [250, 0]], dtype), np.array([[9, 2], [202, 0]], dtype)
    )
    summed = weighted_sum(paths, (1, 0.25))
    assert summed.array.dtype == dtype
    assert summed.array.tolist() == expected
    assert summed.metadata.get(CLIPPED) == clipped
    assert summed.spacing == (0.5, 0.25)


def test_colours_are_summed_apart(tmp_path):
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 200
    for name in "ab":
        (tmp_path / name).mkdir()
        Image.fromarray(red).save(tmp_path / name / "x.png")
    summed = weighted_sum([tmp_path / "a/x.png", tmp_path / "b/x.png"], (0.5, 0.25))
    assert summed.axes == "CYX"
    assert summed.array[:, 0, 0].tolist() == [150, 0, 0]


def test_images_that_do_not_fit_are_refused(tmp_path):
    square = np.zeros((4, 4), np.uint8)
    folders = [tmp_path / "a", tmp_path / "b"]
    paths = _pair(tmp_path, square, np.zeros((4, 5), np.uint8))
    image = Volume(square, (1.0, 1.0), "YX")
    refused(r"b/x.tif: expected YX \(4, 4\) uint8 as in .*a/x.tif", weighted_sum, paths, (1, 1))
    write(folders[0] / "y.tif", image)
    refused(
        "b: expected an image y, as the others have it",
        side_by_side,
        folders,
    )
    write(folders[0] / "y.mha", image)
    refused(
        r"a: expected one file named y, found y\.mha and y\.tif",
        side_by_side,
        folders,
    )
    refused(r"expected images \(.*\), found none", side_by_side, [tmp_path, tmp_path])
