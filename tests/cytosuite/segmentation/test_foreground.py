import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from rasters import away_from
from scipy import ndimage
from skimage.filters import threshold_li

from cytosuite.segmentation.foreground import (
    background_and_noise,
    calmed,
    distance_out,
    gaussian,
    li_threshold,
    remove_background,
    threshold_map,
    white_noise,
    wide_mean,
    wide_steps,
)

RNG = np.random.default_rng(3)
NOISE = RNG.normal(50, 4, (24, 40, 40)).astype(np.float32)


@pytest.mark.parametrize("shape, spacing", [((9, 30, 140), (2.0, 0.7, 0.5)), ((70, 9), (1, 3))])
def test_distances_and_owners_are_those_of_the_nearest_voxel(shape, spacing):
    labels = np.where(RNG.random(shape) < 0.01, RNG.integers(1, 9, shape), 0).astype(np.int32)
    expected = ndimage.distance_transform_edt(labels == 0, spacing)
    owner = labels.copy()
    reach = float(np.median(expected))
    distance = distance_out(labels == 0, spacing, owner, reach)
    near = expected <= reach
    assert_allclose(distance[near], expected[near], rtol=1e-6)
    assert (distance[~near] > reach).all()
    assert not near.all()
    for label in range(1, 9):  # of several nearest ones any
        mine = near & (owner == label)
        away = ndimage.distance_transform_edt(labels != label, spacing)
        assert_allclose(away[mine], expected[mine], rtol=1e-6)


def test_background_and_spread_of_plain_noise():
    background, spread = background_and_noise(NOISE)
    assert background == pytest.approx(50, abs=2)
    assert spread == pytest.approx(4, rel=0.3)


@pytest.mark.parametrize("shape, sigma", [((9, 40, 150), (0.3, 1, 2)), ((70, 9), (0, 3))])
def test_the_gaussian_has_the_bits_of_scipy(shape, sigma):
    image = RNG.random(shape, dtype=np.float32)
    expected = ndimage.gaussian_filter(image, sigma, truncate=3.0)
    assert_array_equal(gaussian(image, sigma, 3.0), expected)
    assert_array_equal(gaussian(image, sigma, 3.0, out=image), expected)


@pytest.mark.parametrize("sigma", [(1.0, 1.0, 1.0), (0.5, 2.0, 2.0)])
def test_white_noise_is_what_smoothing_leaves(sigma):
    smooth = ndimage.gaussian_filter(NOISE, sigma, mode="wrap")
    noise = white_noise(NOISE - smooth, np.ones(NOISE.shape, bool), sigma)
    assert noise == pytest.approx(float(smooth.std()), rel=0.1)


def test_li_agrees_with_scikit_image():
    values = np.concatenate([RNG.exponential(5, 4000), RNG.normal(80, 15, 1000)]).clip(0)
    ours = li_threshold(values.astype(np.float32))
    assert ours == pytest.approx(threshold_li(values - values.min()), rel=0.05)


def test_li_of_a_constant_is_its_height_above_the_background():
    for value, ground, height in ((0, 0, 0), (-3, 0, 0), (7, 2, 5), (7, 9, 0)):
        assert li_threshold(np.full((4, 5), value, np.float32), ground) == height


def test_a_slope_is_removed_and_a_blob_is_kept():
    blob = 40 * np.exp(-(away_from(30, (60, 60)) ** 2) / 18)
    result = remove_background((np.arange(60) + blob).astype(np.float32), (1.0, 1.0), 12.0)
    assert result[30, 30] > 35
    assert np.ptp(result[5:15, 10:50]) < 15


def test_the_wide_mean_is_a_gaussian_mean():
    image = np.zeros((20, 60, 60), np.float32)
    image[8:12, 28:33, 28:33] = 100
    expected = ndimage.gaussian_filter(image, (4, 8, 8))
    assert_allclose(
        wide_mean(image, (2.0, 1.0, 1.0), 8.0, 1.0), expected, atol=0.1 * expected.max()
    )


def test_the_threshold_follows_the_surroundings():
    signal = np.zeros((60, 60), np.float32)
    signal[:, 30:] = 100
    keys = {"threshold": 20.0, "local_um": 5.0, "elongation": 1.0}
    level = threshold_map(signal, (1.0, 1.0), local_weight=0.5, **keys)
    assert level[30, 55] == pytest.approx(20 * (100 / 20) ** 0.5, rel=0.02)
    assert level[30, 5] == pytest.approx(20 * 0.1**0.5, rel=0.02)
    assert_array_equal(threshold_map(signal, (1.0, 1.0), local_weight=0.0, **keys), np.float32(20))


@pytest.mark.parametrize("ground", [0.0, 47.5])
def test_values_on_disk_have_the_threshold_and_background_of_those_in_memory(ground, mapped):
    image = NOISE.copy()
    image[:, :12] += 80
    expected = li_threshold(np.maximum(image - np.float32(ground), 0))
    assert li_threshold(image, ground) == li_threshold(mapped(image), ground) == expected
    assert background_and_noise(mapped(image)) == background_and_noise(image)


def test_a_part_that_begins_at_a_multiple_has_the_wide_mean_of_the_whole():
    image = RNG.normal(0, 1, (60, 61)).astype(np.float32)
    assert wide_steps(6.0, (1.0, 1.0), 1.0) == [2, 2]
    part = wide_mean(image[6:], (1.0, 1.0), 6.0, 1.0)
    assert_allclose(part[-20:], wide_mean(image, (1.0, 1.0), 6.0, 1.0)[-20:], atol=1e-5)


@pytest.mark.parametrize("noise, smoothing", [(0.02, 0), (0.05, 0.4), (0.3, 1)])
def test_a_volume_is_smoothed_by_its_noise_up_to_one_voxel(rng, noise, smoothing):
    image = rng.normal(7, noise, (20, 64, 64))
    image[5:15, 10:30, 10:30] += 1
    result, voxels = calmed(image, 30.0)
    assert voxels == pytest.approx(smoothing, abs=0.1)
    assert (result is image) == (smoothing == 0)
    assert calmed(image, 0.0) == (image, 0.0)
