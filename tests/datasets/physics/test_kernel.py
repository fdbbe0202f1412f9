import numpy as np
import pytest

from cytosuite.datasets.physics.kernel import KEPT, Kernel


def _skewed(spacing=(0.2, 0.1, 0.1), shape=(31, 40, 41)):
    """An asymmetric point spread function with its point off the middle."""
    z, y, x = np.meshgrid(*map(np.arange, shape), indexing="ij")
    light = np.exp(-((y - 19.3) ** 2 + (x - 20.6) ** 2) / 30) * np.exp(-((z - 12) ** 2) / 18)
    light += 0.2 * np.exp(-((y - 22) ** 2 + (x - 20.6) ** 2) / 60) * np.exp(-((z - 19) ** 2) / 18)
    image = (light / light.sum()).astype(np.float32)
    return Kernel(image, spacing, (12.0, 19.3, 20.6))


def _moments(kernel):
    for axis in range(3):
        profile = kernel.image.sum(axis=tuple({0, 1, 2} - {axis}), dtype=np.float64)
        offsets = kernel.offsets_um(axis)
        mean = (profile * offsets).sum() / profile.sum()
        yield mean, (profile * (offsets - mean) ** 2).sum() / profile.sum()


@pytest.mark.parametrize("spacing", [(0.2, 0.1, 0.1), (0.31, 0.17, 0.4), (0.07, 0.05, 0.06)])
def test_resampling_keeps_sum_and_centroid(spacing):
    before = _skewed()
    after = before.resampled(spacing)
    assert after.image.sum(dtype=np.float64) == pytest.approx(1, abs=1e-6)
    for (mean, variance), (old, spread), step in zip(
        _moments(after), _moments(before), spacing, strict=True
    ):
        assert mean == pytest.approx(old, abs=0.01)
        # voxels of the old size, spread evenly, then collected in the new
        assert variance == pytest.approx(spread + step**2 / 12, rel=0.04)


def test_resampling_puts_the_point_into_the_middle_of_an_odd_size():
    after = _skewed().resampled((0.3, 0.2, 0.2))
    assert all(n % 2 == 1 for n in after.image.shape)
    assert after.centre == tuple(n // 2 for n in after.image.shape)
    assert after.image.min() >= 0


def test_resampling_crops_to_the_box_of_the_light():
    wide = np.zeros((21, 61, 61), np.float32)
    wide[8:13, 28:33, 28:33] = 1 / 125
    kernel = Kernel(wide, (1.0, 1.0, 1.0), (10.0, 30.0, 30.0))
    assert kernel.half_um(KEPT) == (2.5, 2.5, 2.5)
    assert kernel.resampled((1.0, 1.0, 1.0)).image == pytest.approx(wide[8:13, 28:33, 28:33])
    assert kernel.resampled((5.0, 5.0, 5.0)).image.tolist() == [[[1.0]]]


def test_box_leaves_out_no_more_than_asked():
    kernel = _skewed()
    halves = kernel.half_um(0.99)
    inside = np.ones(kernel.image.shape, bool)
    for axis in range(3):
        near = np.abs(kernel.offsets_um(axis)) <= halves[axis]
        inside &= near.reshape([-1 if a == axis else 1 for a in range(3)])
    assert 0.99 <= kernel.image[inside].sum() < 0.999
