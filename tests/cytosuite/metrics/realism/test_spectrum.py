from math import isnan

import numpy as np
import pytest
from scipy import ndimage

from cytosuite.metrics.realism.spectrum import (
    axial_spectra,
    axial_spectrum_distance,
    lateral_spectra,
    lateral_spectrum_distance,
    power_lateral,
)
from cytosuite.volume import Volume

UNIT = (1.0, 1.0, 1.0)
BOTH = pytest.mark.parametrize("metric", [lateral_spectrum_distance, axial_spectrum_distance])


def noise(shape=(16, 24, 20), seed=0, spacing=UNIT):
    return Volume(np.random.default_rng(seed).normal(100.0, 10.0, shape), spacing)


def wave(cycles_per_um, shape, spacing, axis):
    place = np.indices(shape)[axis] * spacing[axis]
    return Volume(np.sin(2 * np.pi * cycles_per_um * place), spacing)


@BOTH
def test_is_symmetric(metric):
    one = noise()
    other = Volume(ndimage.gaussian_filter(noise(seed=1).array, 1), UNIT)
    assert metric(one, one) == metric([one, one], one) == 0
    assert metric(one, other) == pytest.approx(metric(other, one), rel=1e-12)


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("frequency", [0.25, 0.8])
def test_a_wave_has_its_frequency_in_cycles_per_um(axis, frequency):
    spacing = (1.0, 0.5, 0.5) if axis == 1 else (1.0, 0.4, 0.5)
    spectra = lateral_spectra(*[wave(frequency, (2, 60, 60), spacing, axis)] * 2)
    peak = spectra.frequency[np.argmax(spectra.real)]
    assert peak == pytest.approx(frequency, abs=spectra.frequency[1] - spectra.frequency[0])


def test_an_axial_wave_has_its_frequency_in_cycles_per_um():
    spectra = axial_spectra(*[wave(0.125, (32, 3, 4), (2.0, 1.0, 1.0), 0)] * 2)
    assert spectra.frequency[np.argmax(spectra.real)] == pytest.approx(0.125, abs=1 / 64)
    assert spectra.frequency[-1] <= 0.25


def test_white_noise_has_its_variance_as_density():
    # By Parseval: the variance is the density times the area of the plane of frequencies.
    density = power_lateral(
        noise((200, 32, 32), spacing=(1.0, 0.5, 0.25)), np.array([0.2, 0.6, 1.0])
    )
    assert density == pytest.approx([100 * 0.5 * 0.25] * 2, rel=0.05)


@BOTH
@pytest.mark.parametrize(
    "image",
    [
        Volume(np.full((9, 9, 9), 7, np.uint16), UNIT),
        Volume(np.zeros((9, 9, 9), np.float32), UNIT),
        noise((3, 3, 3)),
        noise((0, 9, 9)),
        noise((1, 1, 1)),
    ],
    ids=["constant", "black", "small", "without planes", "one voxel"],
)
def test_undefined_without_variation_or_extent(metric, image):
    for pair in ((image, noise()), (noise(), image), (noise(), [])):
        assert isnan(metric(*pair))
