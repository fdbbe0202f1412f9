"""Tests of the classical transfer: properties first, then images of known cameras."""

from pathlib import Path
from runpy import run_path

import numpy as np
import pytest
from scipy import ndimage, stats

from cytosuite import large
from cytosuite.algorithms.cyclegan3d.measure import SHARES, CameraNoise, blur_of, noise_of
from cytosuite.algorithms.cyclegan3d.style import Style, blurred, transfer
from cytosuite.algorithms.cyclegan3d.training.reference import measure_style
from cytosuite.errors import InputError
from cytosuite.volume import Volume

_scenes = run_path(str(Path(__file__).with_name("scenes.py")))
GAIN, OFFSET, READ, SPACING, camera, light = (
    _scenes[name] for name in ("GAIN", "OFFSET", "READ", "SPACING", "camera", "light")
)


@pytest.fixture(scope="module")
def target():
    """Counts of the reference: blurry, noisy, bright."""
    return camera(3 * light(7, blur_um=(2.5, 1.0)), seed=8)


@pytest.fixture(scope="module")
def style(target):
    """Return the look of the reference."""
    return measure_style([Volume(target, SPACING)])


def _styled(image, style, seed=0, spacing=SPACING):
    return transfer(image, spacing[-image.ndim :], style, np.random.default_rng(seed))


def _quiet(style, **changes):
    """Return the style of a camera without noise."""
    return style.model_copy(
        update={"dtype": "float32", "blur_um": (0.0, 0.0), **changes}
        | {"noise": CameraNoise(offset=OFFSET, read_variance=0, gain=0, skew=0)}
    )


def test_an_image_in_its_own_style_keeps_its_grey_values(target, style):
    made = _styled(target, style)
    spread = target.std()
    assert stats.wasserstein_distance(made.ravel(), target.ravel()) < 0.01 * spread
    assert np.abs(made.astype(float) - target).mean() < 0.02 * spread


def test_bright_stays_bright(style):
    ramp = np.tile(np.geomspace(1, 1000, 96), (16, 48, 1))
    made = _styled(ramp, _quiet(style))[8, 24]
    assert np.diff(made).min() > -1e-3 * (made[-1] - made[0])  # detail bends it a little
    assert made[-1] - made[0] > 100


@pytest.mark.parametrize(
    ("gain", "offset"), [(4, 0), (1, 3000), (0.5, 16), (1e-3, -5), (1e200, 1e203)]
)
def test_unit_of_the_source_does_not_matter(style, gain, offset):
    source = camera(light(1))
    made, other = (
        _styled(image, style) for image in (source, gain * source.astype(float) + offset)
    )
    difference = np.abs(made.astype(float) - other)
    assert np.quantile(difference, 0.99) <= 1  # rounding


@pytest.mark.parametrize("shape", [(12, 48, 48), (96, 96)])
@pytest.mark.parametrize("value", [0, 77.5])
def test_a_constant_image_becomes_background_with_its_noise(style, shape, value):
    made = _styled(np.full(shape, value), style).astype(float)
    wanted = float(style.noise.variance(np.array(style.background, np.float32)))
    assert made.mean() == pytest.approx(style.background, abs=0.5)
    assert made.var() == pytest.approx(wanted, rel=0.15)


def test_an_image_of_noise_becomes_background_with_its_noise(style):
    made = _styled(np.random.default_rng(0).normal(50, 9, (12, 64, 64)), style).astype(float)
    wanted = float(style.noise.variance(np.array(style.background, np.float32)))
    assert made.mean() == pytest.approx(style.background, abs=1)
    assert made.var() == pytest.approx(wanted, rel=0.25)
    assert made.max() < style.objects[len(SHARES) // 2]


@pytest.mark.parametrize("shape", [(0, 8, 8), (1, 1), (1, 1, 1), (2, 3, 4), (1, 40, 40), (3, 9, 9)])
def test_every_size_works(style, shape):
    image = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    made = _styled(image, style)
    assert made.shape == shape
    assert made.dtype == np.uint16


def test_the_generator_alone_decides(style):
    source = camera(light(1))
    first, again, other = (_styled(source, style, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("source", [np.uint8, np.uint16, np.int32, np.float32, np.float64, bool])
def test_dtype_is_that_of_the_style(style, dtype, source):
    image = (camera(light(1, shape=(8, 40, 40))) // 4).clip(0, 255)
    made = _styled(
        (image > 50) if source is bool else image.astype(source),
        style.model_copy(update={"dtype": dtype}),
    )
    assert made.dtype == dtype
    assert np.isfinite(made).all()
    assert made.max() <= (255 if dtype == "uint8" else 65535)


def _noise_by_level(scene, style, **source):
    """Return levels of styled images, and the variance of their noise there by repetition."""
    pair = [_styled(camera(scene, seed=n, **source), style, seed=n).astype(float) for n in (1, 2)]
    mean, half = (pair[0] + pair[1]) / 2, (pair[0] - pair[1]) ** 2 / 2
    smooth = ndimage.gaussian_filter(mean, 1)
    parts = [smooth < OFFSET + 15, (smooth > OFFSET + 100) & (smooth < OFFSET + 300)]
    return [(mean[part].mean(), half[part].mean()) for part in parts]


@pytest.mark.parametrize(("gain", "read"), [(0.01, 0.1), (1.0, 1.0)])
def test_noise_of_the_style_is_reached(style, gain, read):
    scene = light(1, shape=(24, 96, 96), blur_um=(2.5, 1.0))
    for level, variance in _noise_by_level(scene, style, gain=gain, read=read):
        wanted = float(style.noise.variance(np.array(level, np.float32)))
        assert variance == pytest.approx(wanted, rel=0.2)


def test_noise_beyond_that_of_the_style_is_lessened(style):
    source = camera(light(1, blur_um=(2.5, 1.0)), gain=40, read=30)
    found = noise_of(_styled(source, style).astype(np.float32))
    level = np.array([style.background], np.float32)
    assert found.variance(level) == pytest.approx(style.noise.variance(level), rel=0.3)


def test_noise_of_light_is_skewed_as_that_of_the_camera(style):
    level = style.model_copy(update={"background": OFFSET + 2 * GAIN, "dtype": "float32"})
    made = _styled(np.zeros((32, 64, 64)), level).astype(float)
    shot = GAIN * 2 * GAIN
    third = style.noise.skew * float(style.noise.shot(np.array(level.background, np.float32)))
    assert stats.moment(made, 3, axis=None) == pytest.approx(third, rel=0.15)
    assert made.var() == pytest.approx(shot + READ**2, rel=0.15)


def test_a_sharp_image_is_blurred_and_a_blurry_one_is_not_sharpened(style):
    quiet = _quiet(style, blur_um=style.blur_um)
    sharp, blurry = (light(2, blur_um=blur) for blur in ((0.0, 0.0), (5.0, 2.0)))
    made = _styled(sharp, quiet)
    before, after = (blur_of(i.astype(np.float32), SPACING) for i in (sharp, made))
    assert after[0] > before[0] + 0.5
    edge = light(2, blur_um=(5.0, 2.0))
    kept = _styled(blurry, quiet)
    assert np.corrcoef(stats.rankdata(kept), stats.rankdata(edge))[0, 1] > 0.98


def test_objects_get_the_brightness_of_the_style_whatever_their_share(target, style):
    few, many = (camera(light(1, balls=n, blur_um=(2.5, 1.0))) for n in (2, 12))
    for source in (few, many):
        made = ndimage.gaussian_filter(_styled(source, style).astype(float), 1)
        objects = made[made > style.objects[0]]
        assert np.median(objects) == pytest.approx(style.objects[len(SHARES) // 2], rel=0.25)
        assert abs(np.median(made) - style.background) < 12  # empty space stays dark


def test_structure_stays_in_its_place(style):
    source = camera(light(1, blur_um=(1.0, 0.5)))
    made = _styled(source, style)
    smooth = [ndimage.gaussian_filter(image.astype(float), 1.5) for image in (source, made)]
    assert np.corrcoef(*map(np.ravel, smooth))[0, 1] > 0.93
    shifted = np.roll(smooth[1], 3, axis=2)
    assert np.corrcoef(smooth[0].ravel(), shifted.ravel())[0, 1] < 0.93


def test_planes_take_the_style_of_volumes(style):
    plane = camera(light(4, shape=(128, 128), balls=14, blur_um=(0.0, 1.0)))
    made = _styled(plane, style)
    assert made.shape == plane.shape
    assert made.dtype == np.uint16
    found = noise_of(made.astype(np.float32))
    assert found.gain == pytest.approx(style.noise.gain, rel=0.35)
    assert np.median(made) == pytest.approx(style.background, abs=6)


def test_a_card_carries_the_style(style):
    text = style.model_dump_json()
    assert len(text) < 2500
    assert Style.model_validate_json(text) == style


def test_images_that_are_none_are_refused(style):
    """style: expected a volume (Z, Y, X) or plane (Y, X) of real numbers"""
    for wrong in (np.zeros(5), np.zeros((2, 2, 2, 2)), np.zeros((4, 4), complex)):
        with pytest.raises(InputError, match=r"expected a volume \(Z, Y, X\) or plane"):
            transfer(wrong, (1.0,) * wrong.ndim, style, np.random.default_rng(0))
    for wrong in (np.nan, np.inf):
        with pytest.raises(InputError, match="expected finite grey values"):
            _styled(np.array([[wrong, 1.0]]), style)
    for spacing in ((1.0,), (1.0, 0.0), (1.0, np.nan)):
        with pytest.raises(InputError, match="expected 2 voxel sizes"):
            transfer(np.zeros((4, 4)), spacing, style, np.random.default_rng(0))


def test_an_image_on_disk_is_made_like_one_in_memory(style, mapped, monkeypatch):
    image = camera(light(3), seed=4)
    expected = _styled(image, style, seed=5)
    monkeypatch.setattr(large, "fits", lambda _: False)
    monkeypatch.setattr(large, "SLAB", 5 * image[0].size)
    found = _styled(mapped(image), style, seed=5)
    assert large.is_mapped(found)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("sigma", [(0.0, 1.0, 2.0), (2.3, 1.0, 0.0)])
def test_slabs_are_blurred_as_the_whole(sigma, mapped):
    image = np.random.default_rng(0).normal(0, 1, (21, 9, 10)).astype(np.float32)
    expected = ndimage.gaussian_filter(image, sigma, mode="nearest")
    np.testing.assert_array_equal(blurred(image, sigma), expected)
    np.testing.assert_array_equal(blurred(mapped(image), sigma), expected)
