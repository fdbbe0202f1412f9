from math import isnan

import numpy as np
import pytest
from scipy import ndimage

from cytosuite.metrics.realism.classifier import patch_auc, textures
from cytosuite.volume import Volume


def stacks(seed, *, lag=0.0, shape=(12, 48, 48)):
    """Return five stacks of blobs in noise, a share of which is read one pixel later along x."""
    images = []
    for rng in np.random.default_rng(seed).spawn(5):
        light = ndimage.gaussian_filter(rng.normal(size=shape), 2)
        noise = rng.normal(size=shape)
        noise[..., 1:] += lag * noise[..., :-1]
        images.append(Volume(100 + 900 * np.clip(light, 0, None) + 10 * noise, (1.0, 1.0, 1.0)))
    return images


@pytest.fixture(scope="module")
def sides():
    """Return the texture of real stacks, and of four times as many that are like them."""
    return textures(stacks(0), [image for n in range(1, 5) for image in stacks(n)])


def test_noise_that_is_read_late_is_told_from_plain_noise_and_plain_noise_is_not(sides):
    real, alike = sides
    assert np.mean([patch_auc.of((real, alike[n : n + 5])) for n in (0, 5, 10, 15)]) < 0.7
    assert patch_auc(stacks(0), stacks(1, lag=0.3)) > 0.9


def test_the_unit_is_that_of_the_real_images(sides):
    # Half of the light is told apart, and moves what the real side measures in no way.
    dim = [image.like(100 + (image.array - 100) / 2) for image in stacks(1)]
    features = textures(stacks(0), dim)
    assert patch_auc.of(features) > 0.9
    np.testing.assert_array_equal(features[0], sides[0])


@pytest.mark.parametrize("shape, least", [((1, 48, 48), 0.9), ((12, 8, 48), np.nan)])
def test_planes_have_a_texture_and_narrow_stacks_none(shape, least):
    value = patch_auc(stacks(0, shape=shape), stacks(1, lag=0.5, shape=shape))
    assert isnan(value) if isnan(least) else value > least


def test_folds_need_two_stacks(sides):
    assert isnan(patch_auc.of((sides[0][:1], sides[1])))
