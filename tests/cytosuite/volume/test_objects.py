import numpy as np
import pytest
from scipy.spatial import ConvexHull

from cytosuite.volume.objects import hull_voxels, numbered


@pytest.mark.parametrize("names", [(2, 5), (1, 65535), (7, 2**31 - 1), (-3, 4)])
def test_labels_are_numbered_in_ascending_order(names):
    labels = np.array([[0, names[1]], [names[0], 0]], np.int64)
    ascending, dense = numbered(labels)
    assert ascending.tolist() == [name for name in names if name > 0]
    assert [0, *ascending][dense.max()] == names[1]
    np.testing.assert_array_equal(np.append(0, ascending)[dense], np.maximum(labels, 0))


@pytest.mark.parametrize("shape", [(9, 11), (1, 1), (6, 8, 7), (1, 3, 1)])
def test_a_hull_is_that_of_all_corners(shape):
    for seed in range(8):
        mask = np.random.default_rng(seed).random(shape) < 0.1
        mask.flat[seed % mask.size] = True
        offsets = np.indices((2,) * mask.ndim).reshape(mask.ndim, -1).T
        corners = (np.argwhere(mask)[:, None] + offsets).reshape(-1, mask.ndim)
        assert hull_voxels(mask) == pytest.approx(ConvexHull(corners).volume)
