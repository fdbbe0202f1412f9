import gc
import weakref
from math import inf, isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cytosuite.metrics.images.intensity import mae, nrmse, nrmse_mean, nrmse_range, pearson, psnr
from cytosuite.metrics.images.pair import pair

METRICS = [psnr, nrmse, nrmse_range, nrmse_mean, pearson, mae]


def images(seed=0, shape=(9, 20, 200)):
    rng = np.random.default_rng(seed)
    truth = rng.gamma(2.0, 50.0, shape) + 100
    return truth, truth + 20 * rng.standard_normal(shape)


def test_equal_images():
    truth, _ = images()
    images_ = pair(truth, truth.copy(), data_range=255)
    assert psnr.of(images_) == inf
    assert [metric.of(images_) for metric in (nrmse, nrmse_range, nrmse_mean, mae)] == [0.0] * 4
    assert pearson.of(images_) == pytest.approx(1.0, abs=1e-15)


def test_psnr_falls_by_20_decibels_for_ten_times_the_error():
    truth, _ = images()
    near, far = (psnr(truth, truth + error, data_range=255) for error in (1.0, 10.0))
    assert near - far == pytest.approx(20.0)
    assert psnr(truth, truth + 255, data_range=255) == pytest.approx(0.0, abs=1e-9)
    assert psnr.higher_is_better


@given(st.integers(0, 100), st.floats(1e-3, 1e3))
@settings(max_examples=15, deadline=None)
def test_scaling_images_and_range_changes_nothing(seed, factor):
    truth, prediction = images(seed, (3, 8, 9))
    for metric in METRICS:
        expected = metric(truth, prediction, data_range=255.0)
        found = metric(factor * truth, factor * prediction, data_range=255.0 * factor)
        assert found == pytest.approx(expected, rel=1e-9)


@given(st.floats(0.01, 100), st.floats(-1e4, 1e4))
@settings(max_examples=15, deadline=None)
def test_correlation_does_not_depend_on_gain_and_offset(gain, offset):
    truth, prediction = images(1, (3, 8, 9))
    expected = pearson(truth, prediction, data_range=1)
    assert pearson(truth, gain * prediction + offset, data_range=1) == pytest.approx(expected)
    assert pearson(truth, -gain * prediction, data_range=1) == pytest.approx(-expected)
    assert pearson(prediction, truth, data_range=1) == pytest.approx(expected)


def test_correlation_survives_a_large_offset_and_many_pieces():
    truth, prediction = images(shape=(6, 90, 90))
    expected = np.corrcoef(truth.ravel(), prediction.ravel())[0, 1]
    assert pearson(truth, prediction, data_range=1) == pytest.approx(expected, abs=1e-13)
    found = pearson(truth + 1e9, prediction + 1e9, data_range=1)
    assert found == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("value", [0, 0.1, 7])
def test_undefined_cases(value):
    flat, (other, _) = np.full((3, 4, 5), value), images(shape=(3, 4, 5))
    assert isnan(pearson(flat, other, data_range=1))
    assert isnan(pearson(other, flat, data_range=1))
    assert isnan(nrmse_range(flat, other, data_range=1))
    assert isnan(nrmse(flat, other, data_range=1)) is (value == 0)
    assert isnan(nrmse_mean(flat, other, data_range=1)) is (value == 0)
    for metric in METRICS:
        assert not isnan(metric(other, other + 1, data_range=1))
        assert metric.undefined.startswith("when ") or metric in (psnr, mae)


def test_one_voxel():
    assert mae([5], [3], data_range=4) == 0.5
    assert psnr([5], [3], data_range=2) == 0.0
    assert isnan(pearson([5], [3], data_range=4))


@pytest.mark.parametrize("dtype", ["?", "u1", "u2", ">u2", "i2", "u8", "f2", "f4", "f8", "g"])
def test_unsigned_and_every_other_type_is_widened_first(dtype):
    truth = np.array([[0, 1, 2, 200]]).astype(dtype)
    prediction = np.array([[3, 0, 250, 100]]).astype(dtype)
    wide = pair(truth.astype(np.float64), prediction.astype(np.float64), data_range=255)
    for metric in METRICS:
        found, expected = metric(truth, prediction, data_range=255), metric.of(wide)
        assert found == expected or (isnan(found) and isnan(expected))


def test_takes_every_layout(tmp_path):
    truth, prediction = images()
    np.save(tmp_path / "truth.npy", truth)
    mapped = np.load(tmp_path / "truth.npy", mmap_mode="r")
    for metric in METRICS:
        expected = metric(truth, prediction, data_range=255)
        for other in (mapped, np.asfortranarray(truth), np.repeat(truth, 2, axis=1)[:, ::2]):
            assert metric(other, prediction, data_range=255) == pytest.approx(expected, rel=1e-12)


def test_nothing_is_kept_once_the_pair_is_gone():
    truth, prediction = images()
    checked = pair(truth, prediction, data_range=255)
    mae.of(checked)
    gone = weakref.ref(checked)
    del checked
    gc.collect()
    assert gone() is None


def test_agrees_with_scikit_image():
    theirs = pytest.importorskip("skimage.metrics", reason="scikit-image is not installed")
    truth, prediction = images()
    expected = theirs.peak_signal_noise_ratio(truth, prediction, data_range=255)
    assert psnr(truth, prediction, data_range=255) == pytest.approx(expected, rel=1e-13)
    variants = {nrmse: "euclidean", nrmse_range: "min-max", nrmse_mean: "mean"}
    for metric, name in variants.items():
        expected = theirs.normalized_root_mse(truth, prediction, normalization=name)
        assert metric(truth, prediction, data_range=255) == pytest.approx(expected, rel=1e-13)


def test_agrees_with_monai_and_torchmetrics():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    monai = pytest.importorskip("monai.metrics", reason="MONAI is not installed")
    functional = pytest.importorskip("torchmetrics.functional", reason="not installed")
    truth, prediction = images()
    t, p = (torch.from_numpy(v)[None, None] for v in (truth, prediction))
    found = psnr(truth, prediction, data_range=255)
    assert found == pytest.approx(monai.PSNRMetric(max_val=255)(p, t).item(), rel=1e-6)
    theirs = functional.image.peak_signal_noise_ratio(p, t, data_range=255.0)
    assert found == pytest.approx(theirs.item(), rel=1e-6)
    theirs = monai.MAEMetric()(p, t).item()
    assert mae(truth, prediction, data_range=1) == pytest.approx(theirs, rel=1e-6)
    theirs = functional.pearson_corrcoef(p.ravel(), t.ravel()).item()
    assert pearson(truth, prediction, data_range=1) == pytest.approx(theirs, abs=1e-6)
