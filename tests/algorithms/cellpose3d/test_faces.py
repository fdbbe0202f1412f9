import numpy as np
import pytest
from scipy import ndimage

from cytosuite.algorithms.cellpose3d.faces import moved_to_walls, without_walls_joined

SPACING = (0.4, 0.2, 0.2)


def _cells(shift=(0, 0), shape=(8, 24, 24)):
    """Return four blocks of labels that meet along two planes, in background."""
    labels = np.zeros(shape, np.uint32)
    y, x = shape[1] // 2 + shift[0], shape[2] // 2 + shift[1]
    labels[1:-1, 2:y, 2:x], labels[1:-1, 2:y, x:-2] = 1, 2
    labels[1:-1, y:-2, 2:x], labels[1:-1, y:-2, x:-2] = 3, 4
    return labels


def _walls(labels, noise=0.0):
    """Return an image that is bright in the last voxels before another label."""
    image = np.zeros(labels.shape)
    for axis in (1, 2):
        image += 10.0 * (np.diff(labels.astype(int), axis=axis, append=0) != 0)
    image = ndimage.gaussian_filter(image, (0, 0.7, 0.7))
    rng = np.random.default_rng(0)
    return (image + noise * rng.normal(size=image.shape)).astype(np.float32)


def _moved(labels, image, reach_um=0.6, smoothing_um=0.0):
    return moved_to_walls(labels, image, SPACING, reach_um=reach_um, smoothing_um=smoothing_um)


@pytest.mark.parametrize(("noise", "smoothing"), [(0.0, 0.0), (1.0, 0.2)])
def test_faces_that_are_two_voxels_off_move_to_the_walls(noise, smoothing):
    truth, off = _cells(), _cells(shift=(2, -2))
    found = _moved(off, _walls(truth, noise), smoothing_um=smoothing)
    beside = (truth > 0) & (off > 0)
    beside[:, 11], beside[:, :, 11] = False, False  # the wall itself may belong to either side
    np.testing.assert_array_equal(found[beside], truth[beside])
    assert (off != truth)[beside].any()


def test_faces_farther_from_a_wall_than_the_reach_do_not_get_there():
    image = np.zeros((1, 1, 20), np.float32)
    image[..., 15] = 9
    labels = np.repeat(np.array([1, 2], np.uint32), 10).reshape(1, 1, 20)
    near = moved_to_walls(labels, image, (1, 1, 1), reach_um=6, smoothing_um=0)
    assert np.count_nonzero(near == 1) in (15, 16)
    far = moved_to_walls(labels, image, (1, 1, 1), reach_um=2, smoothing_um=0)
    assert 8 <= np.count_nonzero(far == 1) <= 13


def test_only_voxels_of_objects_near_their_faces_change():
    labels, rng = _cells(), np.random.default_rng(1)
    image = rng.random(labels.shape, np.float32)
    found = _moved(labels, image, reach_um=0.4)
    assert found.dtype == np.uint32
    np.testing.assert_array_equal(found > 0, labels > 0)
    face = np.zeros(labels.shape, bool)
    face[:, 11:13], face[:, :, 11:13] = True, True
    away = ndimage.distance_transform_edt(~face, SPACING)
    np.testing.assert_array_equal(found[away > 0.41], labels[away > 0.41])
    assert (found != labels).any()
    for label in (1, 2, 3, 4):
        assert ndimage.label(found == label)[1] == 1


def test_what_touches_nothing_stays():
    labels = np.zeros((4, 10, 10), np.uint32)
    labels[1:3, 1:4, 1:4], labels[1:3, 6:9, 6:9] = 1, 7
    image = np.random.default_rng(0).random(labels.shape, np.float32)
    np.testing.assert_array_equal(_moved(labels, image), labels)
    np.testing.assert_array_equal(_moved(0 * labels, image), 0 * labels)


def test_an_object_thinner_than_the_reach_keeps_its_voxels():
    labels = np.ones((6, 20, 20), np.uint32)
    labels[2:4, 9:11, 9:11] = 2
    found = _moved(labels, np.random.default_rng(0).random(labels.shape, np.float32), reach_um=1.0)
    assert (found[labels == 2] == 2).all()


def test_mirrored_images_and_other_numbers_give_the_same_objects():
    labels = _cells(shift=(1, -1))
    image = np.random.default_rng(2).random(labels.shape, np.float32)
    found = _moved(labels, image)
    mirrored = (slice(None, None, -1),) * 3
    np.testing.assert_array_equal(
        _moved(labels[mirrored].copy(), image[mirrored].copy()), found[mirrored]
    )
    other = np.array([0, 90, 4, 17, 2], np.uint32)
    np.testing.assert_array_equal(_moved(other[labels], image), other[found])
    np.testing.assert_array_equal(_moved(labels, 3 * image + 8), found)


def test_objects_are_joined_where_their_face_has_the_level_of_an_inside():
    labels = _cells()
    level = np.ones(labels.shape, np.float32)
    level[:, 11:13] = 0.4  # a wall along x, none along y
    found = without_walls_joined(labels, level, 0.7)
    assert found.dtype == np.uint32
    np.testing.assert_array_equal(found, np.array([0, 1, 1, 3, 3])[labels])


def test_the_mean_of_the_lower_levels_along_a_face_decides():
    labels = np.repeat(np.array([1, 2], np.uint32), 3)[None, None, :] * np.ones(
        (1, 4, 1), np.uint32
    )
    level = np.ones(labels.shape, np.float32)
    level[0, :, 2] = 0.2, 0.4, 0.6, 0.8  # with 1 on the other side: a mean of 0.5
    assert (without_walls_joined(labels, level, 0.49) > 0).all()
    assert np.unique(without_walls_joined(labels, level, 0.49)).tolist() == [1]
    assert without_walls_joined(labels, level, 0.51) is labels


def test_background_parts_objects_and_walls_keep_all():
    labels = _cells()
    labels[:, 11:13] = 0
    labels[:, :, 11:13] = 0
    assert without_walls_joined(labels, np.ones(labels.shape, np.float32), 0.5) is labels
    assert without_walls_joined(0 * labels, np.ones(labels.shape, np.float32), 0.5).max() == 0
    assert without_walls_joined(_cells(), np.zeros(labels.shape, np.float32), 0.5).max() == 4


def test_chains_become_one_object_whatever_their_numbers_and_direction():
    labels = np.repeat(np.array([5, 2, 9, 4], np.uint32), 3).reshape(1, 1, 12)
    level = np.ones(labels.shape, np.float32)
    level[..., 8:10] = 0.1
    expected = np.repeat(np.array([2, 2, 2, 4], np.uint32), 3).reshape(1, 1, 12)
    np.testing.assert_array_equal(without_walls_joined(labels, level, 0.5), expected)
    turned = without_walls_joined(labels.transpose(2, 0, 1), level.transpose(2, 0, 1), 0.5)
    np.testing.assert_array_equal(turned, expected.transpose(2, 0, 1))
