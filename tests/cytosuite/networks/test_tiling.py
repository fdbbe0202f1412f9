import itertools
import re
from math import inf

import numpy as np
import pytest
from mistakes import refused

from cytosuite.networks.tiling import (
    fit,
    least,
    plan,
    sample,
    tile_within,
    tiles,
)

of_each_shape = pytest.mark.parametrize(
    "shape", [(51, 125, 125), (1, 300, 77), (9, 64, 65), (40, 40, 40)]
)
MULTIPLE = (4, 8, 8)


def _computed_ratio(shape, tiles):
    read = sum(np.prod([part.stop - part.start for part in tile.input]) for tile in tiles)
    return read / np.prod(shape)


@of_each_shape
def test_tiles_keep_to_their_size_to_the_multiple_and_to_the_halo(shape):
    size = (16, 32, 40)
    halo = (2, 5, 7)
    for tile in plan(shape, size, halo, multiple=MULTIPLE):
        for axis, (read, core, crop) in enumerate(
            zip(tile.input, tile.output, tile.crop, strict=True)
        ):
            assert read.stop - read.start <= size[axis]
            assert read.start % MULTIPLE[axis] == 0
            assert read.stop % MULTIPLE[axis] == 0 or read.stop == shape[axis]
            assert core.start - read.start >= halo[axis] or read.start == core.start == 0
            assert read.stop - core.stop >= halo[axis] or core.stop == shape[axis]
            assert (crop.start, crop.stop) == (core.start - read.start, core.stop - read.start)


@pytest.mark.parametrize(
    "arguments, message",
    {
        ((9, 9), (4,), (1, 1)): "one number per axis, found [9, 9], [4], [1, 1] and [1, 1]",
        ((90,), (8,), (4,)): "an axis of 90 voxels needs tiles of at least 9 (halo 4",
        ((0,), (8,), (1,)): "an axis of 0 voxels",
    }.items(),
)
def test_explains(arguments, message):
    refused(re.escape(message), plan, *arguments)


@of_each_shape
@pytest.mark.parametrize("halo", [(0, 0, 0), (2, 5, 7), (9, 20, 20)])
def test_the_least_tile_is_one_that_fits_and_that_can_be_planned(shape, halo):
    smallest = least(shape, halo, MULTIPLE)
    budget = int(np.prod(smallest))
    assert fit(shape, (1, 1, budget), halo, MULTIPLE) == smallest
    assert fit(shape, (1, 1, budget - 1), halo, MULTIPLE) == (1, 1, budget - 1)  # nothing found
    assert all(
        part.stop - part.start <= size
        for tile in plan(shape, smallest, halo, multiple=MULTIPLE)
        for part, size in zip(tile.input, smallest, strict=True)
    )


@pytest.mark.parametrize("shape", [(30, 80, 90), (1, 200, 300), (100, 20, 20)])
def test_a_sample_lies_evenly_in_a_large_volume(shape, monkeypatch):
    monkeypatch.setattr("cytosuite.networks.tiling.SAMPLE", 20_000)
    monkeypatch.setattr("cytosuite.networks.tiling.BRICK", (2, 8, 8))
    grid = np.indices(shape).astype(np.float32)
    for axis, size in enumerate(shape):
        values = sample(lambda box, axis=axis: grid[axis][box], shape)
        assert 15_000 < values.size < 22_000
        assert values.mean() == pytest.approx((size - 1) / 2, rel=0.1)
        assert values.std() == pytest.approx(grid[axis].std(), rel=0.15)


@of_each_shape
@pytest.mark.parametrize("reach", [0, 3])
def test_pieces_cover_a_volume_once_and_keep_to_the_limit(shape, reach):
    margin = [min(reach, n) for n in shape]
    times = np.zeros(shape, int)
    for tile in tiles(shape, margin, 9000, multiple=(1, 2, 2)):
        size = np.prod([part.stop - part.start for part in tile.input])
        assert size <= max(9000, np.prod(least(shape, margin, (1, 2, 2))))
        times[tile.output] += 1
    assert (times == 1).all()


def test_the_best_fit_is_the_best_of_all_sizes():
    shape, halo, multiple, limit = (20, 90), (2, 3), (4, 4), (16, 40)
    size = fit(shape, limit, halo, multiple)
    best = _computed_ratio(shape, plan(shape, size, halo, multiple=multiple))
    for other in itertools.product(range(8, 24, 4), range(12, 96, 4)):
        if np.prod(other) <= np.prod(limit):
            assert best <= _computed_ratio(shape, plan(shape, other, halo, multiple=multiple))


@pytest.mark.parametrize(
    "free, expected", {inf: (96, 320, 320), 6.0: (96, 320, 320), 2.0: (64, 192, 192)}.items()
)
def test_tiles_are_smaller_where_memory_is_short(free, expected, monkeypatch):
    shape = (96, 320, 320)
    monkeypatch.setattr("cytosuite.networks.tiling.free_gib", lambda: free)
    assert tile_within(shape, 180, (8, 24, 24), (8, 16, 16)) == expected
    never_all_halo = tile_within(shape, 9999, (40, 24, 24), (8, 16, 16))
    assert never_all_halo == (shape if free == inf else (88, 192, 192))
