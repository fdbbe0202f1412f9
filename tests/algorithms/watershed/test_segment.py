import numpy as np
import pytest
from house import ROOT
from rasters import away_from, sizes_of
from scipy import ndimage

from cytosuite.algorithms.watershed.parameters import Parameters
from cytosuite.algorithms.watershed.segment import segment, widened
from cytosuite.files import read_json

NUCLEI = Parameters(
    smoothing_um=0.6,
    axial_elongation=1.0,
    radii_um=(4.0,),
    local_um=0.0,
    threshold_factor=1.0,
    object_factor=0.6,
    object_weight=1.0,
    minimum_size=30.0,
)


def balls(*centres, shape=(24, 48, 48), spacing=(1.0, 1.0, 1.0)):
    """Blurred balls at centres in µm, 100 counts of background, camera noise."""
    image = np.random.default_rng(0).normal(100, 1, shape)
    for centre in centres:
        distance = away_from(np.divide(centre, spacing), shape, spacing)
        image += 60 / (1 + np.exp((distance - 5) / 0.4))
    return image


def test_separates_two_touching_nuclei():
    labels = segment(balls((12, 24, 19), (12, 24, 28)), (1.0, 1.0, 1.0), NUCLEI)
    sizes = sizes_of(labels)
    assert len(sizes) == 2
    assert sizes[0] == pytest.approx(sizes[1], rel=0.1)
    assert labels[12, 24, 19] != labels[12, 24, 28]


def test_an_anisotropic_grid_gives_the_same_objects_in_um():
    centres = [(12, 20, 14), (12, 30, 34)]
    spacing = (2.0, 0.8, 0.8)
    fine = segment(balls(*centres), (1.0, 1.0, 1.0), NUCLEI)
    coarse = segment(balls(*centres, shape=(12, 60, 60), spacing=spacing), spacing, NUCLEI)
    assert coarse.max() == fine.max() == 2
    np.testing.assert_allclose(sizes_of(coarse) * 1.28, sizes_of(fine), rtol=0.15)


NOISE = {
    "poisson": lambda rng, shape: rng.poisson(3, shape).astype(np.uint16),
    "exponential": lambda rng, shape: rng.exponential(3, shape),
}


@pytest.mark.parametrize("kind", NOISE)
@pytest.mark.parametrize("shape", [(20, 48, 48), (96, 96)])
def test_finds_nothing_in_noise(kind, shape, rng):
    assert segment(NOISE[kind](rng, shape), (1.0,) * len(shape), Parameters()).max() == 0


@pytest.mark.parametrize("gain", [1, 4])
def test_large_dim_nuclei_in_noise_are_not_torn_and_clear_ones_stay_as_they_were(gain, rng):
    parameters = Parameters(**read_json(ROOT / "weights/watershed/nuclei-2d.json")["parameters"])
    # the place from the middle of the next of 16
    inside = np.square(np.indices((350, 350)) % 85 - 45).sum(0) < 30**2
    light = 1 + 20 * ndimage.gaussian_filter(inside.astype(float), 1.5)
    dim = (gain * rng.poisson(light / gain)).astype(np.uint8)
    shared = 10 * light + 250 * ndimage.gaussian_filter(rng.normal(size=light.shape), 2)
    for image, most in ((dim, 16), (shared, 17)):
        labels = segment(image, (1.0, 1.0), widened(image, (1.0, 1.0), parameters))
        assert 16 <= labels.max() <= most
        assert np.mean((labels > 0) == inside) > 0.98
    clear = (10 + 200 * inside + rng.normal(0, 2, inside.shape)).astype(np.uint8)
    assert widened(clear, (1.0, 1.0), parameters) == parameters
