import numpy as np
import pytest

from cytosuite import large
from cytosuite.segmentation import assembly as module
from cytosuite.segmentation.assembly import Assembly, in_core, in_order, owned
from cytosuite.tiling import plan

SHAPE = (30, 60, 66)
MULTIPLE, MARGIN = (2, 4, 4), (7, 12, 12)
ROW = (1, 1, 12)


def box(start, stop):
    return slice(0, 1), slice(0, 1), slice(start, stop)


def row(values):
    return np.array(values, np.uint32)[None, None]


LEFT, RIGHT = (box(0, 8), box(0, 6)), (box(4, 12), box(6, 12))  # the block, and its core


def assembled(*blocks):
    """Assemble blocks, each given as values, owned objects, box and core."""
    assembly = Assembly(ROW)
    for values, own, place in blocks:
        names = np.isin(np.arange(max(values) + 1), own)
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


@pytest.mark.parametrize("on_disk", [False, True])
def test_numbers_follow_the_first_voxels_and_need_no_more_bytes_than_they_must(
    on_disk, monkeypatch
):
    if on_disk:
        monkeypatch.setattr(large, "fits", lambda size: False)
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


def cores(size=(20, 36, 36)):
    return plan(SHAPE, size, MARGIN, multiple=MULTIPLE)


def nuclei(seed=0, count=70, shape=SHAPE):
    """Return flattened balls of up to 5 x 9 x 9 voxels, many of which touch."""
    rng = np.random.default_rng(seed)
    labels, grid = np.zeros(shape, np.uint32), np.indices(shape)
    for name in range(1, count + 1):
        centre = [rng.uniform(0, n) for n in shape]
        away = sum(
            ((g - c) / r) ** 2 for g, c, r in zip(grid, centre, (2.5, 4.5, 4.5), strict=True)
        )
        labels[(away <= rng.uniform(0.5, 1)) & (labels == 0)] = name
    return in_order(labels)[0]


def straddling(labels, planned, axis):
    """Return how many objects lie in two cores along an axis."""
    edges = {tile.output[axis].stop for tile in planned} - {labels.shape[axis]}
    crossing = set()
    for edge in edges:
        before, after = labels.take(edge - 1, axis), labels.take(edge, axis)
        crossing |= set(before[(before == after) & (before > 0)].tolist())
    return len(crossing)


def seen(labels, tile):
    """Return the part of the truth in a block, under names of its own."""
    part = labels[tile.input]
    return np.searchsorted(np.unique(np.append(0, part)), part).astype(np.uint32)


def together(labels, planned):
    assembly = Assembly(labels.shape)
    for tile in planned:
        part = seen(labels, tile)
        assembly.add(part, owned(part, tile, labels.shape), tile.input, tile.output)
    return assembly.finish()


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
def test_objects_across_borders_are_those_of_the_whole(backwards, on_disk, monkeypatch):
    if on_disk:
        monkeypatch.setattr(large, "fits", lambda size: False)
    labels, planned = nuclei(), cores()
    assert all(straddling(labels, planned, axis) > 2 for axis in range(3))
    found, objects, pieces = together(labels, planned[::-1] if backwards else planned)
    np.testing.assert_array_equal(found, labels)
    assert (objects, pieces) == (labels.max(), 0)
    assert large.is_mapped(found) == on_disk


def test_an_object_larger_than_the_margin_is_cut_but_neither_lost_nor_found_twice():
    labels = nuclei()
    giant = labels.max() + 1
    labels[10:14, 8:12, :] = giant  # through all blocks along x
    labels = in_order(labels)[0]
    giant = labels[11, 9, 30]
    found, objects, pieces = together(labels, cores())
    np.testing.assert_array_equal(found > 0, labels > 0)
    parts = np.unique(found[labels == giant])
    assert 1 < len(parts) == pieces
    assert objects == labels.max() - 1 + pieces
    assert not np.isin(found[labels != giant], parts).any()


@pytest.mark.parametrize("agreement", [0, 2])
def test_every_object_has_an_owner(agreement, monkeypatch):
    monkeypatch.setattr(module, "AGREEMENT", agreement)
    labels, planned = nuclei(seed=3), cores()
    owners = np.zeros(labels.max() + 1, int)
    for tile in planned:
        part = seen(labels, tile)
        names = np.unique(np.append(0, labels[tile.input]))
        owners[names[owned(part, tile, SHAPE)]] += 1
    assert owners[1:].min() == 1
    assert (owners[1:].max() > 1) == (agreement > 0)  # near borders both may own it


def test_the_core_ends_at_borders_of_voxels_and_goes_on_beyond_the_image():
    first, last = plan((40,), (26,), (6,))
    inside = in_core([[-1.0], [19.4], [19.5]], first, (40,))
    assert inside.tolist() == [True, True, False]
    start = last.input[0].start
    assert in_core([[19.4 - start], [19.5 - start], [99]], last, (40,)).tolist() == [0, 1, 1]
    assert in_core([[17.5 - start]], last, (40,), 2).tolist() == [True]
    assert in_core([], first, (40,)).tolist() == []


def test_names_of_another_owner_are_one_object():
    labels = np.array([[0, 4, 4, 0, 2], [2, 2, 0, 3, 0]], np.uint16)
    found, final = in_order(labels.copy(), np.array([0, 1, 2, 4, 4]))
    assert found.tolist() == [[0, 1, 1, 0, 2], [2, 2, 0, 1, 0]]
    assert final.tolist() == [0, 0, 2, 0, 1]
    assert in_order(labels)[0].tolist() == [[0, 1, 1, 0, 2], [2, 2, 0, 3, 0]]
