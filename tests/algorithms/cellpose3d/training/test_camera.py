import numpy as np
import pytest

from cytosuite.algorithms.cellpose3d.training.camera import (
    CameraRanges,
    DrawnCamera,
    draw_camera,
    expose,
    visible,
)

PLAIN = DrawnCamera(photons=20.0, haze=1.0, read_noise=0.5, multiplies=False, blur=0.0)
LIGHT = np.full((4, 64, 64), 0.5, np.float32)


def _noise(camera):
    image = expose(np.random.default_rng(0), LIGHT, camera)
    assert image.dtype == np.float32
    return float(image.mean()), float(image.var())


def test_mean_and_variance_of_photons_and_electronics():
    mean, variance = _noise(PLAIN)
    assert mean == pytest.approx(11, rel=0.01)
    assert variance == pytest.approx(11 + 0.25, rel=0.05)


def test_multiplication_doubles_the_shot_noise():
    mean, variance = _noise(PLAIN._replace(multiplies=True))
    assert mean == pytest.approx(11, rel=0.01)
    assert variance == pytest.approx(2 * 11 + 0.25, rel=0.05)


def test_blur_acts_within_planes_on_the_noise():
    mean, variance = _noise(PLAIN._replace(blur=0.8))
    assert mean == pytest.approx(11, rel=0.01)
    assert variance < 0.25 * 11
    single = np.zeros((3, 9, 9), np.float32)
    single[1, 4, 4] = 5000
    dark = PLAIN._replace(haze=0.0, read_noise=0.0, blur=0.8)
    image = expose(np.random.default_rng(0), single, dark)
    assert not image[[0, 2]].any()
    assert image[1, 4, 5] > 0


def test_cameras_stay_within_their_ranges_and_differ():
    ranges = CameraRanges()
    rng = np.random.default_rng(0)
    drawn = [draw_camera(rng, ranges) for _ in range(400)]
    photons = np.log([camera.photons for camera in drawn])
    assert np.log(2.5) <= photons.min()
    assert photons.max() <= np.log(45)
    assert np.median(photons) == pytest.approx(np.log(np.sqrt(2.5 * 45)), abs=0.15)
    assert np.mean([camera.multiplies for camera in drawn]) == pytest.approx(0.3, abs=0.07)
    assert np.mean([camera.blur > 0 for camera in drawn]) == pytest.approx(0.35, abs=0.07)


def test_the_same_seed_gives_the_same_image():
    first, second = (expose(np.random.default_rng(3), LIGHT, PLAIN) for _ in range(2))
    assert first.tobytes() == second.tobytes()


DARK = np.zeros(4, np.float32)


def test_a_nucleus_fainter_than_the_noise_is_not_visible():
    # The faintest signal is 0.5 + 0.5 + 0.3 = 1.3 photons: a mean light of 0.065.
    own = np.array([9.0, 0.06, 0.07, 0.14], np.float32)
    once, twice = (CameraRanges(visibility=times) for times in (1.0, 2.0))
    assert visible(own, DARK, PLAIN, once).tolist() == [False, False, True, True]
    assert visible(own, DARK, PLAIN, twice).tolist() == [False, False, False, True]


def test_the_light_of_others_hides_a_nucleus_by_its_noise_and_by_its_height():
    own = np.array([9.0, 0.07, 0.2, 0.2], np.float32)
    # 0.15 * 20 + 1 = 4 photons around: the faintest signal is 1.6 photons, a mean light of 0.08.
    rest = np.array([0.0, 0.15, 0.15, 1.5], np.float32)
    noise = CameraRanges(visibility=1.0, contrast=0.0)
    assert visible(own, rest, PLAIN, noise).tolist() == [False, False, True, True]
    height = CameraRanges(visibility=0.0, contrast=0.2)
    assert visible(own, rest, PLAIN, height).tolist() == [False, True, True, False]
