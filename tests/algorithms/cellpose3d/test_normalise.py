import numpy as np
import pytest

from cytosuite.algorithms.cellpose3d.normalise import Background, background_of, normalise


@pytest.mark.parametrize("bright", [0.0, 0.02, 0.15])
def test_background_and_noise_are_found_beneath_nuclei(bright):
    rng = np.random.default_rng(0)
    image = rng.normal(200.0, 7.0, (20, 60, 60))
    image[rng.random(image.shape) < bright] += 500
    found = background_of(image)
    assert abs(found.mean - 200) < 2
    assert abs(found.sd - 7) < 1


def test_a_scaled_and_shifted_image_looks_the_same():
    image = np.random.default_rng(1).gamma(2.0, 10.0, (8, 30, 30)).astype(np.float32)
    other = 13 * image + 400
    np.testing.assert_allclose(
        normalise(other, background_of(other)), normalise(image, background_of(image)), atol=1e-4
    )


def test_the_formula_by_hand():
    image = np.array([100.0, 106.0, 160.0], np.float32)
    found = normalise(image, Background(100.0, 2.0))
    np.testing.assert_allclose(found, [0, 0.5 * np.arcsinh(1), 0.5 * np.arcsinh(10)], rtol=1e-6)
    assert found.dtype == np.float32
    assert image[0] == 100  # the argument is left alone


def test_an_image_without_noise_stays_finite():
    image = np.zeros((6, 20, 20), np.uint16)
    assert not normalise(image, background_of(image)).any()
    image[2:4, 5:12, 5:12] = 3000
    found = normalise(image, background_of(image))
    assert found.min() == 0
    assert 1 < found.max() < 4


def test_large_images_are_thinned_evenly():
    image = np.random.default_rng(2).normal(50.0, 4.0, (30, 300, 300)).astype(np.float32)
    found = background_of(image)
    assert abs(found.mean - 50) < 0.1
    assert abs(found.sd - 4) < 0.1
