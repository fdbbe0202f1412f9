import numpy as np
import pytest

from cytosuite.algorithms.cellpose3d import blocks as module
from cytosuite.algorithms.cellpose3d.assembly import Assembly
from cytosuite.algorithms.cellpose3d.blocks import (
    in_core,
    margin_of,
    memory_gib,
    owned,
    plan_blocks,
    sample,
    tile_within,
    to_image,
)
from cytosuite.algorithms.cellpose3d.instances import renumber
from cytosuite.algorithms.cellpose3d.parameters import Parameters
from cytosuite.algorithms.cellpose3d.rescale import interpolate, labels_to_image, stencils
from cytosuite.errors import InputError
from cytosuite.tiling import plan

SHAPE = (30, 60, 66)
MULTIPLE, MARGIN = (2, 4, 4), (7, 12, 12)
TILE = (8, 16, 16)
CARD = Parameters(
    network={"widths": [4, 4, 4], "fold": 2},
    seed_distance_um=4.0,
    seed_smoothing_um=1.0,
    smoothing_um=1.0,
    axial_elongation=2.0,
)


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
    return renumber(labels)


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


def assembled(labels, planned):
    assembly = Assembly(labels.shape)
    for tile in planned:
        part = seen(labels, tile)
        assembly.add(part, owned(part, tile, labels.shape), tile.input, tile.output)
    return assembly.finish()


@pytest.mark.parametrize("backwards", [False, True])
def test_objects_across_borders_are_those_of_the_whole(backwards):
    labels, planned = nuclei(), cores()
    assert all(straddling(labels, planned, axis) > 2 for axis in range(3))
    found, objects, pieces = assembled(labels, planned[::-1] if backwards else planned)
    np.testing.assert_array_equal(found, labels)
    assert (objects, pieces) == (labels.max(), 0)


def test_an_object_larger_than_the_margin_is_cut_but_neither_lost_nor_found_twice():
    labels = nuclei()
    giant = labels.max() + 1
    labels[10:14, 8:12, :] = giant  # through all blocks along x
    labels = renumber(labels)
    giant = labels[11, 9, 30]
    found, objects, pieces = assembled(labels, cores())
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


@pytest.mark.parametrize("image_shape", [(41, 100, 130), (17, 60, 40), SHAPE])
def test_labels_on_the_image_are_those_of_the_whole(image_shape):
    labels = nuclei(seed=1)
    margin = np.where(labels > 0, 1, -1).astype(np.float32)
    if image_shape == SHAPE:
        expected = labels
    else:
        seen = interpolate(margin, stencils(SHAPE, image_shape)) > 0
        expected = labels_to_image(labels, seen, stencils(SHAPE, image_shape))
    times = np.zeros(image_shape, int)
    for tile in cores():
        part, box, core = to_image(labels[tile.input], margin[tile.input], tile, SHAPE, image_shape)
        np.testing.assert_array_equal(part, expected[box])
        times[core] += 1
        assert all(a.start <= b.start < b.stop <= a.stop for a, b in zip(box, core, strict=True))
    assert (times == 1).all()


def test_a_margin_holds_nuclei_seeds_and_halo():
    # z: (2 * 20 + 2 * (4 + 3) + 3 * 2) / 2 + 3 + 8; y, x: (2 * 10 + 4 + 3 + 3) / 1 + 3 + 24
    assert margin_of((2.0, 1.0, 1.0), 10.0, CARD) == (41, 57, 57)


def test_a_margin_holds_the_surroundings_that_count():
    # z: (20 + 3 * 20 * 2 + 6) / 2 + 3 + 8; y, x: (10 + 3 * 20 + 3) / 1 + 3 + 24
    local = CARD.model_copy(update={"local_um": 20.0, "local_weight": 0.5})
    assert margin_of((2.0, 1.0, 1.0), 10.0, local) == (84, 100, 100)


def test_a_volume_that_fits_is_one_block(monkeypatch):
    for free in (None, 1.0):
        monkeypatch.setattr(module, "free_gib", lambda free=free: free)
        (only,) = plan_blocks(SHAPE, SHAPE, MARGIN, multiple=MULTIPLE, tile=TILE)
        assert only.input == only.output == tuple(slice(0, n) for n in SHAPE)


@pytest.mark.parametrize("size_of_tile", [TILE, (96, 320, 320)])
@pytest.mark.parametrize("image_shape", [SHAPE, (60, 90, 99)])
def test_blocks_fit_and_begin_at_multiples(image_shape, size_of_tile, monkeypatch):
    whole = memory_gib(SHAPE, SHAPE, image_shape, size_of_tile)
    fixed = memory_gib((0,), SHAPE, image_shape, size_of_tile)
    free = fixed + 0.6 * (whole - fixed)
    monkeypatch.setattr(module, "free_gib", lambda: free)
    planned = plan_blocks(SHAPE, image_shape, (4, 8, 8), multiple=MULTIPLE, tile=size_of_tile)
    assert len(planned) > 1
    for tile in planned:
        size = [part.stop - part.start for part in tile.input]
        assert memory_gib(size, SHAPE, image_shape, size_of_tile) <= free
        starts = [part.start for part in tile.input]
        assert all(n % m == 0 for n, m in zip(starts, MULTIPLE, strict=True))
    read = np.zeros(SHAPE, int)
    for tile in planned:
        read[tile.output] += 1
    assert (read == 1).all()


def test_memory_is_that_of_labels_a_block_and_a_tile():
    block = memory_gib((2**20,), (2**24,), (2**24,), (0,))
    assert block == pytest.approx((68 * 2**20 + 4 * 2**24) / 2**30)
    finer = memory_gib((2**20,), (2**24,), (2**27,), (0,))
    assert finer == pytest.approx(((28 + 8 * 28) * 2**20 + 4 * 2**27) / 2**30)
    coarser = memory_gib((2**20,), (2**24,), (2**23,), (0,))
    assert coarser == pytest.approx((68 * 2**20 + 4 * 2**23) / 2**30)


def test_explains_a_volume_of_which_no_block_fits(monkeypatch):
    monkeypatch.setattr(module, "free_gib", lambda: 0.001)
    with pytest.raises(
        InputError,
        match=r"60 x 90 x 99 voxels, worked on in blocks of 20 x 36 x 40, needs about 0\.0 GiB of "
        r"memory, 0\.0 GiB are free; crop it",
    ):
        plan_blocks(SHAPE, (60, 90, 99), MARGIN, multiple=MULTIPLE, tile=TILE)


@pytest.mark.parametrize(
    ("free", "expected"), [(None, (96, 320, 320)), (6.0, (96, 320, 320)), (2.0, (64, 192, 192))]
)
def test_tiles_are_smaller_where_memory_is_short(free, expected, monkeypatch):
    monkeypatch.setattr(module, "free_gib", lambda: free)
    assert tile_within((96, 320, 320)) == expected
    assert tile_within((32, 64, 64)) == (32, 64, 64)


def test_a_sample_of_a_small_volume_is_the_volume():
    values = np.random.default_rng(0).normal(0, 1, SHAPE).astype(np.float32)
    np.testing.assert_array_equal(sample(lambda box: values[box], SHAPE), values)


@pytest.mark.parametrize("shape", [(30, 80, 90), (1, 200, 300), (100, 20, 20)])
def test_a_sample_lies_evenly_in_a_large_volume(shape, monkeypatch):
    monkeypatch.setattr(module, "SAMPLE", 20_000)
    monkeypatch.setattr(module, "BRICK", (2, 8, 8))
    grid = np.indices(shape).astype(np.float32)
    for axis, size in enumerate(shape):
        found = sample(lambda box, axis=axis: grid[axis][box], shape)
        assert 15_000 < found.size < 22_000
        assert found.mean() == pytest.approx((size - 1) / 2, rel=0.1)
        assert found.std() == pytest.approx(grid[axis].std(), rel=0.15)
