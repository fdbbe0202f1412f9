from dataclasses import replace

import numpy as np
import pytest
from rasters import cube, places_of
from scipy import ndimage

from cytosuite.bodies.grid import Grid
from cytosuite.bodies.stars import label
from cytosuite.datasets.phantoms import stored
from cytosuite.datasets.phantoms.stored import draw_stored
from cytosuite.datasets.physics import bodies

MIDDLE = np.array([[10.1, 9.8, 10.3]])
TILE = np.zeros((4, 4, 4), np.float32)
NONE = {"SCALE": (1.0, 1.0), "CONTRAST": (1.0, 1.0), "GAMMA": (1.0, 1.0)}
NONE |= {"WARP_UM": 0.0, "BLUR_UM": 0.0}


def _stored(library, count=1, seed=0, **options):
    return draw_stored(np.random.default_rng(seed), count, library, **options)


def _paint(population, centres, grid):
    return bodies.paint(population, centres, grid, TILE, np.zeros(grid.shape, np.float32))


def test_labels_lie_where_the_ellipsoid_says(ellipsoid):
    nuclei = _stored([ellipsoid((7.0, 3.5, 5.0))], seed=1, tilt=180.0)
    points = (np.argwhere(label(nuclei, MIDDLE, cube(20, 0.4, 0.4, 0.4))) + 0.5) * 0.4
    assert points.mean(axis=0) == pytest.approx(MIDDLE[0], abs=0.05)
    axes = nuclei.rotations[0] * nuclei.semi_axes_um[0]
    assert np.cov(points.T) == pytest.approx(axes @ axes.T / 5, abs=0.15)
    assert np.ptp(points, axis=0) / 2 == pytest.approx(bodies.extents_um(nuclei)[0], abs=0.4)
    assert np.linalg.det(nuclei.rotations) == pytest.approx(1)


@pytest.mark.parametrize("spacing", [(0.25, 0.25, 0.25), (1.0, 1.0, 1.0)])
def test_brightness_is_the_mean_density(ellipsoid, spacing):
    nuclei = _stored([ellipsoid(brightness=1.5, ramp=0.5)], brightness_spread=0.3, tilt=90.0)
    total = _paint(nuclei, MIDDLE, cube(20, *spacing)).sum() * np.prod(spacing)
    assert nuclei.brightness[0] != pytest.approx(1.5, rel=0.01)
    assert total / bodies.volumes_um3(nuclei) == pytest.approx(nuclei.brightness, rel=0.04)


def test_a_coarse_grid_averages_what_it_cannot_resolve(ellipsoid):
    phantom = ellipsoid(spacing=(0.25, 0.25, 0.25))
    stripes = (np.arange(phantom.intensity.shape[0]) % 2 * 2.0)[:, None, None]
    light = np.where(phantom.inside, stripes, 0).astype(np.float32)
    striped = type(phantom)("stripes", light, phantom.distance, phantom.spacing)
    inner = _paint(_stored([striped]), MIDDLE, cube(20, 1.0, 1.0, 1.0))[8:13, 8:13, 8:13]
    assert inner.std() < 0.05
    assert inner.mean() == pytest.approx(striped.brightness, rel=0.03)


def test_a_box_reaches_half_a_stored_voxel_beyond_the_surface(ellipsoid):
    phantom = ellipsoid(spacing=(1.0, 0.5, 0.5))
    nuclei = _stored([phantom], tilt=180.0)
    (patch,) = nuclei.patches(MIDDLE, cube(20, 0.1, 0.1, 0.1))
    points = phantom.surface_um @ nuclei.transforms[0].T
    assert np.multiply(patch.shape, 0.1) == pytest.approx(np.ptp(points, axis=0) + 0.5, abs=0.12)


def test_slabs_hold_the_voxels_of_the_whole(ellipsoid, rng):
    nuclei = _stored([ellipsoid(ramp=0.5), ellipsoid((6.0, 4.0, 3.0))], 12, tilt=180.0)
    centres = rng.uniform(4, 26, (12, 3))
    grid = Grid((40, 60, 60), (0.7, 0.5, 0.5))
    whole = label(nuclei, centres, grid)
    light = _paint(nuclei, centres, grid)
    parts = [grid.slab(*span) for span in ((0, 7), (7, 23), (23, 40))]
    assert np.array_equal(whole, np.concatenate([label(nuclei, centres, part) for part in parts]))
    painted = np.concatenate([_paint(nuclei, centres, part) for part in parts])
    assert painted == pytest.approx(light, abs=1e-5)


def test_voxels_beyond_the_stored_box_are_farther_away(ellipsoid):
    grid = cube(20, 0.5, 0.5, 0.5)
    (patch,) = _stored([ellipsoid()]).patches(MIDDLE, grid, rim_um=4.0)
    away = np.linalg.norm(places_of(grid)[patch.box] - MIDDLE, axis=-1)
    expected = away.ravel()[patch.inside] / 5
    assert expected.max() > 1.7  # well beyond the margin of the phantom
    outer = expected > 0.3  # near the centre distances of voxels are blunt
    error = patch.distance[outer] - expected[outer]
    assert abs(error).max() < 0.1
    assert abs(error).mean() < 0.03


def test_sizes_are_as_stored_or_as_asked_for(ellipsoid):
    library = [ellipsoid((r, r, r)) for r in (3.0, 4.0, 6.0)]
    diameters = (6 / np.pi * bodies.volumes_um3(_stored(library, 300))) ** (1 / 3)
    assert np.unique(diameters.round(6)) == pytest.approx([6, 8, 12], rel=0.01)
    scaled = _stored(library, 3000, diameter_um=10.0, diameter_spread=0.1)
    diameters = (6 / np.pi * bodies.volumes_um3(scaled)) ** (1 / 3)
    assert np.median(diameters) == pytest.approx(10, rel=0.05)
    assert np.log(diameters[scaled.which == 1]).std() == pytest.approx(0.1, rel=0.1)
    assert np.median(diameters[scaled.which == 2]) == pytest.approx(15, rel=0.02)


def test_without_tilt_z_stays_z_and_half_of_all_are_mirrored(ellipsoid):
    transforms = _stored([ellipsoid()], 50).transforms
    assert np.abs(transforms[:, 0]) == pytest.approx(np.tile([1.0, 0, 0], (50, 1)))
    assert set(np.linalg.det(transforms).round(6)) == {-1.0, 1.0}


def test_loosely_drawn_ones_have_a_larger_radius(ellipsoid):
    nuclei = _stored([ellipsoid()])
    grid = cube(20, 0.5, 0.5, 0.5)
    voxels = [np.count_nonzero(label(nuclei.looser(um), MIDDLE, grid)) for um in (-0.5, 0, 0.5)]
    assert np.cbrt(voxels) * 0.5 * np.cbrt(3 / 4 / np.pi) == pytest.approx([4.5, 5, 5.5], rel=0.02)


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
