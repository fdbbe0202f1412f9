import numpy as np
import pytest
from mistakes import refused
from numpy.testing import assert_array_equal
from scenes import GAIN, OFFSET, READ, SPACING, camera, light
from scipy import ndimage, stats

from cytosuite.algorithms.cyclegan3d.measure import CameraNoise, blur_of, levels_of, noise_of, tap
from cytosuite.algorithms.cyclegan3d.style import (
    MEDIAN,
    light_in_counts,
    measure_style,
    transfer,
)
from cytosuite.denoising.camera import CameraModel, late, light_of
from cytosuite.volume import Volume


@pytest.fixture(scope="module")
def target():
    """Counts of the reference: blurry, noisy, bright."""
    return camera(3 * light(7, blur_um=(2.5, 1.0)), seed=8)


@pytest.fixture(scope="module")
def style(target):
    """Return the look of the reference."""
    return measure_style([Volume(target, SPACING)])


def _styled(image, style, seed=0):
    return transfer(image, SPACING[-image.ndim :], style, np.random.default_rng(seed))


def test_an_image_in_its_own_style_keeps_its_grey_values(target, style):
    image = _styled(target, style)
    spread = target.std()
    assert stats.wasserstein_distance(image.ravel(), target.ravel()) < 0.01 * spread
    assert np.abs(image.astype(float) - target).mean() < 0.02 * spread


def test_noise_that_is_read_late_is_drawn_so(style):
    noise = style.noise.model_copy(update={"lag": 0.2, "correlation": 0.0})
    image = _styled(np.full((12, 64, 64), 7), style.model_copy(update={"noise": noise})).astype(
        float
    )
    off = image - image.mean()
    along_y = (off[:, 1:] * off[:, :-1]).mean()
    along_x = (off[..., 1:] * off[..., :-1]).mean()
    assert along_x / off.var() == pytest.approx(0.2 * 0.8 / (0.2**2 + 0.8**2), abs=0.03)
    assert along_y / off.var() == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize("shape, value", [((12, 48, 48), 77.5), ((96, 96), 0)])
def test_a_constant_image_becomes_background_with_its_noise(style, shape, value):
    image = _styled(np.full(shape, value), style).astype(float)
    expected = float(style.noise.variance(np.array(style.background, np.float32)))
    assert image.mean() == pytest.approx(style.background, abs=0.5)
    assert image.var() == pytest.approx(expected, rel=0.15)


def _noise_by_level(scene, style, **source):
    """Return levels of styled images, and the variance of their noise there by repetition."""
    pair = [_styled(camera(scene, seed=n, **source), style, seed=n).astype(float) for n in (1, 2)]
    mean = (pair[0] + pair[1]) / 2
    half = (pair[0] - pair[1]) ** 2 / 2
    smooth = ndimage.gaussian_filter(mean, 1)
    parts = [smooth < OFFSET + 15, (smooth > OFFSET + 100) & (smooth < OFFSET + 300)]
    return [(mean[part].mean(), half[part].mean()) for part in parts]


@pytest.mark.parametrize("gain, read", [(0.01, 0.1), (1.0, 1.0)])
def test_noise_of_the_style_is_reached(style, gain, read):
    scene = light(1, shape=(24, 96, 96), blur_um=(2.5, 1.0))
    for level, variance in _noise_by_level(scene, style, gain=gain, read=read):
        expected = float(style.noise.variance(np.array(level, np.float32)))
        assert variance == pytest.approx(expected, rel=0.2)


def test_noise_of_light_is_skewed_as_that_of_the_camera(style):
    level = style.model_copy(update={"background": OFFSET + 2 * GAIN, "dtype": "float32"})
    image = _styled(np.zeros((32, 64, 64)), level).astype(float)
    shot = GAIN * 2 * GAIN
    third = style.noise.skew * float(style.noise.shot(np.array(level.background, np.float32)))
    assert stats.moment(image, 3, axis=None) == pytest.approx(third, rel=0.15)
    assert image.var() == pytest.approx(shot + READ**2, rel=0.15)


def test_a_sharp_image_is_blurred_and_a_blurry_one_is_not_sharpened(style):
    silence = CameraNoise(offset=OFFSET, read_variance=0, gain=0, skew=0)
    quiet = style.model_copy(update={"dtype": "float32", "noise": silence})
    sharp, blurry = (light(2, blur_um=blur) for blur in ((0.0, 0.0), (5.0, 2.0)))
    before, after = (blur_of(i.astype(np.float32), SPACING) for i in (sharp, _styled(sharp, quiet)))
    assert after[0] > before[0] + 0.5
    assert stats.spearmanr(_styled(blurry, quiet), blurry, axis=None).statistic > 0.98


OWN = CameraModel(gain=GAIN, offset=OFFSET, read_noise=READ / GAIN)


def test_light_of_the_same_camera_keeps_its_counts(target, style):
    assert_array_equal(light_in_counts(target, SPACING, OWN, style), light_of(target, OWN))


@pytest.mark.parametrize(
    "source, unit, offset",
    [
        ({"gain": 2.0, "offset": 30.0, "read": 1.0}, 1, 0),
        ({"gain": 2.0, "offset": 30.0, "read": 1.0}, 1e-3, -7.5),
        ({"gain": 1e-9, "read": 5.0}, 1, 0),  # noise that light does not change
        ({"gain": 1e-9, "offset": 0.3, "read": 0.0}, 1, 0),  # none
    ],
)
def test_light_of_another_camera_has_ground_and_objects_of_the_style(source, unit, offset, style):
    scene = light(3, blur_um=(2.5, 1.0))
    result = light_in_counts(
        unit * camera(scene, **source).astype(np.float32) + offset, SPACING, OWN, style
    )
    levels = levels_of(ndimage.gaussian_filter(result, 1))
    assert levels.background == pytest.approx(style.background, abs=2)
    assert levels.objects[MEDIAN] == pytest.approx(style.objects[MEDIAN], rel=0.05)
    assert np.corrcoef(result.ravel(), scene.ravel())[0, 1] > 0.99
    assert result.min() >= OFFSET


@pytest.mark.parametrize("value", [0, 77.5])
def test_light_of_nothing_is_background(value, style):
    result = light_in_counts(np.full((9, 12, 12), value), SPACING, OWN, style)
    np.testing.assert_allclose(result, style.background, rtol=1e-6)


@pytest.mark.parametrize("level", [OFFSET, OFFSET + 2, OFFSET + 15])
def test_noise_alone_gets_no_bodies(level, style):
    counts = CameraModel(gain=GAIN, offset=OFFSET, excess=1).expose(
        np.full((24, 64, 64), level, np.float32), seed=1
    )
    assert light_in_counts(counts, SPACING, OWN, style).max() < style.objects[MEDIAN]


def test_images_that_share_no_look_are_refused(target):
    one, bytes_, signed = (Volume(target.astype(d), SPACING) for d in ("u2", "u1", "i4"))
    refused("expected images of one kind", measure_style, [one, bytes_])
    refused("expected uint8, uint16 or floating point", measure_style, [signed])


def _floats(array):
    return np.asarray(array, np.float32)


def test_gain_read_noise_and_offset_of_a_camera_are_found():
    estimate = noise_of(_floats(camera(light(shape=(32, 96, 96), blur_um=(2.0, 1.0)))))
    assert estimate.gain == pytest.approx(GAIN, rel=0.1)
    assert estimate.offset == pytest.approx(OFFSET, abs=1.5)
    assert estimate.read_variance == pytest.approx(READ**2, abs=3)
    assert estimate.correlation < 0.05


def test_multiplied_light_is_more_skewed_than_counted_light(rng):
    scene = np.tile(np.linspace(0, 100, 128), (48, 128, 1))
    counted = 5.0 * rng.poisson(scene / 5)
    multiplied = 5.0 * rng.standard_gamma(rng.poisson(scene / 5) + 1e-9)
    plain, amplified = (noise_of(_floats(image)) for image in (counted, multiplied))
    assert plain.skew / plain.gain == pytest.approx(1.0, abs=0.15)
    assert amplified.skew / amplified.gain > 1.3
    assert amplified.gain == pytest.approx(2 * plain.gain, rel=0.1)


@pytest.mark.parametrize("correlation", [0.2, 0.5])
def test_noise_of_neighbours_that_is_correlated_keeps_its_variance(correlation, rng):
    side = tap(correlation)
    taps = np.array([side, 1, side]) / np.sqrt(1 + 2 * side**2)
    noise = rng.normal(0, 5, (16, 96, 96))
    for axis in (1, 2):
        noise = ndimage.convolve1d(noise, taps, axis)
    estimate = noise_of(_floats(100 + noise))
    assert estimate.correlation == pytest.approx(correlation, abs=0.03)
    assert estimate.read_variance == pytest.approx(25, rel=0.1)
    assert estimate.gain == 0


def test_noise_that_is_read_late_keeps_its_gain(rng):
    scene = 10 + 0.1 * light(shape=(32, 96, 96), blur_um=(2.0, 1.0))
    noise = rng.poisson(scene) - scene
    sharp, lagged = (
        noise_of(_floats(100 + 12 * (scene + grain))) for grain in (noise, late(noise, 0.08))
    )
    assert (sharp.lag, lagged.lag) == (0, pytest.approx(0.08, abs=0.02))
    assert lagged.gain == pytest.approx(sharp.gain, rel=0.05)
    assert lagged.correlation < 0.05


@pytest.mark.parametrize("blur", [(1.0, 0.6), (2.5, 1.0)])
def test_blur_that_is_added_is_found(blur):
    scene = light(3, shape=(40, 96, 96), balls=14)
    sharp, blurred = (
        blur_of(_floats(ndimage.gaussian_filter(scene, sigma)), SPACING)
        for sigma in ((0, 0, 0), np.divide([blur[0], blur[1], blur[1]], SPACING))
    )
    for axis, added in ((0, blur[0]), (2, blur[1])):
        assert np.sqrt(blurred[axis] ** 2 - sharp[axis] ** 2) == pytest.approx(added, rel=0.25)


def test_noise_alone_holds_no_object(rng):
    alone = rng.normal(100, 5, (24, 64, 64))
    assert levels_of(ndimage.gaussian_filter(_floats(alone), 1)).objects.size == 0


def test_levels_of_an_image_on_disk_are_those_in_memory(mapped, monkeypatch):
    level = ndimage.gaussian_filter(camera(light(2)).astype(np.float32), 1)
    monkeypatch.setattr(
        "cytosuite.algorithms.cyclegan3d.measure.SAMPLE", 500
    )  # the values are thinned
    expected = levels_of(level)
    levels = levels_of(mapped(level))
    assert expected.voxels > 1000
    for one, other in zip(levels, expected, strict=True):
        assert_array_equal(one, other)
