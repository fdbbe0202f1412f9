import numpy as np
import pytest
from numpy.testing import assert_allclose
from rasters import away_from

from cytosuite.algorithms.cellpose3d.flows import flow_targets


def ellipsoids():
    labels = np.zeros((20, 40, 40), np.int32)
    for name, centre, axes in (
        (3, (8, 12, 11), (5, 8, 6)),
        (40, (12, 27, 28), (6, 7, 10)),
        (7, (3, 33, 8), (2, 3, 3)),
    ):
        labels[away_from(centre, labels.shape, np.divide(1, axes)) <= 1] = name
    return labels


def test_size_aware_flow_of_a_row_by_hand():
    labels = np.array([[[0, 5, 5, 5, 5, 5, 5, 0]]])  # centre 3.5, half extent 3
    flow = flow_targets(labels)
    away = np.array([0, 2.5, 1.5, 0.5, -0.5, -1.5, -2.5, 0])
    assert_allclose(flow[2, 0, 0], np.tanh(2 * away / 3), atol=1e-6)
    assert not flow[:2].any()
    assert flow.dtype == np.float32


def test_half_extent_is_two_voxels_at_least():
    labels = np.zeros((3, 3, 4), np.uint8)
    labels[1, 1, 1:3] = 1
    assert_allclose(flow_targets(labels)[2, 1, 1, 1:3], np.tanh([0.5, -0.5]), atol=1e-6)


@pytest.mark.parametrize("axes", [(0, 2, 1), (2, 0, 1)])
def test_swapped_axes_swap_the_channels(axes):
    labels = ellipsoids()
    expected = flow_targets(labels).transpose(0, *(a + 1 for a in axes))[list(axes)]
    assert_allclose(flow_targets(labels.transpose(axes)), expected, atol=1e-4)


def test_the_nearest_voxel_is_the_centre_where_the_centroid_is_outside():
    labels = np.zeros((1, 1, 9), np.int32)
    labels[0, 0, [0, 1, 2, 8]] = 1  # centroid 2.75, rounded 3
    flow = flow_targets(labels)[2, 0, 0]
    away = 2 * np.array([2, 1, 0, -6]) / 4.5  # from voxel 2, by the half extent
    assert_allclose(flow[[0, 1, 2, 8]], np.tanh(away), atol=1e-6)


def test_a_plane_flows_as_every_slice_of_a_prism():
    plane = ellipsoids()[8:9]
    plane[0, 2:9, 2:9] = 5
    plane[0, 2:7, 2:7] = 0  # a bent object: its centre is its voxel nearest to the centroid
    prism = flow_targets(np.repeat(plane, 3, axis=0))
    flow = flow_targets(plane)
    assert not flow[0].any()
    assert_allclose(flow[1:], prism[1:, 1:2], atol=1e-6)
