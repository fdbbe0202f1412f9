from math import isnan, nan

import numpy as np
import pytest
from mistakes import refused
from scipy import ndimage
from scipy.stats import wasserstein_distance

from cytosuite.metrics.realism.regions import (
    REGIONS,
    RegionScores,
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


def cluster(depth=9, seed=0):
    """Two nuclei with a gap of two voxels in every plane, and a noisy background."""
    labels = np.zeros((depth, 20, 24), np.uint8)
    labels[:, 6:14, 4:10] = 1
    labels[:, 6:14, 14:20] = 2
    noise = np.random.default_rng(seed).integers(20, 60, labels.shape)
    return Scene(Volume((noise + 100 * (labels > 0)).astype(np.uint16), (2.4, 2.4, 2.4)), labels)


def test_regions_do_not_overlap():
    parts = regions(cluster().labels, UNIT, closing_um=3.0, margin_um=1.0)
    assert tuple(parts) == REGIONS
    assert (sum(mask.astype(int) for mask in parts.values()) <= 1).all()
    assert parts["bg_inner"][:, 8:12, 11:13].all()


def test_one_plane_by_hand():
    real = cluster()
    other = cluster(seed=1)
    inside = real.labels[4] > 0
    a, b = (s.image.array[4][inside].astype(float) for s in (real, other))
    expected = 1 - wasserstein_distance(a, b) / a.mean()
    assert region_scores(real, other).scores["fg_inner"][4] == pytest.approx(expected, rel=1e-9)


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


def test_a_region_missing_on_one_side_is_undefined():
    real = cluster()
    empty = Scene(real.image, np.zeros_like(real.labels))
    for pair in ((real, empty), (empty, real)):
        assert isnan(object_similarity(*pair))
        assert isnan(gap_similarity(*pair))
    assert outside_similarity(real, empty) <= 1
    assert isnan(region_similarity(real, []))


def test_planes_are_matched_by_relative_depth():
    real = cluster(depth=8)
    twice = Scene(
        Volume(real.image.array.repeat(2, axis=0), (0.5, 1.0, 1.0)), real.labels.repeat(2, axis=0)
    )
    half = Scene(Volume(real.image.array[1::2], (2.0, 1.0, 1.0)), real.labels[1::2])
    assert object_similarity(real, twice) == 1.0
    scores = region_scores(real, half).scores["fg_inner"]
    assert scores[1::2].tolist() == [1.0] * 4
    assert (scores[::2] < 1).all()


def test_refuses_other_shapes_labels_axes_and_nan():
    image = cluster().image
    plane = Volume(np.zeros((3, 3)), (1, 1), "YX")
    none = np.zeros((2, 3, 3), int)
    grey = Volume(np.where(np.arange(18).reshape(2, 3, 3) == 9, nan, 0), UNIT)
    for message, seen, labels in (
        (r"labels must have the shape of their image, \(9, 20", image, none),
        ("labels must be integers of at least 0, found float64", image, image.array * 0.0),
        (
            "labels must be integers of at least 0, found int8",
            image,
            np.int8(-1) * (image.array > 0),
        ),
        ("the image must be a ZYX stack .* found axes YX", plane, none[0]),
        ("plane 1: grey values must be finite", grey, none),
    ):
        refused(f"^{message}", Scene, seen, labels)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.5, 0.5, 0.4), (0.3, 0.6, 0.6)])
@pytest.mark.parametrize("radius", [0.0, 1.0, 1.5, 4.0])
def test_dilation_is_that_of_the_distance_in_the_volume(spacing, radius, rng):
    mask = rng.random((7, 20, 21)) < 0.004
    distance = ndimage.distance_transform_edt(~mask, sampling=spacing)
    assert np.array_equal(dilated(mask, spacing, radius), distance <= radius * (1 + 1e-9))
    assert np.array_equal(
        dilated(mask[2:3], spacing, radius)[0], dilated(mask[2], spacing[1:], radius)
    )
    assert not dilated(np.zeros_like(mask), spacing, radius).any()


def test_planes_by_third_and_their_profile():
    scores = RegionScores(
        (np.arange(6) + 0.5) / 6, {"fg_inner": np.array([1.0, nan, 0.5, 0.25, nan, 0.0])}
    )
    assert [scores.third("fg_inner", n).tolist() for n in range(3)] == [[1.0], [0.5, 0.25], [0.0]]
    places, means = scores.profile("fg_inner", 2)
    assert (places.tolist(), means.tolist()) == ([0.25, 0.75], [0.75, 0.125])
