from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from cytosuite.datasets.phantoms import stored

NONE = {"SCALE": (1.0, 1.0), "CONTRAST": (1.0, 1.0), "GAMMA": (1.0, 1.0)}
NONE |= {"WARP_UM": 0.0, "BLUR_UM": 0.0}


@pytest.fixture
def augmented(monkeypatch):
    """Return a function that turns and mirrors a phantom, and alters it within given limits."""

    def _augmented(phantom, seed=0, **changes):
        for name, value in (NONE | changes).items():
            monkeypatch.setattr(stored, name, value)
        return stored.augment(np.random.default_rng(seed), phantom)

    return _augmented


def test_turning_keeps_volume_axes_and_brightness(ellipsoid, augmented):
    phantom = ellipsoid((7.0, 4.0, 5.0), brightness=1.6)
    turned = augmented(phantom, 1)
    assert turned.volume_um3 == pytest.approx(phantom.volume_um3, rel=0.02)
    assert turned.semi_axes_um == pytest.approx(phantom.semi_axes_um, rel=0.03)
    assert turned.brightness == pytest.approx(1.6)
    assert turned.volume_ratio == pytest.approx(1.0, rel=0.02)
    assert abs(turned.rotation - phantom.rotation).max() > 0.1


def test_slices_thicker_than_pixels_are_tilted_little(ellipsoid, augmented):
    phantom = ellipsoid((7.0, 4.0, 4.0), (2.0, 0.5, 0.5))
    longest = [augmented(phantom, seed).rotation[0, 2] for seed in range(5)]
    assert np.abs(longest).min() > np.cos(np.arctan(0.5 / 2.0)) - 0.03


def test_mirroring_turns_a_gradient_around(ellipsoid, augmented):
    phantom = ellipsoid((3.0, 3.0, 3.0), ramp=0.5)
    half = phantom.intensity.shape[0] // 2
    signs = set()
    for seed in range(8):
        light = augmented(phantom, seed).intensity
        signs.add(bool(light[:half].sum() < light[half:].sum()))
    assert signs == {True, False}


def test_scale_changes_each_axis_and_the_volume_by_their_product(ellipsoid, augmented):
    phantom = ellipsoid()
    grown = augmented(phantom, SCALE=(1.2, 1.2))
    assert grown.volume_um3 == pytest.approx(1.2**3 * phantom.volume_um3, rel=0.02)
    assert grown.volume_ratio == pytest.approx(grown.volume_um3 / phantom.volume_um3)
    uneven = augmented(phantom, SCALE=(0.8, 1.3))
    assert np.ptp(uneven.semi_axes_um) > 0.3
    assert uneven.semi_axes_um.prod() == pytest.approx(125 * uneven.volume_ratio, rel=0.02)


def test_a_strong_warp_leaves_one_whole_piece_with_true_distances(ellipsoid, augmented):
    phantom = ellipsoid()
    warped = augmented(phantom, 2, WARP_UM=1.0, WARP_LENGTH_UM=3.0)
    assert ndimage.label(warped.inside)[1] == 1
    # Nothing is cut off by the box.
    assert warped.inside[1:-1, 1:-1, 1:-1].sum() == warped.inside.sum()
    assert 0.7 < warped.volume_ratio < 1.4
    steps = np.linalg.norm(np.gradient(warped.distance, *warped.spacing), axis=0)
    assert np.median(steps[abs(warped.distance) < 0.5]) == pytest.approx(1, abs=0.1)
    assert abs(warped.distance.shape[0] - phantom.distance.shape[0]) < 12


def test_blurring_and_sharpening_change_detail_not_the_mean(ellipsoid, augmented, rng):
    phantom = ellipsoid((4.0, 4.0, 4.0))
    noise = rng.uniform(0.5, 1.5, phantom.intensity.shape)
    phantom = replace(phantom, intensity=np.where(phantom.inside, noise, 0).astype(np.float32))
    ratios = []
    for seed in range(8):
        sharp, altered = (augmented(phantom, seed, BLUR_UM=um) for um in (0.0, 0.5))
        assert altered.brightness == pytest.approx(phantom.brightness, rel=1e-5)
        spreads = [version.intensity[version.inside].std() for version in (altered, sharp)]
        ratios.append(spreads[0] / spreads[1])
    assert min(ratios) < 0.8
    assert max(ratios) > 1.2


def test_contrast_scales_the_differences_from_the_mean(ellipsoid, augmented):
    phantom = ellipsoid(ramp=0.5)
    same, flat = (augmented(phantom, CONTRAST=(factor, factor)) for factor in (1.0, 0.5))
    expected = 1 + 0.5 * (same.intensity[flat.inside] - 1)
    assert flat.intensity[flat.inside] == pytest.approx(expected, abs=1e-3)
    bent = augmented(phantom, GAMMA=(2.0, 2.0))
    squared = same.intensity[bent.inside] ** 2
    assert bent.intensity[bent.inside] == pytest.approx(squared / squared.mean(), abs=1e-3)
