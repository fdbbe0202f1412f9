from dataclasses import replace
from math import isnan

import numpy as np
import pytest
from scipy import ndimage
from skimage import filters

from cytosuite.errors import InputError
from cytosuite.metrics.realism.edges import (
    PUBLISHED,
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
from cytosuite.metrics.realism.regions import PIXEL_UM
from cytosuite.volume import Volume

UNIT = (1.0, 1.0, 1.0)
SMALL = EdgeSettings(
    tile_um=16.0, smoothing_um=1.0, least_depth_um=4.0, least_strength=0.001, pixel_um=1.0
)
THIRDS = (edge_degradation_upper, edge_degradation_middle, edge_degradation_lower)


def bright_at_the_top(depth=12, size=32, fade=0.9, seed=0, spacing=UNIT):
    """Blobs that lose contrast with depth."""
    plane = ndimage.gaussian_filter(np.random.default_rng(seed).random((size, size)), 1.5)
    plane = (plane - plane.min()) / np.ptp(plane)
    return Volume(plane * fade ** np.arange(depth)[:, None, None], spacing)


def test_equal_stacks_do_not_differ():
    image = bright_at_the_top()
    assert edge_degradation(image, image, SMALL) == 0
    assert [third(image, image, SMALL) for third in THIRDS] == [0, 0, 0]


def test_is_symmetric_for_equal_depths():
    one, other = bright_at_the_top(), bright_at_the_top(fade=0.8)
    assert edge_degradation(one, other, SMALL) == pytest.approx(
        edge_degradation(other, one, SMALL), rel=1e-12
    )


def test_grows_with_blur():
    image = bright_at_the_top()
    blurred = [
        Volume(ndimage.gaussian_filter(image.array, (0, sigma, sigma)), UNIT)
        for sigma in (0.5, 1.0, 2.0, 3.0)
    ]
    values = [edge_degradation(image, other, SMALL) for other in blurred]
    assert values == sorted(values)
    assert values[0] > 0


def test_the_curve_fades_as_the_image_does():
    depth, strength = edge_curve(bright_at_the_top(fade=0.8), SMALL)
    assert depth.tolist() == list(range(12))
    assert strength[1:] / strength[:-1] == pytest.approx(np.full(11, 0.8), rel=1e-9)


def test_the_curve_begins_where_edges_are_strongest():
    image = bright_at_the_top(depth=10)
    dark = np.concatenate([image.array[:3] * [[[0.1]], [[0.2]], [[0.3]]], image.array])
    assert edge_degradation(image, Volume(dark, UNIT), SMALL) == pytest.approx(0, abs=1e-12)


def test_a_unit_step_is_as_strong_as_published():
    grey = np.zeros((1, 20, 40))
    grey[:, :, 20:] = 1.0
    sharp = EdgeSettings(tile_um=20.0, smoothing_um=1e-3, pixel_um=1.0, quantile=1.0)
    strength = edge_strength(Volume(grey, UNIT), sharp)
    assert strength == pytest.approx(np.full((2, 1), 0.5**0.5))


def _edges(grey):
    """Return the edge image of the published program."""
    smooth = filters.gaussian(grey / 255, sigma=(0, 3, 3), mode="nearest", truncate=4.0)
    return np.stack([filters.sobel(plane) for plane in smooth])


def _quantiles(edges, corners):
    """Return the 95 % quantile of each plane of tiles of 100 x 100 pixels."""
    tiles = [edges[:, y : y + 100, x : x + 100] for y, x in corners]
    return np.stack([np.quantile(tile, 0.95, axis=(1, 2)) for tile in tiles])


@pytest.mark.parametrize("settings", [WHOLE, PUBLISHED])
def test_whole_tiles_agree_with_the_published_program_at_its_voxel_size(settings):
    grey = np.random.default_rng(0).integers(0, 255, (3, 200, 100), np.uint8)
    ours = edge_strength(Volume(grey, (1.5, PIXEL_UM, PIXEL_UM)), settings)
    assert ours == pytest.approx(_quantiles(_edges(grey), [(0, 0), (100, 0)]), rel=1e-9)


@pytest.mark.parametrize(
    ("height", "width", "corners"),
    [
        (125, 125, [(0, 0)]),
        (130, 230, [(0, 0), (0, 100)]),
        (205, 130, [(0, 0), (0, 25), (100, 0), (100, 25)]),  # the last ones overlap: published so
    ],
)
def test_the_published_program_crops_before_it_smooths(height, width, corners):
    grey = np.random.default_rng(0).integers(0, 255, (2, height, width), np.uint8)
    image = Volume(grey, (1.5, PIXEL_UM, PIXEL_UM))
    rest = height % 100
    middle = slice(rest // 2, -int(np.ceil(rest / 2)))
    wanted = _quantiles(_edges(grey[:, middle, middle]), corners)
    ours = edge_strength(image, PUBLISHED)
    assert ours == pytest.approx(wanted, rel=1e-9)
    whole = edge_strength(image, WHOLE)
    assert whole.shape != ours.shape or np.abs(whole - ours).max() > 1e-4


def test_a_width_of_whole_tiles_is_no_error():
    """The published program crops by ``[rest // 2 : -ceil(rest / 2)]``, which is empty here."""
    grey = np.zeros((2, 200, 200))
    assert grey[:, 0:-0, 0:-0].size == 0
    for settings in (PUBLISHED, WHOLE):
        assert edge_strength(Volume(grey, (1.5, PIXEL_UM, PIXEL_UM)), settings).shape == (4, 2)


@pytest.mark.parametrize("shape", [(2, 60, 60), (2, 150, 40), (2, 60, 150)])
def test_a_cropped_image_without_a_whole_tile_has_none(shape):
    image = Volume(np.ones(shape), (1.5, PIXEL_UM, PIXEL_UM))
    assert edge_strength(image, PUBLISHED).shape == (0, 2)


@pytest.mark.parametrize(
    ("width", "tiles"), [(7, 0), (8, 1), (16, 1), (23, 1), (24, 2), (32, 2), (40, 3)]
)
def test_the_last_tile_is_at_least_half_a_tile(width, tiles):
    assert len(edge_strength(Volume(np.ones((2, 16, width)), UNIT), SMALL)) == tiles


def test_strength_is_per_length_not_per_voxel():
    y, x = np.mgrid[:32, :32] / 32.0
    coarse = Volume(np.stack([x + y] * 2), UNIT)
    y, x = np.mgrid[:64, :64] / 64.0
    fine = Volume(np.stack([x + y] * 2), (1.0, 0.5, 0.5))
    middle = replace(SMALL, quantile=0.5)
    a, b = (edge_strength(image, middle).mean() for image in (coarse, fine))
    assert a == pytest.approx(b, rel=0.02)


def test_depth_is_in_um():
    coarse = bright_at_the_top(depth=10, fade=0.81, spacing=(2.0, 1.0, 1.0))
    fine = bright_at_the_top(depth=19, fade=0.9)
    curves = edge_curves(coarse, fine, SMALL)
    assert curves.depth_um.tolist() == list(range(0, 20, 2))
    assert edge_degradation.of(curves) == pytest.approx(0, abs=1e-12)
    finer = edge_curves(fine, coarse, SMALL)
    assert finer.depth_um.tolist() == list(range(19))


def test_the_common_depth_is_that_of_the_shallower_side():
    curves = edge_curves(bright_at_the_top(depth=12), bright_at_the_top(depth=7), SMALL)
    assert curves.depth_um.size == 7
    assert edge_degradation.of(curves) == pytest.approx(0, abs=1e-12)


def test_the_range_of_depth_is_a_setting():
    one, other = bright_at_the_top(depth=12), bright_at_the_top(depth=12, fade=0.8)
    whole = edge_curves(one, other, SMALL)
    part = edge_curves(one, other, replace(SMALL, range_um=(2.0, 5.0)))
    assert part.depth_um.tolist() == [2, 3, 4, 5]
    assert part.synthetic.tolist() == whole.synthetic[2:6].tolist()
    beyond = edge_curves(one, other, replace(SMALL, range_um=(0.0, 99.0)))
    assert edge_degradation.of(beyond) == edge_degradation.of(whole)
    assert isnan(edge_degradation(one, other, replace(SMALL, range_um=(50.0, 60.0))))


def test_thirds():
    one, other = bright_at_the_top(depth=9, fade=0.95), bright_at_the_top(depth=9, fade=0.95)
    other.array[6:] *= 0.5
    upper, middle, lower = (third(one, other, SMALL) for third in THIRDS)
    assert upper == middle == 0
    assert lower > 0
    assert edge_degradation(one, other, SMALL) == pytest.approx(lower / 3, rel=1e-12)


def test_a_set_is_the_mean_over_its_tiles():
    one, other = bright_at_the_top(seed=0), bright_at_the_top(seed=1)
    both = edge_curve([one, other], SMALL)[1]
    parts = [edge_curve(image, SMALL)[1] for image in (one, other)]
    assert both == pytest.approx(np.mean(parts, axis=0), rel=1e-12)


@pytest.mark.parametrize(
    "image",
    [
        bright_at_the_top(depth=3),
        bright_at_the_top(size=6),
        Volume(np.full((12, 32, 32), 0.7), UNIT),
        Volume(np.zeros((0, 32, 32)), UNIT),
    ],
    ids=["shallow", "narrow", "constant", "without planes"],
)
def test_undefined_when_no_tile_qualifies(image):
    good = bright_at_the_top()
    for pair in ((image, good), (good, image), (good, [])):
        assert isnan(edge_degradation(*pair, SMALL))
        assert isnan(edge_degradation_lower(*pair, SMALL))


def test_integers_are_shares_of_their_largest_value():
    image = bright_at_the_top(fade=1.0)
    for dtype in (np.uint8, np.uint16):
        whole = Volume(np.round(image.array * np.iinfo(dtype).max).astype(dtype), UNIT)
        assert edge_degradation(image, whole, SMALL) < 2e-3
    twelve_bits = Volume(np.round(image.array * 4095).astype(np.uint16), UNIT)
    settings = replace(SMALL, white=4095.0)
    assert edge_curve(twelve_bits, settings)[1] == pytest.approx(
        edge_curve(image, SMALL)[1], rel=1e-2
    )


def test_memory_layout_does_not_matter():
    image = bright_at_the_top()
    wide = np.zeros((12, 32, 64))
    wide[:, :, ::2] = image.array
    strided = Volume(wide[:, :, ::2], UNIT)
    assert edge_degradation(image, strided, SMALL) == 0
    assert edge_degradation(image, Volume(np.asfortranarray(image.array), UNIT), SMALL) == 0


def test_refuses_nan_axes_and_settings():
    with pytest.raises(InputError, match="^plane 0: grey values must be finite"):
        edge_curve(Volume(np.full((2, 9, 9), np.nan), UNIT))
    with pytest.raises(InputError, match="^the image must be a ZYX stack"):
        edge_curve(Volume(np.zeros((9, 9)), (1, 1), "YX"))
    with pytest.raises(InputError, match=r"^tile_um must be a positive length, found -1.0"):
        EdgeSettings(tile_um=-1.0)
    with pytest.raises(InputError, match=r"^quantile must be in \[0, 1\], found 95"):
        EdgeSettings(quantile=95)
    with pytest.raises(InputError, match=r"^range_um must be 0 <= first <= last, found \(5, 2\)"):
        EdgeSettings(range_um=(5, 2))


def test_the_published_numbers_in_pixels_and_planes():
    assert PUBLISHED.tile_um / PIXEL_UM == pytest.approx(100)
    assert PUBLISHED.smoothing_um / PIXEL_UM == pytest.approx(3)
    assert PUBLISHED.least_depth_um / 1.5001311 == pytest.approx(50)
    assert PUBLISHED.least_strength == 0.026


def _camera(fade, top=3, depth=24):
    """Return an image as of a 16-bit camera: a small range, best in a plane within."""
    image = bright_at_the_top(depth=depth - top, size=96, fade=fade, spacing=(1.75, 0.8, 0.8))
    dim = image.array[:top] * np.linspace(0.2, 0.8, top)[:, None, None]
    array = 100 + 250 * np.concatenate([dim, image.array])
    return Volume(array.astype(np.uint16), (1.75, 0.8, 0.8))


def test_images_of_a_camera_have_a_value_by_themselves_and_none_by_the_published_limits():
    real, synthetic = _camera(0.95, top=12), _camera(0.8, top=12)
    for settings in (WHOLE, PUBLISHED):
        assert isnan(edge_degradation(real, synthetic, settings))
    assert edge_degradation(real, synthetic) > 0.01
    assert edge_degradation(real, real) == 0


def test_the_scale_is_that_of_the_real_images():
    real, synthetic = _camera(0.95), _camera(0.8)
    value = edge_degradation(real, synthetic)
    twice = [Volume(2 * v.array + 1000, v.spacing) for v in (real, synthetic)]
    assert edge_degradation(*twice) == pytest.approx(value, rel=0.01)
    # the range of the synthetic ones does not matter: brighter edges are stronger edges
    bright = Volume(100 + 2 * (synthetic.array - 100), synthetic.spacing)
    assert edge_curves(real, bright).synthetic == pytest.approx(
        2 * edge_curves(real, synthetic).synthetic, rel=1e-9
    )


def test_edges_that_are_far_too_weak_are_a_difference_and_not_undefined():
    real = _camera(0.95)
    faint = Volume(100 + 0.02 * (real.array - 100.0), real.spacing)
    curves = edge_curves(real, faint)
    assert curves.synthetic == pytest.approx(0.02 * curves.real, rel=1e-6)
    blank = Volume(np.full(real.shape, 100, np.uint16), real.spacing)
    assert isnan(edge_degradation(real, blank))


def test_tiles_without_edges_beside_others_are_left_out():
    image = _camera(0.95)
    faint = Volume(100 + 0.2 * (image.array - 100.0), image.spacing)
    settings = suited(image)
    alone, together = edge_curve(image, settings), edge_curve([image, faint], settings)
    np.testing.assert_array_equal(alone, together)
    every = edge_curve([image, faint], replace(settings, least_share=0.0))
    assert every[1] == pytest.approx(0.6 * alone[1], rel=1e-6)


def test_settings_that_suit_by_hand():
    array = np.zeros((10, 4, 25), np.uint16)
    array.ravel()[-400:] = 50
    array.ravel()[-10:] = 300
    found = suited([Volume(array, (2.0, 1.0, 1.0)), Volume(array, (3.0, 1.0, 1.0))])
    assert found.white == 300
    assert found.least_depth_um == 0.25 * 20
    deep = suited(Volume(np.zeros((400, 2, 2)), (2.0, 1.0, 1.0)))
    assert deep == replace(WHOLE, white=1.0, least_strength=0.0, least_share=0.25)
    assert suited([]) == WHOLE
