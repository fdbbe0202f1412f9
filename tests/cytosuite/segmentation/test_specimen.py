from math import ceil, prod

import numpy as np
import pytest
from light_sheet import SPACING, noise, specimen, view
from numpy.testing import assert_allclose, assert_array_equal
from rasters import counted

from cytosuite.segmentation.specimen import (
    DEPTH_UM,
    MOST,
    CoarseMap,
    block_means,
    coarse_stride,
    in_field,
    maps_of,
    specimen_of,
)
from cytosuite.volume import Volume
from cytosuite.volume.objects import box_at


def _everywhere(coarse):
    """Return a map in all voxels of its image."""
    return coarse.read(tuple(map(slice, coarse.shape)))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("spacing", [(3.0, 0.33, 0.33), (0.4, 1.2, 0.8)])
def test_distances_are_in_um_along_every_axis(axis, spacing, monkeypatch, rng):
    # The surface stays where it is.
    monkeypatch.setattr("cytosuite.segmentation.specimen.TISSUE_UM", 0.1)
    shape = [36, 36, 36]
    shape[axis] = 80
    half = np.where(np.indices(shape)[axis] >= 40, 200.0, 10.0) + rng.normal(0, 2, shape)
    (distance,) = maps_of(half, spacing, ["distance"])
    line = (np.arctanh(_everywhere(distance)) * DEPTH_UM).mean(tuple({0, 1, 2} - {axis}))
    expected = (np.arange(80) + 0.5 - 40) * spacing[axis]
    edge = max(n * s for n, s in zip(distance.stride, spacing, strict=True))
    inner = np.abs(expected) < 20
    assert_allclose(line[inner], expected[inner], atol=1.6 * edge)
    assert_allclose(
        np.diff(line[len(line) // 2 + distance.stride[axis] :][:10]), spacing[axis], rtol=0.02
    )


@pytest.mark.parametrize(
    "image",
    [
        np.full((9, 20, 20), 65535, np.uint16),
        noise((30, 60, 60)),
        noise((1, 1, 50)),
        np.ones((1, 1, 1)),
    ],
    ids=lambda image: f"{image.dtype} {image.shape}",
)
def test_images_without_a_specimen_have_maps_of_0(image):
    for field in maps_of(image, (1.0, 0.3, 0.3), ("distance", "light")):
        assert not field.values.any()
        assert _everywhere(field).shape == image.shape


def test_the_inside_of_a_specimen_is_specimen_though_it_is_dark():
    inside = specimen()
    hollow = specimen(share=0.3)
    mask = specimen_of(np.where(inside & ~hollow, 200.0, 10.0).astype(np.float32), SPACING)
    assert mask[hollow].all()
    assert (mask == inside).mean() > 0.85


def test_light_falls_on_its_way_through_the_specimen():
    line = _everywhere(maps_of(view(loss_per_um=0.02), SPACING, ["light"])[0])[10, 36, 16:50]
    assert line[-1] < 0 < line[0] < line[-1] + 0.5
    assert line[0] > line[-1] + 0.08
    assert (np.diff(line) < 1e-3).all()


def test_light_is_0_in_an_even_specimen_and_far_from_any():
    even = np.where(specimen(), 200.0, 10.0)
    values = _everywhere(maps_of(even, SPACING, ["light"])[0])
    assert np.abs(values[specimen(share=0.5)]).max() < 0.12
    wide = np.full((20, 72, 400), 10.0)
    wide[:, :, :64] = even
    assert np.abs(_everywhere(maps_of(wide, SPACING, ["light"])[0])[:, :, -40:]).max() < 1e-3


def test_maps_are_interpolated_between_the_middles_of_blocks():
    coarse = CoarseMap(np.array([[[0.0, 4.0, 8.0]]], np.float32), (1, 1, 4), (1, 1, 12))
    assert_allclose(_everywhere(coarse)[0, 0], [0, 0, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8, 8])


def test_blocks_at_the_end_are_means_of_what_they_hold():
    image = counted(2, 3, 5)
    means = block_means(image, (2, 2, 3))
    expected = [
        [image[:, a, b].mean() for b in (slice(0, 3), slice(3, 5))]
        for a in (slice(0, 2), slice(2, 3))
    ]
    assert_allclose(means[0], expected)
    assert_array_equal(block_means(image, (1, 1, 1)), image)
    assert block_means(np.full((3, 3, 3), 65535, np.uint16), (3, 3, 3)) == 65535


@pytest.mark.parametrize(
    "shape, spacing",
    [
        ((80, 1920, 1920), (3.0, 0.33, 0.33)),
        ((2000, 10, 10), (0.1, 1.0, 1.0)),
        ((1, 30000, 30000), (5.0, 0.1, 0.1)),
    ],
)
def test_coarse_grids_are_small_and_their_blocks_about_cubes(shape, spacing):
    stride = coarse_stride(shape, spacing)
    voxels = prod(ceil(n / s) for n, s in zip(shape, stride, strict=True))
    assert voxels <= MOST
    assert voxels > MOST / 4 or min(stride) == 1
    edges = [n * s for n, s, size in zip(stride, spacing, shape, strict=True) if n < size]
    assert max(edges) / min(edges) < 1.6


def test_a_hot_voxel_is_no_specimen():
    image = noise((30, 60, 60))
    image[10, 20, 30] = 65535
    (distance,) = maps_of(image, (1.0, 1.0, 1.0), ["distance"])
    assert (distance.values > 0).mean() < 0.05


def test_of_a_large_image_the_part_with_its_specimen_is_worked_on(monkeypatch, rng):
    monkeypatch.setattr("cytosuite.segmentation.specimen.LARGE", 0)
    image = rng.normal(100, 2, (20, 200, 200))
    image[5:15, 140:160, 20:50] += 200

    def work(part, corner):
        assert part.array.size < image.size / 4
        return part.like(image[box_at(corner, part.shape)] > 200)

    assert_array_equal(in_field(Volume(image, (1.0, 1.0, 1.0)), work).array, image > 200)
