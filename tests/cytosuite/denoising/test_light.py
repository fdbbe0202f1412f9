import numpy as np
import pytest
from scipy import ndimage

from cytosuite.denoising.camera import CameraModel, light_of
from cytosuite.volume import memory

CAMERA = CameraModel(gain=12, offset=100, read_noise=0.15, excess=1, lag=0.03)


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
    monkeypatch.setattr(memory, "SLAB", 1)  # slabs of 32 planes
    np.testing.assert_array_equal(light_of(mapped(seen), CAMERA), light_of(seen, CAMERA))


@pytest.mark.parametrize("shape", [(6, 20, 20), (20, 20)])
def test_an_image_without_light_has_none(shape):
    np.testing.assert_allclose(light_of(np.full(shape, 100, np.uint16), CAMERA), 100, atol=1e-3)
