from math import inf

import numpy as np
import pytest

from cytosuite.algorithms.watershed.blocks import (
    margin_of,
    plan_blocks,
    segment_blocks,
    steps_of,
    uneven_background,
)
from cytosuite.algorithms.watershed.parameters import Parameters
from cytosuite.algorithms.watershed.segment import segment, smoothed
from cytosuite.metrics.labels.ctc import seg
from cytosuite.metrics.labels.overlap import overlap
from cytosuite.segmentation.foreground import remove_background
from cytosuite.volume import memory
from cytosuite.volume.pieces import converted

SPACING = (2.0, 1.0, 1.0)
NUCLEI = Parameters(
    smoothing_um=0.8,
    axial_elongation=1.2,
    radii_um=(3.0,),
    local_um=6.0,
    local_weight=0.4,
    opening_um=1.0,
    minimum_size=30.0,
    minimum_contrast=0.3,
)


def tissue(shape=(32, 110, 120), count=200):
    """Return crowded nuclei of 6 to 9 µm on uneven ground, in photons."""
    rng = np.random.default_rng(0)
    light = np.full(shape, 20.0)
    light += 30 * np.linspace(0, 1, shape[-1])
    steps = np.array(SPACING[-len(shape) :])
    for _ in range(count):
        centre = rng.uniform(0, shape)
        radius = rng.uniform(3, 4.5)
        far = np.ceil((radius + 4) / steps).astype(int)
        box = tuple(
            slice(max(0, int(c) - n), min(size, int(c) + n + 1))
            for c, n, size in zip(centre, far, shape, strict=True)
        )
        grid = np.ogrid[box]
        away = sum(((g - c) * s) ** 2 for g, c, s in zip(grid, centre, steps, strict=True)) ** 0.5
        light[box] = np.maximum(
            light[box], rng.uniform(80, 250) / (1 + np.exp(2 * (away - radius)))
        )
    return rng.poisson(light).astype(np.uint16)


@pytest.fixture
def in_blocks(monkeypatch):
    """Return a function that plans the blocks of an image for a memory of so many voxels."""

    def plan_them(shape, spacing, parameters, voxels):
        monkeypatch.setattr(
            "cytosuite.algorithms.watershed.blocks.free_gib", lambda: voxels * 50 / 2**30
        )
        monkeypatch.setattr("cytosuite.algorithms.watershed.blocks.fits", lambda size: False)
        return plan_blocks(shape, margin_of(spacing, parameters), steps_of(spacing, parameters))

    return plan_them


@pytest.mark.parametrize(
    "changes, on_disk",
    [
        ({"background_um": 16.0}, False),
        ({"relative_radii": (0.7, 1.0), "radii_um": (2.0, 4.0)}, False),
        ({}, True),
    ],
)
def test_blocks_give_the_objects_of_the_whole(changes, on_disk, in_blocks, tight):
    large_one = ((40, 150, 160), 330) if "relative_radii" in changes else ()
    image = tissue(*large_one)
    parameters = NUCLEI.model_copy(update=changes)
    whole = segment(image, SPACING, parameters)
    planned = in_blocks(image.shape, SPACING, parameters, 400_000 if large_one else 250_000)
    assert len(planned) > 1
    if on_disk:
        tight()
        image = converted(image, np.int32)
    labels = segment_blocks(image, SPACING, parameters, planned)
    assert memory.is_mapped(labels) == on_disk
    assert labels.dtype == np.uint16
    assert labels.max() == np.unique(labels).size - 1
    shared = overlap(whole, labels)
    assert whole.max() > 100
    assert abs(int(labels.max()) - int(whole.max())) <= 2
    assert seg.of(shared) > 0.99
    assert (shared.iou() == 1).sum() > 0.9 * whole.max()


def test_a_background_of_pieces_is_that_of_the_whole(monkeypatch):
    image = tissue((30, 60, 70), 20)
    parameters = NUCLEI.model_copy(update={"background_um": 14.0})
    signal, _ = smoothed(image, SPACING, parameters, 3.0)
    expected = signal - remove_background(signal, SPACING, 14.0)
    monkeypatch.setattr("cytosuite.algorithms.watershed.blocks._PIECE", 20_000)
    uneven = uneven_background(image, SPACING, parameters, 3.0)
    for box in [tuple(map(slice, image.shape)), (slice(3, 9), slice(5, 60), slice(0, 1))]:
        np.testing.assert_allclose(uneven(box), expected[box], atol=1e-3)


def test_an_image_that_fits_is_one_block(monkeypatch):
    for free in (inf, 1.0):
        monkeypatch.setattr(
            "cytosuite.algorithms.watershed.blocks.free_gib", lambda free=free: free
        )
        (only,) = plan_blocks((40, 60, 70), (9, 9, 9), (2, 3, 3))
        assert only.input == only.output == (slice(0, 40), slice(0, 60), slice(0, 70))


def test_blocks_begin_at_multiples_and_fit(in_blocks):
    planned = in_blocks((64, 256, 256), SPACING, NUCLEI, 500_000)
    steps = steps_of(SPACING, NUCLEI)
    assert steps == (1, 2, 2)
    for tile in planned:
        assert all(side.start % n == 0 for side, n in zip(tile.input, steps, strict=True))
        assert np.prod([side.stop - side.start for side in tile.input]) <= 500_000


def test_a_margin_by_hand():
    # 4.5 + max(18, 2 * 6) + 3 * 0.8 + 2 * 1 = 26.9 µm; along z 1.2 times as much
    assert margin_of(SPACING, NUCLEI) == (17, 27, 27)
    wide = NUCLEI.model_copy(update={"local_um": 20.0})
    assert margin_of((1.0, 1.0), wide) == (49, 49)  # 4.5 + 40 + 2.4 + 2
