import itertools
import re

import numpy as np
import pytest
from scipy import ndimage

from cytosuite import tiling as module
from cytosuite.errors import InputError
from cytosuite.tiling import (
    are_multiples,
    bricks,
    fit,
    least,
    paste,
    pieces,
    plan,
    sample,
    smallest_tile,
)

SHAPES = [(51, 125, 125), (1, 300, 77), (9, 64, 65), (40, 40, 40)]
MULTIPLE = (4, 8, 8)


def _box(function, image, tiles, multiple):
    """Yield the answers of a function for tiles extended to the multiple."""
    for tile in tiles:
        part = image[tile.input]
        padding = [(0, -n % step) for n, step in zip(part.shape, multiple, strict=True)]
        yield tile, function(np.pad(part, padding))[None]


def _computed_ratio(shape, tiles):
    """Return the voxels that all tiles read, divided by those of the image."""
    read = sum(np.prod([part.stop - part.start for part in tile.input]) for tile in tiles)
    return read / np.prod(shape)


def _whole(shape, answers):
    """Return one field from the answers for all tiles."""
    whole = np.zeros((1, *shape), np.float32)
    for tile, part in answers:
        paste(whole, tile, part)
    return whole


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("halo", [(0, 0, 0), (2, 5, 7)])
def test_every_voxel_is_answered_for_once(shape, halo):
    count = np.zeros(shape, int)
    for tile in plan(shape, (16, 32, 40), halo, multiple=MULTIPLE):
        count[tile.output] += 1
    assert (count == 1).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_tiles_keep_to_their_size_to_the_multiple_and_to_the_halo(shape):
    size, halo = (16, 32, 40), (2, 5, 7)
    tiles = plan(shape, size, halo, multiple=MULTIPLE)
    for tile in tiles:
        for axis, (read, kept, crop) in enumerate(
            zip(tile.input, tile.output, tile.crop, strict=True)
        ):
            assert read.stop - read.start <= max(size[axis], 0)
            assert read.start % MULTIPLE[axis] == 0
            assert read.stop % MULTIPLE[axis] == 0 or read.stop == shape[axis]
            assert kept.start - read.start >= halo[axis] or read.start == kept.start == 0
            assert read.stop - kept.stop >= halo[axis] or kept.stop == shape[axis]
            assert (crop.start, crop.stop) == (kept.start - read.start, kept.stop - read.start)


def test_by_hand():
    tiles = plan((10,), (8,), (2,))
    assert [(t.input, t.output) for t in tiles] == [
        ((slice(0, 7),), (slice(0, 5),)),
        ((slice(3, 10),), (slice(5, 10),)),
    ]
    assert _computed_ratio((10,), tiles) == 1.4


def test_tiles_are_equal_and_not_more_than_needed():
    tiles = plan((100,), (48,), (4,), multiple=(8,))
    sizes = {tile.input[0].stop - tile.input[0].start for tile in tiles[:-1]}
    assert (len(tiles), len(sizes)) == (3, 1)
    assert tiles[-1].input[0].stop == 100


def test_a_thin_stack_is_one_tile_thick():
    tiles = plan((12, 500, 500), (64, 128, 128), (8, 16, 16))
    assert all(tile.input[0] == slice(0, 12) for tile in tiles)


@pytest.mark.parametrize("radius", [1, 3])
def test_a_local_operation_gives_exactly_the_untiled_result(radius):
    image = np.random.default_rng(0).random((21, 50, 43)).astype(np.float32)

    def mean(part):
        return ndimage.uniform_filter(part, 2 * radius + 1, mode="constant")

    tiles = plan(image.shape, (12, 24, 24), (radius,) * 3)
    assert len(tiles) > 8
    found = _whole(image.shape, _box(mean, image, tiles, (1, 1, 1)))[0]
    np.testing.assert_allclose(found, mean(image), atol=1e-6)


def test_a_network_with_pooling_gives_exactly_the_untiled_result():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    # Receptive radius: 1 + 2 (pooling, then 3 taps of 2 voxels, then upsampling), + 1 for the phase.
    network = torch.nn.Sequential(
        torch.nn.Conv3d(1, 3, 3, padding=1),
        torch.nn.MaxPool3d(2),
        torch.nn.Conv3d(3, 3, 3, padding=1),
        torch.nn.Upsample(scale_factor=2),
        torch.nn.Conv3d(3, 1, 1),
    ).eval()

    def answer(part):
        with torch.inference_mode():
            return network(torch.from_numpy(part)[None, None])[0, 0].numpy()

    image = np.random.default_rng(1).random((16, 44, 36)).astype(np.float32)
    tiles = plan(image.shape, (12, 16, 20), (4, 4, 4), multiple=(2, 2, 2))
    found = _whole(image.shape, _box(answer, image, tiles, (2, 2, 2)))[0]
    np.testing.assert_allclose(found, answer(image), atol=1e-6)
    torn = plan(image.shape, (12, 16, 20), (0, 0, 0), multiple=(2, 2, 2))
    other = _whole(image.shape, _box(answer, image, torn, (2, 2, 2)))[0]
    assert np.abs(other - answer(image)).max() > 1e-3


def test_blending_adds_up_to_one_and_changes_linearly():
    shape, blend = (6, 60), 8
    tiles = plan(shape, (6, 30), (0, 3), blend=blend)
    assert len(tiles) == 3
    ones = _whole(shape, ((t, np.ones((1, 6, 30), np.float32)) for t in tiles))
    np.testing.assert_allclose(ones, 1, atol=1e-6)
    numbered = _whole(shape, ((t, np.full((1, 6, 30), i, np.float32)) for i, t in enumerate(tiles)))
    steps = np.diff(numbered[0, 0])
    assert steps.max() == pytest.approx(1 / blend)
    assert steps.min() == 0


def test_without_blending_a_part_is_put_as_it_is():
    (tile,) = plan((2, 3), (4, 4), (1, 1), multiple=(4, 4))
    whole = np.zeros((1, 2, 3), np.float32)
    paste(whole, tile, np.arange(16, dtype=np.float32).reshape(1, 4, 4))
    np.testing.assert_array_equal(whole[0], [[0, 1, 2], [4, 5, 6]])


@pytest.mark.parametrize(
    "shape", [(51, 125, 125), (64, 512, 512), (20, 2048, 2048), (300, 400, 500)]
)
def test_typical_images_cost_little_more_than_their_voxels(shape):
    halo, multiple = (8, 24, 24), (8, 16, 16)
    size = fit(shape, (128, 256, 256), halo, multiple)
    assert np.prod(size) <= 128 * 256 * 256
    assert _computed_ratio(shape, plan(shape, size, halo, multiple=multiple)) < 1.6


def test_the_best_fit_is_the_best_of_all_sizes():
    shape, halo, multiple, limit = (20, 90), (2, 3), (4, 4), (16, 40)
    size = fit(shape, limit, halo, multiple)
    best = _computed_ratio(shape, plan(shape, size, halo, multiple=multiple))
    for other in itertools.product(range(8, 24, 4), range(12, 96, 4)):
        if np.prod(other) <= np.prod(limit):
            assert best <= _computed_ratio(shape, plan(shape, other, halo, multiple=multiple))


def test_an_image_smaller_than_the_limit_is_one_tile():
    assert fit((9, 20, 30), (64, 64, 64), (8, 8, 8), (4, 8, 8)) == (12, 24, 32)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((9, 9), (4,), (1, 1)), "one number per axis, found [9, 9], [4], [1, 1] and [1, 1]"),
        (((90,), (8,), (4,)), "an axis of 90 voxels needs tiles of at least 9 (halo 4"),
        (((0,), (8,), (1,)), "an axis of 0 voxels"),
    ],
)
def test_explains(arguments, message):
    with pytest.raises(InputError, match=re.escape(message)):
        plan(*arguments)


def test_explains_an_odd_blend():
    with pytest.raises(InputError, match="blend must be an even number of voxels, found 3"):
        plan((9,), (8,), (1,), blend=3)


@pytest.mark.parametrize("shape", SHAPES)
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


@pytest.mark.parametrize("halo", range(1, 14))
@pytest.mark.parametrize("step", [1, 3, 4])
def test_a_tile_is_refused_or_enough_for_any_image(halo, step):
    """A tile that is nearly all halo: of multiples of 4, 26 voxels hold no halo of 11 twice."""
    for limit in range(step, 40):
        try:
            tiles = plan((100,), (limit,), (halo,), multiple=(step,))
        except InputError:
            continue
        assert max(tile.input[0].stop - tile.input[0].start for tile in tiles) <= limit
        assert sum(tile.output[0].stop - tile.output[0].start for tile in tiles) == 100


@pytest.mark.parametrize(
    ("halo", "multiple"), [((0, 0, 0), (1, 1, 1)), ((2, 5, 7), (1, 2, 4)), ((3, 8, 1), (4, 8, 8))]
)
def test_the_smallest_tile_is_one_that_a_plan_takes(halo, multiple):
    tile = smallest_tile(halo, multiple)
    assert plan((40, 40, 40), tile, halo, multiple=multiple)
    for axis in range(3):
        smaller = tuple(n - (k == axis) * multiple[axis] for k, n in enumerate(tile))
        with pytest.raises(InputError, match="needs tiles of at least"):
            plan((40, 40, 40), smaller, halo, multiple=multiple)


def test_sides_are_checked_one_by_one():
    assert are_multiples((4, 8, 16), (2, 4, 4))
    assert not are_multiples((4, 8, 18), (2, 4, 4))
    with pytest.raises(ValueError, match="zip"):
        are_multiples((4, 8), (2, 4, 4))


def test_a_sample_of_a_small_volume_is_the_volume():
    values = np.random.default_rng(0).normal(0, 1, SHAPES[0]).astype(np.float32)
    np.testing.assert_array_equal(sample(lambda box: values[box], SHAPES[0]), values)


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


@pytest.mark.parametrize("shape", [(30, 80, 90), (200, 300)])
def test_bricks_lie_in_the_volume_and_apart(shape, monkeypatch):
    monkeypatch.setattr(module, "SAMPLE", 10_000)
    times = np.zeros(shape, int)
    for box in bricks(shape, (2, 8, 8)[-len(shape) :]):
        assert times[box].size == (128 if len(shape) == 3 else 64)
        times[box] += 1
    assert times.max() == 1
    assert 8_000 < times.sum() < 12_000


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reach", [0, 3])
def test_pieces_cover_a_volume_once_and_keep_to_the_limit(shape, reach):
    margin = [min(reach, n) for n in shape]
    times = np.zeros(shape, int)
    for tile in pieces(shape, margin, 9000, multiple=(1, 2, 2)):
        size = [part.stop - part.start for part in tile.input]
        assert np.prod(size) <= max(9000, np.prod(least(shape, margin, (1, 2, 2))))
        times[tile.output] += 1
    assert (times == 1).all()
