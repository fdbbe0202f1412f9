from math import isnan, nan

import numpy as np
import pytest
from scipy import ndimage
from scipy.stats import wasserstein_distance

from cytosuite.errors import InputError
from cytosuite.metrics.realism.regions import (
    REGIONS,
    THIRDS,
    dilated,
    gap_similarity,
    object_similarity,
    outside_similarity,
    region_scores,
    region_similarity,
    regions,
)
from cytosuite.metrics.realism.scene import Scene
from cytosuite.volume import Volume

UNIT = (1.0, 1.0, 1.0)
SMALL = {"closing_um": 3.0, "margin_um": 1.0}


def cluster(depth=9, dtype=np.uint16, seed=0, spacing=UNIT):
    """Two nuclei with a gap of two voxels in every plane, and a noisy background."""
    labels = np.zeros((depth, 20, 24), np.uint8)
    labels[:, 6:14, 4:10], labels[:, 6:14, 14:20] = 1, 2
    noise = np.random.default_rng(seed).integers(20, 60, labels.shape)
    return Scene(Volume((noise + 100 * (labels > 0)).astype(dtype), spacing), labels)


def with_image(scene, array):
    return Scene(Volume(array, scene.image.spacing), scene.labels)


def published(segmentation, dilations, margin):
    """The published program: a cross, isotropic steps, padding along z only."""
    pad = dilations + 1
    padded = np.pad(segmentation, ((pad, pad), (0, 0), (0, 0)))
    closed = ndimage.binary_dilation(padded, iterations=dilations)
    closed = ndimage.binary_erosion(closed, iterations=dilations)[pad:-pad]
    inner = ndimage.binary_erosion(closed & ~segmentation, iterations=margin)
    return {"bg_inner": inner, "bg_outer": ndimage.binary_erosion(~closed, iterations=margin)}


def test_regions_do_not_overlap():
    parts = regions(cluster().labels, UNIT, **SMALL)
    assert tuple(parts) == REGIONS
    assert (sum(mask.astype(int) for mask in parts.values()) <= 1).all()
    assert parts["bg_inner"][:, 8:12, 11:13].all()


def test_equal_scenes_are_alike_in_every_region():
    scores = region_scores(cluster(), cluster(), **SMALL)
    assert [scores.mean(region) for region in REGIONS] == [1.0, 1.0, 1.0]


def test_a_black_image_scores_zero():
    real = cluster()
    black = with_image(real, np.zeros_like(real.image.array))
    for metric in (object_similarity, gap_similarity, outside_similarity, region_similarity):
        assert metric(real, black, **SMALL) == pytest.approx(0.0, abs=1e-12)


def test_falls_with_the_shift_and_below_zero():
    real = cluster()
    values = [
        region_similarity(real, with_image(real, real.image.array + shift), **SMALL)
        for shift in (0, 5, 20, 500)
    ]
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0


def test_does_not_depend_on_the_unit():
    real, other = cluster(), cluster(seed=1)
    scaled = [with_image(s, s.image.array / 65535) for s in (real, other)]
    expected = region_similarity(real, other, **SMALL)
    assert region_similarity(*scaled, **SMALL) == pytest.approx(expected, rel=1e-9)


def test_one_plane_by_hand():
    real, other = cluster(), cluster(seed=1)
    inside = real.labels[4] > 0
    a, b = (s.image.array[4][inside].astype(float) for s in (real, other))
    expected = 1 - wasserstein_distance(a, b) / a.mean()
    found = region_scores(real, other, **SMALL).scores["fg_inner"][4]
    assert found == pytest.approx(expected, rel=1e-9)


def test_closing_is_in_um():
    labels = np.zeros((5, 1, 13), np.uint8)
    labels[1, 0, 4], labels[3, 0, 4], labels[1, 0, 8] = 1, 2, 3
    flat = regions(labels, (10.0, 1.0, 1.0), closing_um=2.0, margin_um=0.0)["bg_inner"]
    assert flat[1, 0, 5:8].all()
    assert not flat[2].any()
    high = regions(labels, (1.0, 10.0, 10.0), closing_um=2.0, margin_um=0.0)["bg_inner"]
    assert high[2, 0, 4]
    assert not high[1].any()


def test_the_border_of_the_image_takes_nothing_away():
    labels = np.zeros((6, 12, 12), np.uint8)
    labels[:, :, :2] = 1
    outside = regions(labels, UNIT, closing_um=3.0, margin_um=2.0)["bg_outer"]
    assert outside[:, :, 4:].all()
    assert not outside[:, :, :4].any()
    lost = published(labels > 0, 3, 2)["bg_outer"]
    assert not lost[:2].any()  # no plane of the first two is ever scored
    assert not lost[:, :2].any()


def test_agrees_with_the_published_regions_far_from_the_border():
    labels = np.zeros((31, 41, 41), np.uint8)
    labels[15, 20, 16], labels[15, 20, 19], labels[15, 20, 22] = 1, 2, 3
    ours = regions(labels, UNIT, closing_um=2.0, margin_um=0.0)["bg_inner"]
    theirs = ndimage.binary_closing(np.pad(labels > 0, 5), iterations=2)[5:-5, 5:-5, 5:-5]
    assert np.array_equal(ours, theirs & (labels == 0))


@pytest.mark.parametrize("value", [0, 1])
def test_empty_and_full_labels(value):
    parts = regions(np.full((3, 4, 5), value, np.uint8), UNIT)
    assert parts["fg_inner"].all() == bool(value)
    assert not parts["bg_inner"].any()
    assert parts["bg_outer"].all() == (not value)


def test_a_region_missing_on_one_side_is_undefined():
    real = cluster()
    empty = Scene(real.image, np.zeros_like(real.labels))
    for pair in ((real, empty), (empty, real)):
        assert isnan(object_similarity(*pair, **SMALL))
        assert isnan(gap_similarity(*pair, **SMALL))
    assert outside_similarity(real, empty, **SMALL) <= 1
    assert isnan(region_similarity(real, []))


def test_a_black_real_image_is_undefined():
    real = cluster()
    black = with_image(real, np.zeros_like(real.image.array))
    assert isnan(region_similarity(black, real, **SMALL))


def test_planes_are_matched_by_relative_depth():
    real = cluster(depth=8)
    twice = Scene(
        Volume(real.image.array.repeat(2, axis=0), (0.5, 1.0, 1.0)), real.labels.repeat(2, axis=0)
    )
    half = Scene(Volume(real.image.array[1::2], (2.0, 1.0, 1.0)), real.labels[1::2])
    assert object_similarity(real, twice, **SMALL) == 1.0
    scores = region_scores(real, half, **SMALL).scores["fg_inner"]
    assert scores[1::2].tolist() == [1.0] * 4
    assert (scores[::2] < 1).all()


def test_thirds():
    real = cluster(depth=9)
    dim = real.image.array.astype(float)
    dim[6:] /= 2
    scores = region_scores(real, with_image(real, dim), **SMALL)
    thirds = [scores.mean("fg_inner", third) for third in THIRDS]
    assert thirds == pytest.approx([1.0, 1.0, 0.5])


def test_a_set_pools_the_synthetic_planes_and_lists_the_real_ones():
    real, other = cluster(), cluster(seed=1)
    assert region_scores([real, other], real, **SMALL).depth.size == 18
    both = object_similarity(real, [real, other], **SMALL)
    assert object_similarity(real, other, **SMALL) < both < 1


def test_memory_mapped_and_strided_stacks(tmp_path):
    real = cluster()
    mapped = np.memmap(tmp_path / "a", real.image.array.dtype, "w+", shape=real.image.shape)
    mapped[:] = real.image.array
    turned = Scene(
        Volume(np.asfortranarray(real.image.array), UNIT), np.asfortranarray(real.labels)
    )
    assert region_similarity(with_image(real, mapped), turned, **SMALL) == 1.0


def test_refuses_other_shapes_labels_axes_and_nan():
    image = cluster().image
    with pytest.raises(InputError, match=r"^labels must have the shape of their image, \(9, 20"):
        Scene(image, np.zeros((9, 20, 23), np.uint8))
    with pytest.raises(InputError, match="^labels must be integers of at least 0, found float64"):
        Scene(image, np.zeros(image.shape))
    with pytest.raises(InputError, match="^labels must be integers of at least 0, found int8"):
        Scene(image, np.full(image.shape, -1, np.int8))
    with pytest.raises(InputError, match="^the image must be a ZYX stack .* found axes YX"):
        Scene(Volume(np.zeros((3, 3)), (1, 1), "YX"), np.zeros((3, 3), int))
    grey = np.zeros((2, 3, 3), np.float32)
    grey[1, 0, 0] = nan
    with pytest.raises(InputError, match="^plane 1: grey values must be finite"):
        Scene(Volume(grey, UNIT), np.zeros(grey.shape, int))


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.5, 0.5, 0.4), (0.3, 0.6, 0.6)])
@pytest.mark.parametrize("radius", [0.0, 1.0, 1.5, 4.0])
def test_dilation_is_that_of_the_distance_in_the_volume(spacing, radius):
    mask = np.random.default_rng(0).random((7, 20, 21)) < 0.004
    distance = ndimage.distance_transform_edt(~mask, sampling=spacing)
    assert np.array_equal(dilated(mask, spacing, radius), distance <= radius * (1 + 1e-9))
    assert np.array_equal(
        dilated(mask[2:3], spacing, radius)[0], dilated(mask[2], spacing[1:], radius)
    )
    assert not dilated(np.zeros_like(mask), spacing, radius).any()
