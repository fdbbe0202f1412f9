import tracemalloc

import numpy as np
import pytest
from mistakes import refused
from rasters import away_from

from cytosuite.bodies.grid import Grid
from cytosuite.datasets.physics import psf
from cytosuite.datasets.physics.optics import Attenuation
from cytosuite.datasets.physics.psf import Kernel, Sampled
from cytosuite.datasets.physics.render import (
    GaussianSpread,
    SampledSpread,
    means,
    render,
    simulation_grid,
    slabs,
    spread_of,
)

DETECTOR = Grid((12, 20, 22), (2.0, 0.6, 0.6))
FINE = Grid((40, 62, 60), (1.3, 0.4, 0.45), (-13.0, -6.0, -7.0))
GRID = Grid((24, 30, 32), (1.0, 1.0, 1.0))
DETECTOR_RENDER = Grid((16, 24, 26), (2.0, 0.6, 0.6))
NONE = Attenuation("none")
NARROW = psf.Gaussian((1.0, 0.4, 0.4))


def _axis(count, step, start=0.0):
    return start + (np.arange(count) + 0.5) * step, step


def _spread(spread, grid, light):
    out = np.zeros(grid.shape, np.float32)
    spread.add(light, 0, out)
    spread.finish(out)
    return out


@pytest.mark.parametrize("sigma, size", [(0.05, 1.7), (0.4, 0.3), (2.0, 0.5)])
def test_means_are_those_of_a_brute_force_sum(sigma, size):
    source = _axis(7, 0.5)
    target = _axis(6, size, start=-1.0)
    matrix = means(source, target, sigma).toarray()
    finest = np.arange(-16, 22, 0.005) + 0.0025  # µm
    kernel = np.exp(-((np.arange(-2400, 2401) * 0.005 / sigma) ** 2) / 2)
    inside = np.abs(finest - target[0][:, None]) < size / 2
    for column, place in zip(matrix.T, source[0], strict=True):
        light = np.abs(finest - place) < 0.25
        blurred = np.convolve(light, kernel / kernel.sum(), mode="same")
        assert column == pytest.approx(inside @ blurred / inside.sum(1), abs=0.01)


# Through a coarse grid, and directly where it is narrower than that.
@pytest.mark.parametrize("sigma", [(6.0, 3.0, 2.5), (0.0, 3.0, 0.0)])
def test_haze_is_exact_to_a_thousandth(sigma, rng):
    light = np.zeros(FINE.shape, np.float32)
    for voxel in rng.integers(8, FINE.shape, (9, 3)) - 4:
        light[tuple(voxel)] = 1
    shapes = psf.Gaussian((1, 1, 1), haze=1.0, haze_sigma_um=sigma), psf.Gaussian(sigma)
    hazy, direct = (_spread(GaussianSpread(s, FINE, DETECTOR), DETECTOR, light) for s in shapes)
    assert np.abs(hazy - direct).max() < 1e-3 * direct.max()


def _kernel(light, spacing=(1.0, 1.0, 1.0)):
    middle = tuple((n - 1) / 2 for n in light.shape)
    return Kernel((light / light.sum()).astype(np.float32), spacing, middle)


def _ball(width):
    return _kernel(np.exp(-(away_from(5, (11,) * 3, 1 / width) ** 2) / 2))


def _sampled_spread(psf, light):
    return _spread(SampledSpread(psf, GRID, GRID), GRID, light)


def _points(*voxels):
    light = np.zeros(GRID.shape, np.float32)
    for voxel in voxels:
        light[voxel] = 1
    return light


def test_a_point_looks_like_the_point_spread_function_not_its_mirror_image(rng):
    kernel = _kernel(rng.random((5, 7, 3)))
    out = _sampled_spread(Sampled((kernel,)), _points((10, 12, 14)))
    assert np.abs(out[8:13, 9:16, 13:16] - kernel.image).max() < 1e-5 * kernel.image.max()
    assert out.sum() == pytest.approx(1, abs=1e-5)


def test_width_follows_the_depth_of_the_light():
    psf = Sampled((_ball(0.8), _ball(1.6)), (6.0, 18.0))

    def variance(image):
        profile = image.sum(axis=(0, 1), dtype=np.float64)
        away = np.arange(len(profile)) - len(profile) // 2
        return np.average(away**2, weights=profile)

    narrow, wide = (variance(kernel.resampled((1.0, 1.0, 1.0)).image) for kernel in psf.kernels)
    part = (11.5 - 6) / 12  # the middle of plane 11 is at 11.5 µm
    width = variance(_sampled_spread(psf, _points((11, 15, 16))))
    assert width == pytest.approx((1 - part) * narrow + part * wide, rel=1e-3)


def test_refuses_a_point_spread_function_larger_than_the_volume():
    wide = Sampled((_kernel(np.ones((5, 41, 5))),))
    message = r"\(5, 41, 5 µm, z y x\) is larger than the simulated volume \(24, 30, 32 µm\); crop"
    refused(message, SampledSpread, wide, GRID, GRID)


def _of(image):
    """What paints the planes of an image."""
    return lambda slab: image[slab.first[0] : slab.first[0] + slab.shape[0]].copy()


def _even(slab):
    return np.ones(slab.shape, np.float32)


def _sampled():
    axes = np.meshgrid(*[np.arange(-8, 9) * 0.5, *[np.arange(-10, 11) * 0.2] * 2], indexing="ij")
    kernels = []
    for width in (1.0, 1.5):
        light = np.exp(-((axes[0] / width) ** 2 + (axes[1] ** 2 + axes[2] ** 2) / 0.16) / 2)
        light *= 1 + 0.3 * np.sign(axes[0])  # asymmetric
        kernels.append(_kernel(light, (0.5, 0.2, 0.2)))
    return Sampled(tuple(kernels))


def _scene(shape_of_light):
    grid = simulation_grid(DETECTOR_RENDER, (1.5,) * 3, shape_of_light.reach_um(32.0))
    return grid, *np.random.default_rng(0).random((2, *grid.shape), np.float32)


@pytest.mark.parametrize(
    "shape_of_light",
    [NARROW, psf.Gaussian((1, 0.4, 0.4), haze=0.4, haze_sigma_um=(2, 1, 1)), _sampled()],
)
def test_light_in_the_middle_is_kept(shape_of_light):
    grid, light, _ = _scene(shape_of_light)
    around = np.ones(grid.shape, bool)
    around[15:-15, 22:-22, 22:-22] = False
    light[around] = 0
    volume, voxel = (np.prod(g.spacing) for g in (DETECTOR_RENDER, grid))
    out = render(_of(light), _even, grid, DETECTOR_RENDER, shape_of_light, NONE)
    assert out.sum(dtype=np.float64) * volume == pytest.approx(
        light.sum(dtype=np.float64) * voxel, rel=3e-3
    )
    assert out.min() >= 0
    assert out.dtype == np.float32


@pytest.mark.parametrize(
    "shape_of_light",
    [psf.Gaussian((1.5, 0.6, 0.6), haze=0.3, haze_sigma_um=(6, 3, 3), growth=0.5), _sampled()],
)
def test_does_not_depend_on_the_slabs_of_render(shape_of_light):
    grid, dye, share = _scene(shape_of_light)
    law = Attenuation("exponential", 15.0, delay_um=2.0)
    scene = (_of(dye), _of(share), grid, DETECTOR_RENDER, shape_of_light, law, 3.0)
    whole = render(*scene)
    assert len(slabs(grid, spread_of(shape_of_light, grid, DETECTOR_RENDER), 400_000)) > 1
    assert np.abs(render(*scene, max_bytes=400_000) - whole).max() < 1e-5 * whole.max()


def test_simulation_grid_reaches_as_far_as_asked():
    grid = simulation_grid(
        Grid((5, 7, 9), (2.0, 0.6, 0.5), (1.0, 2.0, 3.0)), (2, 1.5, 1), (3, 1, 0)
    )
    assert grid.spacing == pytest.approx((1.0, 0.4, 0.5))
    assert grid.shape == (10 + 6, 11 + 6, 9)
    assert grid.origin == pytest.approx((1.0 - 3.0, 2.0 - 1.2, 3.0))


@pytest.mark.parametrize("shape_of_light, bound", [(NARROW, 2**22), (_sampled(), 2**24)])
def test_slabs_bound_the_memory(shape_of_light, bound):
    detector = Grid((40, 128, 128), (1.0, 0.5, 0.5))
    grid = simulation_grid(detector, (1, 1, 1), (4.0, 2.0, 2.0))
    assert len(slabs(grid, spread_of(shape_of_light, grid, detector), bound)) > 1
    tracemalloc.start()
    out = render(_even, _even, grid, detector, shape_of_light, NONE, max_bytes=bound)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < out.nbytes + 1.2 * bound
