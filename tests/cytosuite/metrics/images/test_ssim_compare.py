import math

import numpy as np
import pytest

from cytosuite.metrics.images import ssim_compare
from cytosuite.metrics.images.ssim_compare import compare, values_shape
from cytosuite.metrics.images.ssim_window import Window, gaussian_window

ONE = np.ones(1)


def volumes(shape=(6, 40, 300)):
    rng = np.random.default_rng(0)
    truth = rng.random(shape)
    return truth, truth + 0.2 * rng.standard_normal(shape)


def test_a_window_of_one_voxel_compares_values_only():
    truth, prediction = volumes()
    out = np.empty(truth.shape)
    mean = compare(truth, prediction, 1.0, Window((ONE, ONE, ONE)), out=out)
    expected = (2 * truth * prediction + 1e-4) / (truth**2 + prediction**2 + 1e-4)
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-12)
    assert mean == pytest.approx(expected.mean(), abs=1e-13)


@pytest.mark.parametrize("half", [(0.5, 0.25), (0.2, 0.2, 0.2), (1 / 3, 1 / 3)])
def test_any_symmetric_weights_smooth_along_each_axis(half):
    truth, prediction = volumes((9, 20, 21))
    weights = np.array([*half[:0:-1], *half])
    radius = len(half) - 1

    def mean(values, axis):
        return np.apply_along_axis(np.convolve, axis, values, weights, "valid")

    for axis in range(3):
        halves = [ONE, ONE, ONE]
        halves[axis] = np.array(half)
        window = Window(tuple(halves))
        assert window.radii[axis] == radius
        mx, my = mean(truth, axis), mean(prediction, axis)
        vx = mean(truth**2, axis) - mx**2
        vy = mean(prediction**2, axis) - my**2
        cov = mean(truth * prediction, axis) - mx * my
        expected = (2 * mx * my + 1e-4) * (2 * cov + 9e-4)
        expected /= (mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4)
        out = np.empty(values_shape(truth.shape, window))
        compare(truth, prediction, 1.0, window, out=out)
        np.testing.assert_allclose(out, expected, rtol=0, atol=1e-12)


def test_scaled_values_are_those_of_scaled_copies():
    truth, prediction = volumes((12, 13, 14))
    window = gaussian_window(truth.shape)
    scales = ((2.0, -0.5), (0.5, 3.0))
    copies = 2.0 * truth - 0.5, 0.5 * prediction + 3.0
    expected = compare(*copies, 1.0, window)
    assert compare(truth, prediction, 1.0, window, scales) == pytest.approx(expected, abs=1e-13)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_result_does_not_depend_on_the_number_of_threads(threads, monkeypatch):
    truth, prediction = volumes((11, 60, 300))
    window = gaussian_window(truth.shape)
    expected = compare(truth, prediction, 1.0, window)
    monkeypatch.setattr(ssim_compare, "_processors", lambda: threads)
    assert compare(truth, prediction, 1.0, window) == expected


def test_a_failing_thread_is_not_silent(monkeypatch):
    truth, prediction = volumes((11, 60, 300))

    def fail(*_, **__):
        raise MemoryError

    monkeypatch.setattr(ssim_compare, "_band", fail)
    with pytest.raises(MemoryError):
        compare(truth, prediction, 1.0, gaussian_window(truth.shape))


def test_shape_of_the_values():
    window = gaussian_window((20, 30, 40))
    assert values_shape((20, 30, 40), window) == (10, 20, 30)
    assert values_shape((30, 40), gaussian_window((30, 40))) == (1, 20, 30)


def test_memory_does_not_grow_with_the_volume():
    from cytosuite.metrics.images import ssim_kernel as kernel

    mib = sum(buffer.nbytes for buffer in kernel.workspace((5, 5, 5))) / 2**20
    assert mib < 4
    assert math.prod((kernel.ROWS, kernel.LINE)) + 40 == kernel.PLANE
    assert (8 * kernel.PLANE) % 4096 != 0


@pytest.mark.parametrize(
    "dtypes", [("u2", "u2"), ("f4", "u1"), ("f8", "i4"), (">f4", "f4")], ids=str
)
@pytest.mark.parametrize("planes", [11, 32, 43, 80])
def test_columns_side_by_side_on_disk_have_the_values_of_those_in_memory(dtypes, planes, mapped):
    rng = np.random.default_rng(planes)
    pair = [rng.integers(0, 200, (planes, 29, 300)).astype(dtype) for dtype in dtypes]
    window = gaussian_window(pair[0].shape)
    found = []
    for both in (pair, [mapped(array) for array in pair], [mapped(pair[0]), pair[1]]):
        out = np.full(ssim_compare.values_shape(pair[0].shape, window), np.nan)
        found.append((compare(*both, 255.0, window, out=out), compare(*both, 255.0, window), out))
    assert len({value for mean, again, _ in found for value in (mean, again)}) == 1
    assert all((found[0][2] == out).all() for _, _, out in found)
    assert found[0][2].mean() == pytest.approx(found[0][0], rel=1e-12)
