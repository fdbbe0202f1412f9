from math import fsum, inf, isnan, log10

import numpy as np
import pytest

from cytosuite.metrics.images.intensity import mae, nrmse, nrmse_range, pearson, psnr
from cytosuite.metrics.images.pair import pair


def images(shape=(9, 20, 200)):
    rng = np.random.default_rng(0)
    truth = rng.gamma(2.0, 50.0, shape) + 100
    return truth, truth + 20 * rng.standard_normal(shape)


def test_equal_images():
    truth, _ = images()
    images_ = pair(truth, truth.copy(), data_range=255)
    assert psnr.of(images_) == inf
    assert [metric.of(images_) for metric in (nrmse, nrmse_range, mae)] == [0.0] * 3
    assert pearson.of(images_) == pytest.approx(1.0, abs=1e-15)


def test_correlation_survives_many_pieces():
    truth, prediction = images(shape=(6, 90, 90))
    expected = np.corrcoef(truth.ravel(), prediction.ravel())[0, 1]
    assert pearson(truth, prediction, data_range=1) == pytest.approx(expected, abs=1e-13)


@pytest.mark.parametrize("value", [0, 7])
def test_undefined_cases(value):
    flat, (other, _) = np.full((3, 4, 5), value), images(shape=(3, 4, 5))
    assert isnan(pearson(flat, other, data_range=1))
    assert isnan(pearson(other, flat, data_range=1))
    assert isnan(nrmse_range(flat, other, data_range=1))
    assert isnan(nrmse(flat, other, data_range=1)) is (value == 0)


def test_psnr_of_float32_is_that_of_its_exact_sum():
    truth, prediction = (image.astype(np.float32) for image in images((5, 90, 130)))
    squared = fsum(((truth.astype(float) - prediction) ** 2).ravel().tolist())
    expected = 20 * log10(255) - 10 * log10(squared / truth.size)
    assert abs(psnr(truth, prediction, data_range=255) - expected) <= np.spacing(expected)


def test_agrees_with_scikit_image():
    theirs = pytest.importorskip("skimage.metrics", reason="scikit-image is not installed")
    truth, prediction = images()
    expected = theirs.peak_signal_noise_ratio(truth, prediction, data_range=255)
    assert psnr(truth, prediction, data_range=255) == pytest.approx(expected, rel=1e-13)
    expected = np.abs(truth - prediction).mean() / 255
    assert mae(truth, prediction, data_range=255) == pytest.approx(expected, rel=1e-13)
    for metric, name in {nrmse: "euclidean", nrmse_range: "min-max"}.items():
        expected = theirs.normalized_root_mse(truth, prediction, normalization=name)
        assert metric(truth, prediction, data_range=255) == pytest.approx(expected, rel=1e-13)
