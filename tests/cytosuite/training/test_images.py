import numpy as np
import pytest
from numpy.testing import assert_array_equal

from cytosuite.training.images import (
    Turn,
    objects_of,
    padded,
    turn_of,
    turned,
    views,
)
from cytosuite.volume import Volume


def test_an_array_goes_on_until_a_crop_fits():
    array = np.arange(6).reshape(1, 2, 3)
    larger = padded(array, (4, 2))
    assert larger.shape == (1, 4, 3)
    assert_array_equal(larger[0, 1:], np.repeat(array[:, 1], 3, 0))
    assert_array_equal(padded(array, (1, 1)), array)


@pytest.mark.parametrize("turn", [(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 1)])
def test_a_crop_is_turned_in_its_planes(turn, rng):
    crop = rng.random((3, 4, 4))
    expected = np.flip(crop, [axis for axis in range(3) if turn[axis]])
    expected = expected.transpose(0, 2, 1) if turn[3] else expected
    assert_array_equal(turned(crop, Turn(turn[:3], turn[3])), expected)
    rest = turned(crop[:, 1:], Turn(turn[:3], turn[3]))  # no square
    assert_array_equal(rest, np.flip(crop[:, 1:], np.flatnonzero(turn[:3])))


@pytest.mark.parametrize("noise, count", [(True, 2), (False, 8)])
def test_crops_with_a_cameras_noise_keep_their_x(noise, count, rng):
    turns = {turn_of(rng, noise=noise) for _ in range(100)}
    assert len(turns) == count
    assert (not noise) or not any(swap or flips[2] for flips, swap in turns)
    assert not any(flips[0] for flips, _ in turns)


def test_objects_are_pieces_above_a_threshold():
    image = np.full((9, 40, 40), 10, np.uint16)
    image[2:7, 5:15, 5:15] = image[2:7, 25:35, 25:35] = 200
    objects = objects_of(image)
    assert set(np.unique(objects)) == {0, 1, 2}
    assert objects[4, 10, 10] != objects[4, 30, 30]


def test_views_are_the_middle_planes_as_light():
    array = np.zeros((4, 6, 8), np.uint16)
    array[2, :, 4:] = 1000
    picture = views(Volume(array, (1.0, 1.0, 1.0)))
    assert picture[:6, :8].max() == 255
    assert picture[:6, :4].max() == 0
    assert picture[2, 8 + 4 + 4] == 255
    flat = views(Volume(array[2:3], (1.0, 1.0, 1.0)))
    assert_array_equal(flat[:6, :8], picture[:6, :8])
    assert flat.shape == (6 + 4 - 4, 8 + 4)
