import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from rasters import away_from
from scipy import ndimage
from skimage.morphology import local_maxima
from skimage.segmentation import watershed

from cytosuite.algorithms.watershed.seeds import (
    Relief,
    blob_response,
    border_distance,
    merge,
    seed_map,
    typical_radius,
)


def test_the_response_to_a_gaussian_is_that_of_theory():
    sigma = 4.0
    width = 3.0
    blob = np.exp(-(away_from(20, (41,) * 3) ** 2) / 2 / sigma**2).astype(np.float32)
    response = blob_response(blob, (1.0, 1.0, 1.0), (width * 3**0.5,), 1.0)
    total = sigma**2 + width**2
    expected = 3 * width**2 / total * (sigma**2 / total) ** 1.5
    assert response.max() == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("radius", [6.0, 12.0])
def test_the_typical_radius_of_a_disc_is_its_radius(radius):
    disc = away_from(32, (64, 64)) <= radius
    assert typical_radius(disc, (1.0, 1.0), 1.0) == pytest.approx(radius, abs=1.2)
    assert typical_radius(disc, (0.5, 0.5), 1.0) == pytest.approx(radius / 2, abs=0.6)


def test_distances_along_z_are_divided_by_the_elongation():
    slab = np.zeros((9, 40, 40), bool)
    slab[2:7] = True
    plain = border_distance(slab, (2.0, 1.0, 1.0), 1.0)
    assert_allclose(border_distance(slab, (2.0, 1.0, 1.0), 2.0), plain / 2)
    assert plain.max() == 6.0


def test_where_all_is_foreground_distances_count_nothing():
    assert (border_distance(np.ones((3, 4), bool), (1.0, 1.0), 1.0) == 1).all()


def test_the_seed_map_is_positive_inside(rng):
    mask = np.zeros((12, 12), bool)
    mask[3:9, 3:9] = True
    response = rng.normal(0, 1, 36).astype(np.float32)
    height = seed_map(response, mask, (1.0, 1.0), 1.0, 1.0, float(response.max()))
    assert height.shape == (36,)
    assert (height > 0).all()


def relief_of(height):
    return Relief.of(np.ones(height.shape, bool), height.ravel())


RIDGE = relief_of(np.array([[1, 5, 9, 5, 3, 6, 8, 4, 1]], np.float32).repeat(3, axis=0))


@pytest.mark.parametrize("ratio, objects", [(0.37, 1), (0.38, 2)])
def test_basins_merge_when_the_saddle_is_high_enough(ratio, objects):
    # The saddle is 3 / 8 of the lower peak.
    assert len(np.unique(merge(RIDGE, ratio))) == objects


def test_chains_are_joined_in_the_order_of_their_saddles():
    height = np.array([[9, 7, 8, 2, 8, 7, 9]], np.float32)
    assert len(np.unique(merge(relief_of(height), 0.5))) == 2


def test_a_top_below_one_at_its_corner_joins_the_basin_that_floods_it():
    height = np.array([[9, 4, 1], [5, 6, 3], [1, 2, 7]], np.float32)
    expected = [[1, 1, 1], [1, 1, 3], [1, 3, 3]]  # 6 is no peak: 9 is at its corner
    assert_array_equal(merge(relief_of(height), 1.0).reshape(3, 3), expected)


@pytest.mark.parametrize("shape", [(40, 50), (10, 24, 26)])
def test_basins_are_nearly_those_of_flooding_from_all_maxima(shape, rng):
    height = ndimage.gaussian_filter(rng.random(shape), 1.5).astype(np.float32)
    mask = height > np.quantile(height, 0.3)
    peaks, count = ndimage.label(
        local_maxima(np.where(mask, height, 0), connectivity=height.ndim) & mask,
        structure=np.ones((3,) * height.ndim),
    )
    flooded = watershed(-height, peaks, mask=mask)[mask]
    merged = merge(Relief.of(mask, height[mask]), 2.0)  # no saddle is that high
    assert len(np.unique(merged)) == count
    assert np.mean(np.unique(merged, return_inverse=True)[1] + 1 != flooded) < 0.005
