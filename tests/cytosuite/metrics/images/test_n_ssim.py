from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cytosuite.errors import InputError
from cytosuite.metrics.images.n_ssim import n_ssim, n_ssim_2d, n_ssim_tf10, triple
from cytosuite.metrics.images.ssim import ssim, ssim2d

VARIANTS = [n_ssim, n_ssim_2d, n_ssim_tf10]


def volumes(seed=0, shape=(12, 13, 14)):
    """Return a truth, something between it and the input, and the input."""
    rng = np.random.default_rng(seed)
    truth = rng.gamma(2.0, 100.0, shape)
    image = truth + 150 * rng.standard_normal(shape)
    return truth, 0.6 * truth + 0.4 * image, image


@pytest.mark.parametrize("metric", VARIANTS, ids=lambda metric: metric.name)
class TestEveryVariant:
    def test_is_0_for_the_input(self, metric):
        truth, _, image = volumes()
        assert metric(truth, image, image) == 0.0

    def test_is_1_for_the_truth(self, metric):
        truth, _, image = volumes()
        assert metric(truth, truth, image) == 1.0

    def test_is_undefined_when_the_input_is_the_truth(self, metric):
        truth, prediction, _ = volumes()
        assert isnan(metric(truth, prediction, truth))
        assert isnan(metric(truth, prediction, 3.7 * truth + 11))
        assert metric.undefined == "when the input equals the truth"

    def test_is_between_for_something_between(self, metric):
        assert 0.1 < metric(*volumes()) < 0.9

    def test_is_negative_for_something_worse(self, metric):
        truth, _, image = volumes()
        assert metric(truth, truth.max() - truth, image) < 0

    @given(gain=st.floats(0.01, 100), offset=st.floats(-100, 100))
    @settings(max_examples=5, deadline=None)
    def test_does_not_depend_on_gain_and_offset(self, metric, gain, offset):
        truth, prediction, image = volumes()
        expected = metric(truth, prediction, image)
        found = metric(truth, gain * prediction + offset, image)
        assert found == pytest.approx(expected, abs=1e-9)

    def test_takes_integers_and_any_layout(self, metric):
        found = [np.round(volume).clip(0).astype(np.uint16) for volume in volumes()]
        expected = metric(*[volume.astype(np.float64) for volume in found])
        assert metric(*found) == pytest.approx(expected, abs=1e-12)
        assert metric(*map(np.asfortranarray, found)) == pytest.approx(expected, abs=1e-12)


def normalised(volume):
    """Return a volume with its percentiles 2 and 99.8 at 0 and 1."""
    low, high = np.percentile(volume, (2, 99.8))
    return (volume - low) / (high - low)


@pytest.mark.parametrize(("metric", "similarity"), [(n_ssim, ssim), (n_ssim_2d, ssim2d)])
def test_is_the_formula_with_normalised_copies(metric, similarity):
    normal = [normalised(volume) for volume in volumes()]
    before = similarity(normal[0], normal[2], data_range=1.0)
    after = similarity(normal[0], normal[1], data_range=1.0)
    expected = (after - before) / (1 - before)
    assert metric(*volumes()) == pytest.approx(expected, abs=1e-12)


def test_tf10_takes_x_for_channels():
    normal = [np.moveaxis(normalised(v), 2, 0) for v in volumes()]
    before, after = (ssim2d(normal[0], normal[k], data_range=10.0) for k in (2, 1))
    expected = (after - before) / (1 - before)
    assert n_ssim_tf10(*volumes()) == pytest.approx(expected, abs=1e-12)


def test_a_volume_with_equal_percentiles_is_used_as_it_is():
    truth, prediction, image = volumes()
    found = triple(truth, np.full_like(image, 0.25), image)
    assert [scale == (1.0, 0.0) for scale in found.scales] == [False, True, False]
    assert n_ssim.of(found) == n_ssim(truth, np.full_like(image, 0.25), image)
    assert (1.0, 0.0) not in triple(truth, prediction, image).scales


def test_images_of_one_slice_have_windows_in_two_dimensions():
    truth, prediction, image = (volume[0] for volume in volumes())
    flat = n_ssim(truth, prediction, image)
    assert n_ssim(truth[None], prediction[None], image[None]) == pytest.approx(flat, abs=1e-14)
    assert n_ssim_2d(truth, prediction, image) == pytest.approx(flat, abs=1e-14)


@pytest.mark.parametrize("which", ["truth", "prediction", "image"])
def test_explains_which_volume_is_wrong(which):
    arguments = dict(zip(("truth", "prediction", "image"), volumes(), strict=True))
    arguments[which] = arguments[which].copy()
    arguments[which][0, 0, 0] = np.nan
    with pytest.raises(InputError, match=f"^{which}: every voxel must be a finite number"):
        n_ssim(**arguments)


def test_shapes_must_agree():
    truth, prediction, image = volumes()
    with pytest.raises(InputError, match="truth and image must have the same shape"):
        n_ssim(truth, prediction, image[1:])


def test_too_few_slices_are_refused_but_not_slice_by_slice():
    few = [volume[:5] for volume in volumes()]
    with pytest.raises(InputError, match="axis 0 of shape"):
        n_ssim(*few)
    assert 0 < n_ssim_2d(*few) < 1
