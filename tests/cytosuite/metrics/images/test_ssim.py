import re
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cytosuite.errors import InputError
from cytosuite.metrics.images import ssim_compare
from cytosuite.metrics.images.pair import pair
from cytosuite.metrics.images.ssim import mean_ssim, ssim, ssim2d, ssim_map
from cytosuite.metrics.images.ssim_window import gaussian_window, sigmas_from_um, uniform_window

C1, C2 = 0.01**2, 0.03**2


def images(shape=(13, 14, 15), seed=0, noise=0.2):
    """Return an image in [0, 1] with structure and noise, and a noisier one."""
    rng = np.random.default_rng(seed)
    grid = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij", sparse=True)
    truth = 0.5 + 0.3 * sum(np.sin(axis / 3 + seed) for axis in grid) / 3
    truth = truth + 0.05 * rng.standard_normal(shape)
    return truth, truth + noise * rng.standard_normal(shape)


def slowly(truth, prediction, data_range, sigmas=None):
    """Return the similarity of each window, with all its weights at once and the true variances."""
    truth, prediction = truth.astype(np.float64), prediction.astype(np.float64)
    sigmas = sigmas or (1.5,) * truth.ndim
    halves = [int(3.5 * s + 0.5) for s in sigmas]
    weights = np.ones(())
    for s, half in zip(sigmas, halves, strict=True):
        weights = np.multiply.outer(
            weights, np.exp(-(np.arange(-half, half + 1) ** 2) / (2 * s**2)) if s else np.ones(1)
        )
    weights /= weights.sum()
    out = np.empty([n - 2 * half for n, half in zip(truth.shape, halves, strict=True)])
    c1, c2 = C1 * data_range**2, C2 * data_range**2
    for at in product(*map(range, out.shape)):
        box = tuple(slice(i, i + 2 * half + 1) for i, half in zip(at, halves, strict=True))
        x, y = truth[box], prediction[box]
        mx, my = (weights * x).sum(), (weights * y).sum()
        vx, vy = (weights * (x - mx) ** 2).sum(), (weights * (y - my) ** 2).sum()
        cov = (weights * (x - mx) * (y - my)).sum()
        out[at] = (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    return out


@pytest.mark.parametrize("shape", [(11, 11, 11), (12, 13, 14), (15, 11, 16), (1, 12, 13), (14, 15)])
def test_is_the_formula_window_by_window(shape):
    truth, prediction = images(shape)
    flat = shape[0] == 1
    expected = slowly(truth[0], prediction[0], 0.7) if flat else slowly(truth, prediction, 0.7)
    checked = pair(truth, prediction, data_range=0.7)
    found = ssim_map(checked)
    assert found.shape == ((1, *expected.shape) if flat else expected.shape)
    np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=0, atol=1e-13)
    assert ssim.of(checked) == pytest.approx(expected.mean(), abs=1e-13)


def test_large_offset_does_not_drown_the_variances():
    truth, prediction = images()
    truth, prediction = (np.round(60000 + 100 * (v - 0.5)) for v in (truth, prediction))
    expected = slowly(truth, prediction, 100.0).mean()
    for dtype in (np.uint16, np.float32, np.float64):
        found = ssim(truth.astype(dtype), prediction.astype(dtype), data_range=100)
        assert found == pytest.approx(expected, abs=1e-10)


def test_constants_differ_by_their_luminance_only():
    flat = np.full((11, 12, 13), 0.3, np.float32)
    expected = (2 * 0.3 * 0.5 + C1) / (0.3**2 + 0.5**2 + C1)
    assert expected == pytest.approx(0.88239, abs=5e-6)
    assert ssim(flat, np.full_like(flat, 0.5), data_range=1) == pytest.approx(expected, abs=1e-7)
    assert ssim(flat * 0, flat * 0, data_range=1) == 1.0


seeds = st.integers(0, 1000)


@given(seeds, st.floats(1e-3, 1e3))
@settings(max_examples=15, deadline=None)
def test_is_1_for_equal_images_exactly(seed, data_range):
    truth, _ = images((12, 13, 11), seed)
    assert ssim(truth * data_range, truth * data_range, data_range=1.0) == 1.0


@given(seeds)
@settings(max_examples=15, deadline=None)
def test_is_symmetric(seed):
    truth, prediction = images((12, 13, 11), seed)
    one = ssim(truth, prediction, data_range=1.0)
    assert one == pytest.approx(ssim(prediction, truth, data_range=1.0), abs=1e-14)
    assert -1 <= one < 1


@given(seeds, st.floats(1e-6, 1e6))
@settings(max_examples=15, deadline=None)
def test_does_not_change_when_images_and_range_are_scaled(seed, factor):
    truth, prediction = images((12, 13, 11), seed)
    scaled = ssim(factor * truth, factor * prediction, data_range=factor)
    assert scaled == pytest.approx(ssim(truth, prediction, data_range=1.0), abs=1e-11)


@given(seeds, st.floats(0, 100))
@settings(max_examples=10, deadline=None)
def test_a_common_offset_changes_the_luminance_only(seed, offset):
    truth, prediction = images((11, 11, 11), seed)
    half = np.exp(-(np.arange(-5, 6) ** 2) / 4.5)
    weights = np.einsum("i,j,k->ijk", half, half, half) / half.sum() ** 3
    mx, my = (weights * truth).sum(), (weights * prediction).sum()

    def luminance(a, b):
        return (2 * a * b + C1) / (a * a + b * b + C1)

    before = ssim(truth, prediction, data_range=1.0) / luminance(mx, my)
    after = ssim(truth + offset, prediction + offset, data_range=1.0)
    assert after / luminance(mx + offset, my + offset) == pytest.approx(before, abs=1e-9)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_flipping_or_turning_both_changes_nothing(axis):
    truth, prediction = images((12, 13, 14))
    expected = ssim(truth, prediction, data_range=1.0)
    for change in (lambda v: np.flip(v, axis), lambda v: np.moveaxis(v, axis, 0)):
        assert ssim(change(truth), change(prediction), data_range=1.0) == pytest.approx(expected)


def test_is_negative_for_inverted_structure_and_not_clipped():
    truth = np.indices((12, 12, 12)).sum(0) % 2
    assert ssim(truth, 1 - truth, data_range=1.0) < -0.9


def test_falls_with_the_noise():
    values = [ssim(*images(noise=noise), data_range=1.0) for noise in (0.0, 0.05, 0.1, 0.3)]
    assert values[0] == 1.0
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("shape", [(70, 12, 13), (12, 60, 13), (12, 12, 300), (34, 45, 160)])
def test_pieces_leave_no_seams(shape, monkeypatch):
    truth, prediction = images(shape)
    whole = ssim_map(pair(truth, prediction, data_range=1.0))
    for at in [(0, 0, 0), tuple(n // 3 for n in whole.shape), tuple(n - 1 for n in whole.shape)]:
        box = tuple(slice(i, i + 11) for i in at)
        one = ssim(truth[box].copy(), prediction[box].copy(), data_range=1.0)
        assert whole[at] == pytest.approx(one, abs=1e-13)
    monkeypatch.setattr(ssim_compare, "_processors", lambda: 1)
    assert ssim(truth, prediction, data_range=1.0) == ssim.of(pair(truth, prediction, data_range=1))
    assert ssim(truth, prediction, data_range=1.0) == pytest.approx(whole.mean(), abs=1e-13)


TYPES = ["?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", ">u2", ">f4", "g"]


@pytest.mark.parametrize("dtype", TYPES)
def test_takes_every_real_type(dtype):
    truth, prediction = ((100 * v).clip(0, 100).astype(dtype) for v in images())
    expected = ssim(truth.astype(np.float64), prediction.astype(np.float64), data_range=100.0)
    assert ssim(truth, prediction, data_range=100) == pytest.approx(expected, abs=1e-13)
    mixed = ssim(truth.astype(np.float64), prediction, data_range=100)
    assert mixed == pytest.approx(expected, abs=1e-13)


def test_takes_every_layout(tmp_path):
    truth, prediction = images((45, 14, 15))
    np.save(tmp_path / "truth.npy", truth)
    mapped = np.load(tmp_path / "truth.npy", mmap_mode="r")
    expected = ssim(truth, prediction, data_range=1.0)
    for other in (mapped, np.asfortranarray(truth), np.repeat(truth, 2, axis=2)[..., ::2]):
        assert ssim(other, prediction, data_range=1.0) == pytest.approx(expected, abs=1e-14)
    assert ssim(truth[::-1], mapped[::-1], data_range=1.0) == 1.0
    checked = pair(np.asfortranarray(truth), prediction, data_range=1.0)
    direct = ssim_map(pair(truth, prediction, data_range=1.0))
    np.testing.assert_allclose(ssim_map(checked), direct, rtol=0, atol=1e-14)


def test_slice_by_slice_is_the_mean_over_slices():
    truth, prediction = images((4, 13, 14))
    slices = [ssim(t, p, data_range=1.0) for t, p in zip(truth, prediction, strict=True)]
    assert ssim2d(truth, prediction, data_range=1.0) == pytest.approx(np.mean(slices), abs=1e-14)
    assert ssim2d(truth[0], prediction[0], data_range=1.0) == pytest.approx(slices[0], abs=1e-14)
    assert ssim(truth[:1], prediction[:1], data_range=1.0) == pytest.approx(slices[0], abs=1e-14)


@pytest.mark.parametrize("sigmas", [(0.5, 1.5, 2.5), (0.0, 1.0, 1.5), (0.15, 0.3, 3.0)])
def test_window_of_each_axis(sigmas):
    truth, prediction = images((14, 15, 24))
    checked = pair(truth, prediction, data_range=1.0)
    window = gaussian_window(truth.shape, sigma=sigmas)
    expected = slowly(truth, prediction, 1.0, sigmas)
    np.testing.assert_allclose(ssim_map(checked, window), expected, rtol=0, atol=1e-13)


def test_window_in_micrometres_is_wide_where_voxels_are_small():
    sigmas = sigmas_from_um(0.6, (2.0, 0.2, 0.4))
    assert sigmas == pytest.approx((0.3, 3.0, 1.5))
    assert gaussian_window((20, 30, 30), sigma=sigmas).radii == (1, 11, 5)
    assert gaussian_window((20, 30, 30), sigma=sigmas_from_um(0.01, (1, 1, 1))).radii == (1, 1, 1)


def test_window_shrinks_only_if_allowed():
    truth, prediction = images((4, 14, 15))
    message = r"^SSIM: axis 0 of shape \(4, 14, 15\) is shorter than the window of 11 voxels"
    with pytest.raises(InputError, match=message):
        ssim(truth, prediction, data_range=1.0)
    window = gaussian_window(truth.shape, shrink=True)
    assert window.radii == (1, 5, 5)
    for half in window.weights:
        assert half[0] + 2 * half[1:].sum() == pytest.approx(1.0, abs=1e-15)
    checked = pair(truth, prediction, data_range=1.0)
    assert -1 <= mean_ssim(checked, window) < 1
    assert ssim_map(checked, window).shape == (2, 4, 5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shape": (12,)}, "SSIM needs images (Z, Y, X) or (Y, X), found shape (12,)"),
        ({"shape": (2, 12, 12, 12)}, "found shape (2, 12, 12, 12)"),
        ({"shape": (12, 12), "sigma": 18}, "standard deviations from 0 to 17 voxels are needed"),
        ({"shape": (12, 12), "sigma": (1.5,)}, "2 standard deviations from 0 to 17"),
        ({"shape": (12, 1, 12)}, "axis 1 of shape (12, 1, 12) is shorter than the window"),
    ],
)
def test_explains(arguments, message):
    with pytest.raises(InputError, match=re.escape(message)):
        gaussian_window(**arguments)


def test_window_of_another_shape_is_refused_if_it_does_not_fit():
    truth, prediction = images((5, 12, 13))
    window = gaussian_window((11, 12, 13))
    with pytest.raises(InputError, match=r"of shape \(5, 12, 13\) are smaller than the window"):
        ssim_map(pair(truth, prediction, data_range=1.0), window)


def test_values_that_overflow_are_refused():
    truth, prediction = images()
    with pytest.raises(InputError, match="grey values too large for the data range 1"):
        ssim(1e200 * truth, 1e200 * prediction, data_range=1.0)


def _skimage():
    module = pytest.importorskip("skimage.metrics", reason="scikit-image is not installed")
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return lambda t, p, **more: module.structural_similarity(t, p, **options, **more)


@pytest.mark.parametrize("shape", [(13, 17, 160), (40, 21, 22), (21, 150)])
def test_agrees_with_scikit_image(shape):
    truth, prediction = images(shape)
    mean, full = _skimage()(truth, prediction, data_range=1.0, full=True)
    checked = pair(truth, prediction, data_range=1.0)
    assert ssim.of(checked) == pytest.approx(mean, abs=1e-12)
    inside = full[(slice(5, -5),) * len(shape)]
    np.testing.assert_allclose(ssim_map(checked), inside, rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [(13, 17, 160), (9, 8, 7), (21, 150)])
@pytest.mark.parametrize("sample", [True, False])
def test_uniform_window_agrees_with_the_defaults_of_scikit_image(shape, sample):
    module = pytest.importorskip("skimage.metrics", reason="scikit-image is not installed")
    truth, prediction = images(shape)
    options = {} if sample else {"use_sample_covariance": False}
    mean, full = module.structural_similarity(
        truth, prediction, data_range=0.8, full=True, **options
    )
    window = uniform_window(shape, sample_covariance=sample)
    checked = pair(truth, prediction, data_range=0.8)
    assert mean_ssim(checked, window) == pytest.approx(mean, abs=1e-12)
    inside = full[(slice(3, -3),) * len(shape)]
    np.testing.assert_allclose(ssim_map(checked, window), inside, rtol=0, atol=1e-12)


def _tensors(*arrays):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    return [torch.from_numpy(array.astype(np.float32))[None, None] for array in arrays]


def test_agrees_with_monai_and_its_float32_does_not_reach_the_constants():
    metrics = pytest.importorskip("monai.metrics", reason="MONAI is not installed")
    theirs = metrics.SSIMMetric(spatial_dims=3, data_range=1.0)
    truth, prediction = images()
    expected = ssim(truth.astype("f4"), prediction.astype("f4"), data_range=1.0)
    assert float(theirs(*_tensors(truth, prediction))) == pytest.approx(expected, abs=2e-5)
    flat = np.full((11, 11, 11), 0.3), np.full((11, 11, 11), 0.5)
    assert float(theirs(*_tensors(*flat))) == pytest.approx(0.88318, abs=3e-5)
    assert slowly(*flat, 1.0).item() == pytest.approx(ssim(*flat, data_range=1.0), abs=1e-13)
    assert ssim(*flat, data_range=1.0) == pytest.approx(0.88239, abs=5e-6)


def test_torch_programs_lose_a_large_offset():
    rng = np.random.default_rng(0)
    truth = rng.uniform(59950, 60050, (16, 16, 16)).round()
    prediction = truth + rng.normal(0, 20, truth.shape).round()
    expected = slowly(truth, prediction, 100.0).mean()
    assert ssim(truth, prediction, data_range=100.0) == pytest.approx(expected, abs=1e-10)
    tensors = _tensors(truth, prediction)
    monai = pytest.importorskip("monai.metrics", reason="MONAI is not installed")
    theirs = float(monai.SSIMMetric(spatial_dims=3, data_range=100.0)(*tensors))
    assert abs(theirs - expected) > 0.05
    functional = pytest.importorskip("torchmetrics.functional.image", reason="not installed")
    theirs = functional.structural_similarity_index_measure(*tensors, data_range=100.0)
    assert abs(float(theirs) - expected) > 0.05


def test_torchmetrics_averages_the_padding_in():
    functional = pytest.importorskip("torchmetrics.functional.image", reason="not installed")
    measure = functional.structural_similarity_index_measure
    truth, prediction = images((16, 18, 20))
    tensors = [tensor.double() for tensor in _tensors(truth, prediction)]
    expected = slowly(truth, prediction, 1.0)
    mean, full = measure(*tensors, data_range=1.0, return_full_image=True)
    assert abs(float(mean) - expected.mean()) > 1e-4
    inside = full[0, 0, 5:-5, 5:-5, 5:-5].numpy()
    np.testing.assert_allclose(inside, expected, rtol=0, atol=1e-5)
    assert inside.mean() == pytest.approx(ssim(truth, prediction, data_range=1.0), abs=1e-5)


def test_agrees_with_pytorch_msssim():
    module = pytest.importorskip("pytorch_msssim", reason="pytorch-msssim is not installed")
    truth, prediction = images()
    theirs = module.ssim(*[t.double() for t in _tensors(truth, prediction)], data_range=1.0)
    assert float(theirs) == pytest.approx(ssim(truth, prediction, data_range=1.0), abs=1e-5)
