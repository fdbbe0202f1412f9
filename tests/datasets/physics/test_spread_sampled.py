import numpy as np
import pytest

from cytosuite.datasets.physics.grid import Grid
from cytosuite.datasets.physics.kernel import Kernel
from cytosuite.datasets.physics.psf import Sampled
from cytosuite.datasets.physics.spread_sampled import SampledSpread, add_means
from cytosuite.errors import InputError

GRID = Grid((24, 30, 32), (1.0, 1.0, 1.0))


def _kernel(image):
    z, y, x = ((n - 1) / 2 for n in image.shape)
    return Kernel((image / image.sum()).astype(np.float32), (1.0, 1.0, 1.0), (z, y, x))


def _ball(width, shape=(11, 11, 11)):
    offsets = np.meshgrid(*((np.arange(n) - n // 2) / width for n in shape), indexing="ij")
    return _kernel(np.exp(-sum(axis**2 for axis in offsets) / 2))


def _spread(psf, light, thickness=24, detector=GRID):
    spread, out = SampledSpread(psf, GRID, detector), np.zeros(detector.shape, np.float32)
    for start in range(0, len(light), thickness):
        spread.add(light[start : start + thickness], start, out)
    spread.finish(out)
    return out


def _points(*voxels):
    light = np.zeros(GRID.shape, np.float32)
    for voxel in voxels:
        light[voxel] = 1
    return light


def test_a_point_looks_like_the_point_spread_function_not_its_mirror_image():
    kernel = _kernel(np.random.default_rng(0).random((5, 7, 3)))
    out = _spread(Sampled((kernel,)), _points((10, 12, 14)))
    assert np.abs(out[8:13, 9:16, 13:16] - kernel.image).max() < 1e-5 * kernel.image.max()
    assert out.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_same_several_times_is_the_one(count):
    light = np.random.default_rng(1).random(GRID.shape, dtype=np.float32)
    one = _spread(Sampled((_ball(1.5),)), light)
    several = _spread(Sampled((_ball(1.5),) * count), light)
    assert np.abs(one - several).max() < 1e-5 * one.max()


def test_blending_keeps_the_light_at_every_depth():
    psf = Sampled((_ball(0.7), _ball(1.2)), (6.0, 18.0))
    for depth in (4, 9, 12, 20):
        out = _spread(psf, _points((depth, 15, 16)))
        assert out.sum(dtype=np.float64) == pytest.approx(1, abs=2e-3)


def test_width_follows_the_depth_of_the_light():
    psf = Sampled((_ball(0.8), _ball(1.6)), (6.0, 18.0))
    axis = np.arange(32)

    def variance(depth):
        profile = _spread(psf, _points((depth, 15, 16))).sum(axis=(0, 1), dtype=np.float64)
        return (profile * (axis - 16) ** 2).sum() / profile.sum()

    narrow, wide = (
        kernel.resampled((1.0, 1.0, 1.0)).image.sum(axis=(0, 1)) for kernel in psf.kernels
    )
    shares = [((p * (np.arange(len(p)) - len(p) // 2) ** 2).sum()) for p in (narrow, wide)]
    assert variance(5) == pytest.approx(shares[0], rel=1e-3)  # its middle is at 5.5 µm
    assert variance(18) == pytest.approx(shares[1], rel=1e-3)
    part = (11.5 - 6) / 12
    assert variance(11) == pytest.approx((1 - part) * shares[0] + part * shares[1], rel=1e-3)


@pytest.mark.parametrize("thickness", [1, 5, 7])
def test_does_not_depend_on_the_slabs(thickness):
    light = np.random.default_rng(2).random(GRID.shape, dtype=np.float32)
    psf = Sampled((_ball(1.0), _ball(1.5), _ball(2.0)))
    detector = Grid((9, 14, 15), (2.3, 1.9, 2.0), (1.0, 1.0, 0.5))
    whole = _spread(psf, light, detector=detector)
    assert np.abs(_spread(psf, light, thickness, detector) - whole).max() < 1e-5 * whole.max()


def test_nothing_wraps_around():
    out = _spread(Sampled((_ball(1.5),)), _points((0, 0, 0)))
    assert np.abs(out[12:]).max() < 1e-8
    assert np.abs(out[:, 15:]).max() < 1e-8


def test_refuses_a_point_spread_function_larger_than_the_volume():
    wide = Sampled((_kernel(np.ones((5, 41, 5))),))
    message = r"\(5, 41, 5 µm, z y x\) is larger than the simulated volume \(24, 30, 32 µm\); crop"
    with pytest.raises(InputError, match=message):
        SampledSpread(wide, GRID, GRID)


def test_means_of_slabs_add_up_to_those_of_the_whole():
    image = np.random.default_rng(3).random(GRID.shape, dtype=np.float32)
    detector = Grid((14, 20, 20), (1.7, 1.5, 1.6), (-1.2, 0.0, 0.0))
    whole, parts = np.zeros((2, *detector.shape), np.float32)
    add_means(image, GRID, detector, whole)
    for start in range(0, 24, 5):
        stop = min(start + 5, 24)
        add_means(image[start:stop], GRID.slab(start, stop), detector, parts)
    assert np.abs(whole - parts).max() < 1e-6
    assert whole[5].mean() == pytest.approx(0.5, abs=0.05)
    untouched = np.full(detector.shape, 7, np.float32)
    add_means(image, Grid((24, 30, 32), (1.0, 1.0, 1.0), (90.0, 0.0, 0.0)), detector, untouched)
    assert (untouched == 7).all()
