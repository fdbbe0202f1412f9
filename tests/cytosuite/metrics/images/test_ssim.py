from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mistakes import refused
from numpy.lib.stride_tricks import sliding_window_view

from cytosuite.metrics.images.ssim import compare, gaussian_window, ssim

C1 = 0.01**2
C2 = 0.03**2


def images(shape=(13, 14, 15), seed=0):
    """Return an image in [0, 1] with structure and noise, and a noisier one."""
    rng = np.random.default_rng(seed)
    grid = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij", sparse=True)
    truth = 0.5 + 0.3 * sum(np.sin(axis / 3 + seed) for axis in grid) / 3
    truth = truth + 0.05 * rng.standard_normal(shape)
    return truth, truth + 0.2 * rng.standard_normal(shape)


def slowly(truth, prediction, data_range):
    """Return the similarity of each window, with all its weights at once and the true variances."""
    weight = np.exp(-(np.arange(-5, 6) ** 2) / 4.5)
    weights = reduce(np.multiply.outer, [weight / weight.sum()] * truth.ndim)

    def mean(windows):
        return (weights * windows).sum(tuple(range(-truth.ndim, 0)), keepdims=True)

    x, y = (sliding_window_view(v.astype(float), weights.shape) for v in (truth, prediction))
    mx = mean(x)
    my = mean(y)
    vx, vy, cov = mean((x - mx) ** 2), mean((y - my) ** 2), mean((x - mx) * (y - my))
    c1 = C1 * data_range**2
    c2 = C2 * data_range**2
    return (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))


@pytest.mark.parametrize("shape", [(11, 11, 11), (12, 13, 14), (15, 11, 16), (1, 12, 13), (14, 15)])
def test_is_the_formula_window_by_window(shape):
    truth, prediction = images(shape)
    expected = (
        slowly(truth[0], prediction[0], 0.7) if shape[0] == 1 else slowly(truth, prediction, 0.7)
    )
    assert ssim(truth, prediction, data_range=0.7) == pytest.approx(expected.mean(), abs=1e-13)


def test_large_offset_does_not_drown_the_variances():
    truth, prediction = images()
    truth, prediction = (np.round(60000 + 100 * (v - 0.5)) for v in (truth, prediction))
    expected = slowly(truth, prediction, 100.0).mean()
    for dtype in (np.uint16, np.float32, np.float64):
        value = ssim(truth.astype(dtype), prediction.astype(dtype), data_range=100)
        assert value == pytest.approx(expected, abs=1e-10)


@given(st.integers(0, 1000), st.floats(1e-3, 1e3))
@settings(max_examples=15)
def test_is_1_for_equal_images_exactly(seed, data_range):
    truth, _ = images((12, 13, 11), seed)
    assert ssim(truth * data_range, truth * data_range, data_range=1.0) == 1.0


@pytest.mark.parametrize("shape", [(70, 12, 13), (12, 60, 13), (12, 12, 300), (34, 45, 160)])
def test_pieces_leave_no_seams_and_threads_change_nothing(shape, monkeypatch):
    # The mean is that of the windows, one by one, along the planes of each axis.
    truth, prediction = images(shape)
    whole = ssim(truth, prediction, data_range=1.0)
    axis = int(np.argmax(shape))
    parts = [
        [np.moveaxis(v, axis, 0)[at : at + 11] for v in (truth, prediction)]
        for at in range(shape[axis] - 10)
    ]
    means = [ssim(*map(np.ascontiguousarray, part), data_range=1.0) for part in parts]
    assert whole == pytest.approx(np.mean(means), abs=1e-13)
    for threads in (1, 5):
        monkeypatch.setattr("cytosuite.metrics.images.ssim.cores", lambda threads=threads: threads)
        assert ssim(truth, prediction, data_range=1.0) == whole


def test_a_failing_thread_is_not_silent(monkeypatch):
    def fail(*_, **__):
        raise MemoryError

    monkeypatch.setattr("cytosuite.metrics.images.ssim._band", fail)
    with pytest.raises(MemoryError):
        ssim(*images(), data_range=1.0)


@pytest.mark.parametrize("planes", [11, 80])
def test_columns_side_by_side_on_disk_have_the_value_of_those_in_memory(planes, mapped):
    rng = np.random.default_rng(planes)
    both = [rng.integers(0, 200, (planes, 29, 300)).astype(dtype) for dtype in ("f8", "i4")]
    places = both, [mapped(array) for array in both], [mapped(both[0]), both[1]]
    assert len({ssim(*pair, data_range=255.0) for pair in places}) == 1


def test_window_shrinks_only_if_allowed():
    truth, prediction = images((4, 14, 15))
    message = r"^SSIM: axis 0 of shape \(4, 14, 15\) is shorter than the window of 11 voxels; give"
    refused(message, ssim, truth, prediction, data_range=1.0)
    window = gaussian_window(truth.shape, shrink=True)
    assert [half.size for half in window] == [2, 6, 6]
    for half in window:
        assert half[0] + 2 * half[1:].sum() == pytest.approx(1.0, abs=1e-15)
    assert -1 <= compare(truth, prediction, 1.0, window) < 1
    refused(r"found shape \(12,\); give one", gaussian_window, (12,))


def test_values_that_overflow_are_refused():
    truth, prediction = images()
    refused(
        "grey values too large for the data range 1",
        ssim,
        1e140 * truth,
        1e140 * prediction,
        data_range=1.0,
    )
