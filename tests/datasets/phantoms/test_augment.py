from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from cytosuite.datasets.phantoms.augment import Alteration, augment

NONE = Alteration(0.0, 0.0, False, (1.0, 1.0), 0.0, 3.0, 0.0, contrast=(1.0, 1.0), gamma=(1.0, 1.0))


def _augmented(phantom, seed=0, **changes):
    return augment(np.random.default_rng(seed), phantom, replace(NONE, **changes))


def test_no_alteration_is_the_identity(ellipsoid):
    phantom = ellipsoid((6.0, 4.0, 5.0), (1.0, 0.5, 0.5), ramp=0.3)
    same = _augmented(phantom)
    assert same.distance == pytest.approx(phantom.distance, abs=1e-5)
    assert same.intensity == pytest.approx(phantom.intensity, abs=1e-5)
    assert same.volume_ratio == pytest.approx(1.0)


def test_turning_keeps_volume_axes_and_brightness(ellipsoid):
    phantom = ellipsoid((7.0, 4.0, 5.0), (1.0, 0.5, 0.5), brightness=1.6)
    turned = _augmented(phantom, 1, turn=180.0, tilt=180.0)
    assert turned.volume_um3 == pytest.approx(phantom.volume_um3, rel=0.02)
    assert turned.semi_axes_um == pytest.approx(phantom.semi_axes_um, rel=0.03)
    assert turned.brightness == pytest.approx(1.6)
    assert abs(turned.rotation - phantom.rotation).max() > 0.1


def test_mirroring_turns_a_gradient_around(ellipsoid):
    phantom = ellipsoid(ramp=0.5)
    half = phantom.intensity.shape[0] // 2
    signs = set()
    for seed in range(8):
        light = _augmented(phantom, seed, mirror=True).intensity
        signs.add(bool(light[:half].sum() < light[half:].sum()))
    assert signs == {True, False}


def test_scale_changes_each_axis_and_the_volume_by_their_product(ellipsoid):
    phantom = ellipsoid()
    grown = _augmented(phantom, scale=(1.2, 1.2))
    assert grown.volume_um3 == pytest.approx(1.2**3 * phantom.volume_um3, rel=0.02)
    assert grown.volume_ratio == pytest.approx(grown.volume_um3 / phantom.volume_um3)
    uneven = _augmented(phantom, scale=(0.8, 1.3))
    assert np.ptp(uneven.semi_axes_um) > 0.3
    assert uneven.semi_axes_um.prod() == pytest.approx(125 * uneven.volume_ratio, rel=0.02)


def test_a_strong_warp_leaves_one_whole_piece_with_true_distances(ellipsoid):
    phantom = ellipsoid()
    warped = _augmented(phantom, 2, warp_um=1.0, warp_length_um=3.0)
    assert ndimage.label(warped.inside)[1] == 1
    # Nothing is cut off by the box.
    assert warped.inside[1:-1, 1:-1, 1:-1].sum() == warped.inside.sum()
    assert 0.7 < warped.volume_ratio < 1.4
    steps = np.linalg.norm(np.gradient(warped.distance, *warped.spacing), axis=0)
    assert np.median(steps[abs(warped.distance) < 0.5]) == pytest.approx(1, abs=0.1)
    assert abs(warped.distance.shape[0] - phantom.distance.shape[0]) < 12


def test_blurring_and_sharpening_change_detail_not_the_mean(ellipsoid, rng):
    phantom = ellipsoid()
    noise = rng.uniform(0.5, 1.5, phantom.intensity.shape)
    phantom = replace(phantom, intensity=np.where(phantom.inside, noise, 0).astype(np.float32))
    spreads = []
    for seed in range(8):
        altered = _augmented(phantom, seed, blur_um=0.5)
        assert altered.brightness == pytest.approx(phantom.brightness, rel=1e-5)
        spreads.append(altered.intensity[altered.inside].std())
    own = phantom.intensity[phantom.inside].std()
    assert min(spreads) < 0.8 * own
    assert max(spreads) > 1.2 * own


def test_contrast_scales_the_differences_from_the_mean(ellipsoid):
    phantom = ellipsoid(ramp=0.5)
    flat = _augmented(phantom, contrast=(0.5, 0.5))
    expected = 1 + 0.5 * (phantom.intensity[phantom.inside] - 1)
    assert flat.intensity[flat.inside] == pytest.approx(expected, abs=1e-4)
    bent = _augmented(phantom, gamma=(2.0, 2.0))
    squared = phantom.intensity[phantom.inside] ** 2
    assert bent.intensity[bent.inside] == pytest.approx(squared / squared.mean(), abs=1e-4)
