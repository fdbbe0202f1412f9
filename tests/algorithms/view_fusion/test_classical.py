import numpy as np
import pytest
from light_sheet import DTYPES, SPACING, WHOLE, noise, view
from scipy import ndimage

from cytosuite.algorithms.view_fusion.classical import Restoration, correct, deconvolved, smooth
from cytosuite.algorithms.view_fusion.intensity import units_of
from cytosuite.metrics.images.n_ssim import n_ssim

PLAIN = Restoration(loss={"strength": 0}, psf_um=(4.0, 1.5, 1.5))  # one voxel
TILE = (14, 40, 40)


def _corrected(image, given=PLAIN, tile=WHOLE, spacing=SPACING):
    return correct(image, spacing, units_of(image), given, tile=tile)[0]


@pytest.mark.parametrize("sigma", [0.442, 0.5, 2.0])
@pytest.mark.parametrize("tile", [TILE, WHOLE])
def test_the_gaussian_is_scipys(sigma, tile):
    image = noise((30, 50, 44)).astype(np.float32)
    np.testing.assert_allclose(
        smooth(image, sigma, tile=tile), ndimage.gaussian_filter(image, sigma), rtol=1e-6
    )
    counts = image.astype(np.uint16)
    expected = np.rint(ndimage.gaussian_filter(counts.astype(np.float32), sigma))
    np.testing.assert_array_equal(smooth(counts, sigma, tile=tile), expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_gaussian_of_no_width_changes_nothing(dtype):
    image = view(dtype=dtype)
    made = smooth(image, 0.0, tile=TILE)
    assert made.dtype == dtype
    np.testing.assert_array_equal(made, image)


def test_a_gaussian_lowers_noise():
    assert smooth(noise(), 0.442, tile=WHOLE).std() < 0.8 * noise().std()


@pytest.mark.parametrize("steps", [0, 1, 5])
def test_a_constant_stays_and_so_does_darkness(steps):
    for level in (0.0, 1.0, 1e20):
        given = np.full((4, 9, 9), level)
        np.testing.assert_allclose(deconvolved(given, (1, 1, 1), steps, 0.1), given, rtol=1e-6)


def test_without_blur_nothing_is_undone():
    given = np.random.default_rng(0).random((4, 9, 9))
    np.testing.assert_allclose(deconvolved(given, (0, 0, 0), 3, 0.1), given)


def test_each_step_brings_a_blurred_point_nearer_to_a_point():
    point = np.zeros((15, 15, 15))
    point[7, 7, 7] = 100
    sigma = (2.0, 1.0, 1.0)
    blurred = ndimage.gaussian_filter(point, sigma, truncate=3)
    made = [deconvolved(blurred, sigma, steps, 1e-3) for steps in (0, 1, 3, 10)]
    errors = [np.abs(each - point).sum() for each in (made[0], blurred, *made[2:])]
    assert errors == sorted(errors, reverse=True)
    for each in made:
        assert each.min() >= 0
        assert each.sum() == pytest.approx(100, rel=0.1)  # light is kept
        np.testing.assert_allclose(each, each[::-1, ::-1, ::-1], atol=1e-9)


def test_the_sharper_image_is_nearer_to_the_truth():
    truth = ndimage.gaussian_filter(
        np.random.default_rng(0).random((24, 48, 48)) > 0.995, 1.2, output=float
    )
    blurred = ndimage.gaussian_filter(truth, 1.0)
    image = np.random.default_rng(1).poisson(6000 * blurred / blurred.max() + 100).astype(np.uint16)
    assert n_ssim(truth, _corrected(image), image) > 0.1
    assert n_ssim(
        truth, _corrected(image, Restoration(loss={"strength": 0}, psf_um=(0, 0, 0))), image
    ) == pytest.approx(0, abs=0.02)


def test_a_corrected_loss_is_nearer_to_the_truth():
    truth, lossy = view(loss_per_um=0.0), view(loss_per_um=0.01, seed=0)
    given = Restoration(steps=0, loss={"strength": 1.0})
    assert n_ssim(truth, _corrected(lossy, given), lossy) > 0.1


@pytest.mark.parametrize("steps", [0, 2])
def test_tiles_leave_no_seams(steps):
    image = view(loss_per_um=0.02).astype(np.float32)
    given = Restoration(steps=steps, psf_um=(4.0, 1.5, 1.5))
    tiled, whole = (_corrected(image, given, tile) for tile in ((4, 40, 40), WHOLE))
    np.testing.assert_allclose(tiled, whole, rtol=1e-5, atol=1e-3)
    assert np.abs(whole - image).max() > 5


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_comes_back(dtype):
    image = view(dtype=dtype)
    made = _corrected(image, Restoration())
    assert (made.dtype, made.shape) == (np.dtype(dtype), image.shape)
    assert np.isfinite(made.astype(float)).all()
    assert np.corrcoef(made.ravel().astype(float), image.ravel())[0, 1] > 0.8


@pytest.mark.parametrize("shape", [(5, 37, 41), (1, 1, 50), (1, 60, 1), (2, 3, 5), (1, 1, 1)])
@pytest.mark.parametrize("tile", [(1, 1, 1), WHOLE])
def test_images_and_tiles_of_any_size_have_an_answer(shape, tile):
    image = noise(shape)
    assert _corrected(image, Restoration(), tile).shape == shape
    assert smooth(image, 0.5, tile=tile).shape == shape


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((6, 20, 20), np.uint8),
        np.full((6, 20, 20), 40000, np.uint16),
        np.full((6, 20, 20), -1e15, np.float64),
    ],
    ids=["zeros", "constant", "negative"],
)
@pytest.mark.parametrize("spacing", [SPACING, (1e-9, 1e9, 1.0)])
def test_blank_images_come_back(image, spacing):
    np.testing.assert_array_equal(_corrected(image, Restoration(), spacing=spacing), image)
    np.testing.assert_array_equal(smooth(image, 0.5, tile=WHOLE), image)


def test_hot_voxels_leave_numbers_and_do_not_reach_far():
    image = noise((20, 60, 60))
    hot = image.copy()
    hot[10, 30, 30] = 65535
    made = _corrected(hot)
    assert made[10, 30, 30] > 10000
    np.testing.assert_array_equal(made[:, :, :5], _corrected(image)[:, :, :5])
    tiny = np.zeros((6, 20, 20))
    tiny[:3] = 1e-300 * np.random.default_rng(0).random((3, 20, 20))
    tiny[0, 0, 0] = 1e15
    assert np.isfinite(_corrected(tiny)).all()
