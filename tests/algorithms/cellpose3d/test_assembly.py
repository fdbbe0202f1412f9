import numpy as np

from cytosuite.algorithms.cellpose3d.assembly import Assembly

ROW = (1, 1, 12)


def box(start, stop):
    return slice(0, 1), slice(0, 1), slice(start, stop)


def row(values):
    return np.array(values, np.uint32)[None, None]


LEFT, RIGHT = (box(0, 8), box(0, 6)), (box(4, 12), box(6, 12))  # the block, and its core


def assembled(*blocks):
    """Assemble blocks, each given as values, owned objects, box and core."""
    assembly = Assembly(ROW)
    for values, owned, place in blocks:
        names = np.isin(np.arange(max(values) + 1), owned)
        assembly.add(row(values), names, *place)
    labels, objects, pieces = assembly.finish()
    assert labels.max() == objects
    return labels.ravel().tolist(), pieces


def test_an_object_across_the_border_is_written_by_its_owner():
    left = [1, 1, 0, 0, 0, 2, 2, 2], [1], LEFT  # more of 2 lies beyond
    right = [0, 7, 7, 7, 7, 0, 0, 3], [3, 7], RIGHT
    expected = [1, 1, 0, 0, 0, 2, 2, 2, 2, 0, 0, 3]
    assert assembled(left, right) == assembled(right, left) == (expected, 0)


def test_owned_by_both_is_one_object():
    left = [0, 0, 0, 0, 1, 1, 1, 0], [1], LEFT
    right = [0, 5, 5, 5, 0, 0, 0, 0], [5], RIGHT  # seen a voxel further right
    expected = [0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0]
    assert assembled(left, right)[0] == expected
    assert assembled(right, left)[0] == expected


def test_owned_by_nobody_is_cut_and_not_lost():
    left = [0, 0, 0, 1, 1, 1, 1, 1], [], LEFT
    right = [1, 1, 1, 1, 1, 1, 0, 0], [], RIGHT
    assert assembled(left, right) == ([0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 0, 0], 2)


def test_the_rest_of_a_lent_piece_joins_its_owner():
    left = [0, 0, 1, 1, 1, 1, 1, 0], [], LEFT
    right = [2, 2, 2, 2, 0, 0, 0, 0], [2], RIGHT  # from the third voxel of the piece on
    piece = [0, 0, 0, 1, 1, 1, 1, 0], [], LEFT
    assert assembled(left, right) == ([0, 0, 1, 1, 2, 2, 2, 2, 0, 0, 0, 0], 1)  # half of it: no
    assert assembled(piece, right) == ([0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0], 0)  # two thirds


def test_an_owned_object_never_gives_up_a_voxel():
    left = [0, 0, 0, 1, 1, 1, 1, 0], [1], LEFT
    right = [0, 0, 2, 2, 2, 2, 2, 2], [2], RIGHT
    assert assembled(left, right) == ([0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2], 0)


def test_numbers_follow_the_first_voxels_and_need_no_more_bytes_than_they_must():
    for count, dtype in ((65535, np.uint16), (65536, np.uint32)):
        shape = (2, 256, 256)
        place = tuple(slice(0, n) for n in shape)
        given = np.zeros(shape, np.uint32)
        given.ravel()[:count] = np.arange(count, 0, -1)
        assembly = Assembly(shape)
        assembly.add(given, np.ones(count + 1, bool), place, place)
        labels, objects, pieces = assembly.finish()
        assert (labels.dtype, objects, pieces) == (dtype, count, 0)
        np.testing.assert_array_equal(labels.ravel()[:count], np.arange(1, count + 1))
        assert not labels.ravel()[count:].any()


def test_nothing_comes_of_nothing():
    labels, objects, pieces = Assembly((2, 3, 4)).finish()
    assert (labels.shape, labels.any(), objects, pieces) == ((2, 3, 4), False, 0, 0)
