import numpy as np
import pytest
from scipy import ndimage
from skimage.filters import threshold_li

from cytosuite.segmentation.foreground import (
    background_and_noise,
    li_threshold,
    reduced,
    remove_background,
    restored,
    sigmas,
    threshold_map,
    white_noise,
    wide_mean,
    wide_steps,
)

RNG = np.random.default_rng(3)
NOISE = RNG.normal(50, 4, (24, 40, 40)).astype(np.float32)


def test_lengths_in_voxels_shrink_with_the_spacing():
    assert sigmas(2.0, (4.0, 1.0, 0.5), 2.0) == (1.0, 2.0, 4.0)
    assert sigmas(2.0, (1.0, 0.5), 2.0) == (2.0, 4.0)


def test_background_and_spread_of_plain_noise():
    background, spread = background_and_noise(NOISE)
    assert background == pytest.approx(50, abs=2)
    assert spread == pytest.approx(4, rel=0.3)


def test_bright_objects_do_not_change_the_background():
    image = NOISE.copy()
    image[:, :12] += 300
    assert background_and_noise(image)[0] == pytest.approx(50, abs=2)


def test_a_constant_image_has_no_spread():
    assert background_and_noise(np.full((8, 8), 7, np.float32)) == (7.0, 0.0)


@pytest.mark.parametrize("sigma", [(1.0, 1.0, 1.0), (0.5, 2.0, 2.0)])
def test_white_noise_is_what_smoothing_leaves(sigma):
    smooth = ndimage.gaussian_filter(NOISE, sigma, mode="wrap")
    everywhere = np.ones(NOISE.shape, bool)
    noise = white_noise(NOISE - smooth, everywhere, sigma)
    assert noise == pytest.approx(float(smooth.std()), rel=0.1)


def test_white_noise_is_unknown_without_smoothing():
    everywhere = np.ones(NOISE.shape, bool)
    assert white_noise(np.zeros_like(NOISE), everywhere, (0.0, 0.0, 0.0)) == 0.0


def test_li_agrees_with_scikit_image():
    values = np.concatenate([RNG.exponential(5, 4000), RNG.normal(80, 15, 1000)]).clip(0)
    ours = li_threshold(values.astype(np.float32))
    assert ours == pytest.approx(threshold_li(values - values.min()), rel=0.05)


def test_li_scales_with_the_values():
    values = RNG.exponential(5, 5000).astype(np.float32)
    assert li_threshold(8 * values) == pytest.approx(8 * li_threshold(values), rel=1e-5)


@pytest.mark.parametrize("value", [0.0, -3.0])
def test_li_of_nothing_is_zero(value):
    assert li_threshold(np.full(10, value, np.float32)) == 0.0


def test_a_slope_is_removed_and_a_blob_is_kept():
    grid = np.indices((60, 60)).astype(np.float32)
    slope = grid[1]
    blob = 40 * np.exp(-((grid - 30) ** 2).sum(0) / 18)
    result = remove_background(slope + blob, (1.0, 1.0), 12.0)
    assert result[30, 30] > 35
    assert np.ptp(result[5:15, 10:50]) < 15


def test_the_wide_mean_is_a_gaussian_mean():
    image = np.zeros((20, 60, 60), np.float32)
    image[8:12, 28:33, 28:33] = 100
    expected = ndimage.gaussian_filter(image, (4, 8, 8))
    np.testing.assert_allclose(
        wide_mean(image, (2.0, 1.0, 1.0), 8.0, 1.0), expected, atol=0.1 * expected.max()
    )


def test_the_wide_mean_of_a_constant_is_the_constant():
    image = np.full((7, 19, 23), 3.5, np.float32)
    np.testing.assert_allclose(wide_mean(image, (2.0, 1.0, 1.0), 6.0, 1.5), 3.5, rtol=1e-5)


def test_the_threshold_follows_the_surroundings():
    signal = np.zeros((60, 60), np.float32)
    signal[:, 30:] = 100
    keys = {"threshold": 20.0, "local_um": 5.0, "elongation": 1.0}
    level = threshold_map(signal, (1.0, 1.0), local_weight=0.5, **keys)
    assert level[30, 55] == pytest.approx(20 * (100 / 20) ** 0.5, rel=0.02)
    assert level[30, 5] == pytest.approx(20 * 0.1**0.5, rel=0.02)
    flat = threshold_map(signal, (1.0, 1.0), local_weight=0.0, **keys)
    np.testing.assert_array_equal(flat, np.float32(20))


@pytest.mark.parametrize("ground", [0.0, 47.5])
def test_values_on_disk_have_the_threshold_and_background_of_those_in_memory(ground, mapped):
    image = NOISE.copy()
    image[:, :12] += 80
    expected = li_threshold(np.maximum(image - np.float32(ground), 0))
    assert li_threshold(image, ground) == li_threshold(mapped(image), ground) == expected
    assert background_and_noise(mapped(image)) == background_and_noise(image)


def test_a_constant_has_its_height_above_the_background_as_its_threshold():
    assert li_threshold(np.full((4, 5), 7, np.float32), 2.0) == 5.0
    assert li_threshold(np.full((4, 5), 7, np.float32), 9.0) == 0.0


def test_a_part_of_block_means_is_restored_as_the_whole():
    small, block = reduced(NOISE, (5, 7, 1))
    whole = restored(small, block, NOISE.shape)
    box = (slice(3, 20), slice(0, 33), slice(9, 10))
    np.testing.assert_array_equal(restored(small, block, NOISE.shape, box), whole[box])


@pytest.mark.parametrize("start", [0, 6])
def test_a_part_that_begins_at_a_multiple_has_the_wide_mean_of_the_whole(start):
    image = RNG.normal(0, 1, (60, 61)).astype(np.float32)
    steps = wide_steps(6.0, (1.0, 1.0), 1.0)
    assert steps == [2, 2]
    assert start % 2 == 0
    part = wide_mean(image[start:], (1.0, 1.0), 6.0, 1.0)
    whole = wide_mean(image, (1.0, 1.0), 6.0, 1.0)
    np.testing.assert_allclose(part[-20:], whole[-20:], atol=1e-5)
