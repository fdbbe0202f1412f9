from math import inf

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from rasters import away_from

from cytosuite.algorithms.cellpose3d.blocks import (
    margin_of,
    memory_gib,
    plan_blocks,
    reader,
    to_image,
)
from cytosuite.algorithms.cellpose3d.parameters import Parameters
from cytosuite.networks.grid import (
    interpolate,
    labels_to_image,
    stencils,
    to_working,
    working_shape,
)
from cytosuite.volume import memory
from cytosuite.volume.pieces import converted

SHAPE = (30, 60, 66)
MULTIPLE = (2, 4, 4)
MARGIN = (7, 12, 12)
TILE = (8, 16, 16)
CARD = Parameters(
    network={"widths": [4, 4, 4], "fold": 2},
    seed_distance_um=4.0,
    seed_smoothing_um=1.0,
    smoothing_um=1.0,
    axial_elongation=2.0,
)


def balls(rng):
    """Return labels of touching balls and a margin that is positive in them."""
    labels = np.zeros(SHAPE, np.uint16)
    for name in range(1, 41):
        away = away_from(rng.uniform(0, SHAPE), SHAPE, (1 / 2, 1 / 4, 1 / 5))
        labels[(away <= 1) & (labels == 0)] = name
    margin = rng.uniform(0.1, 1, SHAPE).astype(np.float32)
    return labels, np.where(labels > 0, margin, -margin)


def ordered(labels):
    """Return labels numbered in the order of their first voxels."""
    names, first = np.unique(labels[labels > 0], return_index=True)
    table = np.zeros(labels.max() + 1, int)
    table[names[np.argsort(first)]] = np.arange(1, names.size + 1)
    return table[labels]


@pytest.fixture(params=["memory", "disk"])
def where(request, tight):
    """Let arrays of a whole volume lie in the memory, or on disk."""
    if request.param == "disk":
        tight()
    return request.param


@pytest.mark.parametrize("image_shape", [(41, 100, 130), (17, 60, 40), (90, 61, 20)])
def test_labels_in_pieces_are_those_of_the_whole(image_shape, where, monkeypatch, rng):
    labels, margin = balls(rng)
    grid = stencils(SHAPE, image_shape)
    expected = ordered(labels_to_image(labels, interpolate(margin, grid) > 0, grid))
    monkeypatch.setattr("cytosuite.algorithms.cellpose3d.blocks._PIECE", 20_000)
    pieces = to_image(labels, margin, image_shape)
    assert_array_equal(pieces, expected)
    assert expected.max() > 20
    assert memory.is_mapped(pieces) == (where == "disk")


def test_an_object_keeps_voxels_that_another_block_saw_below_the_threshold():
    labels = np.zeros((1, 8, 8), np.uint16)
    labels[0, 2:6, 2:6] = 1
    height = np.where(labels, 1, -1).astype(np.float32)
    whole = to_image(labels, height, (1, 16, 16))
    height[0, :, 4:] = -1  # the core of a block that lost the object
    assert np.array_equal(to_image(labels, height, (1, 16, 16)), whole)


@pytest.mark.parametrize("factor", [(0.3, 0.5, 0.4), (1, 0.5, 1.5), (1, 1, 1), (2, 1.5, 1)])
def test_a_working_grid_is_read_as_it_is_made_at_once(factor, where, monkeypatch, rng):
    image = rng.integers(0, 999, SHAPE).astype(np.uint16)
    if where == "disk":
        image = converted(image, np.int32)  # moves it onto the disk
        assert memory.is_mapped(image)
    monkeypatch.setattr("cytosuite.algorithms.cellpose3d.blocks._PIECE", 20_000)
    shape = working_shape(SHAPE, factor)
    read = reader(image, factor, shape)
    whole = to_working(np.array(image), factor)
    for box in [tuple(map(slice, shape)), tuple(slice(n // 3, n - 2) for n in shape)]:
        assert_array_equal(read(box), whole[box])
        assert read(box).dtype == np.float32


def test_a_margin_holds_nuclei_seeds_and_halo():
    # z: (2 * 20 + 2 * (4 + 3) + 3 * 2) / 2 + 3 + 8; y, x: (2 * 10 + 4 + 3 + 3) / 1 + 3 + 24
    assert margin_of((2.0, 1.0, 1.0), 10.0, CARD) == (41, 57, 57)


def test_a_margin_holds_the_surroundings_that_count():
    # z: (20 + 3 * 20 * 2 + 6) / 2 + 3 + 8; y, x: (10 + 3 * 20 + 3) / 1 + 3 + 24
    local = CARD.model_copy(update={"local_um": 20.0, "local_weight": 0.5})
    assert margin_of((2.0, 1.0, 1.0), 10.0, local) == (84, 100, 100)


def test_a_volume_that_fits_is_one_block(monkeypatch):
    for free in (inf, 1.0):
        monkeypatch.setattr(
            "cytosuite.algorithms.cellpose3d.blocks.free_gib", lambda free=free: free
        )
        (only,) = plan_blocks(SHAPE, SHAPE, MARGIN, multiple=MULTIPLE, tile=TILE)
        assert only.input == only.output == tuple(slice(0, n) for n in SHAPE)


@pytest.mark.parametrize("image_shape", [SHAPE, (60, 90, 99)])
def test_blocks_fit_and_begin_at_multiples(image_shape, monkeypatch):
    whole = memory_gib(SHAPE, SHAPE, image_shape, TILE)
    fixed = memory_gib((0,), SHAPE, image_shape, TILE)
    free = fixed + 0.6 * (whole - fixed)
    monkeypatch.setattr("cytosuite.algorithms.cellpose3d.blocks.free_gib", lambda: free)
    planned = plan_blocks(SHAPE, image_shape, (4, 8, 8), multiple=MULTIPLE, tile=TILE)
    assert len(planned) > 1
    for tile in planned:
        size = [part.stop - part.start for part in tile.input]
        assert memory_gib(size, SHAPE, image_shape, TILE) <= free
        starts = [part.start for part in tile.input]
        assert all(n % m == 0 for n, m in zip(starts, MULTIPLE, strict=True))
