import numpy as np
import pytest
from numpy.testing import assert_allclose
from training_data import scene

from cytosuite.training.nuclei.camera import (
    CameraRanges,
    DrawnCamera,
    StrayRanges,
    draw_camera,
    draw_weights,
    expose,
    own_light,
    tails,
    visible,
)

PLAIN = DrawnCamera(photons=20.0, haze=1.0, read_noise=0.5, multiplies=False, blur=0.0)


def _noise(camera):
    image = expose(np.random.default_rng(0), np.full((4, 64, 64), 0.5, np.float32), camera)
    assert image.dtype == np.float32
    return float(image.mean()), float(image.var())


@pytest.mark.parametrize("multiplies, shot", [(False, 11), (True, 2 * 11)])
def test_mean_and_variance_of_photons_and_electronics(multiplies, shot):
    mean, variance = _noise(PLAIN._replace(multiplies=multiplies))
    assert mean == pytest.approx(11, rel=0.01)
    assert variance == pytest.approx(shot + 0.25, rel=0.05)


def test_blur_acts_within_planes_on_the_noise(rng):
    mean, variance = _noise(PLAIN._replace(blur=0.8))
    assert mean == pytest.approx(11, rel=0.01)
    assert variance < 0.25 * 11
    single = np.zeros((3, 9, 9), np.float32)
    single[1, 4, 4] = 5000
    image = expose(rng, single, PLAIN._replace(haze=0.0, read_noise=0.0, blur=0.8))
    assert not image[[0, 2]].any()
    assert image[1, 4, 5] > 0


def test_cameras_stay_within_their_ranges_and_differ(rng):
    ranges = CameraRanges()
    drawn = [draw_camera(rng, ranges) for _ in range(400)]
    photons = np.log([camera.photons for camera in drawn])
    assert np.log(2.5) <= photons.min()
    assert photons.max() <= np.log(45)
    assert np.median(photons) == pytest.approx(np.log(np.sqrt(2.5 * 45)), abs=0.15)
    assert np.mean([camera.multiplies for camera in drawn]) == pytest.approx(0.3, abs=0.07)
    assert np.mean([camera.blur > 0 for camera in drawn]) == pytest.approx(0.35, abs=0.07)


DARK = np.zeros(4, np.float32)


def test_a_nucleus_fainter_than_the_noise_is_not_visible():
    # The faintest signal is 0.5 + 0.5 + 0.3 = 1.3 photons: a mean light of 0.065.
    light = np.array([9.0, 0.06, 0.07, 0.14], np.float32)
    once, twice = (CameraRanges(visibility=times) for times in (1.0, 2.0))
    assert visible(light, DARK, PLAIN, once).tolist() == [False, False, True, True]
    assert visible(light, DARK, PLAIN, twice).tolist() == [False, False, False, True]


def test_the_light_of_others_hides_a_nucleus_by_its_noise_and_by_its_height():
    light = np.array([9.0, 0.07, 0.2, 0.2], np.float32)
    # 0.15 * 20 + 1 = 4 photons around: the faintest signal is 1.6 photons, a mean light of 0.08.
    rest = np.array([0.0, 0.15, 0.15, 1.5], np.float32)
    noise = CameraRanges(visibility=1.0, contrast=0.0)
    assert visible(light, rest, PLAIN, noise).tolist() == [False, False, True, True]
    height = CameraRanges(visibility=0.0, contrast=0.2)
    assert visible(light, rest, PLAIN, height).tolist() == [False, True, True, False]


SPACING = (2.0, 1.0, 1.0)
NARROW = StrayRanges(near_z=(0.5, 0.5), near_xy=(0.4, 0.4), far_z=(1.0, 1.0), far_xy=(0.8, 0.8))


def test_tails_have_the_widths_of_their_ranges_in_diameters_and_keep_the_light():
    light = np.zeros((61, 122, 130), np.float32)
    light[30, 61, 65] = 1000
    near, far = tails(light, SPACING, 12.0, NARROW, "a")
    for tail, (high, wide) in ((near, (6.0, 4.8)), (far, (12.0, 9.6))):
        assert tail.sum() == pytest.approx(1000, rel=0.02)
        grid = np.indices(tail.shape)
        for axis, width in enumerate((high, wide, wide)):
            place = grid[axis] * SPACING[axis]
            middle = (tail * place).sum() / tail.sum()
            spread = np.sqrt((tail * (place - middle) ** 2).sum() / tail.sum())
            # The grid of four pixels has a variance of its own, the Gaussian ends at 3 deviations.
            assert spread == pytest.approx(width, rel=0.12)


def test_weights_stay_in_their_range_and_are_often_nothing(rng):
    drawn = np.array([draw_weights(rng, StrayRanges(weight=(0.1, 0.5))) for _ in range(500)])
    assert drawn.dtype == np.float32
    assert np.mean(drawn == 0) == pytest.approx(0.3, abs=0.05)
    assert drawn[drawn > 0].min() >= np.float32(0.1)
    assert drawn.max() <= 0.5


def test_own_light_is_distinguished_from_an_even_haze():
    _, level, labels = scene()
    light = np.where(labels == 1, 2 * level, 0.5 * level) + np.float32(0.8)
    weighted = [np.average(light[labels == k], weights=level[labels == k]) for k in (1, 2)]
    means = np.array([0, *weighted], np.float32)
    emitted = own_light(light, labels, level, means)
    shares = [np.average(level[labels == k], weights=level[labels == k]) for k in (1, 2)]
    assert_allclose(emitted, [0, 2 * shares[0], 0.5 * shares[1]], rtol=1e-4)
    assert_allclose(means[1:] - emitted[1:], 0.8, rtol=1e-4)
