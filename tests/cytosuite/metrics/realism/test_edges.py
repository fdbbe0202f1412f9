from dataclasses import replace
from itertools import product
from math import isnan

import numpy as np
import pytest
from scipy import ndimage
from skimage import filters

from cytosuite.metrics.realism import edges
from cytosuite.metrics.realism.edges import (
    PIXEL_UM,
    WHOLE,
    EdgeSettings,
    edge_curve,
    edge_curves,
    edge_degradation,
    edge_degradation_lower,
    edge_degradation_middle,
    edge_degradation_upper,
    edge_strength,
    suited,
)
from cytosuite.volume import Volume

UNIT = (1.0, 1.0, 1.0)
SMALL = EdgeSettings(least_depth_um=4.0, least_strength=0.001)
THIRDS = (edge_degradation_upper, edge_degradation_middle, edge_degradation_lower)


@pytest.fixture
def small(monkeypatch):
    """Take small tiles and lengths of a voxel."""
    for name, value in {"TILE_UM": 16.0, "SMOOTHING_UM": 1.0, "PIXEL_UM": 1.0}.items():
        monkeypatch.setattr(edges, name, value)


def bright_at_the_top(depth=12, size=32, fade=0.9, seed=0, spacing=UNIT):
    """Blobs that lose contrast with depth."""
    plane = ndimage.gaussian_filter(np.random.default_rng(seed).random((size, size)), 1.5)
    plane = (plane - plane.min()) / np.ptp(plane)
    return Volume(plane * fade ** np.arange(depth)[:, None, None], spacing)


def difference(real, synthetic, settings=SMALL):
    """Return the degradation by some settings."""
    return edge_degradation.of(edge_curves(real, synthetic, settings))


def test_is_zero_for_equal_stacks_symmetric_and_grows_with_blur(small):
    image = bright_at_the_top()
    other = bright_at_the_top(fade=0.8)
    assert [third(image, image, SMALL) for third in (edge_degradation, *THIRDS)] == [0] * 4
    assert difference(image, other) == pytest.approx(difference(other, image), rel=1e-12)
    blurred = [
        Volume(ndimage.gaussian_filter(image.array, (0, sigma, sigma)), UNIT)
        for sigma in (0.5, 1.0, 3.0)
    ]
    values = [difference(image, volume) for volume in blurred]
    assert 0 < values[0] < values[1] < values[2]


def test_the_curve_fades_as_the_image_does_from_the_strongest_plane_on(small):
    depth, strength = edge_curve(bright_at_the_top(fade=0.8), SMALL)
    assert depth.tolist() == list(range(12))
    assert strength[1:] / strength[:-1] == pytest.approx(np.full(11, 0.8), rel=1e-9)
    image = bright_at_the_top(depth=10)
    dark = np.concatenate([image.array[:3] * [[[0.1]], [[0.2]], [[0.3]]], image.array])
    assert difference(image, Volume(dark, UNIT)) == pytest.approx(0, abs=1e-12)


def published(grey, ends):
    """Return the strength of the edges in the published program's tiles, which end there."""
    smooth = filters.gaussian(grey / 255, sigma=(0, 3, 3), mode="nearest", truncate=4.0)
    strong = np.stack([filters.sobel(plane) for plane in smooth])
    tiles = [strong[:, max(y - 100, 0) : y, max(x - 100, 0) : x] for y, x in product(*ends)]
    return np.stack([np.quantile(tile, 0.95, axis=(1, 2)) for tile in tiles])


def test_tiles_agree_with_the_published_program_at_its_voxel_size(rng):
    grey = rng.integers(0, 255, (3, 200, 100), np.uint8)
    ours = edge_strength(Volume(grey, (1.5, PIXEL_UM, PIXEL_UM)))
    assert ours == pytest.approx(published(grey, ((100, 200), (100,))), rel=1e-9)
    assert WHOLE.least_depth_um / 1.5001311 == pytest.approx(50)
    assert (WHOLE.least_strength, WHOLE.least_share, WHOLE.white) == (0.026, 0, None)


@pytest.mark.parametrize("width, tiles", {7: 0, 8: 1, 16: 1, 23: 1, 24: 2, 32: 2, 40: 3}.items())
def test_the_last_tile_is_at_least_half_a_tile(width, tiles, small):
    assert len(edge_strength(Volume(np.ones((2, 16, width)), UNIT), SMALL)) == tiles


def test_strength_is_per_length_not_per_voxel(monkeypatch, small):
    monkeypatch.setattr(edges, "QUANTILE", 0.5)

    def strength(pixels):
        ramp = sum(np.mgrid[:pixels, :pixels]) / pixels
        return edge_strength(Volume(np.stack([ramp] * 2), (1, *[32 / pixels] * 2)), SMALL).mean()

    assert strength(32) == pytest.approx(strength(64), rel=0.02)


def test_depth_is_in_um_and_common(small):
    coarse = bright_at_the_top(depth=10, fade=0.81, spacing=(2.0, 1.0, 1.0))
    fine = bright_at_the_top(depth=19, fade=0.9)
    curves = edge_curves(coarse, fine, SMALL)
    assert curves.depth_um.tolist() == list(range(0, 20, 2))
    assert edge_degradation.of(curves) == pytest.approx(0, abs=1e-12)
    assert edge_curves(fine, coarse, SMALL).depth_um.tolist() == list(range(19))
    shallow = edge_curves(bright_at_the_top(depth=12), bright_at_the_top(depth=7), SMALL)
    assert shallow.depth_um.size == 7
    assert edge_degradation.of(shallow) == pytest.approx(0, abs=1e-12)


def test_thirds(small):
    one = bright_at_the_top(depth=9, fade=0.95)
    other = bright_at_the_top(depth=9, fade=0.95)
    other.array[6:] *= 0.5
    upper, middle, lower = (third(one, other, SMALL) for third in THIRDS)
    assert upper == middle == 0 < lower
    assert difference(one, other) == pytest.approx(lower / 3, rel=1e-12)


def test_undefined_when_no_tile_qualifies(small):
    good = bright_at_the_top()
    constant, none = (Volume(np.full((n, 32, 32), 0.7), UNIT) for n in (12, 0))
    for image in (bright_at_the_top(depth=3), bright_at_the_top(size=6), constant, none):
        for pair in ((image, good), (good, image), (good, [])):
            assert isnan(difference(*pair))
            assert isnan(edge_degradation_lower(*pair, SMALL))


def test_integers_are_shares_of_their_largest_value(small):
    image = bright_at_the_top(fade=1.0)
    assert difference(image, Volume(np.round(image.array * 65535).astype(np.uint16), UNIT)) < 2e-3
    twelve_bits = Volume(np.round(image.array * 4095).astype(np.uint16), UNIT)
    strength = edge_curve(twelve_bits, replace(SMALL, white=4095.0))[1]
    assert strength == pytest.approx(edge_curve(image, SMALL)[1], rel=1e-2)


def _camera(fade, top=3):
    """Return an image as of a 16-bit camera: a small range, best in a plane within."""
    image = bright_at_the_top(depth=24 - top, size=96, fade=fade, spacing=(1.75, 0.8, 0.8))
    dim = image.array[:top] * np.linspace(0.2, 0.8, top)[:, None, None]
    array = 100 + 250 * np.concatenate([dim, image.array])
    return Volume(array.astype(np.uint16), (1.75, 0.8, 0.8))


def test_images_of_a_camera_have_a_value_by_themselves_and_none_by_the_published_limits():
    real = _camera(0.95, top=12)
    synthetic = _camera(0.8, top=12)
    assert isnan(difference(real, synthetic, WHOLE))
    assert edge_degradation(real, synthetic) > 0.01
    assert edge_degradation(real, real) == 0


def test_the_scale_is_that_of_the_real_images():
    real = _camera(0.95)
    synthetic = _camera(0.8)
    # the range of the synthetic ones does not matter: brighter edges are stronger edges
    bright = Volume(100 + 2 * (synthetic.array - 100), synthetic.spacing)
    assert edge_curves(real, bright).synthetic == pytest.approx(
        2 * edge_curves(real, synthetic).synthetic, rel=1e-9
    )


def test_tiles_without_edges_beside_others_are_left_out():
    image = _camera(0.95)
    faint = Volume(100 + 0.2 * (image.array - 100.0), image.spacing)
    settings = suited(image)
    alone = edge_curve(image, settings)
    np.testing.assert_array_equal(alone, edge_curve([image, faint], settings))
    every = edge_curve([image, faint], replace(settings, least_share=0.0))
    assert every[1] == pytest.approx(0.6 * alone[1], rel=1e-6)


def test_settings_that_suit_by_hand():
    array = np.zeros((10, 4, 25), np.uint16)
    array.ravel()[-400:] = 50
    array.ravel()[-10:] = 300
    settings = suited([Volume(array, (2.0, 1.0, 1.0)), Volume(array, (3.0, 1.0, 1.0))])
    assert settings.white == 300
    assert settings.least_depth_um == 0.25 * 20
    deep = suited(Volume(np.zeros((400, 2, 2)), (2.0, 1.0, 1.0)))
    assert deep == replace(WHOLE, white=1.0, least_strength=0.0, least_share=0.25)
    assert suited([]) == WHOLE


def published_curve(grey):
    """Return the curve of the published program: the rest of the height goes from both axes."""
    rest = grey.shape[1] % 100
    part = slice(rest // 2, -(rest - rest // 2))
    grey = grey[:, part, part]
    rows = published(grey, ([*range(100, size, 100), size] for size in grey.shape[1:]))
    return np.mean([row[np.argmax(row) :] for row in rows], axis=0)


@pytest.mark.parametrize("height, width", {231: 117, 131: 231, 205: 130, 120: 90}.items())
def test_published_curves_are_those_of_the_program_whatever_size_and_voxels(height, width):
    sides = []
    for seed, fade in ((0, 0.99), (1, 0.97)):
        image = bright_at_the_top(depth=52, size=231, fade=fade, seed=seed).array
        sides.append((255 * image[:, :height, :width]).astype(np.uint8))
    curves = edge_curves(*(Volume(side, (7.0, 3.0, 2.0)) for side in sides), edges.PUBLISHED)
    assert curves.real == pytest.approx(published_curve(sides[0]), rel=1e-9)
    assert curves.synthetic == pytest.approx(published_curve(sides[1]), rel=1e-9)


def test_published_thirds_are_those_of_the_longer_curve():
    image = bright_at_the_top(depth=70, size=131, fade=0.99)
    curves = edge_curves(image, Volume(0.9 * image.array[:51], UNIT), edges.PUBLISHED)
    assert [curves.difference(third).size for third in range(3)] == [23, 23, 5]
    for low in (image.array[:, :99], image.array[:, :, :31]):
        assert isnan(difference(image, Volume(low, UNIT), edges.PUBLISHED))
