import numpy as np
import pytest

from cytosuite.algorithms.watershed.seeds import (
    basins,
    blob_response,
    border_distance,
    merge,
    saddles,
    seed_map,
    typical_radius,
)


def gaussian_blob(sigma, shape=(41, 41, 41), spacing=(1.0, 1.0, 1.0)):
    middle = [(n - 1) / 2 * s for n, s in zip(shape, spacing, strict=True)]
    grid = np.meshgrid(
        *[np.arange(n) * s for n, s in zip(shape, spacing, strict=True)], indexing="ij"
    )
    squares = sum((axis - m) ** 2 for axis, m in zip(grid, middle, strict=True))
    return np.exp(-squares / 2 / sigma**2).astype(np.float32)


def test_the_response_to_a_gaussian_is_that_of_theory():
    sigma, width = 4.0, 3.0
    response = blob_response(gaussian_blob(sigma), (1.0, 1.0, 1.0), (width * 3**0.5,), 1.0)
    total = sigma**2 + width**2
    expected = 3 * width**2 / total * (sigma**2 / total) ** 1.5
    assert response.max() == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("radius", [6.0, 12.0])
def test_the_typical_radius_of_a_disc_is_its_radius(radius):
    grid = np.indices((64, 64)) - 32
    disc = (grid**2).sum(0) <= radius**2
    assert typical_radius(disc, (1.0, 1.0), 1.0) == pytest.approx(radius, abs=1.2)
    assert typical_radius(disc, (0.5, 0.5), 1.0) == pytest.approx(radius / 2, abs=0.6)


def test_distances_along_z_are_divided_by_the_elongation():
    slab = np.zeros((9, 40, 40), bool)
    slab[2:7] = True
    plain = border_distance(slab, (2.0, 1.0, 1.0), 1.0)
    np.testing.assert_allclose(border_distance(slab, (2.0, 1.0, 1.0), 2.0), plain / 2)
    assert plain.max() == 6.0


def test_the_seed_map_is_positive_inside_and_zero_outside():
    mask = np.zeros((12, 12), bool)
    mask[3:9, 3:9] = True
    response = np.random.default_rng(0).normal(0, 1, mask.shape).astype(np.float32)
    height = seed_map(response, mask, (1.0, 1.0), distance_weight=1.0, elongation=1.0)
    assert (height[mask] > 0).all()
    assert not height[~mask].any()


RIDGE = np.array([[1, 5, 9, 5, 3, 6, 8, 4, 1]], np.float32).repeat(3, axis=0)
ALL = np.ones(RIDGE.shape, bool)


def test_every_maximum_gets_a_basin_and_the_saddle_is_the_highest_pass():
    labels = basins(RIDGE, ALL)
    assert labels.max() == 2
    assert labels[1, 2] != labels[1, 6]
    pairs, passes = saddles(labels, RIDGE)
    np.testing.assert_array_equal(pairs, [[1, 2]])
    np.testing.assert_array_equal(passes, [3])


@pytest.mark.parametrize(("ratio", "objects"), [(0.37, 1), (0.38, 2)])
def test_basins_merge_when_the_saddle_is_high_enough(ratio, objects):
    merged = merge(basins(RIDGE, ALL), RIDGE, ratio)  # the saddle is 3 / 8 of the lower peak
    assert len(np.unique(merged)) == objects


def test_chains_are_joined_in_the_order_of_their_saddles():
    height = np.array([[9, 7, 8, 2, 8, 7, 9]], np.float32)
    labels = np.array([[1, 1, 2, 2, 3, 3, 4]], np.int32)
    assert len(np.unique(merge(labels, height, 0.5))) == 2
