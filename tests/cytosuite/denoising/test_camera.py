import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from rasters import away_from
from scipy import ndimage

from cytosuite.denoising.camera import CameraModel, lag_of, late

EMCCD = CameraModel(gain=12, offset=100, read_noise=0.15, excess=1, lag=0.1)


@pytest.mark.parametrize("photons", [0, 0.6, 20])
def test_counts_have_mean_and_variance_of_the_camera(photons):
    counts = EMCCD.expose(np.full((20, 130, 70), 100 + 12 * photons, np.float32), 0).astype(float)
    variance = 12**2 * (2 * photons + 0.15**2)
    assert counts.mean() == pytest.approx(
        100 + 12 * photons, abs=4 * (variance / counts.size) ** 0.5
    )
    assert counts.var() == pytest.approx(variance, rel=0.03)


def _scene():
    """Return photons of dim ground with balls of light."""
    balls = [(8, 30, 40), (12, 80, 30), (16, 60, 90), (10, 100, 100)]
    far = [away_from(ball, (24, 120, 120), (1 / 6, 1 / 12, 1 / 12)) for ball in balls]
    return (0.6 + 20 * sum(np.exp(-(distance**2)) for distance in far)).astype(np.float32)


@pytest.mark.parametrize("lag", [0.0, 0.033, 0.1])
def test_a_lag_is_read_off_the_noise(lag):
    counts = EMCCD.model_copy(update={"lag": lag}).expose(100 + 12 * _scene(), 0)
    assert lag_of(counts) == pytest.approx(lag, abs=0.01)
    assert lag_of(np.tile(counts[12], (3, 3))) == pytest.approx(lag, abs=0.035)


@pytest.mark.parametrize("width", [0, 1.5])
def test_structure_along_x_is_no_lag(width, rng):
    lines = ndimage.gaussian_filter(rng.random((24, 120, 1)), (0, width, 0))
    fibres = (100 + 120 * lines + np.zeros(120)).astype(np.float32)
    assert lag_of(EMCCD.model_copy(update={"lag": 0.0}).expose(fibres, 0)) == 0
    assert lag_of(np.full((4, 20, 20), 7.0)) == 0


def test_a_share_of_the_electrons_comes_one_pixel_later():
    pulse = np.zeros((1, 1, 5), np.float32)
    pulse[..., 2] = 1
    expected = np.array([0, 0, 0.9, 0.1, 0]) / np.hypot(0.9, 0.1)
    assert_allclose(late(pulse, 0.1)[0, 0], expected, rtol=1e-6)


def test_counts_of_a_plane_go_by_seed_and_place():
    light = np.full((3, 128, 64), 160, np.float32)
    counts = EMCCD.expose(light, 0)
    assert_array_equal(counts[:2], EMCCD.expose(light[:2], 0))
    assert_array_equal(counts[0], EMCCD.expose(light[0], 0))
    assert (counts != EMCCD.expose(light, 1)).mean() > 0.9
    assert (counts[0] != counts[1]).mean() > 0.9
    assert (light == 160).all()
