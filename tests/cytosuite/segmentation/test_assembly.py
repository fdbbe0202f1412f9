import numpy as np
import pytest
from numpy.testing import assert_array_equal
from rasters import away_from
from situations import drawn

from cytosuite.networks.tiling import Tile, plan
from cytosuite.segmentation.assembly import Assembly, in_core, in_order, owned
from cytosuite.volume import memory

SHAPE = (30, 60, 66)


def box(start, stop):
    return slice(0, 1), slice(0, 1), slice(start, stop)


LEFT = Tile(box(0, 8), box(0, 6), box(0, 6))
RIGHT = Tile(box(4, 12), box(6, 12), box(2, 8))


def assembled(*blocks):
    assembly = Assembly((1, 1, 12))
    for text, members, block in blocks:
        part = drawn(text).astype(np.uint32)[None, None]
        assembly.add(part, np.isin(np.arange(part.max() + 1), members), block)
    labels, objects, pieces = assembly.finish()
    assert labels.max() == objects
    return "".join(map(str, labels.ravel())).replace("0", "."), pieces


def test_an_object_across_the_border_is_written_by_its_owner():
    left = "11...222", [1], LEFT  # more of 2 lies beyond
    right = ".7777..3", [3, 7], RIGHT
    assert assembled(left, right) == assembled(right, left) == ("11...2222..3", 0)


TAKER = "2222....", [2]  # from the third voxel of the piece on


@pytest.mark.parametrize(
    "left, right, expected, pieces",
    [
        (("...11111", []), ("111111..", []), "...1112222..", 2),  # nobody's: cut and not lost
        (("...1111.", [1]), ("..222222", [2]), "...111122222", 0),  # no voxel is given up
        (("..11111.", []), TAKER, "..112222....", 1),
        (("...1111.", []), TAKER, "...11111....", 0),  # the rest joins its owner
    ],
)
def test_who_has_a_voxel_that_both_blocks_see(left, right, expected, pieces):
    assert assembled((*left, LEFT), (*right, RIGHT)) == (expected, pieces)


@pytest.mark.parametrize("on_disk", [False, True])
def test_numbers_follow_the_first_voxels_and_need_no_more_bytes_than_they_must(on_disk, tight):
    if on_disk:
        tight()
    for count, dtype in ((65535, np.uint16), (65536, np.uint32)):
        shape = (2, 256, 256)
        place = tuple(slice(0, n) for n in shape)
        numbers = np.arange(count, count - 2**17, -1).clip(0).astype(np.uint32).reshape(shape)
        assembly = Assembly(shape)
        assembly.add(numbers, np.arange(count + 1) > 0, Tile(place, place, place))
        labels, objects, pieces = assembly.finish()
        assert (labels.dtype, objects, pieces) == (dtype, count, 0)
        assert_array_equal(labels.ravel()[:count], np.arange(1, count + 1))
        assert not labels.ravel()[count:].any()


CORES = plan(SHAPE, (20, 36, 36), (7, 12, 12), multiple=(2, 4, 4))


def nuclei(seed=0):
    rng = np.random.default_rng(seed)
    labels = np.zeros(SHAPE, np.uint32)
    for name in range(1, 71):
        away = away_from(rng.uniform(0, SHAPE), SHAPE, (1 / 2.5, 1 / 4.5, 1 / 4.5)) ** 2
        labels[(away <= rng.uniform(0.5, 1)) & (labels == 0)] = name
    return in_order(labels)[0]


def straddling(labels, axis):
    crossing = set()
    for edge in {tile.output[axis].stop for tile in CORES} - {SHAPE[axis]}:
        before = labels.take(edge - 1, axis)
        crossing |= set(before[(before == labels.take(edge, axis)) & (before > 0)].tolist())
    return len(crossing)


def seen(labels, tile):
    part = labels[tile.input]
    return np.searchsorted(np.unique(np.append(0, part)), part).astype(np.uint32)


def together(labels, planned):
    assembly = Assembly(labels.shape)
    for tile in planned:
        part = seen(labels, tile)
        assembly.add(part, owned(part, tile, labels.shape), tile)
    return assembly.finish()


@pytest.mark.parametrize("backwards, on_disk", [(False, False), (True, True)])
def test_objects_across_borders_are_those_of_the_whole(backwards, on_disk, tight):
    if on_disk:
        tight()
    labels = nuclei()
    assert all(straddling(labels, axis) > 2 for axis in range(3))
    joined, objects, pieces = together(labels, CORES[::-1] if backwards else CORES)
    assert_array_equal(joined, labels)
    assert (objects, pieces) == (labels.max(), 0)
    assert memory.is_mapped(joined) == on_disk


def test_an_object_larger_than_the_margin_is_cut_but_neither_lost_nor_found_twice():
    labels = nuclei()
    labels[10:14, 8:12, :] = labels.max() + 1  # through all blocks along x
    labels = in_order(labels)[0]
    giant = labels[11, 9, 30]
    joined, objects, pieces = together(labels, CORES)
    assert_array_equal(joined > 0, labels > 0)
    parts = np.unique(joined[labels == giant])
    assert 1 < len(parts) == pieces
    assert objects == labels.max() - 1 + pieces
    assert not np.isin(joined[labels != giant], parts).any()


@pytest.mark.parametrize("agreement", [0, 2])
def test_every_object_has_an_owner(agreement, monkeypatch):
    monkeypatch.setattr("cytosuite.segmentation.assembly.AGREEMENT", agreement)
    labels = nuclei(seed=3)
    owners = np.zeros(labels.max() + 1, int)
    for tile in CORES:
        part = seen(labels, tile)
        owners[np.unique(np.append(0, labels[tile.input]))[owned(part, tile, SHAPE)]] += 1
    assert owners[1:].min() == 1
    assert (owners[1:].max() > 1) == (agreement > 0)  # near borders both may own it


def test_the_core_ends_at_borders_of_voxels_and_goes_on_beyond_the_image():
    first, last = plan((40,), (26,), (6,))
    assert in_core([[-1.0], [19.4], [19.5]], first, (40,)).tolist() == [True, True, False]
    start = last.input[0].start
    assert in_core([[19.4 - start], [19.5 - start], [99]], last, (40,)).tolist() == [0, 1, 1]
    assert in_core([[17.5 - start]], last, (40,), 2).tolist() == [True]
    assert in_core([], first, (40,)).tolist() == []
