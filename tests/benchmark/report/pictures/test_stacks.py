import base64
import io
import math
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from rasters import counted

from cytosuite.benchmark.report.pictures.scenes import (
    averaged,
    coarser,
    columns,
    deflated,
    read_scene,
    sampled,
    sprite,
)
from cytosuite.benchmark.report.pictures.stills import GUESS, TRUTH, scale_bar, still
from cytosuite.benchmark.scores.results import Matches
from cytosuite.volume import memory

SHAPES = st.tuples(*[st.integers(1, 60)] * 3)
EDGES = st.tuples(*[st.floats(0.05, 5)] * 3)
LABELS = arrays(np.uint32, st.tuples(*[st.integers(1, 9)] * 3), elements=st.integers(0, 300))


def unpacked(runs, data, shape):
    """Return labels from their runs, by the words of `deflated`."""
    stream = np.frombuffer(zlib.decompress(base64.b64decode(data)), np.uint8)
    low, high, *labels = stream.reshape(-1, runs).astype(np.int64)
    numbers = sum(part << (8 * n) for n, part in enumerate(labels))
    return np.repeat(numbers, low + 256 * high).reshape(shape)


@given(SHAPES, EDGES, st.integers(1, 10**5))
def test_a_coarser_grid_has_no_more_voxels_than_allowed_and_none_that_are_finer(
    shape, spacing, voxels
):
    grid = coarser(shape, spacing, voxels)
    assert math.prod(grid) <= voxels
    assert all(1 <= new <= old for new, old in zip(grid, shape, strict=True))
    if math.prod(shape) <= voxels:
        assert grid == shape


def test_fine_axes_shrink_first():
    assert coarser((10, 100, 100), (2.0, 0.5, 0.5), 10 * 25 * 25) == (10, 25, 25)
    assert coarser((10, 100, 100), (2.0, 0.5, 0.5), 10 * 25 * 25 // 8) == (5, 12, 12)
    assert coarser((1, 100, 50), (9.0, 0.5, 0.5), 1250) == (1, 50, 25)
    assert coarser((1, 10, 20_000), (1.0, 1.0, 1.0), 10**6) == (1, 10, 8192)


def test_means_are_those_of_blocks():
    image = counted(2, 4, 6)
    expected = image.reshape(1, 2, 2, 2, 3, 2).mean(axis=(1, 3, 5))
    assert_allclose(averaged(image, (1, 2, 3)), expected)
    assert averaged(image, image.shape).dtype == np.float32


@given(LABELS)
def test_the_same_grid_changes_nothing(labels):
    assert_array_equal(sampled(labels, labels.shape)[0], labels)


def test_small_objects_do_not_vanish_and_stay_in_their_place():
    labels = np.zeros((4, 40, 40), np.uint32)
    labels[:, 10:30, 10:30] = 1
    for n, (z, y, x) in enumerate([(0, 0, 0), (3, 39, 39), (1, 2, 37)], start=2):
        labels[z, y, x] = n
    small, ids = sampled(labels, (2, 10, 10))
    assert ids.tolist() == [1, 2, 3, 4]
    for n in range(2, 5):
        (at,) = np.argwhere(small == n)
        (was,) = np.argwhere(labels == n)
        assert at.tolist() == [was[0] // 2, was[1] // 4, was[2] // 4]
    assert (small == 1).any()


@given(LABELS)
def test_labels_survive_their_runs(labels):
    assert_array_equal(unpacked(*deflated(labels), labels.shape), labels)


def test_slices_of_a_sprite_lie_in_rows_on_blocks_of_eight():
    volume = np.zeros((5, 10, 12), np.uint8)
    volume += np.arange(0, 250, 50, dtype=np.uint8)[:, None, None]
    head, data = sprite(volume, 95).split(",")
    assert head == "data:image/jpeg;base64"
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    count = columns(volume.shape)
    assert sheet.shape == (-(-5 // count) * 16, count * 16)
    for z in range(5):
        row, column = divmod(z, count)
        assert abs(sheet[row * 16 :, column * 16 :][:10, :12].astype(int) - 50 * z).max() <= 3


@given(LABELS, st.tuples(*[st.integers(1, 6)] * 3), st.integers(1, 40))
def test_a_coarser_grid_of_labels_is_the_same_on_disk(labels, grid, slab):
    shape = tuple(map(min, labels.shape, grid))
    there, ids = sampled(labels, shape)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "fits", lambda _: False)
        patch.setattr(memory, "SLAB", slab)
        moved = memory.room(labels.shape, labels.dtype)
        moved[...] = labels
        coarse, names = sampled(moved, shape)
    assert (coarse == there).all()
    assert (names == ids).all()
    assert ids.tolist() == [n for n in np.unique(labels) if n]


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
@pytest.mark.parametrize("shape", [(3, 7, 9), (11, 2, 4), (1, 1, 1), (11, 13, 10)])
def test_the_means_of_an_image_on_disk_are_the_same(mapped, dtype, shape, rng):
    image = rng.normal(900, 100, (11, 13, 10)).astype(dtype)
    if dtype == np.float32:
        image[3, 4, 5] = np.nan
        image[7, 8, 9] = np.inf
    means = [averaged(pixels, shape, (1.0, 2000.0)) for pixels in (image, mapped(image))]
    assert (means[0] == means[1]).all()
    assert np.isfinite(means[0]).all()


def drawn(results):
    output = results.task.main_output
    return still(read_scene(results, output, results.cases[0], ["good", "fair"]), output.kind)


def has(panel, colour):
    picture = Image.open(io.BytesIO(base64.b64decode(panel.source.split(",")[1])))
    return bool((abs(np.asarray(picture).astype(int) - colour).max(axis=2) < 30).any())


def test_micrometres_are_square_in_all_planes(make):
    (row,) = drawn(make()).rows
    # 8 x 24 x 24 voxels of 2 x 0.5 x 0.5 µm: 16 x 12 x 12 µm
    assert {panel.plane: (panel.height, panel.width) for panel in row.panels} == {
        "XY": (315, 315),
        "XZ": (420, 315),
        "YZ": (315, 420),
    }
    assert row.where == "z 5 of 8, y 5 of 24, x 5 of 24"  # in the object


def test_outlines_have_the_colours_of_their_classes(make):
    results = make()
    panel = drawn(results).rows[0].panels[0]
    assert has(panel, GUESS["."])
    assert not has(panel, GUESS["f"])
    wrong = replace(results, matches=dict.fromkeys(results.matches, Matches((1, 2), (7,), 2)))
    panel = drawn(wrong).rows[0].panels[0]
    assert has(panel, GUESS["f"])
    assert not has(panel, GUESS["."])
    assert not has(panel, TRUTH["."])


def test_images_stand_side_by_side_and_labels_are_outlined_on_black(make):
    picture = drawn(make(task="fuse"))
    assert [row.title for row in picture.rows] == [
        "Light-sheet view", "Second light-sheet view", "Truth", "Output",
    ]  # fmt: skip
    assert picture.algorithm == "good"
    rows = drawn(make(task="synthesise")).rows
    assert [row.title for row in rows] == [
        "Structure sketch", "Instance labels", "Labels in layers", "Output",
    ]  # fmt: skip
    assert has(rows[1].panels[0], TRUTH["."])


@given(st.floats(1e-3, 1e5))
def test_the_scale_bar_takes_a_tenth_to_a_quarter_of_the_width(width):
    percent, text = scale_bar(width, "µm")
    assert 9.9 <= percent <= 25.1
    assert float(text.split()[0]) == pytest.approx(percent * width / 100, rel=1e-4)
