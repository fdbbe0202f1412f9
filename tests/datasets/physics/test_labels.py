from dataclasses import replace

import numpy as np
import pytest
from mistakes import refused
from numpy.testing import assert_array_equal
from scipy import ndimage

from cytosuite.bodies import grid
from cytosuite.bodies.grid import Grid
from cytosuite.datasets.physics import labels
from cytosuite.datasets.physics.shapes import draw_nuclei
from cytosuite.volume import memory

MARGIN = (6.0, 1.5, 1.5)


def _blur(spacing):
    sigma = np.divide((2.0, 0.5, 0.5), spacing)
    return lambda image, _: ndimage.gaussian_filter(image, sigma, mode="constant")


def _balls(count=1):
    even = dict.fromkeys(["diameter_spread", "axis_spread", "roughness", "brightness_spread"], 0)
    return draw_nuclei(np.random.default_rng(0), count, diameter_um=8.0, **even)


def _visible(nuclei, centres, grid):
    return labels.visible(
        nuclei, np.array(centres), grid, _blur(grid.spacing), level=0.2, margin_um=MARGIN
    )


def test_levels_are_the_share_of_the_own_peak():
    grid = Grid((40, 40, 40), (0.5, 0.5, 0.5))
    nuclei = replace(_balls(2), brightness=np.array([1.0, 9.0]))
    visible, levels = _visible(nuclei, [(10.0, 6.0, 10.0), (10.0, 14.0, 10.0)], grid)
    assert ((levels >= 0.2) == (visible > 0)).all()
    for number in (1, 2):
        assert levels[visible == number].max() == pytest.approx(1.0, abs=0.02)


def _row(*values):
    return np.array([[values]], np.uint16)


@pytest.mark.parametrize("least", [1, 9])
@pytest.mark.parametrize("shape", [(5, 13, 17), (9, 1, 9)])
def test_tidy_agrees_with_scipy_object_by_object(least, shape):
    rng = np.random.default_rng(least)
    image = rng.choice(np.array([0, 2, 3, 9, 900], np.uint16), shape, p=[0.3, 0.3, 0.2, 0.15, 0.05])
    expected = np.zeros_like(image)
    numbers = []
    for number in np.unique(image[image > 0]):
        piece = labels.largest_piece(image == number)
        if piece.sum() >= least:
            numbers.append(number)
            expected[piece] = len(numbers)
    result, originals = labels.tidy(image, least)
    assert_array_equal(result, expected)
    assert originals.tolist() == numbers


def test_nucleus_is_seen_as_in_a_larger_image():
    large = Grid((40, 40, 40), (1, 0.5, 0.5))
    small = Grid((20, 40, 30), (1, 0.5, 0.5))
    for z in (19.0, 21.5, 24.5):  # the last is outside of the image but for its blur
        whole, part = (_visible(_balls(), [(z, 10.0, 14.0)], grid)[0] for grid in (large, small))
        assert part.any()
        assert_array_equal(part, whole[:20, :, :30])
    assert not _visible(_balls(), [(60.0, 10.0, 10.0)], small)[0].any()


def test_widening_follows_the_blur():
    # A slab of 10 µm blurred by sigma 2 falls to 0.25 where the normal distribution does, at 0.674
    # sigma beyond its face: 1.35 µm.
    image = np.zeros((120, 30, 30), np.uint16)
    image[40:80] = 1
    spacing = (0.25, 0.5, 0.5)
    wide, half = (
        labels.widen(image, spacing, _blur(spacing), level=share, margin_um=MARGIN)[:, 15, 15]
        for share in (0.25, 0.5)
    )
    assert np.count_nonzero(wide) * 0.25 == pytest.approx(10 + 2 * 1.349, abs=0.3)
    assert np.count_nonzero(half) == pytest.approx(40, abs=1)


def test_visible_are_those_above_the_noise():
    image = np.zeros((1, 9, 30), np.uint16)
    image[:, 3:6, 3:6], image[:, 3:6, 13:16], image[:, 3:6, 23:26] = 1, 2, 3
    photons = np.full(image.shape, 4, np.float32)
    photons[image == 2] = 4 + 2.0
    photons[image == 3] = 4 + 2.2
    # Limit: 1 + 0.5 + 0.3 * sqrt(4) = 2.1
    for level, seen in ((0.9, [0, 1, 1]), (1, [0, 0, 1]), (1.1, [0, 0, 0])):
        assert labels.visibility(image, photons, read_noise=1, level=level).tolist() == seen


def test_background_is_that_nearby():
    image = np.zeros((1, 9, 40), np.uint16)
    image[:, 3:6, 3:6] = 1
    image[:, 3:6, 30:33] = 2
    photons = np.where(np.arange(40) < 20, 100, 0).astype(np.float32) + np.zeros((1, 9, 1))
    photons[image > 0] += 3  # above 0.5 + 0.3 * 10 in the haze, 0.5 beside it
    assert labels.visibility(image, photons, read_noise=0, level=1).tolist() == [False, True]
    full = np.ones((1, 2, 2), np.uint16)
    assert labels.visibility(full, full * 2.0, read_noise=0, level=1).all()


def test_dropped_labels_leave_no_gap():
    image = _row(1, 2, 0, 3, 4)
    keep = np.array([True, False, True, False])
    assert labels.drop(image, keep).tolist() == _row(1, 0, 0, 2, 0).tolist()
    assert labels.drop(image, keep).dtype == np.uint16
    many = _row(0, 1, 2) * np.uint32(2**16)  # more than 16 bits hold
    assert labels.drop(many, np.ones(2**17, bool)).tolist() == many.tolist()
    wide = labels.widen(many, (1, 1, 1), lambda image, *_: image, margin_um=(0, 0, 0))
    assert wide.tolist() == many.tolist()


def test_types_are_kinds_plus_one():
    kinds = labels.type_map(_row(0, 1, 2, 2), np.array([4, 0]))
    assert kinds.tolist() == _row(0, 5, 1, 1).tolist()
    assert kinds.dtype == np.uint8
    assert not labels.type_map(_row(0, 0), np.zeros(0, int)).any()


def test_explains_impossible_kinds():
    refused(
        "kinds must be 0 to 254, found 0 to 255", labels.type_map, _row(1, 2), np.array([0, 255])
    )


def test_labels_on_disk_are_tidied_as_those_in_memory(monkeypatch, tight, rng):
    # Noise has pieces of equal size, gaps of numbers and objects that are lost.
    image = np.where(rng.random((9, 11, 13)) < 0.6, rng.integers(0, 30, (9, 11, 13)), 0)
    image[2:7, 3:9, 4:10] = 65535  # the largest number there is
    image = image.astype(np.uint16)
    whole, originals = labels.tidy(image, 6)
    tight()
    monkeypatch.setattr(grid, "SLAB", 2 * 11 * 13)
    mapped = memory.room(image.shape, np.uint16)
    mapped[...] = image
    tidied, numbers = labels.tidy(mapped, 6)
    assert tidied is mapped
    assert_array_equal(tidied, whole)
    assert numbers.tolist() == originals.tolist()
    assert labels._find(mapped) == ndimage.find_objects(whole)
