import numpy as np
import pytest

from cytosuite.algorithms.cellpose3d.rescale import (
    interpolate,
    labels_to_image,
    reach_of,
    stencils,
    to_working,
    touched,
    working_shape,
)


def ball(shape, spacing, centre, radius):
    """Return the distance to a sphere's surface in µm, positive inside."""
    grid = np.indices(shape).astype(np.float32)
    parts = [(g + 0.5) * s - c for g, s, c in zip(grid, spacing, centre, strict=True)]
    return radius - np.sqrt(sum(part**2 for part in parts))


def _linear(image, shape):
    """Return an image interpolated linearly on another grid over its box."""
    return interpolate(image, stencils(image.shape, shape))


def _to_image(labels, foreground):
    """Return labels on another grid over their box."""
    return labels_to_image(labels, foreground, stencils(labels.shape, foreground.shape))


def test_linear_interpolation_by_hand():
    row = np.array([0, 4], np.float32)
    np.testing.assert_allclose(_linear(row, (4,)), [0, 1, 3, 4])
    np.testing.assert_allclose(_linear(np.array([0, 1, 2, 3], np.float32), (2,)), [0.5, 2.5])


def test_a_gradient_stays_a_gradient_in_µm():
    image = np.broadcast_to(np.arange(40, dtype=np.float32)[:, None, None], (40, 8, 8))
    half = to_working(image, (0.5, 1.0, 1.0))
    assert half.shape == (20, 8, 8)
    np.testing.assert_allclose(half[4:-4, 0, 0], 2 * np.arange(4, 16) + 0.5, atol=1e-3)


def test_shrinking_does_not_alias():
    image = np.random.default_rng(0).normal(0, 1, (8, 96, 96)).astype(np.float32)
    shrunk = to_working(image, (1.0, 0.25, 0.25))
    assert shrunk.shape == (8, 24, 24)
    assert shrunk.std() < 0.3 * image.std()
    assert abs(float(shrunk.mean() - image.mean())) < 0.01


def test_the_same_grid_is_the_same_image():
    image = np.ones((3, 4, 5), np.float32)
    assert np.shares_memory(to_working(image, (1.0, 1.0, 1.0)), image)
    assert to_working(image.astype(np.uint8), (1.0, 1.0, 1.0)).dtype == np.float32


PARTS = [
    (slice(0, 4), slice(0, 9), slice(0, 5)),  # a corner
    (slice(3, 5), slice(6, 14), slice(11, 12)),
]


@pytest.mark.parametrize("factor", [(1, 1, 1), (0.5, 0.4, 0.7), (1.7, 2.0, 1.0), (1, 0.6, 1.3)])
def test_a_part_has_the_very_values_of_the_whole(factor):
    image = np.random.default_rng(0).integers(0, 999, (17, 40, 33)).astype(np.uint16)
    whole = to_working(image, factor)
    assert whole.shape == working_shape(image.shape, factor)
    for box in [*PARTS, tuple(slice(max(0, n - 3), n) for n in whole.shape)]:
        np.testing.assert_array_equal(to_working(image, factor, box), whole[box])


def test_voxels_that_a_part_is_made_of_by_hand():
    # Eight voxels on four lie at 0, 0.25, 0.75, 1.25, 1.75 ...: two between voxels 1 and 2.
    (box,), (place,) = touched(stencils((4,), (8,)), (slice(3, 5),))
    assert box == slice(1, 3)
    np.testing.assert_array_equal(place.low, [0, 0])
    np.testing.assert_array_equal(place.weight, np.float32([0.25, 0.75]))


def test_labels_of_a_part_are_those_of_the_whole():
    coarse, margin = two_touching((2.0, 2.0, 2.0), (16, 16, 18))
    fine = (31, 40, 45)
    grid = stencils(coarse.shape, fine)
    whole = _to_image(coarse, _linear(margin, fine) > 0)
    target = (slice(4, 29), slice(0, 40), slice(9, 33))
    source, places = touched(grid, target)
    foreground = interpolate(margin[source], places) > 0
    part = labels_to_image(coarse[source], foreground, places)
    assert part.any()
    np.testing.assert_array_equal(part, whole[target])


@pytest.mark.parametrize("working", [(4, 9, 30), (8, 40, 5)])
def test_a_working_voxel_depends_on_no_voxel_beyond_its_reach(working):
    shape = (17, 40, 33)
    factor = [new / old for new, old in zip(working, shape, strict=True)]
    image = np.random.default_rng(0).uniform(0, 1, shape)
    for axis, reach in enumerate(reach_of(shape, working)):
        place = stencils(shape, working)[axis]
        middle = working[axis] // 2
        far = place.high[middle] + reach + 1
        changed = image.copy()
        np.moveaxis(changed, axis, 0)[far:] += 1
        before, after = (to_working(each, factor).take(middle, axis) for each in (image, changed))
        np.testing.assert_array_equal(before, after)
        np.moveaxis(changed, axis, 0)[far - 2 : far] += 1  # the second has no weight at a centre
        assert (to_working(changed, factor).take(middle, axis) != before).any()


def test_an_axis_keeps_at_least_one_voxel():
    assert to_working(np.ones((2, 9, 9), np.float32), (0.1, 0.5, 2.0)).shape == (1, 4, 18)


def two_touching(spacing, shape):
    """Return labels of two spheres cut apart at a plane, and the distance to their surface."""
    left = ball(shape, spacing, (16, 16, 12), 8)
    right = ball(shape, spacing, (16, 16, 24), 8)
    labels = np.where(left > right, 1, 2) * (np.maximum(left, right) > 0)
    return labels.astype(np.uint32), np.maximum(left, right).astype(np.float32)


def iou(truth, found, label):
    return ((truth == label) & (found == label)).sum() / ((truth == label) | (found == label)).sum()


@pytest.mark.parametrize("times", [2, 3])
def test_labels_on_a_finer_grid_have_smooth_borders(times):
    coarse, margin = two_touching((2.0, 2.0, 2.0), (16, 16, 18))
    fine = tuple(times * n for n in coarse.shape)
    truth, _ = two_touching((2 / times,) * 3, fine)
    found = _to_image(coarse, _linear(margin, fine) > 0)
    nearest = np.kron(coarse, np.ones((times,) * 3, np.uint32))
    for label in (1, 2):
        assert iou(truth, found, label) > 0.92
        assert iou(truth, found, label) > iou(truth, nearest, label) + 0.05


def test_labels_on_a_coarser_grid():
    fine, margin = two_touching((1.0, 1.0, 1.0), (32, 32, 36))
    truth, _ = two_touching((2.0, 2.0, 2.0), (16, 16, 18))
    found = _to_image(fine, _linear(margin, truth.shape) > 0)
    assert min(iou(truth, found, 1), iou(truth, found, 2)) > 0.9


def test_labels_stay_in_the_foreground_and_as_they_are_on_the_same_grid():
    labels, _ = two_touching((2.0, 2.0, 2.0), (16, 16, 18))
    np.testing.assert_array_equal(_to_image(labels, labels > 0), labels)
    assert not _to_image(labels, np.zeros((32, 32, 36), bool)).any()
    assert not _to_image(np.zeros((4, 4, 4), int), np.ones((8, 8, 8), bool)).any()
