import numpy as np
import pytest
from scipy import ndimage

from cytosuite.denoising.camera import Camera
from cytosuite.training.light import light_of

CAMERA = Camera(gain=12, offset=100, read_noise=0.15, excess=1, lag=0.03)


def _light(shape=(24, 80, 80)):
    """Return nuclei with dark middles on dim ground, counts."""
    rng = np.random.default_rng(0)
    peaks = np.zeros(shape, np.float32)
    peaks[tuple(rng.integers(4, n - 4, 25) for n in shape)] = 1
    wide, narrow = (ndimage.gaussian_filter(peaks, sigma) for sigma in ((2, 4, 4), (1, 1.5, 1.5)))
    shown = wide / wide.max() - 0.3 * narrow / narrow.max()
    return (100 + 12 * (0.6 + 25 * shown.clip(0))).astype(np.float32)


@pytest.mark.parametrize("plane", [False, True])
def test_light_is_nearer_to_the_truth_than_the_best_smoothing(plane):
    truth = _light()[12] if plane else _light()
    seen = np.rint(CAMERA.expose(truth, 0)).astype(np.uint16)
    variance = 12 * 2 * (truth - 100) + 4

    def error(found):
        return float(((found - truth) ** 2 / variance).mean())

    smooth = min(
        error(ndimage.gaussian_filter(seen.astype(np.float32), width)) for width in (0.7, 1, 1.5, 2)
    )
    found = light_of(seen, CAMERA)
    assert error(found) < 0.92 * smooth
    assert (found.dtype, found.shape) == (np.float32, truth.shape)
    assert found.mean() == pytest.approx(truth.mean(), rel=0.01)


def test_an_image_without_light_has_none():
    dark = np.full((6, 20, 20), 100, np.uint16)
    np.testing.assert_allclose(light_of(dark, CAMERA), 100, atol=1e-3)
