import itertools

import numpy as np
import pytest

from cytosuite.algorithms.cellpose3d.flows import flow_targets
from cytosuite.errors import InputError


def ellipsoids(shape=(20, 40, 40)):
    grid = np.ogrid[tuple(slice(n) for n in shape)]
    labels = np.zeros(shape, np.int32)
    bodies = {
        3: ((8, 12, 11), (5, 8, 6)),
        40: ((12, 27, 28), (6, 7, 10)),
        7: ((3, 33, 8), (2, 3, 3)),
    }
    for name, (centre, axes) in bodies.items():
        inside = sum(((g - c) / a) ** 2 for g, c, a in zip(grid, centre, axes, strict=True)) <= 1
        labels[inside] = name
    return labels


def test_size_aware_flow_of_a_row_by_hand():
    labels = np.array([[[0, 5, 5, 5, 5, 5, 5, 0]]])  # centre 3.5, half extent 3
    flow = flow_targets(labels)
    away = np.array([0, 2.5, 1.5, 0.5, -0.5, -1.5, -2.5, 0])
    np.testing.assert_allclose(flow[2, 0, 0], np.tanh(2 * away / 3), atol=1e-6)
    assert not flow[:2].any()
    assert flow.dtype == np.float32


def test_half_extent_is_two_voxels_at_least():
    labels = np.zeros((3, 3, 4), np.uint8)
    labels[1, 1, 1:3] = 1
    np.testing.assert_allclose(flow_targets(labels)[2, 1, 1, 1:3], np.tanh([0.5, -0.5]), atol=1e-6)


def test_flow_points_to_the_centre_and_is_zero_outside():
    labels = ellipsoids()
    flow = flow_targets(labels)
    assert not flow[:, labels == 0].any()
    assert np.abs(flow).max() <= 1
    for name in (3, 7, 40):
        voxels = np.argwhere(labels == name)
        away = voxels.mean(axis=0) - voxels
        far = np.linalg.norm(away, axis=1) > 1.5
        along = (flow[:, labels == name].T * away).sum(axis=1)
        assert (along[far] > 0).all()


@pytest.mark.parametrize("flips", list(itertools.product((1, -1), repeat=3)))
def test_a_mirrored_image_has_the_mirrored_flow(flips):
    labels = ellipsoids()
    steps = tuple(slice(None, None, flip) for flip in flips)
    expected = flow_targets(labels)[(slice(None), *steps)]
    expected = expected * np.reshape(flips, (3, 1, 1, 1))
    np.testing.assert_allclose(flow_targets(labels[steps]), expected, atol=1e-4)


@pytest.mark.parametrize("axes", list(itertools.permutations(range(3))))
def test_swapped_axes_swap_the_channels(axes):
    labels = ellipsoids()
    expected = flow_targets(labels).transpose(0, *(a + 1 for a in axes))[list(axes)]
    np.testing.assert_allclose(flow_targets(labels.transpose(axes)), expected, atol=1e-4)


def test_numbers_of_labels_do_not_matter():
    labels = ellipsoids()
    huge = labels.astype(np.uint64) * np.uint64(2**40)
    np.testing.assert_array_equal(flow_targets(huge), flow_targets(labels))


def test_an_object_does_not_see_its_neighbours():
    labels = ellipsoids()
    alone = np.where(labels == 40, labels, 0)
    both, one = flow_targets(labels), flow_targets(alone)
    np.testing.assert_array_equal(both[:, labels == 40], one[:, labels == 40])


def test_the_centre_of_a_ring_lies_on_the_ring():
    y, x = np.ogrid[:31, :31]
    radius = np.hypot(y - 15, x - 15)
    labels = ((radius > 8) & (radius < 12))[None].astype(np.int32)
    labels[0, 15, :15] *= 3  # the left arm is another object: the centroid moves right
    flow = flow_targets(labels)
    still = np.argwhere((labels == 1) & (np.abs(flow).max(axis=0) < 1e-3))
    assert len(still) >= 1
    assert radius[still[0][1], still[0][2]] == pytest.approx(8.5, abs=0.6)


def test_the_nearest_voxel_is_the_centre_where_the_centroid_is_outside():
    labels = np.zeros((1, 1, 9), np.int32)
    labels[0, 0, [0, 1, 2, 8]] = 1  # centroid 2.75, rounded 3
    flow = flow_targets(labels)[2, 0, 0]
    away = 2 * np.array([2, 1, 0, -6]) / 4.5  # from voxel 2, by the half extent
    np.testing.assert_allclose(flow[[0, 1, 2, 8]], np.tanh(away), atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 9, 9), (5, 6, 7), (1, 1, 1)])
def test_empty_single_and_full_images(shape):
    assert not flow_targets(np.zeros(shape, np.uint16)).any()
    full = flow_targets(np.ones(shape, np.uint16))
    assert np.isfinite(full).all()
    if shape[0] == 1:
        assert not full[0].any()


def test_other_arrays_than_label_volumes_are_refused():
    with pytest.raises(
        InputError, match=r"array of whole numbers, found float64 of shape \(3, 3\)"
    ):
        flow_targets(np.zeros((3, 3)))
