import numpy as np
import pytest

from cytosuite.datasets.physics import psf
from cytosuite.datasets.physics.grid import Grid
from cytosuite.datasets.physics.spread_gaussian import GaussianSpread, axis_um, means

DETECTOR = Grid((12, 20, 22), (2.0, 0.6, 0.6))
FINE = Grid((40, 62, 60), (1.3, 0.4, 0.45), (-13.0, -6.0, -7.0))


def _axis(count, step, start=0.0):
    return start + (np.arange(count) + 0.5) * step, step


def _spread(shape, light, grid=FINE, detector=DETECTOR):
    spread, out = GaussianSpread(shape, grid, detector), np.zeros(detector.shape, np.float32)
    spread.add(light, 0, out)
    spread.finish(out)
    return out


@pytest.mark.parametrize("sigma", [0.05, 0.4, 2.0])
@pytest.mark.parametrize("size", [0.3, 0.5, 1.7])
def test_means_are_those_of_a_brute_force_sum(sigma, size):
    source, target = _axis(7, 0.5), _axis(6, size, start=-1.0)
    matrix = means(source, target, sigma).toarray()
    finest = np.arange(-16, 22, 0.005) + 0.0025  # µm
    for column in range(7):
        light = (np.abs(finest - source[0][column]) < 0.25).astype(float)
        kernel = np.exp(-((np.arange(-2400, 2401) * 0.005 / sigma) ** 2) / 2)
        blurred = np.convolve(light, kernel / kernel.sum(), mode="same")
        for row in range(6):
            inside = np.abs(finest - target[0][row]) < size / 2
            assert matrix[row, column] == pytest.approx(blurred[inside].mean(), abs=0.01)


def test_means_without_blur_share_out_what_borders_cut():
    matrix = means(_axis(3, 1.0), _axis(2, 1.5), 0.0).toarray()
    assert matrix == pytest.approx(np.array([[2, 1, 0], [0, 1, 2]]) / 3, abs=1e-6)


def test_even_light_stays_even():
    matrix = means(_axis(60, 0.5, -10), _axis(10, 0.7), 1.0)
    assert matrix.sum(axis=1) == pytest.approx(np.ones(10), abs=1e-4)


def test_width_may_differ_from_source_to_source():
    source, target = _axis(40, 1.0), _axis(40, 1.0)
    widths = np.where(source[0] < 20, 1.0, 3.0)
    mixed, narrow, wide = (means(source, target, w).toarray() for w in (widths, 1.0, 3.0))
    assert mixed[:, 5] == pytest.approx(narrow[:, 5], abs=1e-5)
    assert mixed[:, 30] == pytest.approx(wide[:, 30], abs=1e-5)


def test_haze_by_way_of_a_coarse_grid_is_exact_to_a_thousandth():
    light = np.zeros(FINE.shape, np.float32)
    for voxel in np.random.default_rng(0).integers(8, FINE.shape, (9, 3)) - 4:
        light[tuple(voxel)] = 1
    sigma = (6.0, 3.0, 2.5)
    hazy = _spread(psf.Gaussian((1, 1, 1), haze=1.0, haze_sigma_um=sigma), light)
    direct = _spread(psf.Gaussian(sigma), light)
    assert np.abs(hazy - direct).max() < 1e-3 * direct.max()


@pytest.mark.parametrize("sigma", [(0.9, 0.3, 0.3), (0.0, 3.0, 0.0)])
def test_haze_narrower_than_the_grid_is_spread_directly(sigma):
    light = np.random.default_rng(0).random(FINE.shape, dtype=np.float32)
    hazy = _spread(psf.Gaussian((1, 1, 1), haze=1.0, haze_sigma_um=sigma), light)
    direct = _spread(psf.Gaussian(sigma), light)
    assert np.abs(hazy - direct).max() < 1e-3 * direct.max()


def test_dark_stays_exactly_dark():
    light = np.zeros(FINE.shape, np.float32)
    light[20, 30, 30] = 1
    out = _spread(psf.Gaussian((0.5, 0.3, 0.3)), light)
    assert out.min() == 0
    assert (out > 0).sum() < 200


def test_growth_widens_light_from_below_only():
    light = np.zeros(FINE.shape, np.float32)
    light[[14, 30], 30, 30] = 1  # 5.9 and 26.7 µm below the first plane
    grown = psf.Gaussian((1.0, 0.5, 0.5), growth=2.0)
    out = _spread(grown, light).sum(axis=1, dtype=np.float64)  # (Z, X)
    axis = axis_um(DETECTOR, 2)[0]
    for row, depth in ((2, 5.85), (11, 26.65)):
        profile = out[row]
        middle = (profile * axis).sum() / profile.sum()
        variance = (profile * (axis - middle) ** 2).sum() / profile.sum()
        sigma = 0.5 * (1 + 2.0 * depth / 100)
        assert variance == pytest.approx(sigma**2 + (0.45**2 + 0.6**2) / 12, rel=0.02)
