import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from cytosuite.networks.normalise import (
    Background,
    background_of,
    denormalise,
    in_dtype,
    normalise,
    target_of,
)


@pytest.mark.parametrize("bright", [0.0, 0.02, 0.15])
def test_background_and_noise_are_found_beneath_nuclei(bright, rng):
    image = rng.normal(200.0, 7.0, (20, 60, 60))
    image[rng.random(image.shape) < bright] += 500
    background = background_of(image)
    assert abs(background.mean - 200) < 2
    assert abs(background.sd - 7) < 1


def test_the_formula_by_hand():
    image = np.array([100.0, 106.0, 160.0], np.float32)
    normalised = normalise(image, Background(100.0, 2.0))
    assert_allclose(normalised, [0, 0.5 * np.arcsinh(1), 0.5 * np.arcsinh(10)], rtol=1e-6)
    assert normalised.dtype == np.float32
    assert image[0] == 100  # the argument is left alone


@given(st.floats(-1e4, 1e4), st.floats(0.01, 1e4), st.integers(0, 2**32 - 1))
def test_denormalise_undoes_normalise(mean, sd, seed):
    image = (mean + sd * np.random.default_rng(seed).normal(0, 30, 200)).astype(np.float32)
    background = Background(mean, sd)
    restored = denormalise(normalise(image, background), background)
    assert restored.dtype == np.float32
    assert_allclose(restored, image, rtol=2e-5, atol=1e-4 * sd + 1e-6 * abs(mean))


def test_values_beyond_all_images_stay_finite_and_in_order():
    values = denormalise(np.array([-1e30, -40, -39, 0, 39, 40, 1e30]), Background(0.0, 1.0))
    assert np.isfinite(values).all()
    assert (np.diff(values) >= 0).all()
    assert values[0] == values[1]
    assert values[-1] == values[-2] > values[-3]


def test_the_grey_values_of_a_domain_are_its_median_background(rng):
    images = [rng.normal(mean, 4, (30, 60)).astype(np.uint16) for mean in (90, 100, 300)]
    target = target_of(images)
    assert target.mean == pytest.approx(100, abs=2)
    assert target.sd == pytest.approx(4, abs=0.6)
    assert target.dtype == "uint16"
    assert target_of([image.astype(np.int64) for image in images]).dtype == "float32"


def test_another_dtype_rounds_and_keeps_its_range():
    values = np.array([-3.0, 1.5, 2.6, 300.0], np.float32)
    assert in_dtype(values, "uint8").tolist() == [0, 2, 3, 255]
    assert_array_equal(in_dtype(values, "float32"), values)
