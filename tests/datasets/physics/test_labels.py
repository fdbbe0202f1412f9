from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from cytosuite import large
from cytosuite.datasets.physics import bodies, grid, labels
from cytosuite.datasets.physics.grid import Grid
from cytosuite.datasets.physics.shapes import draw_nuclei
from cytosuite.errors import InputError

SIGMA = (2.0, 0.5, 0.5)
MARGIN = (6.0, 1.5, 1.5)


def _blur(image, spacing, depth_um, sigma=SIGMA):
    widths = [s / step for s, step in zip(sigma, spacing, strict=True)]
    return ndimage.gaussian_filter(image, widths, mode="constant", truncate=4)


def _balls(count=1, **options):
    options = {"diameter_um": 8.0, "diameter_spread": 0, "axis_spread": 0, "roughness": 0} | options
    options = {"brightness_spread": 0} | options
    return draw_nuclei(np.random.default_rng(0), count, **options)


def _visible(nuclei, centres, grid, level=0.5, blur=_blur):
    return labels.visible(nuclei, np.array(centres), grid, blur, level=level, margin_um=MARGIN)[0]


def test_levels_are_the_share_of_the_own_peak():
    grid = Grid((40, 40, 40), (0.5, 0.5, 0.5))
    nuclei = replace(_balls(2), brightness=np.array([1.0, 9.0]))
    centres = np.array([(10.0, 6.0, 10.0), (10.0, 14.0, 10.0)])
    found, levels = labels.visible(nuclei, centres, grid, _blur, level=0.2, margin_um=MARGIN)
    assert ((levels >= 0.2) == (found > 0)).all()
    for number in (1, 2):
        assert levels[found == number].max() == pytest.approx(1.0, abs=0.02)


def _row(*values, dtype=np.uint16):
    return np.array([[values]], dtype)


def test_tidy_keeps_the_largest_piece_and_says_who_is_left():
    image = _row(3, 3, 3, 0, 3, 5, 0, 9, 9, 7, 7, 7)
    result, kept = labels.tidy(image, 2)
    assert result.tolist() == _row(1, 1, 1, 0, 0, 0, 0, 3, 3, 2, 2, 2).tolist()
    assert kept.tolist() == [3, 7, 9]
    assert result.dtype == np.uint16


def test_largest_piece_is_connected_through_faces():
    mask = np.zeros((6, 6, 6), bool)
    mask[:3, :3, :3] = True
    mask[3:5, 3:5, 3:5] = True  # touches by a corner only
    assert np.count_nonzero(labels.largest_piece(mask)) == 27
    assert not labels.largest_piece(np.zeros((3, 3, 3), bool)).any()


def test_tidy_counts_the_largest_piece_only():
    result, kept = labels.tidy(_row(1, 0, 1, 0, 1), 2)
    assert not result.any()
    assert len(kept) == 0


def test_tidy_leaves_tidy_labels_alone():
    image = np.zeros((4, 6, 6), np.uint16)
    image[1:3, :2, :2], image[1:3, 3:, 3:] = 1, 2
    result, kept = labels.tidy(image, 8)
    np.testing.assert_array_equal(result, image)
    assert kept.tolist() == [1, 2]
    assert labels.tidy(np.zeros_like(image), 1)[1].shape == (0,)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_tidied_noise_is_numbered_without_gaps_and_connected(number):
    rng = np.random.default_rng(number)
    image = rng.integers(0, 40, (6, 12, 12)).astype(np.uint16)
    image[:, :4] = 17
    result, kept = labels.tidy(image, 2)
    assert np.unique(result).tolist() == list(range(len(kept) + 1))
    for new, old in enumerate(kept, start=1):
        assert ndimage.label(result == new)[1] == 1
        assert (image[result == new] == old).all()


@pytest.mark.parametrize("least", [1, 3, 9])
@pytest.mark.parametrize("shape", [(5, 13, 17), (1, 20, 20), (9, 1, 9), (4, 8, 1)])
def test_tidy_agrees_with_scipy_object_by_object(least, shape):
    rng = np.random.default_rng(least)
    image = rng.choice(np.array([0, 2, 3, 9, 900], np.uint16), shape, p=[0.3, 0.3, 0.2, 0.15, 0.05])
    expected, numbers = np.zeros_like(image), []
    for number in np.unique(image[image > 0]):
        piece = labels.largest_piece(image == number)
        if piece.sum() >= least:
            numbers.append(number)
            expected[piece] = len(numbers)
    result, kept = labels.tidy(image, least)
    np.testing.assert_array_equal(result, expected)
    assert kept.tolist() == numbers


def test_tidy_takes_labels_in_any_order_of_memory():
    image = np.random.default_rng(0).integers(0, 3, (5, 6, 7)).astype(np.uint16)
    turned = np.asfortranarray(image)
    np.testing.assert_array_equal(labels.tidy(turned, 2)[0], labels.tidy(image, 2)[0])
    assert labels.tidy(image[:0], 1)[0].shape == (0, 6, 7)


def test_half_of_the_peak_keeps_a_large_ball():
    grid = Grid((40, 60, 60), (0.5, 0.4, 0.4))
    ball, centre = _balls(diameter_um=14), [(10.0, 12.0, 12.0)]

    def soft(image, spacing, depth_um):
        return _blur(image, spacing, depth_um, (0.6, 0.6, 0.6))

    seen = np.count_nonzero(_visible(ball, centre, grid, 0.5, soft))
    true = np.count_nonzero(bodies.label(ball, np.array(centre), grid))
    assert seen == pytest.approx(true, rel=0.03)


@pytest.mark.parametrize("level", [0.15, 0.5])
def test_small_ball_looks_like_the_point_spread_function(level):
    # A ball of radius r is about a Gaussian of variance r² / 5 along each axis, which adds to the
    # blur: it falls to the level at sigma sqrt(-2 ln level).
    grid = Grid((80, 60, 60), (0.25, 0.1, 0.1))
    seen = _visible(_balls(diameter_um=1.0), [(10.0, 3.0, 3.0)], grid, level)[:, 30, :]
    height, width = np.ptp(np.nonzero(seen)[0]) * 0.25, np.ptp(np.nonzero(seen)[1]) * 0.1
    reach = 2 * (-2 * np.log(level)) ** 0.5
    assert height == pytest.approx(reach * (SIGMA[0] ** 2 + 0.25 / 5) ** 0.5, abs=0.3)
    assert width == pytest.approx(reach * (SIGMA[2] ** 2 + 0.25 / 5) ** 0.5, abs=0.15)


def test_lower_levels_hold_higher_ones():
    grid = Grid((30, 40, 40), (1, 0.5, 0.5))
    nested = [_visible(_balls(), [(15.0, 10.0, 10.0)], grid, level) for level in (0.6, 0.3, 0.1)]
    assert (nested[0] <= nested[1]).all()
    assert (nested[1] <= nested[2]).all()
    assert nested[0].sum() < nested[1].sum() < nested[2].sum()


def test_equal_nuclei_share_at_the_middle_and_the_brighter_takes_more():
    grid = Grid((30, 40, 60), (1, 0.5, 0.5))
    centres = [(15.0, 10.0, 11.0), (15.0, 10.0, 19.0)]
    pair = _balls(2)
    equal = _visible(pair, centres, grid, 0.05)
    assert np.count_nonzero(equal == 1) == np.count_nonzero(equal == 2)
    assert not (equal[:, :, 30:] == 1).any()
    pair.brightness[:] = 25, 1
    bright = _visible(pair, centres, grid, 0.05)
    assert (bright[:, :, 30:] == 1).any()
    assert ((bright > 0) == (equal > 0)).all()


def test_nucleus_is_seen_as_in_a_larger_image():
    large, small = Grid((40, 40, 40), (1, 0.5, 0.5)), Grid((20, 40, 30), (1, 0.5, 0.5))
    for z in (19.0, 21.5, 24.5):  # the last is outside of the image but for its blur
        centre = [(z, 10.0, 14.0)]
        whole, part = (_visible(_balls(), centre, grid, 0.2) for grid in (large, small))
        assert part.any()
        np.testing.assert_array_equal(part, whole[:20, :, :30])
    assert not _visible(_balls(), [(60.0, 10.0, 10.0)], small).any()


def test_blur_is_told_the_depth():
    depths = []

    def spy(image, spacing, depth_um):
        depths.append(depth_um)
        return image

    grid = Grid((20, 40, 40), (1, 0.5, 0.5))
    _visible(_balls(2), [(7.0, 5.0, 10.0), (12.5, 15.0, 10.0)], grid, 0.5, spy)
    assert depths == [7.0, 12.5]
    image = np.zeros((10, 4, 4), np.uint16)
    image[4:8] = 1
    labels.widen(image, (2.0, 1.0, 1.0), spy, margin_um=MARGIN)
    assert depths[2] == 12.0


def test_widening_follows_the_blur():
    # A slab of 10 µm blurred by sigma 2 falls to 0.25 where the normal distribution does, at 0.674
    # sigma beyond its face: 1.35 µm.
    image = np.zeros((120, 30, 30), np.uint16)
    image[40:80] = 1
    wide = labels.widen(image, (0.25, 0.5, 0.5), _blur, margin_um=MARGIN)[:, 15, 15]
    assert np.count_nonzero(wide) * 0.25 == pytest.approx(10 + 2 * 1.349, abs=0.3)
    half = labels.widen(image, (0.25, 0.5, 0.5), _blur, level=0.5, margin_um=MARGIN)[:, 15, 15]
    assert np.count_nonzero(half) == pytest.approx(40, abs=1)


def test_widening_shares_contested_voxels_and_keeps_thin_objects():
    image = np.zeros((8, 20, 21), np.uint16)
    image[:, 5:15, 4:9], image[:, 5:15, 12:17] = 2, 7
    image[:, 1, 1] = 9
    wide = labels.widen(image, (1, 0.5, 0.5), _blur, level=0.1, margin_um=MARGIN)
    assert np.unique(wide).tolist() == [0, 2, 7, 9]
    assert (wide[:, 10, :10] == 2).sum() == (wide[:, 10, 11:] == 7).sum()
    assert not (wide[:, :, :9] == 7).any()


@pytest.mark.parametrize("level", [0, 1, -0.5])
def test_explains_a_level_that_is_no_share(level):
    message = f"level must be between 0 and 1, the share of the peak, found {level}"
    with pytest.raises(InputError, match=message):
        labels.widen(_row(1), (1, 1, 1), _blur, level=level, margin_um=MARGIN)


def test_visible_are_those_above_the_noise():
    image = np.zeros((1, 9, 30), np.uint16)
    image[:, 3:6, 3:6], image[:, 3:6, 13:16], image[:, 3:6, 23:26] = 1, 2, 3
    photons = np.full(image.shape, 4, np.float32)
    photons[image == 2] = 4 + 2.0
    photons[image == 3] = 4 + 2.2
    # Limit: 1 + 0.5 + 0.3 * sqrt(4) = 2.1
    seen = [
        labels.visibility(image, photons, read_noise=1, level=level).tolist()
        for level in (0, 0.9, 1, 1.1)
    ]
    assert seen == [[True] * 3, [False, True, True], [False, False, True], [False] * 3]


def test_background_is_that_nearby():
    image = np.zeros((1, 9, 40), np.uint16)
    image[:, 3:6, 3:6], image[:, 3:6, 30:33] = 1, 2
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


def test_types_are_kinds_plus_one():
    kinds = labels.type_map(_row(0, 1, 2, 2), np.array([4, 0]))
    assert kinds.tolist() == _row(0, 5, 1, 1).tolist()
    assert kinds.dtype == np.uint8
    assert not labels.type_map(_row(0, 0), np.zeros(0, int)).any()


def test_explains_missing_and_impossible_kinds():
    with pytest.raises(InputError, match="labels go up to 3, but values are given for 2 objects"):
        labels.type_map(_row(3), np.array([0, 1]))
    with pytest.raises(InputError, match="kinds must be 0 to 254, found 0 to 255"):
        labels.type_map(_row(1, 2), np.array([0, 255]))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("least", [1, 6])
def test_labels_on_disk_are_tidied_as_those_in_memory(monkeypatch, seed, least):
    """Noise has pieces of equal size, gaps of numbers and objects that are lost."""
    rng = np.random.default_rng(seed)
    image = np.where(rng.random((9, 11, 13)) < 0.6, rng.integers(0, 30, (9, 11, 13)), 0)
    image[2:7, 3:9, 4:10] = 65535  # the largest number there is
    image = image.astype(np.uint16)
    whole, kept = labels.tidy(image, least)
    monkeypatch.setattr(large, "fits", lambda _: False)
    monkeypatch.setattr(grid, "SLAB", 2 * 11 * 13)
    mapped = large.room(image.shape, np.uint16)
    mapped[...] = image
    found, numbers = labels.tidy(mapped, least)
    assert found is mapped
    np.testing.assert_array_equal(found, whole)
    assert numbers.tolist() == kept.tolist()
    boxes = labels._find(mapped)
    assert boxes == ndimage.find_objects(whole)


def test_nothing_on_disk_stays_nothing(monkeypatch):
    monkeypatch.setattr(large, "fits", lambda _: False)
    empty = large.room((3, 4, 5), np.uint16)
    found, kept = labels.tidy(empty, 1)
    assert not found.any()
    assert not len(kept)
    assert labels._find(empty) == []


def test_objects_cut_by_slabs_are_labelled_as_a_whole(monkeypatch):
    nuclei = _balls(12, roughness=0.05)
    space = Grid((40, 40, 40), (0.5, 0.4, 0.4))
    centres = np.random.default_rng(1).uniform(2, 16, (12, 3))
    whole = bodies.label(nuclei, centres, space)
    monkeypatch.setattr(grid, "SLAB", 3 * 40 * 40)
    np.testing.assert_array_equal(bodies.label(nuclei, centres, space), whole)
