import numpy as np
import pytest
from scipy import ndimage

from cytosuite.datasets.physics import optics
from cytosuite.datasets.physics.optics import blurred

DEPTHS = np.array([0, 3, 12, 60, 400])  # voxels
SHAPE = (23, 14, 17)


def test_voxels_with_a_share_of_tissue_count_in_part():
    image = np.ones((3, 1, 1), np.float32)
    share = np.full((3, 1, 1), 0.25, np.float32)
    below = optics.attenuate(
        image, share, 2.0, optics.Attenuation("exponential", 3.0), above_um=1.0
    )
    assert image[:, 0, 0] == pytest.approx(np.exp(-np.array([1.25, 1.75, 2.25]) / 3), rel=1e-6)
    assert below[0, 0] == pytest.approx(2.5)


@pytest.mark.parametrize(
    "length, delay, floor", [(90, 0, 0.2), (90, -5, 0.0), (150, 0, 0.0), (200, 10, 0.0)]
)
def test_power_laws_are_the_published_formula(length, delay, floor):
    factor = optics.Attenuation("power", length, delay, floor).factor(DEPTHS)
    published = ((DEPTHS - delay) / length + 1.0) ** -6 + floor
    assert factor == pytest.approx(published.clip(0, 1), rel=1e-5)
    assert factor.dtype == np.float32


def test_a_delay_longer_than_the_length_does_not_dim():
    law = optics.Attenuation("power", length_um=4.0, delay_um=10.0)
    assert law.factor(np.array([0.0, 9.0])).tolist() == [1, 1]  # the bare formula gives 0.09 at 0


@pytest.mark.parametrize("planes", [4, 23])
@pytest.mark.parametrize(
    "sigma", [(0.0, 0.0, 0.0), (0.7, 0.0, 1.2), (1.3, 0.6, 0.0), (9.0, 8.0, 7.0)]
)
def test_slabs_have_the_bytes_of_scipys_whole(monkeypatch, planes, sigma, rng):
    # The last Gaussian is wider than the image.
    monkeypatch.setattr(optics, "ROWS", 100)
    monkeypatch.setattr("cytosuite.bodies.grid.SLAB", planes * SHAPE[1] * SHAPE[2])
    image = rng.random(SHAPE, dtype=np.float32)
    spans, parts = zip(*blurred(lambda box: image[box].copy(), SHAPE, sigma), strict=True)
    whole = ndimage.gaussian_filter(image, sigma, mode="nearest")
    assert np.concatenate(parts).tobytes() == whole.tobytes()
    assert [span.stop - span.start for span in spans[:-1]] == [planes] * (len(spans) - 1)
    assert spans[-1].stop == SHAPE[0]
