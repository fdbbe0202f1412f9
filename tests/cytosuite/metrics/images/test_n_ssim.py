from math import isnan

import numpy as np
import pytest

from cytosuite.metrics import n_ssim, n_ssim_centre, ssim
from cytosuite.metrics.images.n_ssim import triple


def volumes(shape=(12, 13, 14)):
    """Return a truth, something between it and the input, and the input."""
    rng = np.random.default_rng(0)
    truth = rng.gamma(2.0, 100.0, shape)
    image = truth + 150 * rng.standard_normal(shape)
    return truth, 0.6 * truth + 0.4 * image, image


def normalised(volume):
    """Return a volume with its percentiles 2 and 99.8 at 0 and 1."""
    low, high = np.percentile(volume, (2, 99.8))
    return (volume - low) / (high - low)


def test_is_the_formula_with_normalised_copies():
    normal = [normalised(volume) for volume in volumes()]
    before, after = (ssim(normal[0], normal[k], data_range=1.0) for k in (2, 1))
    assert n_ssim(*volumes()) == pytest.approx((after - before) / (1 - before), abs=1e-12)


def test_ends_of_the_range():
    truth, prediction, image = volumes()
    assert n_ssim(truth, truth.max() - truth, image) < 0
    assert isnan(n_ssim(truth, prediction, 3.7 * truth + 11))


def test_the_centre_is_the_middle_half_by_itself():
    shape = (24, 30, 33)
    half = np.s_[6:18, 7:21, 8:24]
    wide = volumes(shape=shape)
    cut = [volume[half] for volume in volumes(shape=shape)]
    assert n_ssim_centre(*wide) == n_ssim(*cut) != n_ssim(*wide)
    assert isnan(n_ssim_centre(*volumes()))  # 6 voxels, the window has 11


def test_a_volume_with_equal_percentiles_is_used_as_it_is():
    truth, _, image = volumes()
    assert [
        scale == (1.0, 0.0) for scale in triple(truth, np.full_like(image, 0.25), image).scales
    ] == [False, True, False]
