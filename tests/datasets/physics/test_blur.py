import numpy as np
import pytest
from scipy import ndimage

from cytosuite.datasets.physics import grid
from cytosuite.datasets.physics.blur import blurred

SHAPE = (23, 14, 17)


def _light(sigma, shape=SHAPE):
    """Return a blurred image in slabs put together, the slabs, and scipy's."""
    image = np.random.default_rng(0).random(shape, dtype=np.float32)
    parts = list(blurred(lambda box: image[box].copy(), shape, sigma))
    whole = ndimage.gaussian_filter(image, sigma, mode="nearest")
    return np.concatenate([part for _, part in parts]), [span for span, _ in parts], whole


@pytest.mark.parametrize("planes", [1, 4, 23])
@pytest.mark.parametrize(
    "sigma", [(0.0, 0.0, 0.0), (0.7, 0.0, 1.2), (1.3, 0.6, 0.0), (9.0, 8.0, 7.0)]
)
def test_slabs_have_the_bytes_of_scipys_whole(monkeypatch, planes, sigma):
    """The last Gaussian is wider than the image."""
    monkeypatch.setattr(grid, "SLAB", planes * SHAPE[1] * SHAPE[2])
    found, spans, whole = _light(sigma)
    assert found.tobytes() == whole.tobytes()
    assert [span.stop - span.start for span in spans[:-1]] == [planes] * (len(spans) - 1)
    assert spans[-1].stop == SHAPE[0]


def test_rows_blurred_together_do_not_count(monkeypatch):
    monkeypatch.setattr(grid, "SLAB", 3 * SHAPE[1] * SHAPE[2])
    found, _, whole = _light((1.5, 1.0, 1.0))
    monkeypatch.setattr("cytosuite.datasets.physics.blur.ROWS", 1)
    again, _, _ = _light((1.5, 1.0, 1.0))
    assert found.tobytes() == again.tobytes() == whole.tobytes()


def test_a_mistake_in_a_slab_is_raised(monkeypatch):
    monkeypatch.setattr(grid, "SLAB", 1)

    def paint(box):
        if box[0].stop > 3:
            raise ValueError("no such plane")
        return np.zeros([span.stop - span.start for span in box], np.float32)

    with pytest.raises(ValueError, match="no such plane"):
        list(blurred(paint, (6, 4, 4), (0.2, 0.2, 0.2)))
