import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from rasters import away_from
from scipy import ndimage

from cytosuite.denoising.camera import CameraModel, lag_of, late, light_of

EMCCD = CameraModel(gain=12, offset=100, read_noise=0.15, excess=1, lag=0.1)
CAMERA = CameraModel(gain=12, offset=100, read_noise=0.15, excess=1, lag=0.03)


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


def _light():
    """Return nuclei of many levels with dark middles on dim ground, counts."""
    rng = np.random.default_rng(0)
    peaks = np.zeros((24, 100, 100), np.float32)
    peaks[tuple(rng.integers(4, n - 4, 6) for n in peaks.shape)] = rng.uniform(0.1, 1, 6)
    wide, narrow = (ndimage.gaussian_filter(peaks, sigma) for sigma in ((2, 4, 4), (1, 1.2, 1.2)))
    shown = wide / wide.max() - 0.3 * narrow / narrow.max()
    return (100 + 12 * (0.6 + 80 * shown.clip(0))).astype(np.float32)


def test_light_is_nearer_to_the_truth_than_any_smoothing():
    truth = _light()
    seen = np.rint(CAMERA.expose(truth, 0)).astype(np.uint16)
    variance = 12 * 2 * (truth - 100) + 4

    def error(light):
        return float(((light - truth) ** 2 / variance).mean())

    smooth = [ndimage.gaussian_filter(seen.astype(np.float32), width) for width in (0.7, 1, 1.5)]
    light = light_of(seen, CAMERA)
    assert error(light) < 0.7 * min(map(error, smooth))
    assert (light.dtype, light.shape) == (np.float32, truth.shape)
    assert light.mean() == pytest.approx(truth.mean(), rel=0.01)


def test_light_of_a_stack_on_disk_is_that_of_one_in_memory(mapped, monkeypatch):
    seen = CAMERA.expose(np.tile(_light()[:, :20, :20], (3, 1, 1)), 0)
    monkeypatch.setattr("cytosuite.volume.memory.SLAB", 1)  # slabs of 32 planes
    np.testing.assert_array_equal(light_of(mapped(seen), CAMERA), light_of(seen, CAMERA))


@pytest.mark.parametrize("shape", [(6, 20, 20), (20, 20)])
def test_an_image_without_light_has_none(shape):
    np.testing.assert_allclose(light_of(np.full(shape, 100, np.uint16), CAMERA), 100, atol=1e-3)
