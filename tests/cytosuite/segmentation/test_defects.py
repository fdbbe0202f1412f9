import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage

from cytosuite.apply import apply
from cytosuite.segmentation.defects import mended
from cytosuite.volume import Volume

PADDED = {
    "border": lambda a: np.pad(a, [(0, 0)] * (a.ndim - 2) + [(20, 10), (20, 0)]),
    "planes": lambda a: np.pad(a, [(6, 7)] + [(0, 0)] * (a.ndim - 1)),
    "turned": lambda a: ndimage.rotate(a.astype("f4"), 30, (-2, -1), order=1),
}
SIDES = {"YX": ((120, 150), (30, 30)), "ZYX": ((34, 66, 88), (17, 22, 22))}


def noisy(axes, light=300):
    """Nuclei on a grid with noise around 100 counts, and their number."""
    shape, period = SIDES[axes]
    grid = [(i % n - n // 2) / n for i, n in zip(np.indices(shape), period, strict=True)]
    nuclei = ndimage.gaussian_filter((sum(g**2 for g in grid) < 0.09).astype(float), 1)
    image = np.random.default_rng(1).poisson(100 + light * nuclei).astype(np.uint16)
    return image, int(np.prod(np.array(shape) // period))


def _labels(algorithm, channel, array):
    """Return the labels of an image; a warning is an error."""
    dims = -array.ndim
    volume = Volume(array, (1.75, 0.8, 0.8)[dims:], "ZYX"[dims:], {"channel": channel})
    return apply(algorithm, volume)["instance-labels"].array


@pytest.mark.parametrize("axes", SIDES)
@pytest.mark.parametrize("change", PADDED)
@pytest.mark.parametrize("light", [0, 300])
def test_padding_adds_and_hides_no_objects(axes, change, light):
    image, count = noisy(axes, light)
    with pytest.warns(UserWarning, match="watershed: image padded"):
        labels = _labels("watershed", "nucleus", PADDED[change](image))
    assert np.unique(labels[labels > 0]).size == count * bool(light)


def _mended(array, axes="YX", kind="labels", **others):
    """Return the grey values of a mended image, and what its warnings are about."""
    image = Volume(array, (1.0,) * len(axes.strip("T")), axes)
    image = mended({"microscopy-image": image, **others}, kind)["microscopy-image"]
    return image.array, [line.split(":")[0] for line in image.origin.warnings]


def test_nothing_else_is_a_defect(rng):
    cut_out = np.pad(rng.normal(100, 20, (40, 50)), 1)
    cut_out[9:30, 9:30] = 0
    crop = np.pad(rng.poisson(200, (20, 20)), 8)
    masks = np.tile(np.pad(rng.normal(100, 1, (9, 9)), 2), (5, 5))
    for array in (
        cut_out,
        crop,
        cut_out > 0,
        200 * (cut_out > 0),
        masks,
        np.zeros((9, 9)),
        np.full((9, 9), np.nan),
        noisy("YX")[0],
    ):
        assert _mended(array) == (array, [])


@pytest.mark.parametrize("value", [0, 60000])
def test_a_frame_of_a_single_value_is_padding_whatever_the_noise(rng, value):
    image = rng.poisson(9, (40, 50)).astype(np.uint16)
    frame = np.pad(image, 3, constant_values=value)
    filled, lines = _mended(frame)
    np.testing.assert_array_equal(filled[3:-3, 3:-3], image)
    assert (filled[:3].mean(), lines) == (pytest.approx(9, abs=2), ["image padded"])
    assert _mended(frame, **{"frame-labels": 0}) == (frame, [])  # whose grey values nobody reads


@pytest.mark.parametrize("dtype", [">i4", "f2"])
def test_lone_pixels_are_taken_as_their_neighbours(rng, dtype):
    plane = rng.poisson(100, (40, 40)).astype(dtype)
    odd = plane.copy()
    line = plane.copy()
    line[30] = 60000  # of pixels that are not alone
    assert _mended(line) == (line, [])
    odd[tuple(rng.integers(1, 40, (2, 8)))] = 300
    odd[0, [0, 15, 16]] = 300  # a corner, and a pair at an edge
    assert _mended(odd, kind="points") == (odd, [])  # single pixels may be spots
    odd[20, 20] = -1000
    array, lines = _mended(odd)
    assert (array.dtype, lines) == (odd.dtype, ["pixels odd"])
    assert plane.min() <= array.min() <= array.max() <= plane.max()
    odd[10:12, 10:13] = -1000  # of pixels that are not alone
    assert _mended(odd)[0].min() == -1000
    spots = np.zeros((40, 40))
    spots[::8, ::8] = 9  # above a ground without noise
    assert _mended(spots, kind="points") == (spots, [])


def test_light_that_rises_over_the_whole_image_is_level_afterwards():
    image = noisy("ZYX")[0]
    even, lines = _mended(image + np.linspace(0, 10, image.shape[2]) ** 2, "ZYX")
    assert lines == ["light uneven"]
    assert np.ptp(even - image) < 10


def test_frames_of_a_movie_are_levelled_all_or_none():
    frames = np.stack([noisy("YX")[0]] * 2)
    rise = np.linspace(0, 10, frames.shape[2]) ** 2
    assert _mended(frames + rise, "TYX")[1] == ["light uneven"]
    one = frames + np.multiply.outer([0, 1], rise)[:, None]
    assert _mended(one, "TYX") == (one, [])


def test_each_frame_of_a_movie_has_padding_of_its_own():
    movie = np.stack([noisy("YX", 0)[0]] * 2)
    movie[1, :, -9:] = 0
    filled, lines = _mended(movie, "TYX")
    assert lines == ["image padded"]
    assert filled[movie == 0].mean() == pytest.approx(100, abs=2)


def test_dark_nuclei_change_nothing_but_a_warning():
    image, count = noisy("ZYX")
    bright = _labels("watershed", "nucleus", image)
    with pytest.warns(UserWarning, match="watershed: image inverted"):
        dark = _labels("watershed", "nucleus", 999 - image)
    assert_array_equal(dark, bright)
    assert bright.max() == count


def test_a_sheet_of_bright_cells_is_no_ground():
    _labels("cellprofiler_like", "cytoplasm", 999 - noisy("YX")[0])


def test_dark_images_of_any_type_on_disk_or_not_are_turned_and_others_stay(mapped):
    image = noisy("YX")[0]
    for dark in (1000 - image, (127 - image // 2).astype(np.int8), mapped(7 - image / 100)):
        turned, lines = _mended(dark, kind="nuclei")
        assert_allclose(turned, float(dark.max()) + dark.min() - dark)
        assert (lines, turned.dtype) == (["image inverted"], dark.dtype)
    for array in (image, image < 120):
        assert _mended(array, kind="nuclei") == (array, [])
