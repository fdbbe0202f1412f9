import numpy as np
import pytest

from cytosuite.datasets.membrane.light import expose
from cytosuite.datasets.membrane.parameters import Parameters, draw_values

CALM = {
    "psf_sigma_um": (0.0, 0.0, 0.0),
    "read_noise": 0.0,
    "background_photons": 0.0,
    "gain": 1.0,
    "offset": 50.0,
}


def _counts(sketch, inside, **values):
    parameters = Parameters(**CALM | values)
    drawn = draw_values(np.random.default_rng(0), parameters)
    return expose(np.random.default_rng(1), sketch, inside, parameters, drawn).astype(float)


def test_counts_are_photons_of_membranes_and_glow():
    sketch = np.zeros((10, 80, 80), np.uint8)
    sketch[:, :40] = 255
    inside = np.ones(sketch.shape, bool)
    counts = _counts(sketch, inside, photons=200.0, glow=0.1, attenuation_um=1e6)
    assert counts[:, :40].mean() - 50 == pytest.approx(200, rel=0.01)
    assert counts[:, 40:].mean() - 50 == pytest.approx(20, rel=0.02)
    assert counts[:, :40].var() == pytest.approx(200, rel=0.05)  # Poisson


def test_tissue_dims_what_lies_below():
    sketch = np.full((40, 60, 60), 255, np.uint8)
    inside = np.ones(sketch.shape, bool)
    inside[:, :30] = False
    values = {"photons": 1000.0, "attenuation_um": 10.0, "spacing_um": (0.5, 0.5, 0.5)}
    counts = _counts(sketch, inside, **values) - 50
    assert counts[:, :30].mean(axis=(1, 2)) == pytest.approx(1000, rel=0.01)
    depth = (np.arange(40) + 0.5) * 0.5
    assert counts[:, 30:].mean(axis=(1, 2)) == pytest.approx(1000 * np.exp(-depth / 10), rel=0.03)


def test_blur_is_in_micrometres_and_keeps_the_light():
    sketch = np.zeros((31, 61, 61), np.uint8)
    sketch[15, 30, 30] = 255
    inside = np.zeros(sketch.shape, bool)
    values = {"psf_sigma_um": (3.0, 1.0, 1.0), "spacing_um": (1.0, 0.5, 0.5), "photons": 1e6}
    light = _counts(sketch, inside, offset=0.0, glow=0.0, attenuation_um=1e6, gain=1.0, **values)
    total = light.sum()
    for axis, (step, sigma) in enumerate([(1.0, 3.0), (0.5, 1.0), (0.5, 1.0)]):
        away = (np.arange(sketch.shape[axis]) - sketch.shape[axis] // 2) * step
        profile = light.sum(axis=tuple({0, 1, 2} - {axis}))
        assert np.sqrt((profile * away**2).sum() / total) == pytest.approx(sigma, rel=0.03)
    assert total == pytest.approx(1e6, rel=0.01)
