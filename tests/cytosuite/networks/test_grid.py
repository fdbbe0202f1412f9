import numpy as np
import pytest
from numpy.testing import assert_allclose
from rasters import away_from

from cytosuite.networks.grid import interpolate, labels_to_image, reach_of, stencils, to_working


def _linear(image, shape):
    """Return an image interpolated linearly on another grid over its box."""
    return interpolate(image, stencils(image.shape, shape))


def test_linear_interpolation_by_hand():
    assert_allclose(_linear(np.array([0, 4], np.float32), (4,)), [0, 1, 3, 4])
    assert_allclose(_linear(np.array([0, 1, 2, 3], np.float32), (2,)), [0.5, 2.5])


def test_a_gradient_stays_a_gradient_in_µm():
    half = to_working(
        np.broadcast_to(np.arange(40, dtype=np.float32)[:, None, None], (40, 8, 8)), (0.5, 1.0, 1.0)
    )
    assert half.shape == (20, 8, 8)
    assert_allclose(half[4:-4, 0, 0], 2 * np.arange(4, 16) + 0.5, atol=1e-3)


def test_shrinking_does_not_alias(rng):
    image = rng.normal(0, 1, (8, 96, 96)).astype(np.float32)
    shrunk = to_working(image, (1.0, 0.25, 0.25))
    assert shrunk.shape == (8, 24, 24)
    assert shrunk.std() < 0.3 * image.std()
    assert abs(float(shrunk.mean() - image.mean())) < 0.01


@pytest.mark.parametrize("working", [(4, 9, 30), (8, 40, 5)])
def test_a_working_voxel_depends_on_no_voxel_beyond_its_reach(working, rng):
    shape = (17, 40, 33)
    factor = [new / old for new, old in zip(working, shape, strict=True)]
    image = rng.uniform(0, 1, shape)
    for axis, reach in enumerate(reach_of(shape, working)):
        place = stencils(shape, working)[axis]
        middle = working[axis] // 2
        far = place.high[middle] + reach + 1
        changed = image.copy()
        np.moveaxis(changed, axis, 0)[far:] += 1
        before, after = (to_working(array, factor).take(middle, axis) for array in (image, changed))
        np.testing.assert_array_equal(before, after)
        np.moveaxis(changed, axis, 0)[far - 2 : far] += 1  # the second has no weight at a centre
        assert (to_working(changed, factor).take(middle, axis) != before).any()


def two_touching(spacing, shape):
    """Return labels of two spheres cut apart at a plane, and the distance to their surface."""
    places = np.divide([(16, 16, 12), (16, 16, 24)], spacing) - 0.5
    inside = 8 - np.stack([away_from(place, shape, spacing) for place in places])
    labels = np.where(inside.max(0) > 0, inside.argmax(0) + 1, 0)
    return labels.astype(np.uint32), inside.max(0).astype(np.float32)


def iou(truth, other, label):
    return ((truth == label) & (other == label)).sum() / ((truth == label) | (other == label)).sum()


@pytest.mark.parametrize("times", [2, 3])
def test_labels_on_a_finer_grid_have_smooth_borders(times):
    coarse, margin = two_touching((2.0, 2.0, 2.0), (16, 16, 18))
    fine = tuple(times * n for n in coarse.shape)
    truth, _ = two_touching((2 / times,) * 3, fine)
    labels = labels_to_image(coarse, _linear(margin, fine) > 0, stencils(coarse.shape, fine))
    nearest = np.kron(coarse, np.ones((times,) * 3, np.uint32))
    for label in (1, 2):
        assert iou(truth, labels, label) > 0.92
        assert iou(truth, labels, label) > iou(truth, nearest, label) + 0.05
